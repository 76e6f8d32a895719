"""How a backtest makes sure that no decision rests on a later bar.

An agent is handed no bar after the one it decides on (`PastOnly`), unless it prepares a whole series at once, for
speed, and shows what it made of each bar. Then it is proved: that must not change with the bars after it. Target
series are computed again on series that end early, some of them where a target changes. Others are shown the bars up
to a few drawn rows, once before a steep rise and once before a steep fall; they must make the same of the row, and
decide the same, both times, and make the same of it in the series that is traded.
"""

import numpy as np
from numpy.typing import NDArray

from src.errors import LookaheadError
from src.market.bars import BarSeries, FloatArray, timeframe_ms
from src.market.lookahead import require_causal
from src.seeding import generator
from src.trading.agent import Agent, KnowsTargets, PreparesAhead
from src.trading.past_only import PastOnly
from src.trading.records import MarketState

Inputs = NDArray[np.float32]

_DECISIONS = 8
_ROWS = 2
_FUTURE_BARS = 16
_STEEPNESS = 0.25  # log-price a bar
_SAME = 1e-6  # of the largest number it makes of a row: series of equal length, rounded alike
_ROUNDING = 1e-3  # of the same: a stretch against the whole series


def without_look_ahead(
    agent: Agent, bars: BarSeries, rows: range, account_inputs: int, proved_rows: int = _ROWS
) -> Agent:
    """Return the agent, prepared for the series, as one that cannot look ahead on the rows, or was proved not to.

    Args:
        agent: decides.
        bars: the series.
        rows: of the series, those that are traded.
        account_inputs: how many it is shown.
        proved_rows: how many rows are drawn to prove it on, where it prepares ahead.

    Raises:
        LookaheadError: it does.
    """
    rng = generator(0, "look-ahead", bars.symbol)
    if isinstance(agent, KnowsTargets):
        _prove_targets(agent, bars[: rows.stop], rows.start, rng)
        agent.prepare(bars)
    elif isinstance(agent, PreparesAhead):
        drawn = sorted(set(rng.integers(rows.start, rows.stop, proved_rows).tolist()))
        flat = np.zeros((1, account_inputs), np.float32)
        alone = {row: _made_alone(agent, bars, row, flat) for row in drawn}
        agent.prepare(bars)
        for row, made in alone.items():
            _require_same(agent, bars, row, made, agent.prepared(row), _ROUNDING)
    else:
        agent = PastOnly(agent)
        agent.prepare(bars)
    return agent


def _prove_targets(agent: KnowsTargets, bars: BarSeries, first_row: int, rng: np.random.Generator) -> None:
    def targets(part: BarSeries) -> FloatArray:
        agent.prepare(part)
        return agent.targets

    decisions = np.flatnonzero(np.diff(targets(bars)[first_row:])) + first_row + 1
    drawn = rng.choice(decisions, min(_DECISIONS, len(decisions)), replace=False).tolist()
    require_causal(agent.name, targets, bars, first_row, drawn)


def _made_alone(agent: PreparesAhead, bars: BarSeries, row: int, flat: Inputs) -> FloatArray:
    # What it makes of a row before two futures that are none, which must be the same, as must be its decisions.
    past = bars[max(row + 1 - agent.history_bars, 0) : row + 1]

    market_state = MarketState(len(past) - 1, int(past.close_time[-1]), flat)

    def made_before(steepness: float) -> FloatArray:
        agent.prepare(_continued(past, steepness))
        decision = agent.act(market_state)
        return np.concatenate([agent.prepared(market_state.row), decision.target, decision.confidence])

    risen, fallen = made_before(_STEEPNESS), made_before(-_STEEPNESS)
    _require_same(agent, bars, row, risen, fallen, _SAME)
    return risen[:-2]


def _continued(past: BarSeries, steepness: float) -> BarSeries:
    ahead = np.arange(1, _FUTURE_BARS + 1)
    close = past.close[-1] * np.exp(steepness * ahead)
    opened = close * np.exp(-0.5 * steepness)
    future = (opened, np.maximum(opened, close), np.minimum(opened, close), close, (past.volume[-1] + 1.0) * ahead)
    columns = (past.open, past.high, past.low, past.close, past.volume)
    times = np.concatenate([past.open_time, past.open_time[-1] + timeframe_ms(past.timeframe) * ahead])
    joined = [np.concatenate(pair) for pair in zip(columns, future, strict=True)]
    return BarSeries(past.symbol, past.timeframe, times, *joined)


def _require_same(
    agent: PreparesAhead, bars: BarSeries, row: int, one: FloatArray, other: FloatArray, within: float
) -> None:
    difference = float(np.abs(one - other).max())
    if not difference <= within * max(1.0, float(np.abs(one).max())):
        raise LookaheadError(
            f"{agent.name} looks ahead: what it makes of row {row} of {bars.symbol} changes by {difference:.3g} with "
            "the bars after it; a row may depend on the bars up to its own only"
        )
