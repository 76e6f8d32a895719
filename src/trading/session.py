"""`Session`: the bar loop's account half, the same in training, backtest, paper and live.

Order of one bar: interest for the time since the prior close -> margin at the open -> the pending order fills at the
open -> protective stop -> margin at the bar's adverse extreme -> mark at the close -> account inputs -> decide -> guard
-> sizing -> pending.

Stop and margin are pessimistic: OHLC bars do not say when the extreme came, so the position held after the fill is
taken to have been held through it. It is closed, with costs, at its stop price or the open, whichever is worse, if the
bar reaches that price; and at the extreme, if it no longer covers its maintenance margin there.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from src.errors import TradingHalted
from src.execution.assets import each
from src.execution.broker import Broker
from src.execution.costs import BPS
from src.execution.ledger import ASSET_FIELDS, Accounts, book, charge_interest, is_covered, mark
from src.execution.orders import Fills, Orders, add_fills
from src.execution.simulated import SimulatedBroker
from src.execution.tape import Tape
from src.risk.guard import guard, has_rules, watch
from src.risk.protective_stop import stop_prices
from src.risk.sizing import order_units
from src.trading.account_inputs import account_inputs
from src.trading.rewards import Reward
from src.trading.rules import TradingRules


class BarOutcome(NamedTuple):
    """What one bar did to each account; fields are named and defined as in `StepRecord`."""

    units: Any  # held at the close
    fill_units: Any
    fill_price: Any
    commission: Any
    spread: Any
    slippage: Any
    financing: Any
    equity: Any
    reward: Any
    terminated: Any
    call_units: Any
    call_price: Any
    call_commission: Any
    call_spread: Any
    call_slippage: Any


class Session:
    """Accounts that are carried from bar to bar under the rules of a run.

    Args:
        rules: actions, costs, risk and reward.
        xp: array namespace of the accounts: `numpy`, `array_api_compat.torch`, or `src.execution.scalar` for a single
            account of Python floats (bars then come from `Tape.bar`).
        broker: what fills orders; simulated unless given.
    """

    accounts: Accounts
    pending: Orders

    def __init__(self, rules: TradingRules, xp: ModuleType = np, broker: Broker | None = None) -> None:
        self.rules = rules
        self._xp = xp
        self._broker: Broker = broker if broker is not None else SimulatedBroker(rules.costs, xp)
        self._reward = Reward(rules, xp)
        self._has_rules = has_rules(rules.risk)
        self._stop_loss_frac = rules.stop_loss_frac
        self._borrow = rules.costs.borrow_bps_per_year * BPS
        self._financing = rules.costs.financing_bps_per_year * BPS

    def open(self, accounts: Accounts) -> None:
        """Start with these accounts, marked at their last close, with no order pending."""
        self._resume(accounts, Orders(self._xp.zeros_like(accounts.units), accounts.target))

    def reopen(self, which: Any, accounts: Accounts) -> None:
        """Replace the accounts where `which` (bool, accounts' shape) holds by fresh ones with no order pending."""
        xp = self._xp
        holdings = each(xp, which)
        pairs = zip(Accounts._fields, accounts, self.accounts, strict=True)
        merged = [xp.where(holdings if name in ASSET_FIELDS else which, new, old) for name, new, old in pairs]
        units = xp.where(holdings, 0.0, self.pending.units)
        self._resume(Accounts(*merged), Orders(units, xp.where(holdings, accounts.target, self.pending.target)))

    def advance(self, bar: Tape) -> BarOutcome:
        """Process one bar.

        Raises:
            TradingHalted: an account's cash is not a finite number, because a target, fill or price was not.
        """
        xp, before = self._xp, self.accounts
        accounts, financing = self._charge_interest(bar)
        accounts, early = self._margin_call(accounts, bar.open, bar.open, bar)
        orders = self.pending if early is None else self._cancelled(accounts.ruined)
        fills = self._broker.fill(orders, bar.open, bar)
        accounts = book(xp, accounts, fills, orders.target)
        stopped = None
        if self._stop_loss_frac is not None:
            accounts, stopped = self._stop_out(accounts, bar, self._stop_loss_frac)
        accounts, late = self._margin_call(accounts, bar.low, bar.high, bar)
        accounts = mark(xp, accounts, bar.close)
        if self._has_rules:
            accounts = watch(xp, self.rules.risk, before.equity, accounts, bar.new_day)
        reward = self._rewarded(before, accounts, orders.target, bar)
        both, call, terminated = fills, self._no_call, self._nobody
        if early is not None or stopped is not None or late is not None:
            for part in (early, stopped, late):
                call = call if part is None else add_fills(call, part)
            both = add_fills(fills, call)
            terminated = accounts.ruined & xp.logical_not(before.ruined)
            accounts = accounts._replace(target=xp.where(each(xp, accounts.ruined), 0.0, accounts.target))
            self._some_ruined = bool(xp.any(accounts.ruined))
        self.accounts = accounts
        self.pending = Orders(self._nothing, accounts.target)  # without a decision the target stands
        return BarOutcome(
            accounts.units,
            fills.units,
            fills.price,
            both.commission,
            both.spread,
            both.slippage,
            financing,
            accounts.equity,
            reward,
            terminated,
            call.units,
            call.price,
            call.commission,
            call.spread,
            call.slippage,
        )

    def account_inputs(self) -> Any:
        """Return what a policy may see of its accounts, float32 (..., C), columns as in `rules.account_inputs`."""
        return account_inputs(self._xp, self.accounts, self.rules)

    def decide(self, target: Any, hold: Any = None) -> Any:
        """Take the target exposures of this close; return those in force after the guard.

        Args:
            target: finite, float64, in the accounts' shape. Called twice at one close, the later decision counts.
            hold: where the position stays as it is: no order is placed, and the target in force remains, unless the
                guard changes it.
        """
        xp, wanted = self._xp, target
        if self._has_rules:
            target = guard(xp, self.rules.risk, self.accounts, target)
        if self._some_ruined:
            target = xp.where(each(xp, self.accounts.ruined), 0.0, target)
        units = order_units(xp, self.accounts, target, self.rules.action.rebalance_band)
        if hold is not None:
            hold = hold & (target == wanted)
            target, units = xp.where(hold, self.accounts.target, target), xp.where(hold, 0.0, units)
        self.pending = Orders(units, target)
        return target

    def state_dict(self) -> dict[str, Any]:
        """Return the accounts and the pending order as plain arrays."""
        accounts = {f"accounts.{name}": value for name, value in self.accounts._asdict().items()}
        return accounts | {f"pending.{name}": value for name, value in self.pending._asdict().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        accounts = Accounts(**{name: state[f"accounts.{name}"] for name in Accounts._fields})
        self._resume(accounts, Orders(**{name: state[f"pending.{name}"] for name in Orders._fields}))

    def _resume(self, accounts: Accounts, pending: Orders) -> None:
        xp = self._xp
        self.accounts = accounts
        self.pending = pending
        self._nothing = xp.zeros_like(accounts.units)
        self._no_interest = xp.zeros_like(accounts.cash)
        self._nobody = self._no_interest != 0
        self._no_call = Fills(*[self._nothing] * len(Fills._fields))
        self._some_ruined = bool(xp.any(accounts.ruined))

    def _charge_interest(self, bar: Tape) -> tuple[Accounts, Any]:
        if self._borrow == 0 and self._financing == 0:
            return self.accounts, self._no_interest
        years = bar.years
        if self._some_ruined:  # a debt that is left is not chased
            years = self._xp.where(self.accounts.ruined, 0.0, years)
        return charge_interest(self._xp, self.accounts, each(self._xp, years) * self._borrow, years * self._financing)

    def _stop_out(self, accounts: Accounts, bar: Tape, loss_frac: float) -> tuple[Accounts, Fills | None]:
        """Close the positions whose protective stop the bar reaches, at the worse of stop and open; seldom any."""
        xp, price = self._xp, stop_prices(self._xp, accounts, loss_frac)
        falls, rises = (accounts.units > 0) & (bar.low <= price), (accounts.units < 0) & (bar.high >= price)
        reached = falls | rises
        if not xp.any(reached):
            return accounts, None
        worse = xp.where(falls, xp.minimum(price, bar.open), xp.maximum(price, bar.open))
        fills = self._broker.fill(Orders(xp.where(reached, -accounts.units, 0.0), accounts.target), worse, bar)
        return book(xp, accounts, fills, xp.where(reached, 0.0, accounts.target)), fills

    def _margin_call(self, accounts: Accounts, low: Any, high: Any, bar: Tape) -> tuple[Accounts, Fills | None]:
        """Close out the accounts that do not cover their margin at the worse of two prices; almost always none."""
        xp = self._xp
        covered = is_covered(xp, accounts, low, high, self.rules.risk.maintenance_margin_frac)
        if xp.all(covered):
            return accounts, None
        if not xp.all(xp.isfinite(accounts.cash)):
            raise TradingHalted("an account's cash is not a finite number; check targets, fills and prices for NaN")
        called = xp.logical_not(covered | accounts.ruined)
        if not xp.any(called):
            return accounts, None
        extreme = xp.where(accounts.units > 0, low, high)
        orders = Orders(xp.where(each(xp, called), -accounts.units, 0.0), accounts.target)
        fills = self._broker.fill(orders, extreme, bar)
        closed = book(xp, accounts, fills, accounts.target)
        return closed._replace(ruined=accounts.ruined | called), fills

    def _cancelled(self, ruined: Any) -> Orders:
        """Drop the orders of accounts that were closed out before these could fill."""
        where, ruined = self._xp.where, each(self._xp, ruined)
        target = where(ruined, self.accounts.target, self.pending.target)
        return Orders(where(ruined, 0.0, self.pending.units), target)

    def _rewarded(self, before: Accounts, after: Accounts, target: Any, bar: Tape) -> Any:
        if not self._some_ruined:
            return self._reward(before, after, target, bar)
        # Accounts ruined earlier earn nothing; 1 stands for an equity that may be zero.
        where = self._xp.where
        solvent = before._replace(equity=where(before.ruined, 1.0, before.equity))
        return where(before.ruined, 0.0, self._reward(solvent, after, target, bar))


def opening(accounts: Accounts) -> BarOutcome:
    """Return the outcome of the bar at whose close accounts are opened: nothing was filled, paid or earned."""
    none, nothing = accounts.equity * 0.0, accounts.units * 0.0
    outcome = BarOutcome(*[nothing] * len(BarOutcome._fields))
    of_account = {"financing": none, "equity": accounts.equity, "reward": none, "terminated": none != 0}
    return outcome._replace(units=accounts.units, **of_account)
