"""Does generated data look real without being copied?

S&P 500 daily, windows of 64 bars every 8. Score: |balanced accuracy - 1/2| of gradient-boosted trees (scikit-learn)
that learn on 3,000 real returns and as many made, and are judged on the real ones after them and others made; every
generator is fitted on all of the real returns, and the figure is that of the mean balanced accuracy of the draws.
Nearest: for windows of a generator that knows the first 3,000 returns only, the smallest, the 10 % and the 50 %
quantile of the distance to the nearest window of these, at equal volatility, over that of the real windows after them:
below 1 it copies. `linear` is the score by the classifier of the project itself.

Bar: score <= .05 and no quantile below 1.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from arch import arch_model
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.common import command_line, run_benchmark
from src.config.data import DataConfig
from src.config.stages.stress import CrashConfig, StressConfig
from src.evaluation.bootstrap import stationary_rows
from src.evaluation.plausibility import balanced_accuracy, linear_classifier, nearest_distances
from src.market.bars import BarSeries, FloatArray
from src.market.sources import load_bars
from src.market.synthetic.stressed_market import StressedMarket
from src.seeding import generator

TAKES = "15 s"

LEARNED, DRAWS, QUANTILES = 3_000, 10, (0.0, 0.1, 0.5)
# From how many are wanted: returns; made from the bars it may know.
Generator = Callable[[int, np.random.Generator], FloatArray]
Maker = Callable[[BarSeries], Generator]


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__)
    parser.add_argument("--generators", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    return parser


def main(generators: list[str]) -> None:
    """Print a row for each generator asked for."""
    bars = load_bars("SP500", DataConfig())
    returns = bars.log_returns[1:]
    learned, later = returns[:LEARNED], returns[LEARNED:]
    distance = np.quantile(nearest_distances(later, learned), QUANTILES)
    print(f"S&P 500, {len(returns)} returns, {DRAWS} draws; nearest windows of real data: {np.round(distance, 2)}")
    print(f"{'generator':34s} score (spread)  linear   nearest / real: smallest, 10 %, 50 %")
    for name in generators:
        everything, first = MAKERS[name](bars), MAKERS[name](bars[: LEARNED + 1])
        accuracies, nearest = [], []
        for draw in range(DRAWS):
            rng = generator(0, "stress", name, draw)
            pair = everything(LEARNED, rng), everything(len(later), rng)
            accuracies.append([balanced_accuracy((learned, later), pair, how) for how in (trees, linear_classifier)])
            nearest.append(np.quantile(nearest_distances(first(len(later), rng), learned), QUANTILES))
        score, linear = np.abs(np.mean(accuracies, axis=0) - 0.5)
        ratio = np.mean(nearest, axis=0) / distance
        shown = "  ".join(f"{value:.3f}" for value in ratio)
        print(f"{name:34s} {score:.3f} ({np.std(accuracies, axis=0)[0]:.3f})    {linear:.3f}    {shown}", flush=True)


def trees(features: FloatArray, truth: NDArray[np.bool_], asked: FloatArray) -> NDArray[np.bool_]:
    """Tell by gradient-boosted trees."""
    model = HistGradientBoostingClassifier(max_iter=80, min_samples_leaf=30, l2_regularization=5.0, random_state=0)
    said: NDArray[np.bool_] = model.fit(features, truth).predict(asked)
    return said


def gaussian(bars: BarSeries) -> Generator:
    """Independent normal returns."""
    returns = bars.log_returns[1:]
    return lambda count, rng: rng.normal(returns.mean(), returns.std(), count)


def simulated(volatility: str, distribution: str) -> Maker:
    """Return a maker of paths of a model of the `arch` package."""

    def make(bars: BarSeries) -> Generator:
        model = arch_model(
            bars.log_returns[1:] * 100, vol=volatility, p=1, o=int(volatility == "EGARCH"), q=1, dist=distribution
        )
        fitted = model.fit(disp="off")

        def draw(count: int, rng: np.random.Generator) -> FloatArray:
            model.distribution._generator = rng
            path: FloatArray = model.simulate(fitted.params, count, burn=500)["data"].to_numpy() / 100
            return path

        return draw

    return make


def blocks(bars: BarSeries) -> Generator:
    """Stationary bootstrap of the returns themselves, blocks of 20 bars."""
    returns = bars.log_returns[1:]
    # Two resamples as long as the source hold enough for every use here.
    return lambda count, rng: returns[stationary_rows(len(returns), 20.0, 2, rng).ravel()[:count]]


def ours(config: StressConfig) -> Maker:
    """Return a maker of our generator under some settings."""

    def make(bars: BarSeries) -> Generator:
        market = StressedMarket(bars)
        return lambda count, rng: market.draw(config, rng, count + 1).log_returns[1:]

    return make


UNSTRESSED = StressConfig(
    volatility_spread=0.0, gaps_per_thousand_bars=0.0, merged_frac=0.0, crash=CrashConfig(per_thousand_bars=0.0)
)

MAKERS: dict[str, Maker] = {
    "Gaussian": gaussian,
    "GARCH, Student t": simulated("GARCH", "t"),
    "EGARCH, skewed t": simulated("EGARCH", "skewt"),
    "block bootstrap of 20 bars": blocks,
    "ours, resampled only": ours(UNSTRESSED),
    "ours, resampled by 8 bars": ours(replace(UNSTRESSED, block_bars=8.0)),
    "ours, as configured": ours(StressConfig()),
}


if __name__ == "__main__":
    run_benchmark(parser(), main)
