"""Text files without a line of names: read where their rows can only be bars in one order, else refused."""

import ast
import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from src.config.data import DataConfig
from src.errors import DataError
from src.market.reading.price_file import understand_file
from src.market.sources import read_file

Bar = tuple[float, float, float, float, float]
COUNT = 60


def walk() -> list[Bar]:
    """Open, high, low, close and volume of bars, each of which opens where the last one closed."""
    rng = np.random.default_rng(5)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, COUNT + 1))), 2)
    wide = np.round(rng.uniform(0.02, 1.0, (2, COUNT)), 2)
    high = np.maximum(close[:-1], close[1:]) + wide[0]
    low = np.minimum(close[:-1], close[1:]) - wide[1]
    volume = rng.integers(1_000, 90_000, COUNT)
    return [tuple(map(float, row)) for row in np.round(np.column_stack([close[:-1], high, low, close[1:], volume]), 2)]


BARS = walk()
START = 1_704_153_600  # 2024-01-02 00:00
SECONDS = [START + 3600 * hour for hour in range(COUNT)]
TIMES = [np.datetime64(second, "s").item() for second in SECONDS]


def written(path: Path, rows: list[list[object]], delimiter: str = ",") -> Path:
    path.write_text("\n".join(delimiter.join(map(str, row)) for row in rows))
    return path


LAYOUTS = {
    "Binance": [
        [1_000_000 * t, *bar, 1_000_000 * t + 3_599_999_999, bar[3] * bar[4], 120, bar[4] / 2, bar[3] * bar[4] / 2, 0]
        for t, bar in zip(SECONDS, BARS, strict=True)
    ],
    "Kraken": [[t, *bar, 12] for t, bar in zip(SECONDS, BARS, strict=True)],
    "Kraken, newest first": [[t, *bar, 12] for t, bar in zip(SECONDS[::-1], BARS[::-1], strict=True)],
    "NinjaTrader": [[f"{t:%Y%m%d %H%M%S}", *bar] for t, bar in zip(TIMES, BARS, strict=True)],
    "MetaTrader 4": [[f"{t:%Y.%m.%d}", f"{t:%H:%M}", *bar] for t, bar in zip(TIMES, BARS, strict=True)],
    "QuantQuote": [[f"{t:%Y%m%d}", f"{t:%H%M}", *bar] for t, bar in zip(TIMES, BARS, strict=True)],
}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_in_the_usual_order_are_read_and_it_is_said(tmp_path: Path, layout: str, delimiter: str) -> None:
    path = written(tmp_path / "x.txt", LAYOUTS[layout], delimiter)
    read = read_file(path, "X")
    columns = (read.open_time // 1000, read.open, read.high, read.low, read.close, read.volume)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (second, *bar) for second, bar in zip(SECONDS, BARS, strict=True)
    ]
    times = "date, time" if len(LAYOUTS[layout][0]) == 7 and "Kraken" not in layout else "open_time"
    said = understand_file(path, DataConfig()).understood.remarks
    assert any(remark.startswith(f"rows without names are read as [{times}, open, high, ") for remark in said)


def test_a_decimal_comma_is_read_in_rows_without_names(tmp_path: Path) -> None:
    rows = [
        [cell if isinstance(cell, str) else str(cell).replace(".", ",") for cell in row]
        for row in LAYOUTS["NinjaTrader"]
    ]
    read = read_file(written(tmp_path / "x.csv", rows, ";"), "X")
    assert read.close.tolist() == [bar[3] for bar in BARS]


@pytest.mark.parametrize("order", [order for order in permutations(range(5)) if order != (0, 1, 2, 3, 4)])
def test_no_other_order_is_ever_taken(tmp_path: Path, order: tuple[int, ...]) -> None:
    rows = [[second, *(bar[place] for place in order)] for second, bar in zip(SECONDS, BARS, strict=True)]
    with pytest.raises(DataError, match=r"it has no header, and its columns are 0, 1, 2, 3, 4, 5; name them in"):
        read_file(written(tmp_path / "x.csv", rows), "X")


HELD_BACK = {
    "an adjusted close behind the close": [
        [t, *bar[:4], 0.9 * bar[3], bar[4]] for t, bar in zip(SECONDS, BARS, strict=True)
    ],
    "an average price behind the close": [
        [t, *bar[:4], round((bar[1] + bar[2]) / 2, 3), bar[4]] for t, bar in zip(SECONDS, BARS, strict=True)
    ],
    "bars without a range": [[t, *[bar[3]] * 4, bar[4]] for t, bar in zip(SECONDS, BARS, strict=True)],
    "a count of rows before the time": [[row, *cells] for row, cells in enumerate(LAYOUTS["Kraken"])],
    "too few rows to tell": LAYOUTS["Kraken"][:9],
    "no times": [[bar[3], *bar] for bar in BARS],
}


@pytest.mark.parametrize("kind", HELD_BACK)
def test_rows_that_could_be_something_else_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="it has no header"):
        read_file(written(tmp_path / "x.csv", HELD_BACK[kind]), "X")


def test_names_above_that_do_not_fit_the_rows_are_not_overlooked(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", LAYOUTS["Kraken"])
    path.write_text("time,close,high,low,open\n" + path.read_text())
    with pytest.raises(DataError, match="it has no header"):
        read_file(path, "X")


@pytest.mark.parametrize("layout", ["Kraken", "MetaTrader 4"])
def test_the_remedy_names_every_column_and_works(tmp_path: Path, layout: str) -> None:
    path = written(tmp_path / "x.csv", LAYOUTS[layout][:9])
    with pytest.raises(DataError) as refused:
        read_file(path, "X")
    named = re.search(r"for example (\{.*\}) if they stand in that order", str(refused.value))
    assert named is not None
    columns = ast.literal_eval(re.sub(r"(\w+):", r"'\1':", named[1]))
    read = read_file(path, "X", DataConfig(columns=columns))
    assert read.close.tolist() == [bar[3] for bar in BARS[:9]]
    assert read.volume.tolist() == [bar[4] for bar in BARS[:9]]


def test_another_column_of_volume_may_be_named_alone(tmp_path: Path) -> None:
    read = read_file(written(tmp_path / "x.csv", LAYOUTS["Kraken"]), "X", DataConfig(columns={"volume": "6"}))
    assert read.volume.tolist() == [12.0] * COUNT
