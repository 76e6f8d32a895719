"""What the journal can tell people: `status`, and `explain` for one decision."""

from collections.abc import Iterator, Mapping
from typing import Any

from src.journal.journal import Journal
from src.journal.schema import JournaledStep
from src.market.reading.quality import utc

RECENT_MS = 86_400_000
MOST_FEATURES = 40


def status(journal: Journal, symbol: str) -> Iterator[str]:
    """Yield where a symbol stands, a line at a time."""
    step = journal.last_step(symbol)
    if step is None:
        yield f"{symbol}: no candle was lived through yet"
        return
    state, reason = journal.risk_state(symbol) or ("ACTIVE", "")
    record = step.record
    yield f"{symbol}: {state}{f' ({reason})' if reason else ''}"
    yield f"  last candle    {utc(step.close_time)} UTC, {step.status}, model {step.model[:12]}"
    yield f"  equity         {record['equity']:.2f}, position {record['units']:g}, target {record['target']:g}"
    for fill in journal.fills(symbol, unbooked=True):
        yield f"  not booked yet {fill.units} at {fill.price}, trade {fill.trade_id}"
    for order in journal.unresolved(symbol):
        yield f"  open question  order {order.client_id}: {order.side} {order.amount}, {order.state}"
    for time, kind, text in journal.events(symbol, step.close_time - RECENT_MS, step.close_time + RECENT_MS)[-5:]:
        yield f"  {utc(time)} {kind}: {text}"


def explain(journal: Journal, symbol: str, time_ms: int) -> Iterator[str]:
    """Yield what is known of the decision in force at a time: seen, wanted, changed by risk, sent, become of it."""
    step = journal.last_step(symbol, until=time_ms)
    if step is None:
        yield f"{symbol}: nothing was decided at or before {utc(time_ms)} UTC"
        return
    record = step.record
    yield f"{symbol}, candle that closed {utc(step.close_time)} UTC, {step.status} at {utc(step.decided_at)} UTC"
    yield f"  model    {step.model}"
    yield f"  account  equity {record['equity']:.2f}, position {record['units']:g}"
    yield from _seen(step.saw)
    if "wanted" in step.saw:
        yield f"  wanted   exposure {step.saw['wanted']} with confidence {step.saw['confidence']}"
    for sentence in step.changed:
        yield f"  risk     {sentence}"
    yield f"  decided  exposure {record['target']:g}"
    yield from _sent(journal, step)


def _seen(saw: Mapping[str, Any]) -> Iterator[str]:
    for name, value in saw.items():
        if name in ("wanted", "confidence"):
            continue
        if isinstance(value, Mapping):
            shown = list(value.items())[:MOST_FEATURES]
            yield f"  {name:8s} " + ", ".join(f"{key} {_short(item)}" for key, item in shown)
        else:
            yield f"  {name:8s} {_short(value)}"


def _short(value: Any, name: str = "") -> str:
    if name.endswith("_at"):
        return utc(int(value))
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "(" + " ".join(f"{key} {_short(item, key)}" for key, item in value.items()) + ")"
    return ", ".join(map(_short, value)) if isinstance(value, list) else str(value)


def _sent(journal: Journal, step: JournaledStep) -> Iterator[str]:
    order = journal.order_of(step.symbol, step.close_time)
    if order is None:
        yield "  sent     nothing"
        return
    price = "at market" if order.price is None else f"at {order.price} or better"
    yield f"  sent     {order.side} {order.amount} {price}, id {order.client_id}: {order.outcome or order.state}"
    for fill in journal.fills(step.symbol, order.client_id):
        yield f"  filled   {fill.units} at {fill.price}, fee {fill.fee} {fill.fee_coin}, trade {fill.trade_id}"
