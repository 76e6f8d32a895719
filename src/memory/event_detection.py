"""What is worth remembering: criteria over bars, trades and decisions, each a causal function.

An event starts at one bar and is known at a later one: `started_at` is the close at which a decision could have used
the memory of it, `ended_at` the close at which its outcome was known. Whether it is significant depends on bars up to
`ended_at` only. Thresholds are multiples of the volatility known at the start, so a crash does not raise its own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.config.agent.memory import SignificanceConfig
from src.errors import DataError
from src.evaluation.trades import Trades
from src.market.bars import BarSeries, FloatArray
from src.memory.outcomes import KINDS, EventKind, EventOutcomes


class Events(NamedTuple):
    """Significant events of a series, (M,) each, in order of their end."""

    row: NDArray[np.intp]  # bar at which the state was met: whose key to remember
    outcomes: EventOutcomes

    def since(self, first_row: int) -> "Events":
        """Return those met at or after a row: keys of warm-up rows mean nothing."""
        late = self.row >= first_row
        return Events(self.row[late], self.outcomes.take(late))


def sharp_moves(bars: BarSeries, volatility: FloatArray, config: SignificanceConfig) -> Events:
    """Return flash crashes and rallies: |log-return| over `move_bars` of at least `move_sigmas` volatilities.

    The volatility of a move of n bars is √n times that of a bar. Value: the log-return of the move. A market that
    stands still has no events, and the first move after it is always one.

    Args:
        volatility: (T,) of one bar, as known at each close.
    """
    path = np.log(bars.close)
    moves = path[config.move_bars :] - path[: -config.move_bars]  # of the bars after each row
    size = np.abs(moves)
    large = size >= config.move_sigmas * np.sqrt(config.move_bars) * volatility[: len(moves)]
    rows = np.flatnonzero(large & (size > 0))
    kinds = _either(moves[rows] > 0, EventKind.flash_rally, EventKind.flash_crash)
    return _events(bars, kinds, rows, rows + config.move_bars, moves[rows])


def large_trades(
    bars: BarSeries, trades: Trades, first_row: int, volatility: FloatArray, config: SignificanceConfig
) -> Events:
    """Return large wins and losses: closed trades that returned at least `trade_sigmas` volatilities of their length.

    Value: profit over the value at entry. The state was met at the close before the entry, where it was decided on;
    a trade entered at the first bar has no such close and is left out.

    Args:
        first_row: row of `bars` at which the records of the trades begin.
        volatility: (T,) of one bar, as known at each close.
    """
    entry, end = trades.entry_row + first_row, trades.exit_row + first_row
    returns = trades.returns
    held = np.maximum(end - entry, 1)
    large = np.abs(returns) >= config.trade_sigmas * np.sqrt(held) * volatility[np.maximum(entry - 1, 0)]
    chosen = np.flatnonzero(large & trades.is_closed & (returns != 0) & (entry > 0))
    chosen = chosen[np.argsort(end[chosen], kind="stable")]
    kinds = _either(returns[chosen] > 0, EventKind.large_win, EventKind.large_loss)
    return _events(bars, kinds, entry[chosen] - 1, end[chosen], returns[chosen])


def regime_shifts(bars: BarSeries, regimes: NDArray[np.int64], config: SignificanceConfig) -> Events:
    """Return the bars whose regime is not that of the bar before; value: the log-return of the next `outcome_bars`.

    Args:
        regimes: (T,) label of each bar, known at its close.
    """
    _require_length("regimes", regimes, bars)
    rows = np.flatnonzero(np.diff(regimes)) + 1
    return _followed(bars, EventKind.regime_shift, rows, np.log(bars.close), config)


def rare_actions(bars: BarSeries, targets: FloatArray, equity: FloatArray, config: SignificanceConfig) -> Events:
    """Return decisions for a new target that at most `rare_frac` of the earlier decisions took.

    Value: the growth of log equity over the next `outcome_bars`.

    Args:
        targets: (T,) decided at each close.
        equity: (T,) at each close, positive.
    """
    _require_length("targets", targets, bars)
    _require_length("equity", equity, bars)
    before = np.arange(len(targets))
    rare = np.zeros(len(targets), dtype=np.bool_)
    for target in np.unique(targets):
        taken = targets == target
        earlier = np.cumsum(taken) - taken
        rare |= taken & (earlier <= config.rare_frac * before)
    is_new = np.diff(targets, prepend=targets[:1]) != 0
    rows = np.flatnonzero(rare & is_new & (before >= config.decisions_before_rare))
    return _followed(bars, EventKind.rare_action, rows, np.log(equity), config)


def _followed(
    bars: BarSeries, kind: EventKind, rows: NDArray[np.intp], path: FloatArray, config: SignificanceConfig
) -> Events:
    # Events whose value is the change of `path` over the bars after them, where those bars exist.
    rows = rows[rows + config.outcome_bars < len(bars)]
    ends = rows + config.outcome_bars
    return _events(bars, np.full(len(rows), KINDS.index(kind)), rows, ends, path[ends] - path[rows])


def _events(
    bars: BarSeries, kinds: NDArray[np.int64], rows: NDArray[np.intp], ends: NDArray[np.intp], values: FloatArray
) -> Events:
    closes = bars.close_time
    return Events(rows, EventOutcomes(kinds, values, closes[rows], closes[ends]))


def _either(first: NDArray[np.bool_], one: EventKind, other: EventKind) -> NDArray[np.int64]:
    return np.where(first, KINDS.index(one), KINDS.index(other))


def _require_length(name: str, values: NDArray[np.generic], bars: BarSeries) -> None:
    if values.shape != (len(bars),):
        raise DataError(f"{bars.symbol}: {name} must have one value for each of {len(bars)} bars, got {values.shape}")
