"""What does each style of execution cost on a book with queues, adverse selection and latency?

Decisions to buy or sell are traded by the live bot's own styles, through its own order desk and journal, on generated
markets (`order_flow.py`) or on a recorded one (`--events`), each style on the same events. Cost is in basis points of
the middle price at the decision: the price paid, fees, and what completing the rest at the end of the window costs, by
which the wait for what did not trade is charged. Intervals are Student's t at 95 %, of differences on the same events.
"""

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks.common import command_line, run_benchmark
from benchmarks.live.book_account import BookAccount, Latency
from benchmarks.live.order_book import BookEvent, OrderBook, read_events
from benchmarks.live.order_flow import OrderFlow
from src.config.base import require_known
from src.config.live import Execution, LiveConfig
from src.errors import ConfigError, DataError
from src.journal.journal import Journal
from src.journal.schema import JournaledOrder, client_order_id
from src.live.venues.execution.order_desk import OrderDesk
from src.live.venues.execution.style import style_of
from src.seeding import generator

TAKES = "2 min"

SYMBOL, LOTS = "BASE/QUOTE", 100  # an order; the sizes of markets are in the same lots
PRICE = 100  # of a coin, before the first event
WARM_UP_S, WINDOW_S = 5.0, 60.0
MAX_SLIPPAGE = Decimal("0.005")
LATENCY = Latency(one_way_ms=60.0, cancel_ms=120.0)

# Orders of magnitude, not fits: a tick, a spread and a volatility as liquid, restless and thin spot markets have them.
CALM = OrderFlow(0.1, 1, 3.0, 0.34, trades_s=0.8, trade_size=50, shown=500, changes_s=10)
MARKETS = {
    "calm": CALM,
    "volatile": OrderFlow(0.1, 5, 15.0, 0.34, trades_s=3.0, trade_size=100, shown=200, changes_s=10),
    "thin": OrderFlow(1.0, 5, 6.0, 0.34, trades_s=0.05, trade_size=100, shown=300, changes_s=1),
    "large tick": OrderFlow(1.0, 1, 3.0, 0.34, trades_s=0.3, trade_size=200, shown=2_000, changes_s=2),
    "drifting": replace(CALM, drift_bp=2.0),  # towards the decision, as where it is right at once
}
# Maker and taker, of an account without discounts, as both exchanges listed them in 2025: assumptions, to be checked.
FEES_BP = {"binance": (10.0, 10.0), "kraken": (25.0, 40.0)}


class Occasion(NamedTuple):
    """A decision: what happens around it, and its side, 1 to buy and -1 to sell."""

    events: Sequence[BookEvent]
    sign: int


@dataclass(frozen=True)
class Traded:
    """What one decision came to.

    Attributes:
        price_bp: paid beyond the middle price at the decision, what was completed at the end included.
        maker: part that traded while it rested.
        completed: part that had to be completed at the end.
        seconds: until a lot had traded, on average.
    """

    price_bp: float
    maker: float
    completed: float
    seconds: float

    def cost_bp(self, fees_bp: tuple[float, float]) -> float:
        """Return what it cost with fees of a maker and of a taker."""
        maker_bp, taker_bp = fees_bp
        return self.price_bp + self.maker * maker_bp + (1 - self.maker) * taker_bp


class Interval(NamedTuple):
    """A mean, and half of its 95 % interval."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ± {self.half:.2f}"


def parser() -> ArgumentParser:
    """Return the command line."""
    found = command_line(__spec__, __doc__, settings=True)
    found.add_argument("--decisions", type=int, default=600, help="in each market")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--rest-s", type=float, default=LiveConfig.rest_s, help="how long orders may rest")
    found.add_argument("--events", type=Path, help="record of a book to replay, as CSV: " + ",".join(BookEvent._fields))
    found.add_argument("--tick", type=float, default=0.01, help="of the record's prices")
    found.add_argument("--lot", type=float, default=0.00001, help=f"of the record's sizes; an order is {LOTS} of them")
    return found


def main(
    settings: Sequence[str], decisions: int, seed: int, rest_s: float, events: Path | None, tick: float, lot: float
) -> None:
    """Print a table for each market; settings are those of `OrderFlow`, for all markets, and of `Latency`."""
    changes = _changes(settings)
    latency = LATENCY._replace(**{name: value for name, value in changes.items() if name in Latency._fields})
    flow = {name: value for name, value in changes.items() if name not in Latency._fields}
    fees = ", ".join(f"{name} {maker:g}/{taker:g}" for name, (maker, taker) in FEES_BP.items())
    print(f"Orders of {LOTS} lots rest for up to {rest_s:g} s, and are completed {WINDOW_S:g} s after the decision.")
    print(f"A request takes {latency.one_way_ms:g} ms each way, a cancellation {latency.cancel_ms:g} ms to be heeded.")
    print(f"Fees in basis points, maker/taker: {fees}. Slippage up to {MAX_SLIPPAGE:%}.")
    for name, occasions, size in _markets(decisions, seed, events, tick, lot, flow):
        print(f"\n{name}")
        _show(judge(occasions, size, rest_s, latency))


def _changes(settings: Sequence[str]) -> dict[str, float]:
    known = [*Latency._fields, *(field.name for field in fields(OrderFlow))]
    pairs = [text.partition("=")[::2] for text in settings]
    require_known("--set", [name for name, _ in pairs], known)
    try:
        numbers = {name: float(value) for name, value in pairs}
    except ValueError as error:
        raise ConfigError(f"--set takes numbers, such as trade_share=0 ({error})") from None
    return {name: int(number) if number.is_integer() else number for name, number in numbers.items()}


def judge(
    occasions: Sequence[Occasion], tick: Decimal, rest_s: float, latency: Latency = LATENCY
) -> Mapping[Execution, list[Traded]]:
    """Return what each style made of the same decisions."""
    journal, found = Journal("sqlite://"), {}  # in memory
    for style in Execution:
        config = LiveConfig(execution=style, rest_s=rest_s, account=style.value)
        found[style] = [trade(one, config, journal, tick, latency, place) for place, one in enumerate(occasions)]
    journal.close()
    return found


def trade(
    occasion: Occasion, config: LiveConfig, journal: Journal, tick: Decimal, latency: Latency, number: int
) -> Traded:
    """Trade one decision in the style of the settings, and complete it at the end of the window."""
    book, sign = OrderBook(occasion.events), occasion.sign
    book.advance(occasion.events[0].time_ms + WARM_UP_S * 1000)
    began_ms, middle = book.time_ms, book.mid
    account = BookAccount(book, SYMBOL, tick, latency)
    order = _decided(config.account, number, sign, middle, tick, account)
    journal.add_order(order)
    latest = int(began_ms + WINDOW_S * 1000)
    desk = OrderDesk(account, journal, lambda: account.filters(SYMBOL), order, account.now_ms, latest, account.may_rest)
    style_of(config).trade(desk)
    book.advance(latest)
    fills = account.fills()
    left = LOTS - sum(fill.lots for fill in fills)
    fills += book.take(sign, left)
    paid = sum(fill.lots * (fill.ticks - middle) for fill in fills) * sign / LOTS
    return Traded(
        price_bp=paid / middle * 1e4,
        maker=sum(fill.lots for fill in fills if fill.is_maker) / LOTS,
        completed=left / LOTS,
        seconds=sum(fill.lots * (fill.time_ms - began_ms) for fill in fills) / LOTS / 1000,
    )


def _decided(account: str, number: int, sign: int, middle: float, tick: Decimal, at: BookAccount) -> JournaledOrder:
    reference = Decimal(str(middle)) * tick
    worst = int(reference * (1 + sign * MAX_SLIPPAGE) / tick) * tick
    side = "buy" if sign > 0 else "sell"
    client_id = client_order_id(account, SYMBOL, number)
    return JournaledOrder(client_id, SYMBOL, number, at.now_ms(), side, LOTS * at.lot, worst, float(reference))


def saved(styles: Mapping[Execution, list[Traded]], style: Execution, fees_bp: tuple[float, float]) -> Interval:
    """Return by how much a style is cheaper than `immediate`, decision by decision, in basis points."""
    pairs = zip(styles[Execution.immediate], styles[style], strict=True)
    return interval([at_once.cost_bp(fees_bp) - other.cost_bp(fees_bp) for at_once, other in pairs])


def interval(values: Sequence[float]) -> Interval:
    """Return the mean and the half-width of its 95 % interval."""
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Interval(float(np.mean(values)), float(stats.t.ppf(0.975, len(values) - 1)) * error)


def _markets(
    decisions: int, seed: int, events: Path | None, tick: float, lot: float, changes: Mapping[str, float]
) -> Iterator[tuple[str, list[Occasion], Decimal]]:
    if events is not None:
        yield events.name, _windows(events, tick, lot, seed), Decimal(str(tick))
        return
    for name, usual in MARKETS.items():
        flow = replace(usual, **changes)
        yield f"{name}: {flow}", occasions_of(name, flow, decisions, seed), tick_of(flow)


def tick_of(flow: OrderFlow) -> Decimal:
    """Return a market's tick, in prices around `PRICE`."""
    return Decimal(str(flow.tick_bp)) * PRICE / 10_000


def occasions_of(name: str, flow: OrderFlow, decisions: int, seed: int) -> list[Occasion]:
    """Return decisions on as many paths of a market, which drifts their way if it does."""
    found = []
    for place in range(decisions):
        rng = generator(seed, "execution", name, place)
        sign = 1 if rng.random() < 0.5 else -1
        towards = replace(flow, drift_bp=sign * flow.drift_bp)
        found.append(Occasion(towards.generate(WARM_UP_S + WINDOW_S + 1, int(PRICE / tick_of(flow)), rng), sign))
    return found


def _windows(path: Path, tick: float, lot: float, seed: int) -> list[Occasion]:
    # As many as lie in the record one after another.
    record, length = read_events(path, tick, lot), (WARM_UP_S + WINDOW_S) * 1000
    times, rng, found = np.array([event.time_ms for event in record]), generator(seed, "execution"), []
    for began in np.arange(times[0], times[-1] - length, length):
        first, last = np.searchsorted(times, [began, began + length], side="right")
        found.append(Occasion(record[max(first - 1, 0) : last], 1 if rng.random() < 0.5 else -1))
    if len(found) < 2:
        raise DataError(f"{path} is too short for two decisions, of {length / 1000:g} s each; record more of the book")
    return found


def _show(styles: Mapping[Execution, list[Traded]]) -> None:
    names = [f"{what}, {exchange}" for exchange in FEES_BP for what in ("cost bp", "saved bp")]
    columns = " ".join(f"{name:>18s}" for name in names)
    print(f"{'style':22s} {'maker':>6s} {'completed':>9s} {'seconds':>8s} {'price bp':>16s} {columns}")
    for style, traded in styles.items():
        maker, completed, seconds = (
            float(np.mean([getattr(one, part) for one in traded])) for part in ("maker", "completed", "seconds")
        )
        price = interval([one.price_bp for one in traded])
        figures = []
        for fees in FEES_BP.values():
            figures += [str(interval([one.cost_bp(fees) for one in traded])), str(saved(styles, style, fees))]
        shown = " ".join(f"{figure:>18s}" for figure in figures)
        print(f"{style.value:22s} {maker:6.0%} {completed:9.0%} {seconds:8.1f} {price!s:>16s} {shown}", flush=True)


if __name__ == "__main__":
    run_benchmark(parser(), main)
