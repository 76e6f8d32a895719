"""`BarSeries` refuses every impossible candle, and its derived values mean what they say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.market.bars import YEAR_MS, Bar, BarSeries, symbol_id, timeframe_ms, timeframe_name
from src.market.synthetic.known_markets import generate

HOUR = 3_600_000


def series() -> BarSeries:
    return BarSeries(
        symbol="BTC/USDT",
        timeframe="1h",
        open_time=np.arange(4) * HOUR,
        open=np.array([10.0, 11.0, 12.0, 11.5]),
        high=np.array([11.5, 12.5, 12.2, 13.0]),
        low=np.array([9.5, 10.5, 11.0, 11.0]),
        close=np.array([11.0, 12.0, 11.5, 12.5]),
        volume=np.array([1.0, 0.0, 3.0, 4.0]),
    )


def test_single_bars_and_their_series_are_the_same() -> None:
    first, second = Bar(0, HOUR, 1.0, 3.0, 0.5, 2.0, 7.0), Bar(HOUR, 2 * HOUR, 2.0, 2.5, 1.5, 1.75, 0.0)
    together = BarSeries.of("BTC/USDT", "1h", [first, second])
    assert together.open_time.tolist() == [0, HOUR]
    assert together.high.tolist() == [3.0, 2.5]
    assert together.volume.tolist() == [7.0, 0.0]
    assert [together.bar(row) for row in range(2)] == [first, second]
    with pytest.raises(DataError, match="holds no bars"):
        BarSeries.of("BTC/USDT", "1h", [])


def with_value(name: str, row: int, value: float) -> BarSeries:
    column = getattr(series(), name).copy()
    column[row] = value
    return replace(series(), **{name: column})


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_a_price_that_is_not_finite_and_positive_is_refused(name: str, value: float) -> None:
    with pytest.raises(DataError, match=rf"BTC/USDT: '{name}' is not a finite positive price .* first at row 2"):
        with_value(name, 2, value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_volume_that_is_negative_or_not_finite_is_refused(value: float) -> None:
    with pytest.raises(DataError, match="'volume' is negative or not finite in 1 bar"):
        with_value("volume", 1, value)


@pytest.mark.parametrize(("name", "value"), [("high", 11.4), ("low", 11.6), ("high", 10.9), ("close", 12.3)])
def test_a_candle_whose_range_misses_open_or_close_is_refused(name: str, value: float) -> None:
    with pytest.raises(DataError, match=r"does not contain open and close in 1 bar\(s\), first at row 2 \("):
        with_value(name, 2, value)


@pytest.mark.parametrize("time", [HOUR, 0])
def test_times_that_repeat_or_run_backward_are_refused(time: int) -> None:
    with pytest.raises(DataError, match=r"open_time is not strictly increasing in 1 bar\(s\), first at row 2"):
        with_value("open_time", 2, time)


def test_an_empty_series_is_refused() -> None:
    with pytest.raises(DataError, match="holds no bars"):
        series()[2:2]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(DataError, match=r"column 'close' has shape \(3,\), not \(4,\)"):
        replace(series(), close=series().close[:3])


def test_arrays_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        series().close[0] = 1.0


def test_the_callers_array_stays_writable_and_apart() -> None:
    close = np.array([11.0, 12.0, 11.5, 12.5])
    bars = replace(series(), close=close)
    close[0] = 99.0
    assert bars.close[0] == 11.0


@pytest.mark.parametrize(
    ("identity", "spellings"),
    [
        ("BTCUSDT", ["BTC/USDT", "btc-usdt", "BTCUSDT", "BTC_USDT", " btc / usdt "]),
        ("BTCUSDT--USDT", ["BTC/USDT:USDT", "btc-usdt:usdt", "BTCUSDT:USDT"]),
        ("BTCUSD--BTC", ["BTC/USD:BTC", "btcusd:btc"]),
        ("BTCUSDT--USDT-241227", ["BTC/USDT:USDT-241227", "btc_usdt:usdt_241227"]),
        ("BTCUSDT--USDT-241227-50000-C", ["BTC/USDT:USDT-241227-50000-C"]),
        ("BRKB", ["BRK.B", "brk-b"]),
        ("沪深300", ["沪深300", "沪深 300"]),
    ],
)
def test_spellings_of_one_market_have_one_identity(identity: str, spellings: list[str]) -> None:
    assert {symbol_id(spelling) for spelling in [*spellings, identity, identity.lower()]} == {identity}


@given(st.text(), st.text(), st.text())
def test_an_identity_is_a_plain_file_name_and_a_spelling_of_itself(pair: str, settlement: str, stage: str) -> None:
    try:
        identity = symbol_id(f"{pair}:{settlement}" if settlement else pair)
    except DataError:
        return
    assert symbol_id(identity) == identity
    assert identity.replace("-", "").isalnum()
    assert not identity.startswith("-")
    assert f"{identity}_{stage}".split("_")[0] == identity


@pytest.mark.parametrize("symbol", ["//", ":USDT", "BTC/USDT:"])
def test_a_symbol_without_letters_is_refused(symbol: str) -> None:
    with pytest.raises(DataError, match=f"'{symbol}' holds no letter or digit"):
        symbol_id(symbol)


@pytest.mark.parametrize(
    ("name", "ms"),
    [("1s", 1_000), ("15m", 900_000), ("1h", HOUR), ("4h", 4 * HOUR), ("1d", 24 * HOUR), ("1w", 168 * HOUR)],
)
def test_a_timeframe_survives_the_round_trip(name: str, ms: int) -> None:
    assert timeframe_ms(name) == ms
    assert timeframe_name(ms) == name


def test_a_timeframe_gets_its_shortest_name() -> None:
    assert [timeframe_name(timeframe_ms(name)) for name in ("60m", "24h", "7d", "90m")] == ["1h", "1d", "1w", "90m"]
    assert [timeframe_name(timeframe_ms(name)) for name in ("1mo", "3mo", "12mo", "31d")] == [
        "1mo",
        "3mo",
        "12mo",
        "31d",
    ]
    assert 12 * timeframe_ms("1mo") == YEAR_MS


@pytest.mark.parametrize("text", ["", "h", "0h", "1H", "1 h", "1.5h", "1y", "-1h"])
def test_a_timeframe_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not understood; write a number and one of"):
        timeframe_ms(text)


def test_a_bar_may_be_used_when_it_has_closed() -> None:
    bar = series().bar(1)
    assert (bar.open_time, bar.close_time) == (HOUR, 2 * HOUR)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (11.0, 12.5, 10.5, 12.0, 0.0)
    assert series().close_time[1] == bar.close_time


def test_log_returns_run_from_close_to_close_and_start_at_zero() -> None:
    np.testing.assert_allclose(series().log_returns, [0.0, np.log(12 / 11), np.log(11.5 / 12), np.log(12.5 / 11.5)])


@settings(deadline=None)  # the first one loads what generates
@given(seed=st.integers(0, 1000), name=st.sampled_from(["A", "B", "C"]))
def test_the_mirror_negates_log_returns_and_undoes_itself(seed: int, name: str) -> None:
    bars = generate(name, 50, np.random.default_rng(seed))
    mirror = bars.mirrored()
    np.testing.assert_allclose(mirror.log_returns, -bars.log_returns, atol=1e-13)
    for column in ("open", "high", "low", "close", "volume", "open_time"):
        np.testing.assert_allclose(getattr(mirror.mirrored(), column), getattr(bars, column), rtol=1e-14)


def test_the_mirror_swaps_high_and_low() -> None:
    mirror = series().mirrored()
    np.testing.assert_allclose(mirror.high, 100.0 / series().low)
    np.testing.assert_allclose(mirror.low, 100.0 / series().high)
    assert mirror.open[0] == 10.0


@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("name", ["open_time", "open", "high", "low", "close", "volume"])
def test_the_fingerprint_changes_with_any_value(name: str, row: int) -> None:
    nudged = np.nextafter(getattr(series(), name).astype(float), np.inf)[row] if name != "open_time" else row * HOUR + 1
    assert with_value(name, row, nudged).fingerprint != series().fingerprint


def test_the_fingerprint_depends_on_symbol_and_timeframe_but_not_on_spelling() -> None:
    assert replace(series(), symbol="ETH/USDT").fingerprint != series().fingerprint
    assert replace(series(), timeframe="30m").fingerprint != series().fingerprint
    assert replace(series(), symbol="btc-usdt").fingerprint == series().fingerprint


def test_a_slice_is_the_same_bars() -> None:
    part = series()[1:3]
    assert len(part) == 2
    assert [part.bar(row) for row in range(2)] == [series().bar(row) for row in (1, 2)]
    assert part.log_returns[0] == 0.0  # nothing of the longer series comes along
    with pytest.raises(ValueError, match="read-only"):
        part.close[0] = 1.0


def test_a_slice_without_bars_or_out_of_order_is_refused() -> None:
    with pytest.raises(DataError, match="holds no bars"):
        series()[3:3]
    for step in (-1, 2):
        with pytest.raises(AssertionError, match="stretches"):
            series()[::step]


def test_bars_per_year_counts_bars_over_elapsed_time() -> None:
    days = np.array([d for d in range(730) if d % 7 < 5]) * 24 * HOUR  # two years of five-day weeks
    ones = np.ones(len(days))
    weekdays = BarSeries("X", "1d", days, ones, ones, ones, ones, ones)
    assert weekdays.bars_per_year == pytest.approx(5 / 7 * 365.25, rel=0.005)
    # 104 weeks of five and two days more are 522 bars, and 521 steps from day 0 to day 729.
    assert weekdays.bars_per_year == pytest.approx(521 / 729 * 365.25, rel=1e-12)
    assert series().bars_per_year == pytest.approx(24 * 365.25)
