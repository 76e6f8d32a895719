"""`replay`: the backtest of a target series that is known ahead, all bars at once.

A held position needs no decision, so the state of the account at every close can be worked out cheaply: the lines of
the session, compiled, step the bars on which an order fills, and in between only interest moves the cash. Then one
session of T accounts, one per bar, processes every bar in a single `advance`. It proves the states it started
from: where the account after bar t is not the account before bar t + 1, to the last bit (a margin call, say), the
result is discarded and the caller steps bar by bar. There is no second accounting to trust.
"""

from typing import Any

import numpy as np

from src.config.trading import RiskConfig
from src.execution import scalar
from src.execution.costs import BPS
from src.execution.ledger import Accounts, open_accounts
from src.execution.tape import Tape
from src.market.bars import FloatArray
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, Session
from src.trading.single_session import TracedBar

_CASH, _UNITS = Accounts._fields.index("cash"), Accounts._fields.index("units")


def replay(rules: TradingRules, tape: Tape, targets: FloatArray) -> BarOutcome | None:
    """Return what happened on bars 1 to T - 1 of a tape, in columns (T - 1,), or None where bars must be stepped.

    Args:
        rules: of the run; risk rules and a rebalance band depend on the path, so these are left to the caller.
        tape: of the T bars; the account opens flat at the close of the first.
        targets: (T,) exposures decided at each close.
    """
    if not _is_path_free(rules):
        return None
    states = _states(rules, tape, targets)
    if states is None:
        return None
    session = Session(rules, np)
    session.open(Accounts(*[column[:-1] for column in states]))
    session.decide(targets[:-1])
    outcome = session.advance(tape.at(slice(1, None)))
    proven = all(np.array_equal(after, state[1:]) for after, state in zip(session.accounts, states, strict=True))
    return outcome if proven else None


def _is_path_free(rules: TradingRules) -> bool:
    # Equal to a configuration in which every other risk rule, also one yet to be thought of, is off.
    margin_only = RiskConfig(maintenance_margin_frac=rules.risk.maintenance_margin_frac)
    return rules.action.rebalance_band is None and rules.stop_loss_frac is None and rules.risk == margin_only


def _states(rules: TradingRules, tape: Tape, targets: FloatArray) -> Accounts | None:
    # The account at each close, in columns (T,), supposing no margin call; None where one happens as an order fills.
    bar = TracedBar(rules)
    fill = bar.compile(tape, bar.state)
    interest = _Interest(rules, tape)
    decided = np.flatnonzero(np.diff(targets[:-1], prepend=0.0))
    fills = [0, *(decided + 1).tolist(), len(targets)]
    state: Any = tuple(open_accounts(scalar, (), rules.initial_equity, tape.close.item(0)))
    held = [state]
    cash = interest.carry(state, 0, fills[1])
    for first, row, following in zip(fills, fills[1:-1], fills[2:], strict=False):
        state = fill(_at_close(state, cash, tape.close.item(row - 1), row - 1 - first), targets.item(row - 1), row)
        if state is None:
            return None
        held.append(state)
        cash = interest.carry(state, row, following)
    return _columns(tape.close, interest.cash, held, np.diff(fills))


class _Interest:
    # What a held position pays from close to close, as in `ledger.charge_interest`, and the cash that leaves, (T,).
    def __init__(self, rules: TradingRules, tape: Tape) -> None:
        borrow = tape.years * (rules.costs.borrow_bps_per_year * BPS)
        self._lent = np.append(0.0, tape.close[:-1]) * borrow
        self._financed = tape.years * (rules.costs.financing_bps_per_year * BPS)
        self.cash = np.empty(len(tape.close))

    def carry(self, state: tuple[Any, ...], first: int, stop: int) -> float:
        """Write the cash at the closes of bars [first, stop), given the account at the first; return the last."""
        cash: float = state[_CASH]
        short = min(state[_UNITS], 0.0)
        path = self.cash[first:stop]
        if cash >= 0.0 and short == 0.0:
            path[:] = cash
            return cash
        if cash >= 0.0:
            # Sums one after the other, and all on the positive side if the last is.
            paid = self._lent[first:stop] * short
            paid[0] = cash
            np.add.accumulate(paid, out=path)
        if cash < 0.0 or path[-1] < 0.0:
            path[:] = self._on_credit(cash, short, first, stop)
        return path.item(-1)

    def _on_credit(self, cash: float, short: float, first: int, stop: int) -> list[float]:
        path, rest = [cash], slice(first + 1, stop)
        for lent, financed in zip(self._lent[rest].tolist(), self._financed[rest].tolist(), strict=True):
            cash += short * lent + (cash if cash < 0.0 else 0.0) * financed
            path.append(cash)
        return path


def _at_close(state: tuple[Any, ...], cash: float, close: float, bars: int) -> tuple[Any, ...]:
    # The account `bars` closes later; only what the next fill depends on is brought up to date.
    _, units, _, peak, target, entry_value, age, _, *others = state
    return cash, units, cash + units * close, peak, target, entry_value, age + bars * (units != 0), close, *others


def _columns(close: FloatArray, cash: FloatArray, held: list[tuple[Any, ...]], lengths: Any) -> Accounts:
    # `held` are the accounts right after each fill, which then lasted for `lengths` closes.
    at_fill = Accounts(*[np.array(column) for column in zip(*held, strict=True)])
    kept = Accounts(*[np.repeat(column, lengths) for column in at_fill])
    equity = cash + kept.units * close
    age = np.arange(len(close)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return kept._replace(
        cash=cash,
        equity=equity,
        peak_equity=np.maximum.accumulate(equity),
        bars_in_trade=kept.bars_in_trade + age * (kept.units != 0),
        last_close=close,
    )
