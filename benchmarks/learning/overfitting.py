"""Do the statistics against overfitting say what they claim?

1. The worked example of López de Prado, Lipton and Zoonekynd (2025), ours beside the published figures.
2. Fifty strategies over four years of days, all worthless, and with one of annual Sharpe ratio 2.5 among them: the
   probability of backtest overfitting, and how often the deflated Sharpe ratio of the best passes .95. Its variance is
   that among the trials, as published, or that of an estimate without an edge, as the promotion gate takes it.
3. The same for worthless trials that are relatives, and for one of 2.5 among trials most of which truly lose.
4. The reality check beside `arch.bootstrap.SPA` on the same returns.

Plus or minus is one standard error. What the promotion gate makes of them: `python -m benchmarks.learning.promotion`.
"""

from argparse import ArgumentParser
from collections.abc import Iterable

import numpy as np
from arch.bootstrap import SPA
from numpy.typing import NDArray

from benchmarks.common import command_line, run_benchmark
from src.evaluation.overfitting import backtest_overfitting
from src.evaluation.significance import (
    TrackRecord,
    deflated_sharpe,
    expected_best_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_variance,
    track_record,
)
from src.evaluation.superior_ability import superior_ability
from src.seeding import generator

FloatArray = NDArray[np.float64]

TAKES = "5 min"

DRAWS, TRIALS, BARS, BARS_PER_YEAR = 300, 50, 1_008, 252.0
ANNUAL = float(np.sqrt(BARS_PER_YEAR))


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print every table."""
    published_example()
    print(f"\n{TRIALS} strategies, {BARS} bars, {DRAWS} draws")
    print(f"{'trials':40s}{'PBO':>14s}{'one draw':>10s}{'DSR, among':>14s}{'DSR, no edge':>14s}")
    for name, draw in POPULATIONS.items():
        print(f"{name:40s}{under(draw(generator(0, name, number)) for number in range(DRAWS))}", flush=True)
    reality_check()


def published_example() -> None:
    """Print the closed forms beside the published figures."""
    record = TrackRecord(sharpe=0.036 / 0.079, bars=24, skew=-2.448, kurtosis=10.164)
    figures = {
        "PSR(0)": (probabilistic_sharpe(record), 0.987),
        "PSR(.1)": (probabilistic_sharpe(record, 0.1), 0.939),
        "minimum track record": (minimum_track_record(record), 13.029),
        "expected best of 10": (expected_best_sharpe(10, 0.1), 0.498),
        "DSR of 10": (deflated_sharpe(record, 10, 0.1), 0.416),
    }
    print(f"{'figure':40s}{'ours':>14s}{'published':>14s}")
    for name, (ours, published) in figures.items():
        print(f"{name:40s}{ours:>14.4f}{published:>14.3f}")


def worthless(rng: np.random.Generator) -> FloatArray:
    """Draw independent trials without an edge, (T, N) in units of their deviation."""
    return rng.normal(size=(BARS, TRIALS))


def one_true(rng: np.random.Generator) -> FloatArray:
    """Draw trials of which the first has an annual Sharpe ratio of 2.5."""
    returns = worthless(rng)
    returns[:, 0] += 2.5 / ANNUAL
    return returns


def relatives(rng: np.random.Generator) -> FloatArray:
    """Draw worthless trials that share four fifths of their variance."""
    return np.sqrt(0.8) * rng.normal(size=(BARS, 1)) + np.sqrt(0.2) * worthless(rng)


def one_true_among_losers(rng: np.random.Generator) -> FloatArray:
    """Draw one of 2.5 among trials with annual Sharpe ratios between -6 and 0, as untuned members have after costs."""
    returns = one_true(rng)
    returns[:, 1:] -= np.linspace(0.0, 6.0, TRIALS - 1) / ANNUAL
    return returns


POPULATIONS = {
    "worthless": worthless,
    "one of annual Sharpe 2.5": one_true,
    "worthless relatives (correlation .8)": relatives,
    "one of 2.5 among losers": one_true_among_losers,
}


def under(draws: Iterable[FloatArray]) -> str:
    """Return mean and deviation of the probability of overfitting, and how often the best passes, in both forms."""
    overfitting, among, no_edge = [], [], []
    for returns in draws:
        sharpes = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        best = track_record(returns[:, int(sharpes.argmax())])
        overfitting.append(backtest_overfitting(returns).probability)
        among.append(deflated_sharpe(best, TRIALS, float(sharpes.var(ddof=1))) > 0.95)
        no_edge.append(deflated_sharpe(best, TRIALS, sharpe_variance(best, 0.0)) > 0.95)
    return f"{estimate(overfitting)}{np.std(overfitting):>10.3f}{estimate(among)}{estimate(no_edge)}"


def estimate(values: list[float]) -> str:
    """Write a mean and its standard error."""
    return f"{np.mean(values):>8.3f} ±{np.std(values) / np.sqrt(len(values)):.3f}"


def reality_check() -> None:
    """Print p-values of ours and of `arch` on the same returns."""
    header = ("White, ours", "arch upper", "Hansen, ours", "arch consistent")
    print("\n" + f"{'first of 50, annual Sharpe':40s}" + "".join(f"{name:>16s}" for name in header))
    for edge in (0.0, 1.0, 1.5, 2.0, 2.5):
        rng = generator(0, "reality check", round(10 * edge))
        returns = rng.normal(size=(BARS, TRIALS))
        returns[:, 0] += edge / ANNUAL
        ours = superior_ability(returns, np.zeros(BARS), rng, draws=4_000, block_bars=5.0)
        peer = SPA(np.zeros(BARS), -returns, block_size=5, reps=2_000, seed=0)
        peer.compute()
        figures = (ours.reality_check, peer.pvalues["upper"], ours.consistent, peer.pvalues["consistent"])
        print(f"{edge:<40.1f}" + "".join(f"{figure:>16.3f}" for figure in figures), flush=True)


if __name__ == "__main__":
    run_benchmark(parser(), main)
