"""Does training against an adversary make a champion robust?

The same small population is bred on A4 in three ways: without stress; on generated series as configured, with nothing
for an adversary to choose; and on series that the adversary chooses from a box. Each champion then trades A4 and the
corners around it: persistence .85, .90, .95; volatility .7, 1, 1.5 and fee 1, 2 times what they are on A4. `fr` is its
score over that of the optimal policy of that corner's market, on the same 45,000 bars, which are of other paths than
those it was bred on. Fees are known to who trades, so the champion is told them, and sees them if it learned to.

Bar: at least .80 at the worst corner, at no more than .03 less than without stress on A4 itself.

Ceilings are printed first. Every optimum here is to change sides at a level of the price, so the best level for what a
policy can tell apart, chosen by the worst corner and in hindsight on the same bars, bounds what it can reach.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Hashable
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.common import command_line, run_benchmark, timed, training_session
from benchmarks.learning.known_market import config_of
from src.agents.autonomous_agent import AutonomousAgent
from src.agents.model_file import CHAMPION_STAGE, load_model, model_path
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.known_markets import START_PRICE, RevertingMarket, bars_of_log_prices, score, synthetic_market
from src.market.synthetic.optimal_policy import optimal_targets
from src.seeding import generator
from src.trading.rules import TradingRules
from src.training.pipeline import run_sequence
from src.training.population.shared_market import with_higher_costs

TAKES = "15 min a seed"

BARS, WARMUP_BARS = 46_000, 1_000
PERSISTENCES, VOLATILITIES, FEES = (0.85, 0.90, 0.95), (0.7, 1.0, 1.5), (1.0, 2.0)
LEVELS = np.arange(0.010, 0.060, 0.0005)  # of the log price
BAR, COST_BAR = 0.80, 0.03

_STAGE = "sequence.stage_4_autonomous"
_POPULATION = (
    "+experiment=market_a4_autonomous",
    "runtime.torch_threads=1",
    f"{_STAGE}.members=2",
    f"{_STAGE}.generations=3",
    f"{_STAGE}.iterations=100",
    f"{_STAGE}.adversary.proposals=8",
    f"{_STAGE}.lr=0.006",
    f"{_STAGE}.founder=true",
    f"{_STAGE}.search.lr=[0.003,0.012]",
    f"{_STAGE}.search.entropy=[0.1,0.2]",
    f"{_STAGE}.gamma=0.995",  # a shorter view asks for a wider level, and most so where little can be earned
    f"{_STAGE}.search.gamma=[0.995]",
    "features.names=[returns,deviations,volatility_level]",  # or it cannot tell a quiet market
    f"{_STAGE}.stress.block_bars=null",  # all of the reversion is kept
)
_BOX = "{{volatility_factor: {}, tilt: {}, gaps_per_thousand_bars: [0.0, 0.001], cost_factor: {}}}"
_NOTHING = _BOX.format([1.0, 1.001], [0.0, 0.001], [1.0, 1.001])
_EVERYTHING = _BOX.format([0.7, 1.5], [-0.05, 0.05], [1.0, 2.0])
WAYS = {
    "without stress": (f"{_STAGE}.stressed=0",),
    "stress alone": (f"{_STAGE}.stressed=8", f"{_STAGE}.adversary.box={_NOTHING}"),
    "adversary": (
        f"{_STAGE}.stressed=8",
        f"{_STAGE}.adversary.box={_EVERYTHING}",
        f"{_STAGE}.adversary.most_implausible=0.5",  # the whole box is held to be plausible here
    ),
}


class Corner(NamedTuple):
    """A market around A4, in factors on its volatility and fee."""

    persistence: float
    volatility: float
    fee: float

    @property
    def market(self) -> RevertingMarket:
        """The market itself."""
        centre = synthetic_market("A4")
        assert isinstance(centre, RevertingMarket)
        return RevertingMarket(self.persistence, centre.volatility * self.volatility, centre.cost_frac * self.fee)

    def __str__(self) -> str:
        return f"phi {self.persistence:.2f} sigma x {self.volatility:g} fee x {self.fee:g}"


CENTRE = Corner(0.90, 1.0, 1.0)
CORNERS = tuple(Corner(*place) for place in product(PERSISTENCES, VOLATILITIES, FEES))
Figures = dict[Corner, float]
Targets = Callable[[Corner, BarSeries], FloatArray]  # decides at each close, (T,)


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    return parser


def main(seeds: list[int], ways: list[str], settings: list[str]) -> None:
    """Print the ceilings, a table of `fr` for each way and seed, and the worst of seeds against the bars."""
    exam = Exam()
    _show_ceilings(exam)
    found: dict[str, list[Figures]] = {way: [] for way in ways}
    with training_session(_POPULATION) as folder:
        for seed, way in product(seeds, ways):
            own = [*_POPULATION, *WAYS[way], *settings]
            figures, taken = timed(partial(_judged, exam, own, seed, folder / way.replace(" ", "_")))
            found[way].append(figures)
            _show(f"{way}, seed {seed}, {taken.processor:.0f} s", figures)
    _show_verdict(found)


class Exam:
    """Paths of every corner, and what the best policy of each earns there."""

    def __init__(self) -> None:
        self._bars = {corner: _path(corner) for corner in CORNERS}
        self._optimum = {
            corner: self._score(corner, optimal_targets(corner.market, self._bars[corner])) for corner in CORNERS
        }

    def figures(self, targets: Targets) -> Figures:
        """Return the share of the optimum, `fr`, at every corner."""
        return {
            corner: self._score(corner, targets(corner, bars)) / self._optimum[corner]
            for corner, bars in self._bars.items()
        }

    def _score(self, corner: Corner, targets: FloatArray) -> float:
        return score(targets, self._bars[corner].close, corner.market.cost_frac, WARMUP_BARS)


def _path(corner: Corner) -> BarSeries:
    # Whatever the fee, it is the same path.
    rng = generator(0, "corner", str(corner.persistence), str(corner.volatility))
    return bars_of_log_prices("A4", "1h", corner.market.log_prices(BARS, rng))


def _judged(exam: Exam, settings: list[str], seed: int, folder: Path) -> Figures:
    return exam.figures(_bred(settings, seed, folder))


def _bred(settings: list[str], seed: int, folder: Path) -> Targets:
    # The targets of the champion of a run.
    run_sequence(config_of("A4", seed, settings, folder))
    file = load_model(model_path("A4", CHAMPION_STAGE, folder / "models"))
    agent, rules = agent_from_file(file), TradingRules.from_plain(file.rules)
    assert isinstance(agent, AutonomousAgent)

    def targets(corner: Corner, bars: BarSeries) -> FloatArray:
        told = agent.with_costs(with_higher_costs(rules.costs, corner.fee))
        rows = range(told.warmup_bars, len(bars))
        decided = np.zeros(len(bars))
        decided[rows.start :] = run_backtest(told, bars, rules, rows).records.target
        return decided

    return targets


def _show_ceilings(exam: Exam) -> None:
    by_level = [exam.figures(lambda _, bars, level=level: _sides(bars, level)) for level in LEVELS.tolist()]
    tells: dict[str, Callable[[Corner], Hashable]] = {
        "nothing": lambda corner: 0,
        "the volatility": lambda corner: corner.volatility,
        "the fee": lambda corner: corner.fee,
        "volatility and persistence": lambda corner: (corner.volatility, corner.persistence),
        "volatility and fee": lambda corner: (corner.volatility, corner.fee),
    }
    for name, tell in tells.items():
        figures: Figures = {}
        for kind in {tell(corner) for corner in CORNERS}:
            alike = [corner for corner in CORNERS if tell(corner) == kind]
            best = max(by_level, key=lambda one: min(one[corner] for corner in alike))
            figures |= {corner: best[corner] for corner in alike}
        print(f"ceiling of who can tell {name:27s} worst corner {min(figures.values()):.3f}, A4 {figures[CENTRE]:.3f}")


def _sides(bars: BarSeries, level: float) -> FloatArray:
    # Long from below -level on, short from above level on, (T,).
    price = np.log(bars.close / START_PRICE)
    said = np.where(price <= -level, 1.0, np.where(price >= level, -1.0, 0.0))
    last = np.maximum.accumulate(np.where(said != 0, np.arange(len(said)), 0))
    return said[last]


def _show(title: str, figures: Figures) -> None:
    print(f"{title}: A4 {figures[CENTRE]:.3f}, worst {min(figures.values()):.3f} at {_worst(figures)}")
    for fee, volatility in product(FEES, VOLATILITIES):
        row = "  ".join(f"{figures[Corner(phi, volatility, fee)]:6.3f}" for phi in PERSISTENCES)
        print(f"    fee x {fee:g}, sigma x {volatility:3g}; phi .85, .90, .95: {row}", flush=True)


def _worst(figures: Figures) -> Corner:
    return min(figures, key=lambda corner: figures[corner])


def _show_verdict(found: dict[str, list[Figures]]) -> None:
    clean = {way: [one[CENTRE] for one in runs] for way, runs in found.items()}
    for way, runs in found.items():
        worst = [min(one.values()) for one in runs]
        line = f"{way:15s} worst corner, worst of seeds {min(worst):.3f}, mean {np.mean(worst):.3f} (bar {BAR:.2f})"
        if way != "without stress" and "without stress" in clean:
            lost = np.array(clean["without stress"]) - np.array(clean[way])
            line += f"; on A4 less by {lost.max():+.3f} at most, {lost.mean():+.3f} in the mean (bar {COST_BAR:.2f})"
        print(line)


if __name__ == "__main__":
    run_benchmark(parser(), main)
