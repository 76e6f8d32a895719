"""Statements of every candle, each built once: building one takes several times as long as its answer."""

from sqlalchemy import BindParameter, bindparam, func, insert, select, update

from src.journal.schema import BARS, FILLS, META, ORDERS, STEPS

_OF_SYMBOL: BindParameter[str] = bindparam("symbol")

PINNED = select(META.c.value).where(META.c.key == bindparam("key"))
LAST_STEP = select(STEPS).where(STEPS.c.symbol == _OF_SYMBOL).order_by(STEPS.c.close_time.desc()).limit(1)
ORDERS_OF_BAR = select(ORDERS).where(
    ORDERS.c.symbol == _OF_SYMBOL, ORDERS.c.close_time == bindparam("close_time"), ORDERS.c.stop_price.is_(None)
)
CLIENT_IDS = select(ORDERS.c.exchange_id, ORDERS.c.client_id).where(
    ORDERS.c.symbol == _OF_SYMBOL, ORDERS.c.exchange_id.in_(bindparam("exchange_ids", expanding=True))
)
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
KNOWN_FILLS = select(FILLS.c.trade_id).where(
    FILLS.c.symbol == _OF_SYMBOL, FILLS.c.trade_id.in_(bindparam("trade_ids", expanding=True))
)
ADD_BARS, ADD_STEP, ADD_ORDER, ADD_FILLS, ADD_PIN = map(insert, (BARS, STEPS, ORDERS, FILLS, META))
BOOK_FILLS = (
    update(FILLS)
    .where(FILLS.c.symbol == bindparam("of"), FILLS.c.trade_id.in_(bindparam("trade_ids", expanding=True)))
    .values(booked_at=bindparam("at"))
)
UPDATE_PIN = update(META).where(META.c.key == bindparam("of"))
UPDATE_ORDER = update(ORDERS).where(ORDERS.c.client_id == bindparam("id"))
UPDATE_STEP = update(STEPS).where(STEPS.c.symbol == bindparam("of"), STEPS.c.close_time == bindparam("at"))
