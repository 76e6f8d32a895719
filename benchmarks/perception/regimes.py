"""How well are regimes told apart, and how soon?

The market of four regimes whose law is known (`src/market/synthetic/regime_market.py`). Each seed draws 20,000 bars to
fit on and 40,000 others to judge on. Three classes, as both trends count as trending; macro-F1 of four beside. Our
classifiers see no label: the neural filter was trained on other generated bars, and what it and the others fit is the
size of a candle and how far to trust themselves. The baselines see the labels of the 20,000 bars. The exact filter
knows the law and every substep.

`--chart regimes.png` draws what the neural filter sees in the S&P 500.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.common import command_line, run_benchmark, timed
from benchmarks.perception.classification import calibration_error, detection_lag, log_loss, macro_f1
from benchmarks.perception.scores import Score, print_worst, score_seeds
from src.config.agent.reasoning import NeuralFilterConfig, RegimeConfig
from src.config.data import DataConfig
from src.market.bars import BarSeries, FloatArray
from src.market.sources import load_bars
from src.market.synthetic.regime_market import REGIME_MARKET, REGIMES, RegimePaths, regime_bars
from src.market.synthetic.regime_posterior import regime_posterior
from src.reasoning.market_classifier import METHODS, fit_classifier
from src.reasoning.market_module import MarketModule
from src.reasoning.regimes.moving_average import rolling_mean
from src.seeding import generator

TAKES = "20 s a seed, 80 s the first time"

FIT_BARS, PATHS, PATH_BARS, WARMUP = 20_000, 8, 5_000, 200
CLASS_OF_REGIME = np.array([0, 0, 1, 2])  # trending, ranging, volatile
COLOURS = ("#2ca02c", "#d62728", "#9e9e9e", "#ff9800")
RATES = ("log-loss", "ECE", "lag", "mean lag", "missed", "cpu s")  # less is better
PLACES = {"lag": 1, "mean lag": 1, "missed": 2, "cpu s": 0}


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2))
    parser.add_argument("--chart", type=Path, metavar="FILE", help="only draw the S&P 500, into this file")
    return parser


def main(seeds: list[int], chart: Path | None) -> None:
    """Print a line per classifier and seed, and the worst of the seeds."""
    if chart:
        draw_chart(chart)
        return
    scores = score_seeds(seeds, scores_of, PLACES)
    print()
    print_worst(scores, RATES, PLACES)


def scores_of(seed: int) -> dict[str, Score]:
    """Fit and judge everything on the bars of one seed."""
    fitting = REGIME_MARKET.draw(1, FIT_BARS, generator(seed, "benchmark", "fit"))
    judged = REGIME_MARKET.draw(PATHS, PATH_BARS, generator(seed, "benchmark", "judge"))
    series, known = regime_bars(judged.steps), regime_bars(fitting.steps)[0]
    forecasts: dict[str, Callable[[], FloatArray]] = {
        "exact filter": lambda: regime_posterior(REGIME_MARKET, judged.steps),
        "majority": lambda: np.tile(np.bincount(fitting.regime[0], minlength=4) / FIT_BARS, (PATHS, PATH_BARS, 1)),
        "gradient boosting": lambda: gradient_boosting(known, fitting, series, seed),
    }
    for method in METHODS:
        config = RegimeConfig(method=method, neural_filter=NeuralFilterConfig(seed=seed))
        forecasts[method] = lambda config=config: of_series(fit_classifier(config, [(known, range(FIT_BARS))]), series)
    return {name: judge(forecast, judged) for name, forecast in forecasts.items()}


def of_series(classifier: MarketModule, series: list[BarSeries]) -> FloatArray:
    """Return the probabilities of every path, (N, T, 4)."""
    return np.stack([classifier.transform(bars) for bars in series])


def judge(forecast: Callable[[], FloatArray], paths: RegimePaths) -> Score:
    """Score probabilities (N, T, 4) after the warm-up; the lag is that of the four regimes."""
    probabilities, taken = timed(forecast)
    kept, regimes = probabilities[:, WARMUP:], paths.regime[:, WARMUP:]
    flat = kept.reshape(-1, 4)
    three = np.column_stack([flat[:, 0] + flat[:, 1], flat[:, 2], flat[:, 3]])
    labels = CLASS_OF_REGIME[regimes.ravel()]
    lags = [detection_lag(named, true) for named, true in zip(kept.argmax(axis=2), regimes, strict=True)]
    return {
        "F1": macro_f1(three.argmax(axis=1), labels, 3),
        "F1 of 4": macro_f1(flat.argmax(axis=1), regimes.ravel(), 4),
        "log-loss": log_loss(three, labels),
        "ECE": calibration_error(three, labels),
        "lag": float(np.mean([lag.median_bars for lag in lags])),
        "mean lag": float(np.mean([lag.mean_bars for lag in lags])),
        "missed": float(np.mean([lag.missed_frac for lag in lags])),
        "cpu s": taken.processor,
    }


def gradient_boosting(known: BarSeries, paths: RegimePaths, series: list[BarSeries], seed: int) -> FloatArray:
    """Train scikit-learn's boosted trees on labels; trends, sizes and efficiency of five windows are what they see."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, l2_regularization=1.0, min_samples_leaf=60, random_state=seed
    )
    model.fit(window_statistics(known)[WARMUP:], paths.regime[0, WARMUP:])
    return np.stack([model.predict_proba(window_statistics(bars)) for bars in series])


def window_statistics(bars: BarSeries) -> FloatArray:
    """Return causal statistics of closes and candles over windows of 5 to 80 bars, (T, 25)."""
    path, sizes = np.log(bars.close / bars.open[0]), np.log(bars.high / bars.low)
    columns = []
    for window in (5, 10, 20, 40, 80):
        change = path - np.concatenate([np.zeros(window), path])[: len(path)]
        moves = rolling_mean(np.abs(bars.log_returns), window)
        columns += [
            change,
            np.abs(change),
            moves,
            rolling_mean(sizes, window),
            np.abs(change) / (window * moves + 1e-12),
        ]
    return np.column_stack(columns)


def draw_chart(path: Path) -> None:
    """Draw the S&P 500 with the likeliest regime behind it; the classifier is fitted on the first 60 %."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    bars = load_bars("SP500", DataConfig())
    classifier = fit_classifier(RegimeConfig(method="neural_filter"), [(bars, range(int(0.6 * len(bars))))])
    regime = classifier.transform(bars).argmax(axis=1)
    figure = Figure(figsize=(18, 18), layout="constrained")
    for axis, rows in zip(figure.subplots(4, 1), np.array_split(np.arange(len(bars)), 4), strict=True):
        starts = [rows[0], *(row for row in rows[1:] if regime[row] != regime[row - 1]), rows[-1] + 1]
        for start, end in pairwise(starts):
            axis.axvspan(start - 0.5, end - 0.5, color=COLOURS[regime[start]], alpha=0.4, lw=0)
        axis.plot(rows, bars.close[rows], color="black", lw=0.8)
        axis.set(yscale="log", xlim=(rows[0], rows[-1]))
        years = [row for row in rows[1:] if year_of(bars, row) != year_of(bars, row - 1)]
        axis.set_xticks(years, [str(year_of(bars, row)) for row in years])
    figure.legend(handles=[Patch(color=colour, label=name) for name, colour in zip(REGIMES, COLOURS, strict=True)])
    figure.savefig(path, dpi=70)


def year_of(bars: BarSeries, row: int) -> int:
    """Return the calendar year a bar opens in."""
    return int(np.datetime64(int(bars.open_time[row]), "ms").astype("datetime64[Y]").astype(int)) + 1970


if __name__ == "__main__":
    run_benchmark(parser(), main)
