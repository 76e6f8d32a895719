"""Every registered feature: causal, forgetful, mirrored, finite; and each formula against a second derivation."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from ta.momentum import RSIIndicator
from ta.trend import ADXIndicator, CCIIndicator, IchimokuIndicator, KSTIndicator
from ta.volatility import AverageTrueRange, BollingerBands
from ta.volume import ChaikinMoneyFlowIndicator

from src.features.base import Feature
from src.features.indicators import FEATURES, exponential_average, latest_average, relative_level
from src.market.bars import BarSeries
from tests.support.random_bars import HOUR_MS, NASTY_MARKETS, bars_from_steps, concatenate, random_bars
from tests.support.shared_data import SHARED_DATA, needs_shared_data

Array = NDArray[np.float64]
TOLERANCE = 1e-6  # of a column's standard deviation
DOCS = Path(__file__).resolve().parents[3] / "docs" / "features.md"
every_feature = pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES.keys())
every_nasty_market = pytest.mark.parametrize("market", NASTY_MARKETS)


def leaking_columns(feature: Feature, bars: BarSeries, cuts: Iterable[int]) -> set[str]:
    """Return the columns whose rows before a cut change by a single bit when the bars from it on go or are altered."""
    whole = feature.compute(bars)
    altered = random_bars(len(bars), seed=99, sigma=0.05, first_price=bars.close[0] * 3.0)
    leaks: set[str] = set()
    for cut in cuts:
        future = BarSeries(bars.symbol, bars.timeframe, bars.open_time, *_prices_and_volume(altered))[cut:]
        for other in (bars[:cut], concatenate([bars[:cut], future])):
            same = (feature.compute(other)[:cut] == whole[:cut]).all(axis=0)
            leaks |= {column for column, equal in zip(feature.columns, same, strict=True) if not equal}
    return leaks


def _prices_and_volume(bars: BarSeries) -> tuple[Array, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume


def forgets_its_start(feature: Feature, bars: BarSeries, starts: Iterable[int]) -> None:
    """Assert that a series starting later agrees from the row on that has `lookback_bars` of history."""
    whole = feature.compute(bars)
    size = np.maximum(whole.std(axis=0), 1e-6)
    settled = feature.lookback_bars - 1
    for start in starts:
        later = feature.compute(bars[start:])[settled:]
        assert len(later) > 0
        error = np.abs(later - whole[start + settled :]) / size
        assert error.max() < TOLERANCE, f"start {start}: {feature.columns} differ by {error.max(axis=0)}"


def obeys_the_mirror(feature: Feature, bars: BarSeries) -> None:
    """Assert that odd columns change sign and even ones stay when every log price is negated."""
    seen, mirrored = feature.compute(bars), feature.compute(bars.mirrored())
    sign = np.array([-1.0 if column in feature.odd else 1.0 for column in feature.columns])
    np.testing.assert_allclose(mirrored, sign * seen, rtol=0, atol=1e-6 * np.maximum(seen.std(axis=0), 1e-6).max())


def shared_bars(file: str, count: int) -> BarSeries:
    frame = pd.read_parquet(SHARED_DATA / file).tail(count)
    timeframe = Path(file).stem.split("_")[-1]
    times = frame["timestamp"].astype("int64").to_numpy()  # stored in milliseconds
    columns = [frame[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume")]
    return BarSeries("REAL", timeframe, times, *columns)


@pytest.fixture(scope="module")
def walk() -> BarSeries:
    return random_bars(1500)


# ---------------------------------------------------------------- what holds for every feature


@every_feature
def test_no_feature_sees_the_future(feature: Feature, walk: BarSeries) -> None:
    cuts = (1, 2, feature.warmup_bars + 1, feature.warmup_bars + 30, feature.lookback_bars, 700, 1499)
    assert leaking_columns(feature, walk, cuts) == set()


def test_the_leak_detector_finds_the_known_leaks_of_ta(walk: BarSeries) -> None:
    def kst(bars: BarSeries) -> tuple[Array, ...]:
        indicator = KSTIndicator(pd.Series(np.log(bars.close)))
        return tuple(np.nan_to_num(column) for column in (indicator.kst(), indicator.kst_sig(), indicator.kst_diff()))

    def ichimoku(bars: BarSeries) -> tuple[Array, ...]:
        indicator = IchimokuIndicator(pd.Series(np.log(bars.high)), pd.Series(np.log(bars.low)), visual=True)
        return np.nan_to_num(indicator.ichimoku_a()), np.nan_to_num(indicator.ichimoku_b())

    for names, formula in ((("kst", "kst_sig", "kst_diff"), kst), (("span_a", "span_b"), ichimoku)):
        leaky = Feature("leaky", names, lookback_bars=100, warmup_bars=0, formula=formula)
        assert leaking_columns(leaky, walk, (700,)) == set(names)


@every_feature
def test_look_back_is_enough_history(feature: Feature, walk: BarSeries) -> None:
    forgets_its_start(feature, walk, (1, 37, 500, len(walk) - feature.lookback_bars))


@every_feature
@every_nasty_market
def test_look_back_is_enough_history_on_nasty_markets(feature: Feature, market: str) -> None:
    forgets_its_start(feature, NASTY_MARKETS[market](1500), (1, 200, 505, 800))


@every_feature
def test_columns_are_declared_odd_or_even(feature: Feature, walk: BarSeries) -> None:
    obeys_the_mirror(feature, walk)
    assert set(feature.odd) <= set(feature.columns)


@every_feature
@every_nasty_market
def test_the_mirror_holds_on_nasty_markets(feature: Feature, market: str) -> None:
    obeys_the_mirror(feature, NASTY_MARKETS[market](1500))


@every_feature
@every_nasty_market
def test_nasty_markets_give_finite_values_of_sensible_size(feature: Feature, market: str) -> None:
    values = feature.compute(NASTY_MARKETS[market](1500))
    assert np.isfinite(values).all()
    assert np.abs(values).max() < 20.0


@every_feature
@pytest.mark.parametrize("count", [1, 2, 15, 60])
def test_short_series_are_served(feature: Feature, count: int) -> None:
    values = feature.compute(random_bars(count))
    assert values.shape == (count, len(feature.columns))
    assert not values[: feature.warmup_bars].any()


@every_feature
def test_a_constant_market_shows_nothing(feature: Feature) -> None:
    if feature.name != "calendar":
        np.testing.assert_allclose(feature.compute(NASTY_MARKETS["constant"](800)), 0.0, atol=1e-12)


@every_feature
def test_features_know_no_currency_and_no_unit_of_volume(feature: Feature, walk: BarSeries) -> None:
    other = BarSeries(
        "TEST", "1h", walk.open_time, *(p * 1e5 for p in _prices_and_volume(walk)[:4]), volume=walk.volume / 1e4
    )
    np.testing.assert_allclose(feature.compute(other), feature.compute(walk), rtol=0, atol=1e-8)


@every_feature
def test_declarations_agree(feature: Feature) -> None:
    assert FEATURES[feature.name] is feature
    assert 0 <= feature.warmup_bars <= feature.lookback_bars


def test_column_names_are_unique() -> None:
    columns = [column for feature in FEATURES.values() for column in feature.columns]
    assert len(set(columns)) == len(columns)


def test_the_documented_table_is_the_registry() -> None:
    rows = [line.split("|")[1:-1] for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    documented = [
        (cells[0].strip(" `"), tuple(c.strip(" `") for c in cells[1].split(",")), int(cells[3]), int(cells[4]))
        for cells in rows
    ]
    assert documented == [(f.name, f.columns, f.lookback_bars, f.warmup_bars) for f in FEATURES.values()]


@needs_shared_data
@every_feature
@pytest.mark.parametrize(
    "file", ["crypto_1h/BTCUSDT_1h.parquet", "equities_1d/KO_1d.parquet", "fx_1h/USDJPY_1h.parquet"]
)
def test_real_markets(feature: Feature, file: str) -> None:
    bars = shared_bars(file, 1600)
    assert leaking_columns(feature, bars, (feature.lookback_bars, 1200)) == set()
    forgets_its_start(feature, bars, (250, 700))
    obeys_the_mirror(feature, bars)


# ---------------------------------------------------------------- values


def _values(name: str, bars: BarSeries) -> Array:
    return FEATURES[name].compute(bars)


def _logs(bars: BarSeries) -> tuple[pd.Series, pd.Series, pd.Series]:
    return pd.Series(np.log(bars.high)), pd.Series(np.log(bars.low)), pd.Series(np.log(bars.close))


def test_exponential_average_is_that_of_pandas_cut_off_after_four_spans() -> None:
    values = np.random.default_rng(0).normal(size=400)
    expected = pd.Series(values).ewm(span=10, adjust=True).mean().to_numpy()
    average = exponential_average(values, 10)
    np.testing.assert_allclose(average[:40], expected[:40], rtol=1e-12, atol=1e-12)
    left_out = (1 - 2 / 11) ** 40
    assert 0 < np.abs(average[40:] - expected[40:]).max() <= 2 * left_out * np.abs(values).max()


def test_exponential_average_forgets_an_impulse_completely() -> None:
    impulse = np.zeros(100)
    impulse[20] = 1e12
    average = exponential_average(impulse, 10)
    assert (average[20:60] > 0).all()
    assert not average[60:].any()


@pytest.mark.parametrize("span", [1, 2, 3, 10, 160])
@pytest.mark.parametrize("bars", [1, 2, 39, 40, 41, 700])
def test_the_latest_average_is_the_last_of_all_and_all_are_sums_over_their_windows(span: int, bars: int) -> None:
    values = np.random.default_rng(span).normal(size=bars)
    seen = values[::-1][: 4 * span]
    weights = (1 - 2 / (span + 1)) ** np.arange(len(seen))
    expected = (weights * seen).sum() / weights.sum()
    assert latest_average(values, span) == pytest.approx(expected, rel=1e-12, abs=1e-13)
    assert exponential_average(values, span)[-1] == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_the_bits_of_an_average_do_not_depend_on_where_its_window_lies() -> None:
    values = np.random.default_rng(5).normal(size=500)
    np.testing.assert_array_equal(exponential_average(values[123:], 20)[80:], exponential_average(values, 20)[203:])


def test_relative_level_by_hand() -> None:
    level = relative_level(np.array([2.0, 0.0, 6.0, 5.0]), np.array([2.0, 2.0, 2.0, 0.0]))
    np.testing.assert_allclose(level, [0.0, -np.log(2), np.log(2), 0.0], atol=1e-15)


def test_returns_are_the_last_four() -> None:
    steps = np.array([0.5, 0.01, -0.02, 0.03, -0.04, 0.05])
    values = _values("returns", bars_from_steps(steps[:, None], np.ones(6)))
    np.testing.assert_allclose(values[4], [-0.04, 0.03, -0.02, 0.01], atol=1e-12)
    np.testing.assert_allclose(values[5], [0.05, -0.04, 0.03, -0.02], atol=1e-12)


def test_deviations_of_a_steady_trend() -> None:
    # Under a drift g the average lags by g * (mean age of its weights); here the weights are summed one by one.
    bars = bars_from_steps(np.full((1000, 1), 0.001), np.ones(1000))
    for column, span in enumerate((10, 40, 160)):
        weights = [(1 - 2 / (span + 1)) ** age for age in range(4 * span)]
        lag = sum(age * weight for age, weight in enumerate(weights)) / sum(weights)
        assert _values("deviations", bars)[-1, column] == pytest.approx(0.001 * lag / span**0.5, rel=1e-9)


def test_volatility_after_it_doubled() -> None:
    # |return| was 1 for long and is 2 for the last 25 bars (in some unit): each average is 1 + the weight of those 25.
    size = np.concatenate([np.full(975, 0.001), np.full(25, 0.002)])
    bars = bars_from_steps((size * np.tile([1.0, -1.0], 500))[:, None], np.ones(1000))

    def average(span: int) -> float:
        decay = 1 - 2 / (span + 1)
        return 1 + (1 - decay**25) / (1 - decay ** (4 * span))

    short, middle, long = average(10), average(40), average(160)
    expected = [np.log((short + middle) / (2 * middle)), np.log((middle + long) / (2 * long))]
    np.testing.assert_allclose(_values("volatility", bars)[-1], expected, rtol=1e-9)


def test_volatility_level_of_moves_of_one_size_and_of_twice_that() -> None:
    # With |return| the same at every bar so is any average of it; twice the moves are log 2 more.
    small, large = (
        bars_from_steps((size * np.tile([1.0, -1.0], 500))[:, None], np.ones(1000)) for size in (0.001, 0.002)
    )
    level = _values("volatility_level", small)[-1]
    np.testing.assert_allclose(level, np.log(1 + 0.001 / 1e-8), rtol=1e-12)
    np.testing.assert_allclose(_values("volatility_level", large)[-1] - level, np.log(2), rtol=0, atol=1e-5)


def test_rsi_is_wilders_recursion_and_agrees_with_ta(walk: BarSeries) -> None:
    gain = loss = 0.0
    for change in np.diff(np.log(walk.close)):
        gain += (max(change, 0.0) - gain) / 14
        loss += (max(-change, 0.0) - loss) / 14
    rsi = _values("rsi", walk)[:, 0]
    assert rsi[-1] == pytest.approx((gain - loss) / (gain + loss), abs=1e-5)
    expected = RSIIndicator(pd.Series(np.log(walk.close))).rsi().to_numpy() / 50 - 1
    np.testing.assert_allclose(rsi[28:], expected[28:], atol=1e-5)


def test_rsi_of_a_market_that_only_rises_is_one() -> None:
    bars = bars_from_steps(np.full((100, 1), 0.01), np.ones(100))
    assert _values("rsi", bars)[-1, 0] == pytest.approx(1.0, abs=1e-5)


def test_bollinger_is_the_place_between_the_bands_and_agrees_with_ta(walk: BarSeries) -> None:
    window = np.log(walk.close[-20:])
    expected = (window[-1] - window.mean()) / (2 * window.std())
    values = _values("bollinger", walk)[:, 0]
    assert values[-1] == pytest.approx(expected, abs=1e-5)
    percent = BollingerBands(pd.Series(np.log(walk.close)), window=20, window_dev=2).bollinger_pband().to_numpy()
    np.testing.assert_allclose(values[19:], 2 * percent[19:] - 1, atol=1e-5)


def test_range_and_volume_against_their_averages() -> None:
    rng = np.random.default_rng(1)
    bars = bars_from_steps(rng.normal(0, 0.01, (300, 4)), rng.lognormal(0, 1, 300))
    for name, values in (("range", np.log(bars.high / bars.low)), ("volume", bars.volume)):
        weights = (1 - 2 / 41) ** np.arange(160)
        average = (weights * values[::-1][:160]).sum() / weights.sum()
        expected = np.log((values[-1] + average) / (2 * average))
        assert _values(name, bars)[-1, 0] == pytest.approx(expected, rel=1e-9)


def test_calendar_of_known_moments() -> None:
    moments = ["2024-01-01T00", "2024-01-01T06", "2024-01-04T12"]  # a Monday, then half a week later
    times = np.array(moments, dtype="datetime64[ms]").astype(np.int64)
    ones = np.ones(3)
    values = _values("calendar", BarSeries("TEST", "1h", times, ones, ones, ones, ones, ones))
    quarter_day = 2 * np.pi * 0.25 / 7
    expected = [[0, 1, 0, 1], [1, 0, np.sin(quarter_day), np.cos(quarter_day)], [0, -1, 0, -1]]
    np.testing.assert_allclose(values, expected, atol=1e-12)


def test_momentum_of_a_steady_trend() -> None:
    bars = bars_from_steps(np.full((100, 1), 0.002), np.ones(100))
    np.testing.assert_allclose(_values("momentum", bars)[-1], [0.002 * 20**0.5, 0.002 * 60**0.5], rtol=1e-9)


def test_macd_from_its_averages(walk: BarSeries) -> None:
    price = pd.Series(np.log(walk.close))
    line = price.ewm(span=12).mean() - price.ewm(span=26).mean()  # adjusted weights: equal once the start is forgotten
    expected = np.column_stack([line, line - line.ewm(span=9).mean()])
    np.testing.assert_allclose(_values("macd", walk)[500:], expected[500:], atol=1e-12)


@pytest.mark.parametrize(("name", "window"), [("stochastic", 14), ("donchian", 55)])
def test_channel_positions(name: str, window: int, walk: BarSeries) -> None:
    high, low, close = (np.log(prices) for prices in (walk.high, walk.low, walk.close))
    place = [
        (close[t] - low[t - window + 1 : t + 1].min())
        / np.ptp([high[t - window + 1 : t + 1].max(), low[t - window + 1 : t + 1].min()])
        for t in (1497, 1498, 1499)
    ]
    values = _values(name, walk)
    np.testing.assert_allclose(values[1497:, 0], 2 * np.array(place) - 1, atol=1e-9)
    if name == "stochastic":
        assert values[-1, 1] == pytest.approx(2 * np.mean(place) - 1, abs=1e-9)


def test_adx_and_directional_difference_agree_with_ta(walk: BarSeries) -> None:
    truth = ADXIndicator(*_logs(walk), window=14)
    expected = np.column_stack([truth.adx(), truth.adx_pos() - truth.adx_neg()]) / 100
    values = _values("adx", walk)
    # The starts differ (a sum of 14 bars there, an average from the first bar here) but are forgotten.
    np.testing.assert_allclose(values[600:], expected[600:], atol=1e-5)


def test_atr_agrees_with_ta(walk: BarSeries) -> None:
    short, long = (AverageTrueRange(*_logs(walk), window=window).average_true_range().to_numpy() for window in (14, 80))
    # Wilder's 80 is a span of 159, not 160, and ours is cut off after four spans: a thousandth or two.
    expected = np.log((short + long)[900:] / (2 * long[900:]))
    np.testing.assert_allclose(_values("atr", walk)[900:, 0], expected, atol=2e-3)


def test_cci_agrees_with_ta(walk: BarSeries) -> None:
    expected = CCIIndicator(*_logs(walk), window=20).cci().to_numpy() / 100
    np.testing.assert_allclose(_values("cci", walk)[19:, 0], expected[19:], atol=1e-4)


def test_chaikin_money_flow_agrees_with_ta(walk: BarSeries) -> None:
    truth = ChaikinMoneyFlowIndicator(*_logs(walk), pd.Series(walk.volume), window=20)
    expected = truth.chaikin_money_flow().to_numpy()
    np.testing.assert_allclose(_values("chaikin", walk)[19:, 0], expected[19:], atol=1e-9)


def test_candle_by_hand() -> None:
    logs = {"open": 0.0, "high": 0.03, "low": -0.01, "close": 0.01}  # range 4, body 1, upper wick 2, lower wick 1
    prices = {name: np.exp([log]) for name, log in logs.items()}
    bars = BarSeries("TEST", "1h", np.array([HOUR_MS]), **prices, volume=np.ones(1))
    np.testing.assert_allclose(_values("candle", bars), [[0.25, 0.25]], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(FEATURES))
@pytest.mark.parametrize("market", ["walk", *NASTY_MARKETS])
def test_the_latest_row_is_the_last_of_all(name: str, market: str) -> None:
    bars = random_bars(900, seed=6) if market == "walk" else NASTY_MARKETS[market](900)
    for stop in (1, 41, 161, 162, 641, 642, 900):
        expected = FEATURES[name].compute(bars[:stop])[-1]
        np.testing.assert_allclose(FEATURES[name].latest(bars[:stop]), expected, rtol=1e-6, atol=1e-6)
