"""Does a champion whose market turns round find its way back?

A member of the Autonomous stage learns A4 and trades it. Then the market turns from reversion to momentum: what the
price is ahead of its average, it is expected to gain (`RunawayMarket`), so that the best policy is the opposite of what
the member does and earns as much as before. Shown are the false alarms of `profit_drift` before, the bars it takes to
notice after, and `fr`, the score over that of the optimal policy on the same bars: before, with the old weights after,
and with what the member has become `LIMIT` bars after the turn, on the 45,000 bars that follow.

Bars: at most 1 false alarm in 50,000 unchanged bars; at least 80 % of the earlier `fr` from 4,000 bars after the turn.

The pieces are the product's: the sequential test, the rule `profit_fell`, its action (a child with a changed
hyperparameter that begins with its parent's weights), the trainer of members, and acceptance on held-out bars. What
puts them together is simulated, since nothing does so by itself: the stage checks its champion between generations, on
bars of the run it was started with, and the bot only warns, then reduces. After an alarm the test tells
where the fall began; here the check is made again `SPAN` bars after that. These bars are learned from, but for the last
`HELD_OUT`, which judge. Until then the old weights would be in force, or nothing.
"""

import time
from argparse import ArgumentParser
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.common import command_line, run_benchmark, training_session
from benchmarks.learning.known_market import config_of
from benchmarks.live.profit_drift import alarms
from src.backtesting.engine import run_backtest
from src.config.stages.autonomous import AutonomousStageConfig
from src.evaluation.profit_drift import ProfitDrift, reference_of
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.known_markets import (
    RevertingMarket,
    RunawayMarket,
    bars_of_log_prices,
    score,
    synthetic_market,
)
from src.market.synthetic.optimal_policy import optimal_targets
from src.nas.agent_space import agent_space
from src.reasoning.adaptation_rules import AdaptationRules
from src.reasoning.self_modification import AdaptationPlan, check_performance_and_adapt
from src.seeding import generator
from src.training.population.adaptation_actions import AdaptationActions
from src.training.population.adapted_member import AdaptedMember
from src.training.population.member import MemberSpec
from src.training.population.member_evaluation import fold_result, trade
from src.training.population.member_trainer import MemberTrainer
from src.training.population.population import start_genome
from src.training.population.shared_market import MarketSeries, SharedMarket, build_shared_market
from src.training.training_data import prepare_data

TAKES = "2 min a seed"

WARMUP, REFERENCE, UNCHANGED, LIMIT, EXAM = 500, 4_000, 50_000, 4_000, 45_000  # bars
SPAN, HELD_OUT = 3_800, 500
BEFORE_TURN = 500  # that the test has seen since it began anew, when the market turns
HISTORY = 1_000  # bars before those learned from, more than any feature looks back
BAR = 0.80

_STAGE = "sequence.stage_4_autonomous"
_SETTINGS = (
    "+experiment=market_a4_autonomous",
    "runtime.torch_threads=1",
    f"{_STAGE}.iterations=150",
    f"{_STAGE}.lr=0.006",
    f"{_STAGE}.search.lr=[0.003,0.012]",
    f"{_STAGE}.search.entropy=[0.1,0.2]",
)
_RULE = "profit_fell"


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__, seeds=(0, 1, 2, 3, 4), settings=True)


def main(seeds: list[int], settings: list[str]) -> None:
    """Print what became of each seed, and how far all are from the bars."""
    settings = [*_SETTINGS, *settings]
    with training_session(settings) as folder:
        runs = [_run(seed, settings, folder) for seed in seeds]
    kept = [run.kept for run in runs]
    print(
        f"{sum(run.false_alarms for run in runs)} false alarms in {UNCHANGED * len(runs):,} unchanged bars "
        f"(bar: {UNCHANGED * len(runs) // 50_000}); of the earlier fr {min(kept):.2f} is there again at least, "
        f"{np.mean(kept):.2f} in the mean, {BAR:.2f} or more in {sum(one >= BAR for one in kept)} of {len(kept)}"
    )


@dataclass(frozen=True)
class Run:
    """False alarms, and the share of the earlier `fr` that was there again in time."""

    false_alarms: int
    kept: float


@dataclass(frozen=True)
class Life:
    """Bars of A4, and then of a market that is its opposite.

    Attributes:
        turn: row of the first bar of the other market.
        optimum: (T,) targets of the best policy of the market of the time.
    """

    bars: BarSeries
    turn: int
    optimum: FloatArray

    @classmethod
    def drawn(cls, seed: int) -> "Life":
        """Draw one."""
        before = synthetic_market("A4")
        assert isinstance(before, RevertingMarket)
        after = RunawayMarket(before.persistence, before.volatility, before.cost_frac)
        rng, turn = generator(seed, "recovery", "life"), WARMUP + REFERENCE + UNCHANGED
        first, then = before.log_prices(turn, rng), after.log_prices(LIMIT + EXAM, rng)
        best = [
            optimal_targets(market, bars_of_log_prices("A4", "1h", path))
            for market, path in ((before, first), (after, then))
        ]
        return cls(
            bars_of_log_prices("A4", "1h", np.concatenate([first, first[-1] + then])), turn, np.concatenate(best)
        )

    def fraction(self, targets: FloatArray, rows: range) -> float:
        """Return the share of the optimum, `fr`, that targets (T,) earn on some rows."""
        where, cost = slice(rows.start, rows.stop), synthetic_market("A4").cost_frac
        own, best = (score(each[where], self.bars.close[where], cost) for each in (targets, self.optimum))
        return own / best


def _run(seed: int, settings: list[str], folder: Path) -> Run:
    started, config = time.process_time(), config_of("A4", seed, settings, folder)
    stage = config.sequence["stage_4_autonomous"]
    assert isinstance(stage, AutonomousStageConfig)
    shared, life = build_shared_market(config, stage, prepare_data(config)), Life.drawn(seed)
    member = MemberTrainer(shared, threads=1).train(
        MemberSpec("old", start_genome(stage, config.model.core), seed, None)
    )
    rules = AdaptationRules({_RULE: stage.self_modification.active_rules[_RULE]})
    old = AdaptedMember(member, rules, shared)
    targets, profits = _traded(old, life)
    reference, unchanged = range(WARMUP, WARMUP + REFERENCE), range(WARMUP + REFERENCE, life.turn)
    test = ProfitDrift(reference_of(profits[reference.start : reference.stop]), stage.self_modification.drift)
    false = len(alarms(test, profits[unchanged.start : unchanged.stop]))
    alarm, since = _noticed(test, profits, life.turn)
    now, later = max(alarm, since + SPAN), range(life.turn + LIMIT, len(life.bars))
    plan = _adapted(replace(old, shared=_recent(shared, life.bars, since, now)), test.level, seed)
    renewed, _ = _traded(replace(plan.agent, shared=shared), life)
    before, stale, after = (
        life.fraction(targets, unchanged),
        life.fraction(targets, later),
        life.fraction(renewed, later),
    )
    kept = (after if now <= life.turn + LIMIT else stale) / before
    print(
        f"seed {seed}: fr {before:.3f}, {false} false alarms; after the turn: alarm at bar {alarm - life.turn}, "
        f"fall dated to {since - life.turn}, new weights from {now - life.turn}; fr {stale:.2f} with the old weights, "
        f"{after:.3f} with the new, {kept:.2f} of before; {time.process_time() - started:.0f} s\n"
        f"    {plan.decisions[0].reason}",
        flush=True,
    )
    return Run(false, kept)


def _traded(adapted: AdaptedMember, life: Life) -> tuple[FloatArray, FloatArray]:
    # Targets at each close and what they earned after costs by the next, (T,) each; nothing in the warm-up.
    agent, (targets, profits) = adapted.agent(), np.zeros((2, len(life.bars)))
    rows = range(agent.warmup_bars, len(life.bars) - 1)
    records = run_backtest(agent, life.bars, adapted.rules, rows).records
    targets[rows.start : rows.stop] = records.target
    profits[rows.start : rows.stop] = np.asarray(records.reward) / adapted.rules.reward_scale
    return targets, profits


def _noticed(test: ProfitDrift, profits: FloatArray, turn: int) -> tuple[int, int]:
    # Rows of the alarm, and of the bar from which the sum that led to it has grown (Page's estimate of the change).
    test.reset()
    statistic = test.update(profits[turn - BEFORE_TURN :])
    assert (statistic >= 1).any(), "who takes the wrong side of every trade is found out"
    alarm = int(np.flatnonzero(statistic >= 1)[0])
    since = int(np.flatnonzero(statistic[:alarm] == 0)[-1]) + 1
    return turn - BEFORE_TURN + alarm, turn - BEFORE_TURN + since


def _recent(shared: SharedMarket, bars: BarSeries, since: int, now: int) -> SharedMarket:
    # What was seen since profits fell: to learn from, and the last of it to judge by. The mind stays as it was fitted.
    first = since - HISTORY
    learned, judged = range(HISTORY, now - HELD_OUT - first), range(now - HELD_OUT - first, now - first)
    sides = (bars[first:now], bars[first:now].mirrored())
    known = tuple(
        MarketSeries(side, learned, place > 0, shared.mind.transform_all(side)) for place, side in enumerate(sides)
    )
    return replace(shared, learned=known, traded=known, training=learned, folds=(judged,))


def _adapted(old: AdaptedMember, drift: float, seed: int) -> AdaptationPlan[AdaptedMember]:
    recent, stage = old.shared, old.shared.stage
    space = agent_space(stage.search, old.member.genome, stage)
    actions = AdaptationActions(recent, space, seed, MemberTrainer(recent, threads=1).train)

    def held_out(adapted: AdaptedMember) -> float:
        (result,) = trade(adapted.agent(), recent, adapted.rules, recent.folds)
        return fold_result(result, adapted.rules).reward

    return check_performance_and_adapt(old, {"profit_drift": drift}, actions.at(1, 1), held_out)


if __name__ == "__main__":
    run_benchmark(parser(), main)
