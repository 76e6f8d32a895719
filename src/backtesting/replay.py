"""`replay`: the backtest of a target series that is known ahead, all bars at once.

A held position needs no decision, so the state of the account at every close can be worked out cheaply: the session
itself steps the bars on which an order fills, and in between only interest moves the cash. Then one session of T
accounts, one per bar, lives through every bar in a single `advance`. It proves the states it started from: where the
account after bar t is not the account before bar t + 1, to the last bit (a margin call, say), the result is discarded
and the caller steps bar by bar. There is no second accounting to trust.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from src.config.schema import RiskConfig
from src.execution import scalar
from src.execution.costs import BPS
from src.execution.ledger import Accounts, open_accounts
from src.execution.tape import Tape
from src.market.bars import FloatArray
from src.trading.rules import TradingRules
from src.trading.session import Outcome, Session
from src.trading.single import SingleSession


def replay(rules: TradingRules, tape: Tape, targets: FloatArray) -> Outcome | None:
    """Return what happened on bars 1 to T - 1 of a tape, in columns (T - 1,), or None where bars must be stepped.

    Args:
        rules: of the run; risk rules and a rebalance band depend on the path, so these are left to the caller.
        tape: of the T bars; the account opens flat at the close of the first.
        targets: (T,) exposures decided at each close.
    """
    if not _is_path_free(rules):
        return None
    states = _states(rules, tape, targets)
    session = Session(rules, np)
    session.open(Accounts(*[column[:-1] for column in states]))
    session.decide(targets[:-1])
    outcome = session.advance(tape.at(slice(1, None)))
    proven = all(np.array_equal(after, state[1:]) for after, state in zip(session.accounts, states, strict=True))
    return outcome if proven else None


def _is_path_free(rules: TradingRules) -> bool:
    # Equal to a configuration in which every other risk rule, also one yet to be thought of, is off.
    margin_only = RiskConfig(maintenance_margin_frac=rules.risk.maintenance_margin_frac)
    return rules.action.rebalance_band is None and rules.risk == margin_only


def _states(rules: TradingRules, tape: Tape, targets: FloatArray) -> Accounts:
    # The account at each close, in columns (T,), supposing no margin call.
    count = len(targets)
    decided = np.flatnonzero(np.diff(targets[:-1], prepend=0.0))
    fills = [*(decided + 1).tolist(), count]
    account = open_accounts(scalar, (), rules.initial_equity, tape.close.item(0))
    session, interest = SingleSession(rules, tape), _Interest(rules, tape)
    cash, held, first = interest.carry(account, 0, fills[0]), [account], 0
    for bar, following in pairwise(fills):
        session.open(_at_close(account, cash[-1], tape.close.item(bar - 1), bar - 1 - first))
        session.step(targets.item(bar - 1), bar)
        account = session.accounts
        held.append(account)
        cash += interest.carry(account, bar, following)
        first = bar
    return _columns(tape.close, np.array(cash), held, np.diff([0, *fills]))


class _Interest:
    # What a held position pays from close to close, as in `ledger.charge_interest`.
    def __init__(self, rules: TradingRules, tape: Tape) -> None:
        borrow = tape.years * (rules.costs.borrow_bps_per_year * BPS)
        self._lent = (np.append(0.0, tape.close[:-1]) * borrow).tolist()
        self._financed = (tape.years * (rules.costs.financing_bps_per_year * BPS)).tolist()

    def carry(self, account: Accounts, first: int, stop: int) -> list[float]:
        """Return the cash at the closes of bars [first, stop), given the account at the first of them."""
        cash, short = account.cash, min(account.units, 0.0)
        if cash >= 0.0 and short == 0.0:
            return [cash] * (stop - first)
        path = [cash]
        for lent, financed in zip(self._lent[first + 1 : stop], self._financed[first + 1 : stop], strict=True):
            cash += short * lent + (cash if cash < 0.0 else 0.0) * financed
            path.append(cash)
        return path


def _at_close(account: Accounts, cash: float, close: float, bars: int) -> Accounts:
    # The account `bars` closes later; only what the next fill depends on is brought up to date.
    return account._replace(
        cash=cash,
        equity=cash + account.units * close,
        last_close=close,
        bars_in_trade=account.bars_in_trade + bars * (account.units != 0),
    )


def _columns(close: FloatArray, cash: FloatArray, held: list[Accounts], lengths: Any) -> Accounts:
    # `held` are the accounts right after each fill, which then lasted for `lengths` closes.
    def repeated(name: str) -> FloatArray:
        return np.repeat([getattr(account, name) for account in held], lengths)

    units = repeated("units")
    equity = cash + units * close
    age = np.arange(len(close)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Accounts(
        cash=cash,
        units=units,
        equity=equity,
        peak_equity=np.maximum.accumulate(equity),
        target=repeated("target"),
        entry_value=repeated("entry_value"),
        bars_in_trade=repeated("bars_in_trade") + age * (units != 0),
        last_close=close,
        ruined=np.zeros(len(close), dtype=np.bool_),
        day_equity=repeated("day_equity"),
        halt=repeated("halt"),
    )
