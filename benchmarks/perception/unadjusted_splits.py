"""How often is a split nobody adjusted for found, and how often is one seen where there is none?

Random walks of 2,500 daily bars (GARCH, tails of Student's t with 3 to 6 degrees of freedom, 1 to 3.5 % a day, a
quarter of the variance overnight, volume that remembers and answers to moves), and the daily files of `--data`, whose
prices have to be adjusted. In each, splits are planted at random rows one at a time: with volume in shares, which
changes by the inverse, and with volume that is adjusted already.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import command_line, run_benchmark
from src.command_line import Parser
from src.config.data import DataConfig
from src.market.bars import BarSeries, FloatArray
from src.market.quality.split_jumps import split_like_jumps
from src.market.sources import read_file

TAKES = "10 s"

BARS, MARGIN = 2_500, 30
KINDS = [(daily_frac, tails) for daily_frac in (0.01, 0.02, 0.035) for tails in (3.0, 4.0, 6.0)]
PLANTED = 6  # in each series, of each ratio
RATIOS = ((2, 1), (3, 1), (10, 1), (3, 2), (4, 3), (5, 4), (1, 2), (1, 10))


def parser() -> Parser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2, 3))
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="of daily price files, adjusted for splits")
    return parser


def main(seeds: list[int], data: Path | None) -> None:
    """Print false alarms, and the share of planted splits that are found at their row with their ratio."""
    show("walks", {f"{seed} {kind}": walk(seed, *kind) for seed in seeds for kind in KINDS})
    if data:
        settings = DataConfig(drop_defective=True)
        show(data.name, {path.name: read_file(path, path.stem, settings) for path in sorted(data.glob("*.parquet"))})


def show(name: str, series: Mapping[str, BarSeries]) -> None:
    """Print the table of some series, none of which holds a split."""
    bars = sum(map(len, series.values()))
    alarms = {which: jumps for which, one in series.items() if (jumps := split_like_jumps(one))}
    count = sum(map(len, alarms.values()))
    print(f"{name}: {len(series)} series, {bars:,} bars, {count} false alarms, {1e4 * count / bars:.2f} in 10,000 bars")
    rng = np.random.default_rng(0)
    for new, old in RATIOS:
        shares, adjusted = (
            np.mean([found for one in series.values() for found in planted(one, new, old, rng, adjusts_volume)])
            for adjusts_volume in (False, True)
        )
        print(
            f"  {new:2d}:{old:<2d}  volume in shares {shares:4.0%}   volume adjusted already {adjusted:4.0%}",
            flush=True,
        )


def planted(bars: BarSeries, new: int, old: int, rng: np.random.Generator, adjusts_volume: bool) -> list[bool]:
    """Say of some splits, planted one at a time, whether each is found."""
    rows = rng.integers(MARGIN, len(bars) - MARGIN, PLANTED).tolist()
    return [
        (row, new, old) in [(jump.row, jump.new, jump.old) for jump in split_like_jumps(before)]
        for row in rows
        for before in [unadjusted(bars, row, new / old, adjusts_volume)]
    ]


def unadjusted(bars: BarSeries, row: int, ratio: float, adjusts_volume: bool) -> BarSeries:
    """Return the bars as they were quoted before the split at `row`."""
    factor = np.where(np.arange(len(bars)) < row, ratio, 1.0)
    prices = (getattr(bars, name) * factor for name in ("open", "high", "low", "close"))
    volume = bars.volume if adjusts_volume else bars.volume / factor
    return BarSeries(bars.symbol, bars.timeframe, bars.open_time, *prices, volume)


def walk(seed: int, daily_frac: float, tails: float) -> BarSeries:
    """Return a random walk of daily bars."""
    rng = np.random.default_rng([seed, round(1000 * daily_frac), round(tails)])
    shocks = rng.standard_t(tails, (BARS, 2)) / np.sqrt(tails / (tails - 2)) * np.sqrt([0.25, 0.75])
    path = 100 * np.exp(np.cumsum(shocks.ravel() * np.repeat(_volatility(shocks.sum(axis=1), daily_frac), 2)))
    opened, close = path.reshape(BARS, 2).T
    calm = np.abs(rng.normal(0, 0.4 * daily_frac, (2, BARS)))
    days = pd.bdate_range("2000-01-03", periods=BARS).to_numpy().astype("datetime64[ms]").astype(np.int64)
    high, low = np.maximum(opened, close) * np.exp(calm[0]), np.minimum(opened, close) * np.exp(-calm[1])
    remembered = pd.Series(rng.normal(0, 0.25, BARS)).ewm(alpha=0.2).mean().to_numpy() * 3
    volume = np.exp(13 + remembered + 0.5 * np.abs(shocks.sum(axis=1)) + rng.normal(0, 0.3, BARS))
    return BarSeries("W", "1d", days, opened, high, low, close, volume)


def _volatility(shocks: FloatArray, daily_frac: float) -> FloatArray:
    # GARCH(1, 1) of persistence 0.98, as the deviation of each day.
    variance = np.empty(len(shocks))
    variance[0] = daily_frac**2
    for day in range(1, len(shocks)):
        before = variance[day - 1]
        variance[day] = 0.02 * daily_frac**2 + 0.08 * before * shocks[day - 1] ** 2 + 0.9 * before
    return np.sqrt(variance)


if __name__ == "__main__":
    run_benchmark(parser(), main)
