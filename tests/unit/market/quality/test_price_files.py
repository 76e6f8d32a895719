"""Files that can be read and are judged by what their rows hold: refused with a remedy that works, or noted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config.data import Adjust, DataConfig
from src.errors import DataError
from src.market.quality.findings import Defect
from src.market.quality.judging import judge_reading
from src.market.quality.split_jumps import split_like_jumps
from src.market.quality.verdict import Judgement, Usability
from src.market.reading.price_file import understand_file
from src.market.sources import read_file

FILES = Path(__file__).parents[1] / "reading" / "price_files"


def judged(name: str, data: DataConfig | None = None) -> Judgement:
    data = data or DataConfig()
    return judge_reading(understand_file(FILES / name, data), "AAA", data)


def table(name: str) -> pd.DataFrame:
    return pd.read_parquet(FILES / name).reset_index() if name.endswith(".parquet") else pd.read_csv(FILES / name)


# file: what the refusal says, the remedy it names, and the rows that the remedy leaves
REFUSED: dict[str, tuple[str, DataConfig, range]] = {
    "daily_bars_then_4h.csv": (
        "rows 0-59 are 1d apart, the others 4h; keep 240 bars with data.start=2024-03-25",
        DataConfig(start="2024-03-25"),
        range(60, 300),
    ),
    "many_symbols.csv": (
        "column 'Name' holds AAA, BBB: several markets in one file",
        DataConfig(columns={"symbol": "Name"}),
        range(60),
    ),
    "many_symbols_apart_in_time.csv": (
        "column 'Name' holds AAA, BBB: several markets in one file",
        DataConfig(columns={"symbol": "Name"}),
        range(60),
    ),
    "parquet_two_symbols.parquet": (
        "column 'symbol' holds AAA, BBB: several markets in one file",
        DataConfig(columns={"symbol": "symbol"}),
        range(60),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_cause_and_a_remedy_that_works(name: str) -> None:
    said, remedy, rows = REFUSED[name]
    with pytest.raises(DataError, match=name) as refused:
        read_file(FILES / name, "AAA")
    assert said in str(refused.value)
    kept = table(name).iloc[list(rows)]
    np.testing.assert_array_equal(read_file(FILES / name, "AAA", remedy).close, kept["close"])


def test_a_lost_decimal_point_is_refused_and_can_be_left_out() -> None:
    name = "excel_damaged_price.csv"
    with pytest.raises(DataError, match=r"ten times off: 1, first row 150 \(2024-11-14 02:30\).*drop_defective=true"):
        read_file(FILES / name, "X")
    left = read_file(FILES / name, "X", DataConfig(drop_defective=True))
    closes = pd.read_csv(FILES / name, sep="\t")["Close"].drop(index=150)
    np.testing.assert_array_equal(left.close, closes)
    assert closes.max() < 1.1


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("split_3_for_2.csv", 200, "looks like a 1.5:1 split at 2022-10-10"),
        ("split_2_for_1_hourly_weekend.csv", 203, "looks like a 2:1 split at 2024-02-12"),
        ("alpha_vantage_adjusted.csv", 199, "looks like a 2:1 split at 2022-10-10"),  # newest first
    ],
)
def test_a_split_is_noted_with_its_ratio_and_a_remedy_that_works(name: str, row: int, said: str) -> None:
    found = judged(name)
    finding = found.report.finding(Defect.split_jump)
    assert finding is not None
    assert [example.row for example in finding.examples] == [row]
    assert said in str(finding)
    assert any(said in warning for warning in found.verdict.warnings)
    start = str(finding).rpartition("data.start=")[2]
    bars = read_file(FILES / name, "X", DataConfig(start=start))
    assert split_like_jumps(bars) == ()
    assert bars.open_time[0] == finding.examples[0].open_time


@pytest.mark.parametrize("name", ["split_with_adjusted_columns.csv", "close_mapped_to_adj_close.csv"])
def test_adjusted_prices_hold_no_split(name: str) -> None:
    assert judged(name).report.finding(Defect.split_jump) is None


def test_raw_prices_beside_adjusted_ones_show_their_split() -> None:
    bars = read_file(FILES / "split_with_adjusted_columns.csv", "X", DataConfig(adjust=Adjust.none))
    assert [(jump.row, jump.ratio) for jump in split_like_jumps(bars)] == [(200, "2:1")]


def test_leaving_rows_out_keeps_the_bars_above_a_thousand() -> None:
    bars = read_file(FILES / "thousands_separator_plain_volume.csv", "X", DataConfig(drop_defective=True))
    assert len(bars) == 60
    assert bars.high.max() > 1000


def test_trades_dressed_as_bars_are_noted() -> None:
    found = judged("trades_as_flat_bars.csv")
    assert found.verdict.outcome is Usability.usable
    finding = found.report.finding(Defect.trades)
    assert finding is not None
    assert finding.count == 366
    assert "one price in nearly all rows, at irregular times" in finding.detail
