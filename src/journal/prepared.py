"""Statements of every candle, each built once: building one takes several times as long as its answer."""

from sqlalchemy import BindParameter, bindparam, func, select, update

from src.journal.schema import BARS, FILLS, META, ORDERS, STEPS

_OF_SYMBOL: BindParameter[str] = bindparam("symbol")

PINNED = select(META.c.value).where(META.c.key == bindparam("key"))
UNRESOLVED_ORDERS = (
    select(ORDERS)
    .where(ORDERS.c.symbol == _OF_SYMBOL, ORDERS.c.state != "resolved", ORDERS.c.state != "resting")
    .order_by(ORDERS.c.decided_at)
)
# No bar is decided on before it closes: the first condition follows from the second, and has an index.
ORDERS_SINCE = select(func.count()).where(
    ORDERS.c.decided_at >= bindparam("time"),
    ORDERS.c.close_time >= bindparam("time"),
    ORDERS.c.part == 0,
    ORDERS.c.stop_price.is_(None),
)
UNBOOKED_FILLS = (
    select(*FILLS.c[:-1])
    .where(FILLS.c.symbol == _OF_SYMBOL, FILLS.c.booked_at.is_(None))
    .order_by(FILLS.c.time, FILLS.c.trade_id)
)
KNOWN_BARS = select(BARS.c.open_time).where(
    BARS.c.symbol == _OF_SYMBOL,
    BARS.c.step_ms == bindparam("step_ms"),
    BARS.c.open_time.between(bindparam("first"), bindparam("last")),
)
UPDATE_ORDER = update(ORDERS).where(ORDERS.c.client_id == bindparam("id"))
UPDATE_STEP = update(STEPS).where(STEPS.c.symbol == bindparam("of"), STEPS.c.close_time == bindparam("at"))
