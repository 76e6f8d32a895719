"""Files as vendors, exchanges and tools hand them out: read as what they are, said what was assumed, or refused.

Beside each file stands what it holds. Times are written as the calendar has them, prices are cut out of the text by
plain Python; neither comes from the reader.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from src.config.data import Adjust, DataConfig
from src.errors import DataError
from src.market.bars import BarSeries
from src.market.reading.price_file import understand_file
from src.market.sources import read_file

FILES = Path(__file__).parent / "price_files"
NEW_YORK = ZoneInfo("America/New_York")
OHLCV = ("open", "high", "low", "close", "volume")
Row = tuple[float, ...]


# --- times, as the calendar has them --------------------------------------------------------------------------------


def every(hours: float, first: str, count: int) -> list[datetime]:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    return [start + timedelta(hours=hours) * place for place in range(count)]


def weekdays(first: str, count: int) -> list[datetime]:
    days = every(24, first, 2 * count)
    return [day for day in days if day.weekday() < 5][:count]


def months(first: str, count: int) -> list[datetime]:
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    place = [start.year * 12 + start.month - 1 + ahead for ahead in range(count)]
    return [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in place]


def new_york(
    first: str, count: int, minutes: int, begin: str, end: str, is_trading: Callable[[datetime], bool]
) -> list[datetime]:
    # Times on the clock of New York from `begin` up to `end` of each day that trades.
    found: list[datetime] = []
    moment = datetime.fromisoformat(first)
    while len(found) < count:
        if begin <= f"{moment:%H:%M}" < end and is_trading(moment):
            found.append(moment.replace(tzinfo=NEW_YORK).astimezone(UTC))
        moment += timedelta(minutes=minutes)
    return found


def is_weekday(moment: datetime) -> bool:
    return moment.weekday() < 5


def is_fx_week(moment: datetime) -> bool:
    # Sunday 17:00 to Friday 17:00.
    return (
        (moment.weekday() < 4)
        or (moment.weekday() == 4 and moment.hour < 17)
        or (moment.weekday() == 6 and moment.hour >= 17)
    )


# --- prices, cut out of the text ------------------------------------------------------------------------------------


def cells(name: str, delimiter: str = ",", skip: int = 1, encoding: str = "utf-8-sig") -> Iterator[list[str]]:
    for line in (FILES / name).read_bytes().decode(encoding).splitlines()[skip:]:
        if line.strip():
            yield line.split(delimiter)


def prices(
    name: str, places: tuple[int, ...], delimiter: str = ",", skip: int = 1, encoding: str = "utf-8-sig"
) -> list[Row]:
    """Open, high, low, close and volume at their places; a place of -1 is a volume of 0."""
    rows = cells(name, delimiter, skip, encoding)
    return [tuple(0.0 if place < 0 else float(row[place]) for place in places) for row in rows]


def quoted(name: str, places: tuple[int, ...], number: Callable[[str], float], delimiter: str = '","') -> list[Row]:
    lines = (FILES / name).read_text("utf-8-sig").splitlines()[1:]
    rows = [line.strip().strip('"').split(delimiter) for line in lines]
    return [tuple(number(row[place]) for place in places) for row in rows]


def in_json(name: str, keys: tuple[object, ...], *path: str) -> list[Row]:
    content = json.loads((FILES / name).read_text())
    for key in path:
        content = content[key]
    return [tuple(float(row[key]) for key in keys) for row in content]


def english(text: str) -> float:
    number = text.replace(",", "")
    return round(float(number[:-1]) * 1e6) if number.endswith("M") else float(number)


def german(text: str) -> float:
    return float(text.replace(".", "").replace(",", "."))


USUAL = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Holds:
    """What a file holds, in order of time, and what is said of it."""

    timeframe: str
    times: list[datetime]
    rows: list[Row]
    said: tuple[str, ...] = ()
    data: DataConfig = field(default_factory=DataConfig)


HOURS = every(1, "2024-03-08T00:00", 120)
CRYPTO_HOURS = every(1, "2024-01-01T00:00", 120)
DAYS = weekdays("2024-02-01", 60)
YEARS = weekdays("2022-01-03", 400)
NO_ZONE, NO_TIME = "times without a zone are taken as UTC; data.timezone", "dates without a time are kept as they are"

HELD: dict[str, Holds] = {
    "alpaca_daily.csv": Holds("1d", DAYS, prices("alpaca_daily.csv", USUAL), ("dated by session",)),
    "alpha_vantage_adjusted.csv": Holds(
        "1d",
        YEARS,
        prices("alpha_vantage_adjusted.csv", (1, 2, 3, 4, 6))[::-1],
        (
            "'split_coefficient' tells of 1 split(s), first 2 for 1 at 2022-10-10",
            "'adjusted_close' differs",
            "data.adjust=all",
        ),
    ),
    "bigquery_utc_suffix.csv": Holds("1h", HOURS, prices("bigquery_utc_suffix.csv", USUAL)),
    "close_mapped_to_adj_close.csv": Holds(
        "1d",
        weekdays("2023-01-02", 200),
        prices("close_mapped_to_adj_close.csv", (1, 2, 3, 4, 6)),
        ("'Adj Close' differs from close by up to 7.0%",),
    ),
    "coinbase_rest_candles.json": Holds(
        "1h",
        CRYPTO_HOURS,
        in_json("coinbase_rest_candles.json", (3, 2, 1, 4, 5))[::-1],
        ("rows without names are read as",),
        DataConfig(columns={"open": "3", "high": "2", "low": "1"}),
    ),
    "coinmarketcap_timestamp_is_close.csv": Holds(
        "1d",
        every(24, "2024-01-01", 60),
        prices("coinmarketcap_timestamp_is_close.csv", (5, 6, 7, 8, 9), ";")[::-1],
    ),
    "date_and_timestamp_columns.csv": Holds(
        "1h", HOURS, prices("date_and_timestamp_columns.csv", (2, 3, 4, 5, 6)), (NO_ZONE,)
    ),
    "dukascopy_local_time.csv": Holds(
        "1h",
        every(1, "2024-03-07T23:00", 120),
        prices("dukascopy_local_time.csv", USUAL),
        ("offset from UTC", "GMT+0100"),
    ),
    "excel_german_decimal_volume.csv": Holds(
        "1d",
        DAYS,
        quoted("excel_german_decimal_volume.csv", USUAL, german, ";"),
        ("commas in numbers are decimal signs (first '981,27'); data.decimal",),
    ),
    "fx_4h_new_york_close.csv": Holds(
        "4h",
        new_york("2024-02-25T17:00", 240, 240, "00:00", "24:00", is_fx_week),
        prices("fx_4h_new_york_close.csv", (1, 2, 3, 4, -1)),
        (
            "bars of 4h keep step with the clock of America/New_York, and move with daylight saving",
            "no column of volume",
        ),
    ),
    "histdata_ascii.csv": Holds(
        "1h",
        every(1, "2024-03-08T05:00", 120),
        prices("histdata_ascii.csv", USUAL, ";", skip=0),
        ("rows without names are read as [open_time, open, high, low, close, volume]",),
        DataConfig(timezone="-05:00"),
    ),
    "ib_forex_midpoint.csv": Holds(
        "1h", every(1, "2024-03-08", 60), prices("ib_forex_midpoint.csv", (1, 2, 3, 4, -1)), ("'volume' is -1", NO_ZONE)
    ),
    "investing_com.csv": Holds(
        "1d",
        DAYS,
        quoted("investing_com.csv", (2, 3, 4, 1, 5), english)[::-1],
        ("dates are read as %m/%d/%Y", "separate thousands", "'1.08M' in 'Vol.' is read as a number times 1e6"),
    ),
    "kaggle_bitstamp.csv": Holds(
        "1m",
        [
            time
            for time, row in zip(every(1 / 60, "2024-01-01", 120), cells("kaggle_bitstamp.csv"), strict=True)
            if row[1] != "NaN"
        ],
        [row for row in prices("kaggle_bitstamp.csv", USUAL) if row[0] == row[0]],
        ("volume is taken from 'Volume_(BTC)', not from 'Volume_(Currency)'",),
        DataConfig(drop_defective=True),
    ),
    "monthly.csv": Holds(
        "1mo",
        months("2021-01-01", 36),
        prices("monthly.csv", USUAL),
        ("bars of 1mo are dated by the first day of their month: the first, stamped 2021-01-31, opens at 2021-01-01",),
    ),
    "mt4_headerless.csv": Holds(
        "1h",
        HOURS,
        prices("mt4_headerless.csv", (2, 3, 4, 5, 6), skip=0),
        ("rows without names are read as [date, time, open, high, low, close, volume]", NO_ZONE),
    ),
    "mt5_export_h1.csv": Holds(
        "1h",
        HOURS,
        prices("mt5_export_h1.csv", (2, 3, 4, 5, 6), "\t"),
        ("volume is taken from '<TICKVOL>', not from '<VOL>'",),
    ),
    "mt5_utf16.csv": Holds("1h", HOURS, prices("mt5_utf16.csv", (2, 3, 4, 5, 6), "\t", encoding="utf-16"), (NO_ZONE,)),
    "okx_bybit_string_times.json": Holds(
        "1h",
        CRYPTO_HOURS,
        in_json("okx_bybit_string_times.json", USUAL)[::-1],
        ("rows without names are read as [open_time, open, high, low, close, volume]",),
    ),
    "pandas_unnamed_index.csv": Holds("1d", DAYS, prices("pandas_unnamed_index.csv", USUAL), (NO_TIME,)),
    "polygon_daily.json": Holds(
        "1d", DAYS, in_json("polygon_daily.json", ("o", "h", "l", "c", "v"), "results"), ("dated by session",)
    ),
    "split_with_adjusted_columns.csv": Holds(
        "1d",
        YEARS,
        prices("split_with_adjusted_columns.csv", (8, 9, 10, 11, 12)),
        ("adjusted prices are taken, 'Adj. Open', ", "data.adjust=none"),
    ),
    "stooq_bulk_hourly.csv": Holds("1h", HOURS, prices("stooq_bulk_hourly.csv", (4, 5, 6, 7, 8)), (NO_ZONE,)),
    "thousands_separator_plain_volume.csv": Holds(
        "1d",
        DAYS,
        [
            tuple(map(english, [*row[0].split('","'), row[1].strip(",")]))
            for row in (
                line.split(',"', 1)[1].rsplit('"', 1)
                for line in (FILES / "thousands_separator_plain_volume.csv").read_text().splitlines()[1:]
            )
        ],
        ("commas in numbers separate thousands",),
    ),
    "tradingview_daily_epoch.csv": Holds(
        "1d",
        DAYS,
        prices("tradingview_daily_epoch.csv", USUAL),
        ("begin at 09:30 America/New_York are dated by session",),
    ),
    "us_stock_15min_eastern.csv": Holds(
        "15m",
        new_york("2024-03-01T00:00", 780, 15, "09:30", "16:00", is_weekday),
        prices("us_stock_15min_eastern.csv", USUAL)[::-1],
        ("the hours of New York", "data.timezone says otherwise"),
    ),
    "weekly_friday_holiday.csv": Holds(
        "1w",
        every(7 * 24, "2024-01-01", 52),
        prices("weekly_friday_holiday.csv", USUAL),
        ("weekly bars are stamped with a day of trading, such as 2024-01-05", "data.timeframe=7d"),
    ),
    "yfinance_daily_hong_kong.csv": Holds(
        "1d", DAYS, prices("yfinance_daily_hong_kong.csv", USUAL), ("begin at 00:00 +08:00 are dated by session",)
    ),
    "yfinance_multiheader.csv": Holds(
        "1d", DAYS, prices("yfinance_multiheader.csv", (4, 2, 3, 1, 5), skip=3), (NO_TIME,)
    ),
    "yyyymmddhhmm_numbers.csv": Holds(
        "1h", CRYPTO_HOURS, prices("yyyymmddhhmm_numbers.csv", USUAL), ("digits of the calendar, %Y%m%d%H%M",)
    ),
    "yyyymmddhhmmss_numbers_daily.csv": Holds(
        "1d", every(24, "2024-01-01", 120), prices("yyyymmddhhmmss_numbers_daily.csv", USUAL), ("%Y%m%d%H%M%S",)
    ),
}

# What is refused, with a remedy: settings, and what the refusal says.
REFUSED: dict[str, tuple[DataConfig, tuple[str, ...]]] = {
    "close_mapped_to_adj_close.csv": (
        DataConfig(columns={"close": "Adj Close"}),
        ("names 'Adj Close', which is adjusted, while open, high and low are not", "data.adjust=all"),
    ),
    "coinbase_rest_candles.json": (DataConfig(), ("columns in another order", "data.columns")),
    "kaggle_bitstamp.csv": (DataConfig(), ("price missing or not positive: 18", "data.drop_defective=true")),
}
# Judged by what their rows hold (`tests/unit/market/quality/test_price_files.py`); read here only as far as the frame.
JUDGED = {
    "daily_bars_then_4h.csv",
    "excel_damaged_price.csv",
    "many_symbols.csv",
    "many_symbols_apart_in_time.csv",
    "parquet_two_symbols.parquet",
    "split_2_for_1_hourly_weekend.csv",
    "split_3_for_2.csv",
    "trades_as_flat_bars.csv",
}


def milliseconds(times: list[datetime]) -> list[int]:
    return [round(time.timestamp() * 1000) for time in times]


def values(bars: BarSeries) -> list[Row]:
    return list(zip(*(getattr(bars, name).tolist() for name in OHLCV), strict=True))


def test_every_file_has_its_outcome() -> None:
    assert {path.name for path in FILES.iterdir()} == {*HELD, *REFUSED, *JUDGED}


@pytest.mark.parametrize("name", HELD)
def test_a_file_holds_its_bars_and_says_what_was_assumed(name: str) -> None:
    expected = HELD[name]
    bars = read_file(FILES / name, "X", expected.data)
    assert bars.timeframe == expected.timeframe
    assert bars.open_time.tolist() == milliseconds(expected.times)
    assert values(bars) == expected.rows
    said = " ".join(understand_file(FILES / name, expected.data).understood.remarks)
    for sentence in expected.said:
        assert sentence in said


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_understood_is_refused_with_a_remedy(name: str) -> None:
    data, said = REFUSED[name]
    with pytest.raises(DataError, match=name) as refused:
        read_file(FILES / name, "X", data)
    for sentence in said:
        assert sentence in str(refused.value)


def test_the_remedy_for_a_close_that_is_adjusted_alone_adjusts_all_four() -> None:
    bars = read_file(FILES / "close_mapped_to_adj_close.csv", "X", DataConfig(adjust=Adjust.all))
    raw = np.array(HELD["close_mapped_to_adj_close.csv"].rows)
    adjusted = np.array(prices("close_mapped_to_adj_close.csv", (5,)))
    np.testing.assert_allclose(np.array(values(bars))[:, :4], raw[:, :4] * adjusted / raw[:, 3:4], rtol=1e-15)
    np.testing.assert_array_equal(bars.volume, raw[:, 4])


@pytest.mark.parametrize("name", ["alpha_vantage_adjusted.csv", "split_with_adjusted_columns.csv"])
def test_prices_across_a_split_are_adjusted_where_it_is_asked_for(name: str) -> None:
    bars = read_file(FILES / name, "X", DataConfig(adjust=Adjust.all))
    assert np.abs(bars.log_returns).max() < 0.1  # a split of 2 for 1 is 0.69


def test_prices_stay_as_they_stand_where_it_is_asked_for() -> None:
    name = "split_with_adjusted_columns.csv"
    assert values(read_file(FILES / name, "X", DataConfig(adjust=Adjust.none))) == prices(name, USUAL)
