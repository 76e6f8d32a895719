"""Several markets in one file are told by the column that names them, and one of them can be taken."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config.data import DataConfig, DataSource
from src.errors import DataError
from src.market.sources import load_bars, read_file, read_table
from tests.unit.market.quality.test_quality import DAY_BARS, market


def two(apart: bool, column: str = "Name", names: tuple[str, str] = ("AAA", "BBB")) -> pd.DataFrame:
    """Two markets over the same bars, or one after the other."""
    first, second = market(60, DAY_BARS), market(60, DAY_BARS, seed=1)
    second[["open", "high", "low", "close"]] /= 30
    if apart:
        second["open_time"] += 60 * DAY_BARS
    return pd.concat([first.assign(**{column: names[0]}), second.assign(**{column: names[1]})], ignore_index=True)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("column", ["Name", "Ticker", "my_market"])
def test_the_refusal_names_the_column_and_its_values(apart: bool, column: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_table(two(apart, column), "AAA")
    assert str(refusal.value) == (
        f"table of AAA: AAA: column '{column}' holds AAA, BBB: several markets in one file; choose one with"
        f" \"data.columns={{symbol: '{column}'}}\" and, for example, symbol=AAA, or take the column out of the file"
        " if all are one market"
    )


@pytest.mark.parametrize(("column", "apart"), [("code", True), ("code", False), ("which", False)])
def test_codes_in_digits_are_markets_too(column: str, apart: bool) -> None:
    frame = two(apart, column)
    frame[column] = np.where(frame[column] == "AAA", 651, 700)
    with pytest.raises(DataError, match=f"column '{column}' holds 651, 700: several markets"):
        read_table(frame, "651")


@pytest.mark.parametrize("apart", [False, True])
def test_the_remedy_takes_the_rows_of_the_symbol(tmp_path: Path, apart: bool) -> None:
    frame = two(apart)
    frame.to_csv(tmp_path / "all.csv", index=False)
    data = DataConfig(source=DataSource.files, path=str(tmp_path / "all.csv"), columns={"symbol": "Name"})
    for name in ("AAA", "bbb"):
        bars = load_bars(name, data)
        expected = frame[frame["Name"] == name.upper()]
        np.testing.assert_array_equal(bars.open_time, expected["open_time"])
        np.testing.assert_allclose(bars.close, expected["close"], rtol=1e-12)
    with pytest.raises(DataError, match=r"'AAB' is not in column 'Name'; did you mean 'AAA'\? It holds AAA, BBB"):
        load_bars("AAB", data)
    wrong = DataConfig(source=DataSource.files, path=data.path, columns={"symbol": "Names"})
    with pytest.raises(DataError, match=r"names 'Names', which is not there; did you mean 'Name'"):
        load_bars("AAA", wrong)


def test_rows_keep_their_numbers_in_the_file() -> None:
    frame = two(apart=True)
    frame.loc[100, "close"] = np.nan
    with pytest.raises(DataError, match=r"price missing or not positive: 1, first row 100 "):
        read_table(frame, "BBB", DataConfig(columns={"symbol": "Name"}))


@pytest.mark.parametrize(
    "texts",
    [
        ["AAA"] * 120,
        ["BTC/USDT", "btc-usdt"] * 60,  # two spellings of one market
    ],
)
def test_one_market_may_be_named(texts: list[str]) -> None:
    assert len(read_table(market(120).assign(symbol=texts), "X")) == 120


@pytest.mark.parametrize(
    "texts",
    [
        ["Mon", "Tue", "Wed"] * 40,
        [f"{row / 100}%" for row in range(120)],
        ["early"] * 60 + ["late"] * 60,  # of one market, whose price goes on
        [str(row // 20) for row in range(120)],
    ],
)
def test_other_texts_beside_the_bars_are_left_alone(texts: list[str]) -> None:
    assert len(read_table(market(120).assign(remark=texts), "X")) == 120


def test_a_date_beside_a_split_is_no_market() -> None:
    frame = market(120).assign(day=[f"2024-01-{1 + row // 24:02d}" for row in range(120)])
    frame.loc[:47, ["open", "high", "low", "close"]] *= 2
    assert len(read_table(frame, "X")) == 120


def test_nested_values_and_names_that_occur_twice_beside_the_bars_are_left_alone(tmp_path: Path) -> None:
    frame = market(120).assign(conditions=[[1, 2], [3]] * 60)
    frame.to_json(tmp_path / "x.json", orient="records")
    assert len(read_file(tmp_path / "x.json", "X")) == 120
    twice = market(120).assign(a="one", b="two").rename(columns={"a": "remark", "b": "remark"})
    twice.to_csv(tmp_path / "x.csv", index=False)
    assert len(read_file(tmp_path / "x.csv", "X")) == 120
