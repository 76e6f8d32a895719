"""How well are chart patterns told apart?

Macro-F1 over eight classes on windows of 64 bars with noise of 3, 7 and 12 % of the pattern's height, on the generator
the network learns from (other windows of it) and on one it never saw (`unseen_patterns.py`); and how often a pattern
is seen in random walks. Beside the network: the rules of Lo, Mamaysky & Wang, tuned once on 600 labelled windows, and
five nearest neighbours of 6,000 standardised windows. The network is trained per seed, or taken from the cache, a
minute of one core each.

`--draw FOLDER` draws what is seen in the S&P 500, and says how often the rules agree.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line, run_benchmark, timed
from benchmarks.perception.classification import calibration_error, macro_f1
from benchmarks.perception.extrema_rules import ExtremaRules
from benchmarks.perception.scores import Score, print_worst, score_seeds
from benchmarks.perception.unseen_patterns import clustered_walks, unseen_windows
from src.config.agent.reasoning import PatternConfig
from src.config.data import DataConfig
from src.market.bars import BarSeries, FloatArray
from src.market.sources import load_bars
from src.market.synthetic.regime_market import regime_bars
from src.reasoning.pattern_recognizer import PatternRecognizer, pattern_recognizer
from src.reasoning.patterns.generator import NOISE, STANDARD_MIX, LabelledWindows, random_walks
from src.reasoning.patterns.network import window_inputs
from src.reasoning.patterns.numpy_network import NumpyPatternNetwork
from src.reasoning.patterns.shapes import NONE, PATTERNS
from src.seeding import generator

TAKES = "15 s a seed, 80 s the first time"

WINDOWS, UNSEEN, WALKS, NEIGHBOURS = 2000, 2000, 4000, 6000
RULE_WINDOWS = 600  # the rules take their time
Classify = Callable[[FloatArray], NDArray[np.int64]]
RATES = ("walks", "clustered", "ECE", "cpu s", "ms a bar")  # less is better
PLACES = {"cpu s": 1, "ms a bar": 2}
COLOURS = ("white", "#d62728", "#2ca02c", "#ff7f0e", "#17becf", "#9467bd", "#8c564b", "#7f7f7f")


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2))
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="only draw the S&P 500, into this folder")
    return parser


def main(seeds: list[int], draw: Path | None) -> None:
    """Print a line per classifier and seed, and the worst of the seeds."""
    if draw:
        draw_sightings(draw)
        return
    scores = score_seeds(seeds, scores_of, PLACES)
    print(f"\nbar      {'':19s}F1 easy .970  medium .950  hard .880  walks <= .100")
    print(f"moonshot {'':19s}F1 easy .990  medium .980  hard .930  walks <= .030, unseen alike")
    print_worst(scores, RATES, PLACES)


def scores_of(seed: int) -> dict[str, Score]:
    """Train and judge everything on the windows of one seed."""
    recognizer = pattern_recognizer(PatternConfig(seed=seed), lambda done, steps: print(f"  step {done} of {steps}"))
    rates = "  ".join(f"{b}: {r:.3f}" for b, r in zip(recognizer.scales, recognizer.false_positives, strict=True))
    print(f"seed {seed}  false positives of each scale at {recognizer.threshold:g}, as it measured them  {rates}")
    rng = generator(seed, "benchmark", "patterns")
    known = STANDARD_MIX.draw(NEIGHBOURS, (0.03, 0.12), rng)
    network = NumpyPatternNetwork(recognizer.network)
    classifiers: dict[str, tuple[Classify, int]] = {
        "rules": (ExtremaRules().classify, RULE_WINDOWS),
        "5 neighbours": (nearest_neighbours(known), WINDOWS),
        "network": (lambda windows: recognizer.detected(network.probabilities([windows])), WINDOWS),
    }
    same = {name: STANDARD_MIX.draw(WINDOWS, noise, rng) for name, noise in NOISE.items()}
    other = {f"unseen {name}": unseen_windows(UNSEEN, noise, rng) for name, noise in NOISE.items()}
    walks = {"walks": random_walks(WALKS, 64, rng), "clustered": clustered_walks(WALKS, 64, rng)}
    scores = {name: judge(*classifier, same | other, walks) for name, classifier in classifiers.items()}
    pooled = np.concatenate([windows.prices for windows in same.values()])
    labels = np.concatenate([windows.labels for windows in same.values()])
    scores["network"]["ECE"] = calibration_error(network.probabilities([pooled]), labels)
    scores["network, series"] = judge_series(recognizer, seed)
    return scores


def judge(classify: Classify, count: int, labelled: dict[str, LabelledWindows], walks: dict[str, FloatArray]) -> Score:
    """Score a classifier on the first `count` windows of each kind."""

    def score() -> Score:
        known = {
            name: macro_f1(classify(windows.prices[:count]), windows.labels[:count], len(PATTERNS))
            for name, windows in labelled.items()
        }
        seen = {name: float((classify(paths[:count]) != NONE).mean()) for name, paths in walks.items()}
        return known | seen

    found, taken = timed(score)
    return {**found, "cpu s": taken.processor}


def judge_series(recognizer: PatternRecognizer, seed: int) -> Score:
    """Return how often any scale sees a pattern along a random walk, and what 12,000 bars and one bar take."""
    walk = 0.01 * random_walks(1, 12_000, generator(seed, "benchmark", "series"))
    (bars,) = regime_bars(walk[..., None])
    recognizer.last_rows(bars, 1)

    def bar_by_bar() -> None:
        for end in range(11_900, 12_000):
            recognizer.last_rows(bars[end - recognizer.history_bars : end], 1)

    probabilities, batch = timed(lambda: recognizer.transform(bars))
    single = timed(bar_by_bar)[1].processor / 100
    walks = float((recognizer.detected(probabilities) != NONE).mean())
    return {"walks": walks, "cpu s": batch.processor, "ms a bar": 1000 * single}


def nearest_neighbours(known: LabelledWindows) -> Classify:
    """Return scikit-learn's vote of five on standardised windows."""
    from sklearn.neighbors import KNeighborsClassifier

    def standardised(windows: FloatArray) -> FloatArray:
        levels: FloatArray = window_inputs(windows)[:, 0].double().numpy()
        return levels

    model = KNeighborsClassifier(5).fit(standardised(known.prices), known.labels)
    return lambda windows: model.predict(standardised(windows))


def draw_sightings(folder: Path) -> None:
    """Draw the surest sightings of each pattern in the S&P 500, one page per pattern, and print the agreement."""
    folder.mkdir(parents=True, exist_ok=True)
    bars, recognizer = load_bars("SP500", DataConfig()), pattern_recognizer(PatternConfig())
    probabilities = recognizer.by_scale(bars)  # (S, T, 8)
    seen = np.stack([recognizer.detected(table) for table in probabilities])
    rules = np.stack([rules_over(bars, scale) for scale in recognizer.scales])
    print("S&P 500, daily, 1999 to 2018: share of bars at which a pattern is seen, and what the rules say there")
    for scale, named, ruled, table in zip(recognizer.scales, seen, rules, probabilities, strict=True):
        full = np.arange(len(bars)) >= scale - 1
        both, chance = agreement(named[full], ruled[full])
        sure = named[full & (table[:, NONE] < 0.1)]
        print(
            f"  {scale:3d} bars: network {np.mean(named[full] != NONE):.3f} (90 % sure {len(sure) / full.sum():.3f})"
            f"  rules {np.mean(ruled[full] != NONE):.3f}  same pattern where the network sees one {both:.3f}"
            f" (by chance {chance:.3f})"
        )
    any_scale = recognizer.detected(recognizer.transform(bars))
    print(f"  any scale: network {np.mean(any_scale != NONE):.3f}")
    for pattern in range(1, len(PATTERNS)):
        draw_pattern(folder / f"{PATTERNS[pattern]}.png", pattern, bars, recognizer, probabilities, rules)


def rules_over(bars: BarSeries, scale: int) -> NDArray[np.int64]:
    """Return what the rules see in the window that ends at each bar, (T,), none before the first is full."""
    windows = np.lib.stride_tricks.sliding_window_view(np.log(bars.close), scale)
    return np.concatenate([np.full(scale - 1, NONE), ExtremaRules().classify(windows)])


def agreement(named: NDArray[np.int64], ruled: NDArray[np.int64]) -> tuple[float, float]:
    """Return how often the rules name the network's pattern where it sees one, and how often they would by chance."""
    sightings = named != NONE
    if not sightings.any():
        return float("nan"), float("nan")
    shares = np.bincount(ruled, minlength=len(PATTERNS)) / len(ruled)
    return float((named == ruled)[sightings].mean()), float(shares[named[sightings]].mean())


def draw_pattern(
    path: Path,
    pattern: int,
    bars: BarSeries,
    recognizer: PatternRecognizer,
    probabilities: FloatArray,
    rules: NDArray[np.int64],
) -> None:
    """Draw the six surest sightings of a pattern that do not overlap, at most three of each scale."""
    from matplotlib.figure import Figure

    sightings = surest(pattern, recognizer, probabilities)
    figure = Figure(figsize=(15, 8), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis in axes[len(sightings) :]:
        axis.set_axis_off()
    for axis, (scale, row) in zip(axes, sightings, strict=False):
        length = recognizer.scales[scale]
        around = np.arange(max(0, row - 2 * length + 1), min(len(bars), row + length // 2))
        axis.plot(around, bars.close[around], color="#bbbbbb", lw=1)
        inside = np.arange(row - length + 1, row + 1)
        axis.plot(inside, bars.close[inside], color=COLOURS[pattern], lw=1.6)
        day = np.datetime64(int(bars.open_time[row]), "ms").astype("datetime64[D]")
        sure, ruled = probabilities[scale, row, pattern], PATTERNS[rules[scale, row]]
        axis.set_title(f"{day}, {length} bars, {sure:.2f}; rules: {ruled}", fontsize=9)
        axis.set_xticks([])
    figure.suptitle(f"{PATTERNS[pattern]}: surest sightings in the S&P 500")
    figure.savefig(path, dpi=60)


def surest(pattern: int, recognizer: PatternRecognizer, probabilities: FloatArray) -> list[tuple[int, int]]:
    """Return scale and last row of up to six sightings, surest first, apart by half a window."""
    table = np.where(probabilities[..., pattern] >= recognizer.threshold, probabilities[..., pattern], 0.0)
    chosen: list[tuple[int, int]] = []
    for place in np.argsort(table, axis=None)[::-1]:
        scale, row = (int(index) for index in np.unravel_index(place, table.shape))
        if table[scale, row] == 0 or len(chosen) == 6:
            break
        apart = all(abs(row - other) > recognizer.scales[max(scale, at)] // 2 for at, other in chosen)
        if apart and sum(at == scale for at, _ in chosen) < 3:
            chosen.append((scale, row))
    return chosen


if __name__ == "__main__":
    run_benchmark(parser(), main)
