"""The same bars in any layout are the same bars, or a refusal, and never other bars."""

import json
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from src.config.data import DataConfig
from src.errors import DataError
from src.market.bars import BarSeries
from src.market.sources import read_file

MINUTE = 60_000
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Europe/Berlin", "Asia/Tokyo")
TIMES = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y.%m.%d %H:%M",
    "%d.%m.%Y %H:%M:%S.%f",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%b %d, %Y %H:%M",
    "%d-%b-%y %H:%M:%S",
    "%Y%m%d %H%M%S",
    "%Y%m%d%H%M",
)
NAMES = {
    "open_time": ("time", "Date", "<DATETIME>", "Timestamp", "open_time", "", "Gmt time"),
    "open": ("open", "Open", "<OPEN>", "o", "1. open", "price_open"),
    "high": ("high", "HIGH", "<HIGH>", "h", "2. high", "price_high"),
    "low": ("low", "Low", "<LOW>", "l", "3. low", "price_low"),
    "close": ("close", "Close", "<CLOSE>", "c", "4. close", "price_close"),
    "volume": ("volume", "Vol.", "<TICKVOL>", "v", "5. volume", "Volume BTC"),
}


def bars(seed: int, count: int, step: int, digits: int, scale: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = np.round(scale * np.exp(np.cumsum(rng.normal(0.0, 0.01, count + 1))), digits)
    opened, close = close[:-1], close[1:]
    high = np.round(np.maximum(opened, close) * (1 + rng.uniform(0.0, 0.01, count)) + 10.0**-digits, digits)
    low = np.round(np.minimum(opened, close) * (1 - rng.uniform(0.0, 0.01, count)), digits)
    start = (1_500_000_000_000 + int(rng.integers(0, 10**11))) // step * step
    volume = np.round(rng.uniform(1.0, 1e6, count), int(rng.integers(0, 3)))
    times = start + step * np.arange(count)
    return pd.DataFrame(
        {"open_time": times, "open": opened, "high": high, "low": low, "close": close, "volume": volume}
    )


def number(value: float, decimal: str, thousands: str) -> str:
    text = f"{value:{',' if thousands else ''}.10f}".rstrip("0").rstrip(".")
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


def in_zone(times: "pd.Series[int]", zone: str) -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(times, unit="ms", utc=True).dt.tz_convert(ZoneInfo(zone) if zone != "UTC" else UTC)


layouts = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "count": st.integers(30, 120),
        "step": st.sampled_from([MINUTE, 15 * MINUTE, 60 * MINUTE, 240 * MINUTE]),
        "digits": st.integers(0, 5),
        "scale": st.sampled_from([1.1, 95.0, 1050.0, 61_000.0]),
        "delimiter": st.sampled_from([",", ";", "\t", "|"]),
        "decimal": st.sampled_from([".", ","]),
        "has_thousands": st.booleans(),
        "zone": st.sampled_from(ZONES),
        "says_zone": st.booleans(),
        "form": st.sampled_from(TIMES),
        "names": st.integers(0, 6),
        "order": st.permutations(list(NAMES)),
        "head": st.sampled_from([[], ["made by a program"], ["https://example.org", "second line"]]),
        "is_quoted": st.booleans(),
        "is_newest_first": st.booleans(),
        "has_leftover_index": st.booleans(),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    }
)


def written(layout: dict[str, object], path: Path) -> pd.DataFrame:
    """Write bars as a layout has them, and return them."""
    table = bars(*(layout[name] for name in ("seed", "count", "step", "digits", "scale")))  # type: ignore[arg-type]
    decimal = str(layout["decimal"])
    thousands = {".": ",", ",": "."}[decimal] if layout["has_thousands"] else ""
    zone = str(layout["zone"])
    form = str(layout["form"]) + (" %z" if layout["says_zone"] else "")
    text = {name: table[name].map(lambda value: number(value, decimal, thousands)) for name in list(NAMES)[1:]}
    text["open_time"] = in_zone(table["open_time"], zone).dt.strftime(form)
    rows = pd.DataFrame(text)[layout["order"]]
    rows = rows.iloc[::-1] if layout["is_newest_first"] else rows
    called = [NAMES[name][int(layout["names"]) % len(NAMES[name])] for name in rows.columns]  # type: ignore[call-overload]
    if layout["has_leftover_index"] and "" not in called:
        rows, called = rows.reset_index(), ["", *called]
    needs_quotes = layout["is_quoted"] or (
        layout["delimiter"] == "," and (decimal == "," or bool(thousands) or "," in form)
    )
    lines = [
        *layout["head"],
        join(called, layout, False),
        *(join(row, layout, bool(needs_quotes)) for row in rows.astype(str).to_numpy()),
    ]  # type: ignore[misc]
    path.write_bytes("\n".join(lines).encode(str(layout["encoding"])))
    return table


def join(cells: "list[str]", layout: dict[str, object], is_quoted: bool) -> str:
    return str(layout["delimiter"]).join(f'"{cell}"' if is_quoted else cell for cell in cells)


def assert_same(read: BarSeries, table: pd.DataFrame) -> None:
    assert read.open_time.tolist() == table["open_time"].tolist()
    for name in list(NAMES)[1:]:
        assert getattr(read, name).tolist() == table[name].tolist(), name


REFUSALS = ("may be %d/%m/%Y", "may be a thousand", "that cannot be read")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=layouts)
def test_bars_in_any_layout_are_those_bars_or_a_refusal(layout: dict[str, object], tmp_path: Path) -> None:
    table = written(layout, tmp_path / "x.csv")
    shows_decimals = layout["digits"] != 0 or layout["decimal"] == "."  # points alone are decimal
    assume(shows_decimals or not layout["has_thousands"])
    data = DataConfig(timezone=None if layout["says_zone"] else str(layout["zone"]))
    try:
        read = read_file(tmp_path / "x.csv", "X", data)
    except DataError as error:
        refusal = str(error)
    else:
        assert_same(read, table)
        return
    assert any(reason in refusal for reason in REFUSALS), refusal


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=layouts)
def test_what_settings_say_is_not_guessed(layout: dict[str, object], tmp_path: Path) -> None:
    table = written(layout, tmp_path / "x.csv")
    form = str(layout["form"]) + (" %z" if layout["says_zone"] else "")
    places = list(layout["order"])  # type: ignore[call-overload]
    shift = int(bool(layout["has_leftover_index"]) and NAMES["open_time"][int(layout["names"]) % 7] != "")  # type: ignore[call-overload]
    data = DataConfig(
        timezone=None if layout["says_zone"] else str(layout["zone"]),
        time_format=form,
        decimal=str(layout["decimal"]),
        columns={name: str(places.index(name) + shift) for name in NAMES},
    )
    assert_same(read_file(tmp_path / "x.csv", "X", data), table)


@pytest.mark.parametrize(
    "envelope",
    [
        lambda rows: rows,
        lambda rows: {"status": "OK", "results": rows},
        lambda rows: {"result": {"list": rows, "category": "spot"}, "time": 5},
        lambda rows: {"chart": {"result": [{"bars": rows}], "error": None}},
    ],
)
@pytest.mark.parametrize("orient", ["records", "values", "columns", "index", "split", "list"])
def test_bars_in_any_envelope_are_those_bars(tmp_path: Path, envelope: object, orient: str) -> None:
    table = bars(7, 40, 60 * MINUTE, 2, 95.0)
    if orient == "list":
        rows = table.to_dict(orient="list")
    else:
        by_time = table.set_index("open_time") if orient == "index" else table
        rows = json.loads(by_time.to_json(orient=orient))  # type: ignore[call-overload]
    (tmp_path / "x.json").write_text(json.dumps(envelope(rows)))  # type: ignore[operator]
    assert_same(read_file(tmp_path / "x.json", "X"), table)


LONG = 40_000  # rows of several blocks, far beyond the head on which the layout is decided


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S+00:00", "%d.%m.%Y %H:%M:%S.000 GMT+0000", "ms"]
)
def test_long_files_hold_every_bar(tmp_path: Path, form: str) -> None:
    table = bars(3, LONG, MINUTE, 4, 95.0)
    times = table["open_time"] if form == "ms" else in_zone(table["open_time"], "UTC").dt.strftime(form)
    table.assign(open_time=times).to_csv(tmp_path / "x.csv", index=False)
    assert_same(read_file(tmp_path / "x.csv", "X", DataConfig(timezone="UTC")), table)


def test_what_the_head_of_a_file_does_not_show_is_read_all_the_same(tmp_path: Path) -> None:
    table = bars(3, LONG, MINUTE, 2, 95.0)
    text = table.assign(open_time=in_zone(table["open_time"], "UTC").dt.strftime("%Y-%m-%d %H:%M:%S"), volume=5.0)
    lines = text.to_csv(index=False).splitlines()
    lines[-1] = lines[-1].removesuffix("5.0") + '"1,234,567.5"'
    (tmp_path / "x.csv").write_text("\n".join(lines))
    read = read_file(tmp_path / "x.csv", "X")
    assert read.volume[[0, -1]].tolist() == [5.0, 1_234_567.5]
    assert read.close.tolist() == table["close"].tolist()
