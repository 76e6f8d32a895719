"""`OrderBook`: the best prices of a recorded or generated market, and one order of ours that waits in its queue.

Our order stands behind the volume that is shown at its price when it arrives. What trades at that price takes those
before us first, then us; what is cancelled there leaves pro rata before and behind us (so do Cont, Stoikov and Talreja,
Operations Research 58, 2010, in expectation); what joins stands behind us. A better price than the market's is served
first. An order whose price is left behind is, when the market comes back, behind all that is shown then. Nobody reacts
to us, and what we take is there again for the next one: sizes should be small beside those of the market.

Prices are counted in ticks and sizes in lots, so that nothing is rounded. Not here: who trades when (`order_flow.py`).
"""

import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.errors import DataError


class BookEvent(NamedTuple):
    """The best prices after something happened.

    Attributes:
        bid, ask: in ticks.
        bid_size, ask_size: in lots, ours not among them.
        traded: lots that traded at the best price of before; > 0 if a buyer took them, < 0 if a seller did.
    """

    time_ms: float
    bid: int
    bid_size: int
    ask: int
    ask_size: int
    traded: int = 0


class Fill(NamedTuple):
    """Lots of ours that traded, all at one price."""

    time_ms: float
    lots: int
    ticks: int
    is_maker: bool


@dataclass
class RestingOrder:
    """Our order in the book.

    Attributes:
        sign: 1 to buy, -1 to sell.
        ahead: lots that trade before it at its price.
    """

    sign: int
    ticks: int
    lots: int
    ahead: float
    fills: list[Fill] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Lots that have not traded."""
        return self.lots - sum(fill.lots for fill in self.fills)

    def trade(self, time_ms: float, lots: float) -> None:
        """Trade up to so many lots."""
        if (whole := min(int(lots), self.left)) > 0:
            self.fills.append(Fill(time_ms, whole, self.ticks, True))


class OrderBook:
    """Replays events in order of time; the first one is the book as it is found.

    Args:
        events: at least one.
    """

    def __init__(self, events: Sequence[BookEvent]) -> None:
        self._events, self._next = events, 1
        self.now, self.time_ms = events[0], events[0].time_ms
        self.ours: RestingOrder | None = None

    @property
    def mid(self) -> float:
        """The middle of the best prices, in ticks."""
        return (self.now.bid + self.now.ask) / 2

    def advance(self, until_ms: float) -> None:
        """Let all happen that happens up to a time."""
        while self._next < len(self._events) and self._events[self._next].time_ms <= until_ms:
            before, self.now = self.now, self._events[self._next]
            self._next += 1
            if self.ours is not None and self.ours.left:
                _happen(self.ours, before, self.now)
        self.time_ms = max(self.time_ms, until_ms)

    def would_take(self, sign: int, ticks: int) -> bool:
        """Say whether an order at this price meets one on the other side."""
        return ticks >= self.now.ask if sign > 0 else ticks <= self.now.bid

    def take(self, sign: int, lots: int, worst: int | None = None) -> list[Fill]:
        """Trade at once, up to a worst price; behind the best price lies as much as there, a tick further each time."""
        price, size = (self.now.ask, self.now.ask_size) if sign > 0 else (self.now.bid, self.now.bid_size)
        fills = []
        while lots > 0 and (worst is None or sign * price <= sign * worst):
            fills.append(Fill(self.time_ms, min(lots, max(size, 1)), price, False))
            lots, price = lots - fills[-1].lots, price + sign
        return fills

    def rest(self, sign: int, ticks: int, lots: int) -> RestingOrder:
        """Put an order that does not take into the queue of its price."""
        best, size = (self.now.bid, self.now.bid_size) if sign > 0 else (self.now.ask, self.now.ask_size)
        self.ours = RestingOrder(sign, ticks, lots, ahead=0.0 if sign * ticks > sign * best else float(size))
        return self.ours


def _happen(order: RestingOrder, before: BookEvent, after: BookEvent) -> None:
    # Prices of the order's own side and of the other one so that a higher one is better for whoever trades with us.
    was, size, _ = _seen(before, order.sign)
    best, now_size, other = _seen(after, order.sign)
    price, hit = order.sign * order.ticks, max(-order.sign * after.traded, 0)
    if price > was:
        order.ahead = 0.0
    if hit and price >= was:
        taken = min(order.ahead, hit)
        order.ahead -= taken
        order.trade(after.time_ms, hit - taken)
    stood = size - hit
    if price == was == best and stood > now_size:  # cancelled
        order.ahead *= now_size / stood
    elif was > price == best:
        order.ahead = float(now_size)
    if other <= price:  # somebody offers at our price
        order.trade(after.time_ms, order.left)


def _seen(event: BookEvent, sign: int) -> tuple[int, int, int]:
    if sign > 0:
        return event.bid, event.bid_size, event.ask
    return -event.ask, event.ask_size, -event.bid


def read_events(path: Path, tick: float, lot: float) -> list[BookEvent]:
    """Return recorded events: a CSV file with `time_ms,bid,bid_size,ask,ask_size,traded`, in order of time.

    Raises:
        DataError: it cannot be read, or its rows are not in order.
    """
    try:
        with path.open(newline="") as file:
            events = [
                _event({name: float(text) for name, text in row.items()}, tick, lot) for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} is no record of a book ({error}); its columns are {', '.join(BookEvent._fields)}"
        ) from None
    if not events or any(later.time_ms < earlier.time_ms for earlier, later in itertools.pairwise(events)):
        raise DataError(f"{path} holds no events in order of time; sort them by time_ms")
    return events


def _event(row: dict[str, float], tick: float, lot: float) -> BookEvent:
    bid, ask = round(row["bid"] / tick), round(row["ask"] / tick)
    if bid >= ask:
        raise ValueError(f"at {row['time_ms']:g} the bid is not below the ask")
    sizes = {name: round(row[name] / lot) for name in ("bid_size", "ask_size", "traded")}
    return BookEvent(row["time_ms"], bid, sizes["bid_size"], ask, sizes["ask_size"], sizes["traded"])
