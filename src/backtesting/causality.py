"""How a backtest makes sure that no decision rests on a later bar.

An agent is handed no bar after the one it decides on (`PastOnly`), unless it prepares a whole series at once, for
speed, and shows what it made of each bar. Then it is proved: that must not change with the bars after it. Target
series are computed again on series that end early, some of them where a target changes. Others are shown the bars up
to a few drawn rows, once before a steep rise and once before a steep fall; they must make the same of the row both
times, and the same as in the series that is traded.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np

from src.errors import LookaheadError
from src.market.bars import BarSeries, FloatArray, timeframe_ms
from src.market.lookahead import require_causal
from src.seeding import generator
from src.trading.agent import Agent, KnowsTargets, PreparesAhead
from src.trading.past_only import PastOnly

_DECISIONS = 8
_ROWS = 2
_FUTURE_BARS = 16
_STEEPNESS = 0.25  # log-price a bar
_SAME = 1e-6  # of the largest number it makes of a row: series of equal length, rounded alike
_ROUNDING = 1e-3  # of the same: a stretch against the whole series


def without_look_ahead(agent: Agent, bars: BarSeries, rows: range) -> Agent:
    """Return the agent, prepared for the series, as one that cannot look ahead on the rows, or was proved not to.

    Raises:
        LookaheadError: it does.
    """
    rng = generator(0, "look-ahead", bars.symbol)
    if isinstance(agent, KnowsTargets):
        known = bars[: rows.stop]
        decided = np.flatnonzero(np.diff(_targets(agent, known)[rows.start :])) + rows.start + 1
        drawn = rng.choice(decided, min(_DECISIONS, len(decided)), replace=False).tolist()
        require_causal(agent.name, partial(_targets, agent), known, rows.start, drawn)
    elif isinstance(agent, PreparesAhead):
        drawn = rng.integers(rows.start, rows.stop, _ROWS).tolist()
        alone = {row: _made_alone(agent, bars, row) for row in sorted(set(drawn))}
        agent.prepare(bars)
        _require_same(agent, bars, alone.items())
        return agent
    else:
        agent = PastOnly(agent)
    agent.prepare(bars)
    return agent


def _targets(agent: KnowsTargets, bars: BarSeries) -> FloatArray:
    agent.prepare(bars)
    return agent.targets


def _made_alone(agent: PreparesAhead, bars: BarSeries, row: int) -> FloatArray:
    # What it makes of a row without the bars after it, in place of which there are two others.
    past = bars[max(row + 1 - agent.history_bars, 0) : row + 1]
    made = []
    for steepness in (_STEEPNESS, -_STEEPNESS):
        agent.prepare(_continued(past, steepness))
        made.append(agent.prepared(len(past) - 1))
    _require(agent, bars, row, made[0], made[1], _SAME)
    return made[0]


def _continued(past: BarSeries, steepness: float) -> BarSeries:
    ahead = np.arange(1, _FUTURE_BARS + 1)
    close = past.close[-1] * np.exp(steepness * ahead)
    opened = close * np.exp(-0.5 * steepness)
    future = (opened, np.maximum(opened, close), np.minimum(opened, close), close, (past.volume[-1] + 1.0) * ahead)
    columns = (past.open, past.high, past.low, past.close, past.volume)
    times = np.concatenate([past.open_time, past.open_time[-1] + timeframe_ms(past.timeframe) * ahead])
    joined = [np.concatenate(pair) for pair in zip(columns, future, strict=True)]
    return BarSeries(past.symbol, past.timeframe, times, *joined)


def _require_same(agent: PreparesAhead, bars: BarSeries, alone: Iterable[tuple[int, FloatArray]]) -> None:
    for row, made in alone:
        _require(agent, bars, row, made, agent.prepared(row), _ROUNDING)


def _require(
    agent: PreparesAhead, bars: BarSeries, row: int, one: FloatArray, other: FloatArray, within: float
) -> None:
    difference = float(np.abs(one - other).max())
    if not difference <= within * max(1.0, float(np.abs(one).max())):
        raise LookaheadError(
            f"{agent.name} looks ahead: what it makes of row {row} of {bars.symbol} changes by {difference:.3g} with "
            "the bars after it; a row may depend on the bars up to its own only"
        )
