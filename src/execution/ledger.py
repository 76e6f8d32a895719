"""The only accounting of the project: what accounts own, and how fills, interest and prices change it.

Pure functions on arrays of accounts. `xp` is the array namespace: NumPy, `array_api_compat.torch`, or
`src.execution.scalar` for one account of Python floats; the same lines serve all three. Accounts have any shape, (...)
below; bars broadcast against it. With an `AssetAxis` around the namespace, what belongs to a holding (`ASSET_FIELDS`)
has a trailing axis of assets. Money is float64 in quote currency. Not here: the order of events in a bar
(`trading.session`).
"""

from types import ModuleType
from typing import Any, NamedTuple

from src.execution.assets import AssetAxis, total
from src.execution.orders import Fills


class Accounts(NamedTuple):
    """The state of any number of accounts. `last_close` may be shaped like the bars, the rest like the accounts."""

    cash: Any  # negative when borrowed
    units: Any  # held, negative when short
    equity: Any  # cash + units * last_close
    peak_equity: Any  # highest equity at any close so far
    target: Any  # exposure in force: the last decision that was filled
    entry_value: Any  # signed: what the units held cost at their execution prices
    bars_in_trade: Any  # closes seen by the open trade, 0 when flat
    last_close: Any  # price at which the account was last marked
    ruined: Any  # bool: closed out by a margin call or without equity; never trades again
    day_equity: Any  # equity at the last close of the day before (risk guard)
    halt: Any  # how long the risk guard keeps the account flat, see `risk.guard`

    @property
    def entry_price(self) -> Any:
        """Average execution price of the open trade; 0 when flat."""
        return self.entry_value / (self.units + (self.units == 0))


ASSET_FIELDS = frozenset({"units", "target", "entry_value", "bars_in_trade", "last_close"})


def open_accounts(
    xp: ModuleType, shape: tuple[int, ...], equity: float, last_close: Any, device: Any = None
) -> Accounts:
    """Return flat accounts (...) of this shape that own `equity` in cash, marked at `last_close`.

    With assets, `last_close` is (S,) or broadcasts with (..., S).
    """
    cash = xp.full(shape, equity, dtype=xp.float64, device=device)
    none = zero = xp.zeros_like(cash)
    if isinstance(xp, AssetAxis):
        none = zero[..., None] * xp.zeros_like(last_close)
        last_close = none + last_close
    return Accounts(cash, none, cash, cash, none, none, none, last_close, cash < 0, cash, zero)


def charge_interest(xp: ModuleType, accounts: Accounts, borrow_frac: Any, financing_frac: Any) -> tuple[Accounts, Any]:
    """Charge for borrowed units and borrowed cash; return the accounts and what each paid, (...).

    Args:
        xp: array namespace.
        accounts: as of the prior close, whose price values the units held short.
        borrow_frac: charge per short notional for the time since then, in the shape of the units or broadcast to it.
        financing_frac: charge per negative cash for the same time.
    """
    for_units = total(xp, xp.maximum(accounts.units * (accounts.last_close * -borrow_frac), 0.0))
    for_cash = xp.maximum(accounts.cash * -financing_frac, 0.0)
    interest = for_units + for_cash
    return Accounts(accounts.cash - interest, *accounts[1:]), interest  # the hot path; _replace takes twice as long


def book(xp: ModuleType, accounts: Accounts, fills: Fills, target: Any) -> Accounts:
    """Book fills that bring accounts to `target`, (...) all.

    The entry value is kept at average cost: adding to a trade adds what was paid, reducing it scales, turning it around
    starts a new one.
    """
    held = accounts.units
    units = held + fills.units
    kept = xp.maximum(xp.minimum(units, xp.maximum(held, 0.0)), xp.minimum(held, 0.0))  # what is left of `held`
    kept_frac = kept / (held + (held == 0))
    cash = accounts.cash - total(xp, fills.paid + fills.commission)
    entry_value = accounts.entry_value * kept_frac + (units - kept) * fills.price
    bars_in_trade = accounts.bars_in_trade * (kept != 0)
    return Accounts(  # by position: naming the fields costs the single account a tenth of its speed
        cash,
        units,
        accounts.equity,
        accounts.peak_equity,
        target,
        entry_value,
        bars_in_trade,
        accounts.last_close,
        accounts.ruined,
        accounts.day_equity,
        accounts.halt,
    )


def mark(xp: ModuleType, accounts: Accounts, close: Any) -> Accounts:
    """Value the accounts (...) at the close of a bar."""
    equity = accounts.cash + total(xp, accounts.units * close)
    peak_equity = xp.maximum(accounts.peak_equity, equity)
    bars_in_trade = accounts.bars_in_trade + (accounts.units != 0)
    return Accounts(
        accounts.cash,
        accounts.units,
        equity,
        peak_equity,
        accounts.target,
        accounts.entry_value,
        bars_in_trade,
        close,
        accounts.ruined,
        accounts.day_equity,
        accounts.halt,
    )


def is_covered(xp: ModuleType, accounts: Accounts, low: Any, high: Any, maintenance_frac: float) -> Any:
    """Return where equity exceeds the maintenance margin, and zero, at every price from `low` to `high`, bool (...).

    Equity c + u·p > m·|u|·p is, solved for the cash c, c > (m - 1)·u·p when long and c > -(1 + m)·u·p when short; the
    larger right-hand side is the one that applies. Of several assets, each is taken to be at its worse price at once.
    Accounts whose numbers are not finite are not covered.
    """
    long_need = accounts.units * (low * (maintenance_frac - 1.0))
    short_need = accounts.units * (high * (-1.0 - maintenance_frac))
    return accounts.cash > total(xp, xp.maximum(long_need, short_need))
