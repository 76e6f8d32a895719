"""Bars are read from files of every shape as what they are, and refused with the reason where they cannot be."""

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config.data import DataConfig, DataSource, SyntheticConfig
from src.errors import ConfigError, DataError, TraderError
from src.market.bars import BarSeries
from src.market.reading.price_file import understand_file
from src.market.sources import load_bars, read_file, read_table

HOUR = 3_600_000
START = 1_580_508_000_000  # 2020-01-31T22:00Z, so that hours, days and months all change within six bars
NAMES = ["open_time", "open", "high", "low", "close", "volume"]
ROWS = [
    (START, 10.0, 11.5, 9.5, 11.0, 1.0),
    (START + HOUR, 11.0, 12.5, 10.5, 12.0, 0.25),
    (START + 2 * HOUR, 12.0, 12.25, 11.0, 11.5, 3.0),
    (START + 3 * HOUR, 11.5, 13.0, 11.0, 12.5, 4.0),
    (START + 4 * HOUR, 12.5, 12.75, 12.0, 12.25, 5.0),
    (START + 5 * HOUR, 12.25, 14.0, 12.25, 13.5, 6.0),
]
LINES = [",".join(map(str, row)) for row in ROWS]
Write = Callable[[Path], object]


def frame(**changes: object) -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=NAMES).assign(**changes)


def times(form: str, zone: str = "UTC") -> list[str]:
    moments = pd.to_datetime(frame()["open_time"], unit="ms", utc=True).dt.tz_convert(zone)
    return moments.dt.strftime(form).tolist()


def moments(zone: str | None = "UTC", unit: str = "ns") -> pd.DatetimeIndex:
    index = pd.DatetimeIndex(pd.to_datetime(frame()["open_time"], unit="ms")).as_unit(unit)
    return index if zone is None else index.tz_localize("UTC").tz_convert(zone)


def text(*lines: str) -> Write:
    return lambda path: path.write_text("\n".join(lines) + "\n")


def with_times(column: list[str], header: str, separator: str = ",") -> Write:
    rows = (separator.join([time, *line.split(",")[1:]]) for time, line in zip(column, LINES, strict=True))
    return text(*([header] if header else []), *rows)


def columns_of(bars: BarSeries) -> list[tuple[float, ...]]:
    return list(zip(*(getattr(bars, name).tolist() for name in NAMES), strict=True))


SHAPES: dict[str, tuple[str, Write]] = {
    "our own names": ("x.csv", lambda path: frame().to_csv(path, index=False)),
    "gzip": ("x.csv.gz", lambda path: frame().to_csv(path, index=False)),
    "upper case ending": ("X.CSV", lambda path: frame().to_csv(path, index=False)),
    "an index of its own": ("x.csv", lambda path: frame().rename(columns={"open_time": "timestamp"}).to_csv(path)),
    "columns in any order": ("x.csv", lambda path: frame()[NAMES[::-1]].to_csv(path, index=False)),
    "byte order mark": ("x.csv", lambda path: path.write_text("\ufeffTime,O,H,L,C,V\n" + "\n".join(LINES), "utf-8")),
    "adjusted close beside close": (
        "x.csv",
        lambda path: frame(adj=1.0).set_axis(["Date", "Open", "High", "Low", "Close", "Volume", "Adj Close"], axis=1)
        .to_csv(path, index=False),
    ),
    "a line above the header": (
        "x.csv",
        with_times(times("%Y-%m-%d %I-%p"), "https://www.example.com\nDate,Open,High,Low,Close,Volume BTC")
    ),
    "semicolons": ("x.csv", with_times(times("%Y-%m-%dT%H:%M:%SZ"), "datetime;open;high;low;close;vol", ";")),
    "tabs and days with dots": (
        "x.csv", with_times(times("%Y.%m.%d %H:%M"), "Time\tOpen\tHigh\tLow\tClose\tTickvol", "\t")
    ),
    "Dukascopy": ("x.csv", with_times(times("%d.%m.%Y %H:%M:%S.000"), "Gmt time,Open,High,Low,Close,Volume")),
    "parquet of columns": ("x.parquet", lambda path: frame().to_parquet(path)),
    "parquet with times as index": (
        "x.parquet", lambda path: frame().set_index(moments(None)).drop(columns="open_time").to_parquet(path)
    ),
    "parquet in another zone": (
        "x.parquet",
        lambda path: frame(open_time=moments("Asia/Kolkata")).rename(columns={"open_time": "Date"}).to_parquet(path),
    ),
    "parquet of 32 bit": ("x.parquet", lambda path: frame().astype({"open": "float32"}).to_parquet(path)),
    "feather": ("x.feather", lambda path: frame(open_time=moments(unit="ms")).to_feather(path)),
    "JSON rows of an exchange": (
        "x.json", lambda path: path.write_text(json.dumps([[row[0], *map(str, row[1:]), 7, "8"] for row in ROWS]))
    ),
    "JSON records": ("x.json", lambda path: frame().to_json(path, orient="records")),
    "JSON gzip": ("x.json.gz", lambda path: path.write_bytes(gzip.compress(json.dumps(ROWS).encode()))),
}  # fmt: skip


@pytest.mark.parametrize(("name", "write"), SHAPES.values(), ids=SHAPES)
def test_a_file_of_any_shape_holds_the_same_bars(tmp_path: Path, name: str, write: Write) -> None:
    write(tmp_path / name)
    columns = {"volume": "Volume BTC"} if "Volume BTC" in _head(tmp_path / name) else {}
    bars = read_file(tmp_path / name, "BTC/USDT", DataConfig(columns=columns))
    assert (bars.symbol, bars.timeframe) == ("BTC/USDT", "1h")
    assert columns_of(bars) == ROWS


TABLES: dict[str, pd.DataFrame] = {
    "times in a column": frame(),
    "times as an index without a name": frame().set_index(moments(None)).drop(columns="open_time").rename_axis(None),
    "an index with a name": frame(open_time=moments("Asia/Kolkata")).set_index("open_time").rename_axis("Date"),
    "rows that were left over": pd.concat([frame(), frame().assign(close=np.nan)]).dropna().iloc[[0, 1, 2, 3, 4, 5]],
    "rows counted from elsewhere": frame().set_index(np.arange(7, 7 + len(ROWS))),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_of_any_shape_holds_the_same_bars_and_stays_as_it_was(table: pd.DataFrame) -> None:
    before = table.copy()
    bars = read_table(table, "BTC/USDT")
    assert (bars.symbol, bars.timeframe) == ("BTC/USDT", "1h")
    assert columns_of(bars) == ROWS
    pd.testing.assert_frame_equal(table, before)


def test_bars_as_a_table_and_back_are_the_same_bars() -> None:
    bars = read_table(frame(), "BTC/USDT")
    table = bars.to_frame()
    assert list(table.columns) == NAMES[1:]
    assert table.index[0] == pd.Timestamp(ROWS[0][0], unit="ms", tz="UTC")
    table.iloc[0, 0] = 0.0  # a copy
    assert read_table(bars.to_frame(), "BTC/USDT").fingerprint == bars.fingerprint


def test_a_table_that_cannot_be_used_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="no column found for close"):
        read_table(frame().drop(columns="close"), "BTC/USDT")
    with pytest.raises(DataError, match="table of BTC/USDT: "):
        read_table(frame(close=-1.0), "BTC/USDT")


def _head(path: Path) -> str:
    return path.read_bytes()[:200].decode("latin-1")


def test_columns_without_names_are_named_by_position(tmp_path: Path) -> None:
    with_times(times("%Y%m%d %H%M%S"), "", ";")(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"x\.csv: no column found for open_time, .* it has no header"):
        read_file(tmp_path / "x.csv", "EURUSD")
    positions = {name: str(place) for place, name in enumerate(NAMES)}
    assert columns_of(read_file(tmp_path / "x.csv", "EURUSD", DataConfig(columns=positions))) == ROWS


def test_a_named_column_wins_over_a_recognised_one(tmp_path: Path) -> None:
    frame(bid=np.array([row[4] for row in ROWS]) - 0.125).to_csv(tmp_path / "x.csv", index=False)
    bars = read_file(tmp_path / "x.csv", "X", DataConfig(columns={"close": "bid"}))
    assert bars.close.tolist() == [row[4] - 0.125 for row in ROWS]


UNITS = {
    "seconds": [row[0] // 1_000 for row in ROWS],
    "seconds as floats": [row[0] / 1_000 for row in ROWS],
    "milliseconds": [row[0] for row in ROWS],
    "microseconds": [row[0] * 1_000 for row in ROWS],
    "nanoseconds": [row[0] * 1_000_000 for row in ROWS],
    "the unit changes halfway": [row[0] * (1_000 if place > 2 else 1) for place, row in enumerate(ROWS)],
    "ISO without a zone": times("%Y-%m-%d %H:%M:%S"),
    "ISO with Z": times("%Y-%m-%dT%H:%M:%SZ"),
    "ISO with an offset": times("%Y-%m-%dT%H:%M:%S%z", "America/New_York"),
}


@pytest.mark.parametrize("column", UNITS.values(), ids=UNITS)
def test_times_in_any_unit_are_the_same_moments(tmp_path: Path, column: list[object]) -> None:
    frame(open_time=column).to_csv(tmp_path / "x.csv", index=False)
    assert read_file(tmp_path / "x.csv", "X").open_time.tolist() == [row[0] for row in ROWS]


def test_days_as_numbers_are_days(tmp_path: Path) -> None:
    frame(open_time=[20200228, 20200229, 20200301, 20200302, 20200303, 20200304]).to_csv(tmp_path / "x.csv")
    bars = read_file(tmp_path / "x.csv", "X")
    assert bars.timeframe == "1d"
    assert str(np.datetime64(int(bars.open_time[1]), "ms")) == "2020-02-29T00:00:00.000"


def test_newest_first_and_repeated_rows_are_put_in_order_with_a_remark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pd.concat([frame().iloc[::-1], frame().iloc[[0]]]).to_csv(tmp_path / "x.csv", index=False)
    with caplog.at_level(logging.WARNING):
        assert columns_of(read_file(tmp_path / "x.csv", "X")) == ROWS
    assert "x.csv: newest first" in caplog.text
    assert "exact duplicate: 1" in caplog.text


def test_a_market_without_volume_gets_zeros_and_a_remark(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame().drop(columns="volume").to_csv(tmp_path / "x.csv", index=False)
    with caplog.at_level(logging.WARNING):
        assert not read_file(tmp_path / "x.csv", "X").volume.any()
    assert "x.csv: there is no column of volume; volume is 0 throughout" in caplog.text


def test_the_usual_spacing_is_the_timeframe_whatever_is_missing(tmp_path: Path) -> None:
    frame().drop(index=[3]).to_csv(tmp_path / "x.csv", index=False)
    assert read_file(tmp_path / "x.csv", "X").timeframe == "1h"
    assert read_file(tmp_path / "x.csv", "X", DataConfig(timeframe="60m")).timeframe == "60m"


CSV_HEAD = ",".join(NAMES)
REFUSALS: dict[str, tuple[str, Write, str]] = {
    "no file": ("y.csv", lambda path: (path.parent / "x.csv").touch(), r" is not .*; did you mean 'x\.csv'"),
    "no folder": ("nowhere/x.csv", lambda path: None, r"nor does the folder .*nowhere"),
    "unknown kind": ("x.docx", text("?"), r"known endings: \.csv, "),
    "empty file": ("x.csv", text(""), "cannot be read .it is empty"),
    "header only": ("x.csv", text(CSV_HEAD), r"0 bar\(s\) found"),
    "one bar": ("x.csv", text(CSV_HEAD, LINES[0]), r"1 bar\(s\) found, at least 2"),
    "a column is missing": (
        "x.csv", lambda path: frame().drop(columns="low").to_csv(path, index=False), "no column found for low;"
    ),
    "two columns of one name": (
        "x.csv", lambda path: frame(Close=1.0).to_csv(path, index=False), "'close' and 'Close' could each be close"
    ),
    "no price": ("x.csv", lambda path: frame(close=[*range(10, 15), None]).to_csv(path), "missing or not positive: 1"),
    "a word for a price": ("x.csv", text(CSV_HEAD, *LINES, f"{START + 6 * HOUR},a,2,1,1,1"), "not positive: 1"),
    "no time": ("x.csv", text(CSV_HEAD, *LINES, ",1,2,1,1,1"), "holds 1 time"),
    "day or month first": (
        "x.csv", with_times([f"0{month}/02/2020" for month in range(1, 7)], CSV_HEAD), "may be %d/%m/%Y or %m/%d/%Y"
    ),
    "two prices for one time": ("x.csv", text(CSV_HEAD, *LINES, f"{START},1,2,1,1,1"), "conflicting duplicate: 1"),
    "times between bars": (
        "x.csv", text(CSV_HEAD, *LINES, f"{START + 5.5 * HOUR:.0f},1,2,1,1,1"), "time off the grid: 1"
    ),
    "long rows": ("x.csv", text(CSV_HEAD, LINES[0], f"{LINES[1]},8,9"), "cannot be read"),
    "cut off": ("x.csv.gz", lambda path: path.write_bytes(gzip.compress(b"t,o,h,l,c\n" * 99)[:-9]), "is it complete"),
    "no gzip": ("x.csv.gz", text("a"), "of the kind its name says"),
    "no parquet": ("x.parquet", text("a"), "of the kind its name says"),
    "no feather": ("x.feather", text("a"), "of the kind its name says"),
    "no JSON": ("x.json", text("{"), "of the kind its name says"),
    "JSON without bars": ("x.json", text("{}"), "holds no list of bars"),
    "short JSON rows": ("x.json", text("[[1, 2]]"), r"not \[time, open, .* but \[1, 2\]"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "write", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_used_is_refused_with_file_and_reason(
    tmp_path: Path, name: str, write: Write, reason: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=rf"(?s){Path(name).name}.*{reason}"):
        read_file(tmp_path / name, "X")


@pytest.mark.parametrize("columns", [{"close": "clsoe"}, {"close": "closing"}])
def test_a_named_column_that_is_not_there_is_refused(tmp_path: Path, columns: dict[str, str]) -> None:
    frame().to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=f"names '{columns['close']}', which is not there; did you mean 'close'"):
        understand_file(tmp_path / "x.csv", DataConfig(columns=columns))


def test_a_declared_timeframe_that_is_not_the_spacing_is_refused(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=r"x\.csv: X: timeframe 4h contradicts the bars, which are 1h apart; leave"):
        read_file(tmp_path / "x.csv", "X", DataConfig(timeframe="4h"))


# Settings.


def from_files(path: str, **settings: object) -> DataConfig:
    return DataConfig(source=DataSource.files, path=path, **settings)  # type: ignore[arg-type]


def test_the_path_holds_the_symbol(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "BTCUSDT_1h.csv", index=False)
    bars = load_bars("BTC/USDT", from_files(str(tmp_path / "{symbol}_1h.csv")))
    assert (bars.symbol, columns_of(bars)) == ("BTC/USDT", ROWS)


def test_defective_rows_are_left_out_where_the_settings_say_so(tmp_path: Path) -> None:
    frame(close=[11.0, 12.0, None, 12.5, 12.25, 13.5]).to_csv(tmp_path / "x.csv", index=False)
    kept = load_bars("X", from_files(str(tmp_path / "x.csv"), drop_defective=True))
    assert columns_of(kept) == ROWS[:2] + ROWS[3:]
    frame(close=[None] * 5 + [13.5]).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=r"1 bar\(s\) left, at least 2"):
        load_bars("X", from_files(str(tmp_path / "x.csv"), drop_defective=True))


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        ("2020-02-01", None, slice(2, 6)),
        (None, "2020-02-01", slice(0, 2)),
        ("2020-01-31T23:00", "2020-02-01T02:00", slice(1, 4)),
        ("2020-02-01T01:00+01:00", None, slice(2, 6)),
        ("2020-01-31T22:30", None, slice(1, 6)),
        ("1999-01-01", "2099-01-01", slice(0, 6)),
    ],
)
def test_bars_are_cut_from_start_up_to_but_without_end(
    tmp_path: Path, start: str | None, end: str | None, kept: slice
) -> None:
    frame().to_csv(tmp_path / "x.csv", index=False)
    assert columns_of(load_bars("X", from_files(str(tmp_path / "x.csv"), start=start, end=end))) == ROWS[kept]


@pytest.mark.parametrize(
    ("start", "end", "error", "reason"),
    [
        ("2020-02-02", None, DataError, "0 bar.* the data runs from 2020-01-31T22:00:00 UTC to 2020-02-01T03:00:00"),
        ("2020-02-01T03:00", None, DataError, "1 bar"),
        (None, "2019-01-01", DataError, "0 bar"),
        ("2020-02-01", "2020-02-01", ConfigError, "data.end must be after data.start"),
        ("01.02.2020", None, ConfigError, "data.start must be an ISO date such as 2020-01-31, was '01.02.2020'"),
    ],
)
def test_dates_that_leave_nothing_are_refused(
    tmp_path: Path, start: str | None, end: str | None, error: type[TraderError], reason: str
) -> None:
    frame().to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(error, match=reason):
        load_bars("X", from_files(str(tmp_path / "x.csv"), start=start, end=end))


# Data that needs no file.


@pytest.mark.parametrize(("symbol", "same"), [("SP500", "^GSPC"), ("NASDAQ", "ixic"), ("spx", "S&P500")])
def test_embedded_indices_have_aliases(symbol: str, same: str) -> None:
    bars, again = load_bars(symbol, DataConfig()), load_bars(same, DataConfig())
    assert bars.symbol == symbol
    assert bars.timeframe == "1d"
    np.testing.assert_array_equal(bars.close, again.close)


def test_embedded_figures_are_those_of_the_index() -> None:
    # The S&P 500 closed at 1,228.10 on 4 January 1999 and at 2,506.85 on 31 December 2018.
    bars = load_bars("SP500", DataConfig())
    days = bars.open_time.astype("datetime64[ms]").astype("datetime64[D]").astype(str)
    assert (days[0], days[-1]) == ("1999-01-04", "2018-12-31")
    assert bars.close[[0, -1]] == pytest.approx([1228.10, 2506.85], abs=0.005)
    assert bars.bars_per_year == pytest.approx(252, abs=1)
    assert load_bars("NASDAQ", DataConfig()).close[-1] == pytest.approx(6635.28, abs=0.005)


def test_embedded_bars_are_daily_and_nothing_else() -> None:
    with pytest.raises(DataError, match="timeframe 1h contradicts the bars, which are 1d apart"):
        load_bars("SP500", DataConfig(timeframe="1h"))


@pytest.mark.parametrize(
    ("source", "symbol", "near"),
    [
        (DataSource.embedded, "SP50", "'SP500'? Valid: SP500, SPX, GSPC, NASDAQ, IXIC, COMP"),
        (DataSource.embedded, "NASDQA", "'NASDAQ'"),
        (DataSource.synthetic, "A44", "'A4'? Valid: A, A4, B, B2, C"),
    ],
)
def test_an_unknown_symbol_is_refused_with_the_nearest(source: DataSource, symbol: str, near: str) -> None:
    with pytest.raises(DataError) as refused:
        load_bars(symbol, DataConfig(source=source))
    assert f"symbol '{symbol}' is not in data.source={source.value}; did you mean {near}" in str(refused.value)


def test_a_synthetic_market_is_decided_by_its_seed() -> None:
    data = DataConfig(source=DataSource.synthetic, timeframe="15m", synthetic=SyntheticConfig(bars=500))
    first, again, other = (load_bars("a4", data, seed) for seed in (1, 1, 2))
    assert (first.symbol, first.timeframe, len(first)) == ("A4", "15m", 500)
    assert first.fingerprint == again.fingerprint != other.fingerprint
