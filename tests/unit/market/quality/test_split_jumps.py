"""A split nobody adjusted for is told by its ratio, whatever lies before it, and seldom seen where there is none."""

import numpy as np
import pandas as pd
import pytest

from src.config.data import DataConfig
from src.market.bars import BarSeries
from src.market.quality.split_jumps import SplitLikeJump, split_like_jumps
from src.market.sources import read_file
from tests.support.shared_data import SHARED_DATA, needs_shared_data

DAY = 86_400_000


def stock(bars: int = 500, daily_frac: float = 0.015, seed: int = 0, tails: float = 5.0) -> BarSeries:
    """Daily bars of weekdays whose moves have heavy tails, a part of each overnight; volume moves by a third."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_t(tails, (bars, 2)) / np.sqrt(tails / (tails - 2)) * daily_frac * np.sqrt([0.25, 0.75])
    path = 100 * np.exp(np.cumsum(moves.ravel()).reshape(bars, 2))
    top, bottom = path.max(axis=1) * 1.002, path.min(axis=1) * 0.998
    days = pd.bdate_range("2010-01-04", periods=bars).to_numpy().astype("datetime64[ms]").astype(np.int64)
    return BarSeries("S", "1d", days, path[:, 0], top, bottom, path[:, 1], rng.lognormal(13, 0.35, bars))


def split(bars: BarSeries, row: int, new: int, old: int, adjusts_volume: bool = False) -> BarSeries:
    """The same bars as they were quoted before the shares were split at `row`."""
    factor = np.where(np.arange(len(bars)) < row, new / old, 1.0)
    prices = (getattr(bars, name) * factor for name in ("open", "high", "low", "close"))
    volume = bars.volume if adjusts_volume else bars.volume / factor
    return BarSeries(bars.symbol, bars.timeframe, bars.open_time, *prices, volume)


@pytest.mark.parametrize("adjusts_volume", [False, True])
@pytest.mark.parametrize(
    ("new", "old", "ratio"),
    [(2, 1, "2:1"), (3, 2, "1.5:1"), (3, 1, "3:1"), (7, 1, "7:1"), (20, 1, "20:1"), (5, 2, "2.5:1"), (1, 10, "1:10")],
)
def test_a_split_is_found_at_its_row_with_its_ratio(new: int, old: int, ratio: str, adjusts_volume: bool) -> None:
    bars = split(stock(), 203, new, old, adjusts_volume)
    (jump,) = split_like_jumps(bars)
    assert (jump.row, jump.open_time, jump.new, jump.old) == (203, bars.open_time[203], new, old)
    assert str(jump) == f"looks like a {ratio} split at 2010-10-14"


@pytest.mark.parametrize("row", [3, 497])
def test_a_split_near_an_end_is_told_by_price_alone(row: int) -> None:
    assert [jump.row for jump in split_like_jumps(split(stock(), row, 2, 1))] == [row]


def test_a_market_without_volume_is_told_by_price_alone() -> None:
    bars = split(stock(), 203, 3, 2)
    bars = BarSeries("S", "1d", bars.open_time, bars.open, bars.high, bars.low, bars.close, np.zeros(len(bars)))
    assert [jump.ratio for jump in split_like_jumps(bars)] == ["1.5:1"]


def test_ratios_are_written_as_people_write_them() -> None:
    assert [SplitLikeJump(0, 0, *pair).ratio for pair in ((4, 3), (5, 4), (1, 20), (2, 3))] == [
        "4:3",
        "1.25:1",
        "1:20",
        "2:3",
    ]


def test_volume_decides_where_the_price_leaves_it_open() -> None:
    # A fifth less overnight may be news; if a quarter more shares change hands from then on, it is a split.
    falls = [stock(seed=seed, daily_frac=0.02) for seed in range(30)]
    news, shares = (
        sum(len(split_like_jumps(split(bars, 250, 5, 4, adjusts_volume))) for bars in falls)
        for adjusts_volume in (True, False)
    )
    assert shares > news


def test_a_fall_to_no_ratio_is_news() -> None:
    bars = stock()
    crash = split(bars, 203, 100, 89)  # 11 % overnight
    assert split_like_jumps(crash) == ()


def test_a_jump_that_does_not_last_is_no_split() -> None:
    bars = split(split(stock(), 200, 2, 1), 203, 1, 2)
    assert split_like_jumps(bars) == ()


def test_a_weekend_before_a_split_hides_nothing() -> None:
    frame = stock(400).to_frame()
    monday = int(np.flatnonzero(pd.DatetimeIndex(frame.index).day_of_week == 0)[30])
    (jump,) = split_like_jumps(split(stock(400), monday, 2, 1))
    assert jump.row == monday


def test_jumps_of_a_part_are_those_between_two_of_its_bars() -> None:
    bars = split(stock(), 203, 2, 1)
    assert [jump.row for jump in split_like_jumps(bars, range(150, 300))] == [203]
    assert split_like_jumps(bars, range(203, 300)) == ()  # its bars are all at the new price
    assert split_like_jumps(bars, range(203)) == ()


def test_random_walks_with_heavy_tails_hold_few_splits() -> None:
    kinds = [(0.01, 3.0), (0.02, 4.0), (0.035, 3.0)]
    walks = [stock(2000, frac, seed, tails) for seed, (frac, tails) in enumerate(kinds)]
    assert sum(len(split_like_jumps(walk)) for walk in walks) <= 1


@needs_shared_data
@pytest.mark.shared_data
def test_adjusted_shares_currencies_and_coins_hold_no_split() -> None:
    folders = ("equities_1d", "crypto_1d", "fx_1h")
    files = [path for folder in folders for path in sorted((SHARED_DATA / folder).glob("*.parquet"))]
    assert len(files) == 49
    found = {path.name: split_like_jumps(read_file(path, "X", DataConfig(drop_defective=True))) for path in files}
    assert {name: jumps for name, jumps in found.items() if jumps} == {}
