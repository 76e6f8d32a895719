"""`run_backtest`: one account traded by an agent over a stretch of bars, through the same `Session` as everything else.

Needs no gymnasium: a server that only trades runs this.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src.backtesting.causality import without_look_ahead
from src.backtesting.known_targets import replay
from src.backtesting.reviewer import Reviewer
from src.config.risk import RiskLimits
from src.errors import DataError
from src.evaluation.returns import Performance, performance, simple_returns
from src.execution import scalar
from src.execution.ledger import open_accounts
from src.execution.tape import Tape, build_tape
from src.market.bars import BarSeries, FloatArray
from src.trading.agent import Agent, KnowsTargets
from src.trading.records import CALL_FIELDS, MarketState, Reviews, StepRecord
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, opening
from src.trading.single_session import SingleSession


@dataclass(frozen=True)
class BacktestResult:
    """What happened to an account, and what reports need besides.

    Attributes:
        records: columns of shape (T,), one row for each row of `rows`. The first bar is where the account opens, flat:
            it holds no fill. The last decision is recorded and never fills; a position held then is marked, not sold.
        confidence: (T,) of each decision, in [0, 1].
        reviews: what the stations of a risk file made of each decision, where there was one.
    """

    agent: str
    bars: BarSeries
    rows: range
    records: StepRecord
    confidence: FloatArray
    initial_equity: float
    reviews: Reviews | None = None

    @property
    def traded_bars(self) -> BarSeries:
        """The recorded bars, T."""
        return self.bars[self.rows.start : self.rows.stop]

    @property
    def closes(self) -> FloatArray:
        """Closes of the recorded bars, (T,)."""
        return self.bars.close[self.rows.start : self.rows.stop]

    @property
    def bars_per_year(self) -> float:
        """Bars in a year of this market."""
        return self.bars.bars_per_year

    def performance(self) -> Performance:
        """Measure the account, after costs."""
        return performance(self.records, self.closes, self.bars_per_year, self.initial_equity)

    def returns(self) -> FloatArray:
        """Return simple returns a bar, (T,), after costs."""
        return simple_returns(np.asarray(self.records.equity, dtype=np.float64), self.initial_equity)


def run_backtest(
    agent: Agent,
    bars: BarSeries,
    rules: TradingRules,
    rows: range,
    limits: RiskLimits | None = None,
    prove: bool = True,
    protective_stop: float | None = None,
) -> BacktestResult:
    """Trade `rows`, starting flat with the initial equity; the first decision is taken at the close of `rows.start`.

    Args:
        agent: decides.
        bars: the series.
        rules: actions, costs, risk and reward.
        rows: of the series, at least two.
        limits: of a risk file, under which every decision passes the stations that a bot's decisions pass.
        prove: make sure that no decision rests on a later bar; False for an agent of which that is known.
        protective_stop: multiple of the wider loss limit at which positions are closed within a bar; None for no stop.

    Raises:
        ConfigError: a protective stop without a loss limit.
        DataError: rows outside the series, fewer than two, or before the agent's warm-up is over.
        LookaheadError: a decision rests on a later bar.
    """
    _check_rows(agent, bars, rows)
    rules = rules if limits is None else rules.under(limits)
    rules = rules if protective_stop is None else rules.with_protective_stop(protective_stop)
    if prove:
        agent = without_look_ahead(agent, bars, rows, len(rules.account_inputs))
    else:
        agent.prepare(bars)
    tape, times = build_tape(bars, rules.costs), bars.close_time[rows.start : rows.stop]
    if limits is None:
        reviewer = None
        steps = _replayed(agent, rules, tape, rows) or _stepped(agent, rules, tape, rows, times.tolist())
    else:
        reviewer = Reviewer(limits, rules, bars)
        steps = _stepped(agent, rules, tape, rows, times.tolist(), reviewer)
    records = StepRecord(times, steps.target, *steps.outcome)
    reviews = None if reviewer is None else reviewer.reviews
    return BacktestResult(agent.name, bars, rows, records, steps.confidence, rules.initial_equity, reviews)


class _Steps(NamedTuple):
    target: FloatArray
    outcome: BarOutcome  # columns (T,)
    confidence: FloatArray


def _replayed(agent: Agent, rules: TradingRules, tape: Tape, rows: range) -> _Steps | None:
    if not isinstance(agent, KnowsTargets):
        return None
    part = slice(rows.start, rows.stop)
    targets = agent.targets[part]
    outcomes = replay(rules, tape.at(part), targets)
    if outcomes is None:
        return None
    first = opening(open_accounts(np, (1,), rules.initial_equity, tape.close[rows.start]))
    outcome = BarOutcome(*[np.concatenate(pair) for pair in zip(first, outcomes, strict=True)])
    return _Steps(targets, outcome, np.ones(len(rows)))


def _stepped(
    agent: Agent, rules: TradingRules, tape: Tape, rows: range, times: list[int], reviewer: Reviewer | None = None
) -> _Steps:
    account = SingleSession(rules, tape)
    account.open(open_accounts(scalar, (), rules.initial_equity, tape.close.item(rows.start)))
    # Each bar adds the decision in force during it, and what happened; decisions are moved to their own bars below.
    first = opening(account.accounts)
    outcomes, confidence = array("d", [0.0, *first[: -len(CALL_FIELDS)]]), array("d")
    inputs, hold = account.account_inputs(), False
    for row, time in zip(rows, times, strict=True):
        decision = agent.act(MarketState(row, time, inputs[None]))
        target, sure = decision.target.item(), decision.confidence.item()
        confidence.append(sure)
        if reviewer is not None:
            target, hold, _ = reviewer.review(target, sure, account.accounts, row, time)
        if row + 1 < rows.stop:
            values, inputs = account.step(target, row + 1, hold)
            outcomes.extend(values.values())
    decided, *columns = np.frombuffer(outcomes).reshape(len(rows), -1).T.copy()
    outcome = _with_calls(columns, {row - rows.start: call for row, call in account.calls.items()})
    return _Steps(np.append(decided[1:], account.decide(target, hold)), outcome, np.array(confidence))


def _with_calls(columns: list[FloatArray], calls: Mapping[int, dict[str, float]]) -> BarOutcome:
    # By bar: those of stops, and the margin call that ended the account.
    outcome = BarOutcome(*columns, *np.zeros((len(CALL_FIELDS), len(columns[0]))))
    outcome = outcome._replace(terminated=outcome.terminated != 0)
    for bar, call in calls.items():
        for name, amount in call.items():
            getattr(outcome, name)[bar] = amount
    return outcome


def _check_rows(agent: Agent, bars: BarSeries, rows: range) -> None:
    if len(rows) < 2 or rows.step != 1 or not 0 <= rows.start < rows.stop <= len(bars):
        raise DataError(f"{bars.symbol}: {rows} is not a stretch of at least two of its {len(bars)} bars")
    if rows.start < agent.warmup_bars:
        raise DataError(
            f"{bars.symbol}: {agent.name} needs {agent.warmup_bars} bars of history and row {rows.start} has "
            "fewer; start later or load more bars"
        )
