"""The border between the books, which count in float64, and an exchange, which counts in steps, ticks and minima.

Everything here is `Decimal`: the float floor of 0.3 to steps of 0.1 is 0.2. An order leaves only if every number in it
is finite, positive and on the grid. Amounts round towards zero, limit prices away from the market that is asked for,
so that rounding never trades more, or dearer, than was decided.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum

from src.errors import OrderRefused
from src.execution.time_in_force import TimeInForce
from src.market.instrument import Instrument

STOP_LIMIT_GAP_FRAC = Decimal("0.2")  # how far below its stop price the limit of a stop lies that needs one


class StopOrders(Enum):
    """Which stop orders a market takes."""

    none = "none"
    market = "market"  # sold at any price once the stop price is reached
    limit = "limit"  # only with a limit price


@dataclass(frozen=True, slots=True)
class MarketFilters:
    """What an exchange demands of orders in a market; None where it demands nothing."""

    instrument: Instrument
    min_amount: Decimal
    max_amount: Decimal | None
    min_notional: Decimal
    is_trading: bool
    stops: StopOrders = StopOrders.none


@dataclass(frozen=True, slots=True)
class OrderShape:
    """An order the exchange's filters let through. Without a price it takes the market's, and lapses at once.

    With a stop price it rests until the market has fallen to it, and is sent to the market then.

    Raises:
        OrderRefused: a number is not finite and positive. ccxt would put a negative amount on the wire.
    """

    side: str
    amount: Decimal
    price: Decimal | None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.IOC

    def __post_init__(self) -> None:
        for name, value in (("amount", self.amount), ("price", self.price), ("stop price", self.stop_price)):
            is_left_out = name != "amount" and value is None
            if not (is_left_out or (isinstance(value, Decimal) and value.is_finite() and value > 0)):
                raise OrderRefused(f"the {name} of an order is {value}; nothing was sent")

    @property
    def quantity(self) -> Decimal:
        """Signed amount."""
        return self.amount if self.side == "buy" else -self.amount


def decimal_of(value: float) -> Decimal:
    """Return the shortest decimal that reads back as this float.

    Raises:
        OrderRefused: NaN or infinite.
    """
    if not math.isfinite(value):
        raise OrderRefused(f"a number of the order is {value}; nothing was sent")
    return Decimal(repr(float(value)))


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above a value >= 0."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def shape_order(
    filters: MarketFilters,
    units: float,
    reference: float,
    max_slippage_frac: float | None,
    affordable: Decimal | None = None,
    sellable: Decimal | None = None,
) -> OrderShape:
    """Return the order that trades `units` at no worse a price than the reference and the slippage allow.

    Args:
        units: signed, as the books want them.
        reference: the price they were sized at.
        max_slippage_frac: how far from it the limit price lies; None makes a market order.
        affordable: quote currency a buyer may spend, fees aside.
        sellable: base currency a seller may give.

    Raises:
        OrderRefused: a number is not finite, or what is left after rounding is below the exchange's minimum.
    """
    wanted, price = decimal_of(units), decimal_of(reference)
    if price <= 0:
        raise OrderRefused(f"{filters.instrument.symbol}: the reference price is {reference}; nothing was sent")
    side = "buy" if wanted > 0 else "sell"
    tick = filters.instrument.tick
    limit = None if max_slippage_frac is None else _limit_price(price, side, decimal_of(max_slippage_frac), tick)
    amount = abs(wanted)
    if side == "buy" and affordable is not None:
        amount = min(amount, max(affordable, Decimal(0)) / (limit or price))
    if side == "sell" and sellable is not None:
        amount = min(amount, max(sellable, Decimal(0)))
    if filters.max_amount is not None:
        amount = min(amount, filters.max_amount)
    amount = round_down(amount, filters.instrument.step)
    _require_minimum(filters, amount, min(price, limit) if limit is not None else price)
    return OrderShape(side, amount, limit)


def shape_stop(filters: MarketFilters, held: Decimal, trigger: float) -> OrderShape:
    """Return the order that sells what is held once the market has fallen to a price.

    Raises:
        OrderRefused: a number is not finite, or what is held is below the exchange's minimum.
    """
    amount = held if filters.max_amount is None else min(held, filters.max_amount)
    amount, tick = round_down(max(amount, Decimal(0)), filters.instrument.step), filters.instrument.tick
    stop_price = round_down(decimal_of(trigger), tick)
    limit = round_down(stop_price * (1 - STOP_LIMIT_GAP_FRAC), tick) if filters.stops is StopOrders.limit else None
    _require_minimum(filters, amount, stop_price if limit is None else limit)
    time_in_force = TimeInForce.IOC if limit is None else TimeInForce.GTC
    return OrderShape("sell", amount, limit, stop_price, time_in_force)


def _limit_price(price: Decimal, side: str, slippage: Decimal, tick: Decimal) -> Decimal:
    # Rounded towards the reference, so that the limit never allows more than was said.
    if side == "buy":
        return (price * (1 + slippage) / tick).to_integral_value(ROUND_FLOOR) * tick
    return (price * (1 - slippage) / tick).to_integral_value(ROUND_CEILING) * tick


def is_large_enough(filters: MarketFilters, amount: Decimal, price: Decimal) -> bool:
    """Say whether an exchange takes an order of so little."""
    return amount > 0 and amount >= filters.min_amount and amount * price >= filters.min_notional


def _require_minimum(filters: MarketFilters, amount: Decimal, price: Decimal) -> None:
    notional, market = amount * price, filters.instrument
    if not is_large_enough(filters, amount, price):
        raise OrderRefused(
            f"{market.symbol}: {amount} {market.base} ({notional:.8g} {market.quote}) is below the minimum"
            f" of {filters.min_amount} {market.base} and {filters.min_notional} {market.quote}; nothing was sent"
        )
