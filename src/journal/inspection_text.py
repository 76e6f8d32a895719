"""What `inspection.py` found, in lines of text: what the commands `status` and `explain` print."""

from collections.abc import Iterator, Mapping
from typing import Any

from src.journal.inspection import DecisionTrace, SymbolStatus
from src.market.instrument import base_and_quote
from src.market.quality.findings import utc

MOST_FEATURES = 40


def status_lines(found: SymbolStatus) -> Iterator[str]:
    """Yield where a symbol stands."""
    step, record = found.last, found.last.record
    yield f"{found.symbol}: {found.risk_state}{_because(found.reason)}"
    yield f"  last candle    {utc(step.close_time)} UTC, {step.status}, model {step.model[:12]}"
    equity = _money(record["equity"], step.symbol)
    yield f"  equity         {equity}, units {_held(record['units'])}, target {record['target']:g}"
    if step.state["books"]["accounts.ruined"]:
        yield "  margin call    closed the account out; nothing is traded again, start another journal to go on"
    for fill in found.waiting:
        yield f"  not booked yet {fill.quantity} at {fill.price}, trade {fill.trade_id}"
    for stop in found.stops:
        yield f"  stop           sells {stop.amount} once the price is {stop.stop_price} or lower, id {stop.client_id}"
    for order in found.unresolved:
        yield f"  open question  order {order.client_id}: {order.side} {order.amount}, {order.state}"
    for command in found.asked:
        yield f"  {command.state:14s} `{command.verb}` from {command.origin}{_because(command.result)}"
    for time, kind, text in found.events:
        yield f"  {utc(time)} {kind}: {text}"


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def trace_lines(found: DecisionTrace) -> Iterator[str]:
    """Yield what is known of a decision: seen, wanted, changed by risk, sent, become of it."""
    step, record = found.step, found.step.record
    yield f"{step.symbol}, candle that closed {utc(step.close_time)} UTC, {step.status} at {utc(step.decided_at)} UTC"
    yield f"  model    {step.model}"
    yield f"  account  equity {_money(record['equity'], step.symbol)}, units {_held(record['units'])}"
    yield from _seen(step.saw)
    if not step.is_explained:
        yield "  why      is not known; the bot ended before it was written, or has yet to write it"
    if "wanted" in step.saw:
        yield f"  wanted   exposure {step.saw['wanted']} with confidence {step.saw['confidence']}"
    for sentence in step.changed:
        yield f"  risk     {sentence}"
    yield f"  decided  exposure {record['target']:g}"
    yield from _sent(found)


def _money(amount: float, symbol: str) -> str:
    return f"{amount:.2f} {base_and_quote(symbol)[1]}".strip()


def _held(units: float) -> str:
    return f"{units:g}{' (short)' if units < 0 else ''}"


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


def _sent(found: DecisionTrace) -> Iterator[str]:
    if not found.orders:
        yield "  sent     nothing"
    for order in found.orders:
        price = "at market" if order.price is None else f"at {order.price} or better"
        price += f", {order.time_in_force.value}" if order.time_in_force.rests else ""
        yield f"  sent     {order.side} {order.amount} {price}, id {order.client_id}: {order.outcome or order.state}"
    for fill in found.fills:
        yield f"  filled   {fill.quantity} at {fill.price}, fee {fill.fee} {fill.fee_coin}, trade {fill.trade_id}"
