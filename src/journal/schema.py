"""What the database holds: its tables, and their rows as values. Amounts and prices are exact, so they are text.

A bot's journal and the trials of research are one schema with one chain of migrations, so that they may share a
database, whatever its URL. Its version stands in `meta`, where programs look for it, and in Alembic's own table.
"""

import hashlib
from base64 import b32encode
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Column,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    func,
)

from src.execution.order_filters import OrderShape
from src.execution.time_in_force import TimeInForce

SCHEMA_VERSION = 10  # every change of a table, or of what its JSON holds, is a revision in `migrations/versions`
ID_PREFIX = "st"
ID_LENGTH = 18  # the longest free text Kraken takes; Binance takes 36

DECISION_NEEDS = {"inputs", "wanted", "confidence"}  # of what a step saw, written before its order is sent

SCHEMA = MetaData()
REVISION = Table("alembic_version", SCHEMA, Column("version_num", String(32), primary_key=True))
META = Table("meta", SCHEMA, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))
BARS = Table(
    "bars",
    SCHEMA,
    Column("symbol", String(32), primary_key=True),
    Column("step_ms", BigInteger, primary_key=True),
    Column("open_time", BigInteger, primary_key=True),
    *[Column(name, Float, nullable=False) for name in ("open", "high", "low", "close", "volume")],
)
STEPS = Table(
    "steps",
    SCHEMA,
    Column("symbol", String(32), primary_key=True),
    Column("close_time", BigInteger, primary_key=True),
    Column("decided_at", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("record", JSON, nullable=False),
    Column("state", JSON, nullable=False),
    Column("saw", JSON, nullable=False),
    Column("changed", JSON, nullable=False),
    Column("model", String(64), nullable=False),
)
ORDERS = Table(
    "orders",
    SCHEMA,
    Column("client_id", String(ID_LENGTH), primary_key=True),
    Column("symbol", String(32), nullable=False, index=True),
    Column("close_time", BigInteger, nullable=False),
    Column("decided_at", BigInteger, nullable=False, index=True),
    Column("side", String(4), nullable=False),
    Column("amount", String(40), nullable=False),
    Column("price", String(40)),
    Column("reference", Float, nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("sent_at", BigInteger),
    Column("exchange_id", String(64)),
    Column("outcome", Text),
    Column("stop_price", String(40)),
    Column("part", Integer, nullable=False, server_default="0"),
    Column("time_in_force", String(3), nullable=False, server_default=TimeInForce.IOC),
)
FILLS = Table(
    "fills",
    SCHEMA,
    Column("symbol", String(32), primary_key=True),
    Column("trade_id", String(64), primary_key=True),
    Column("client_id", String(ID_LENGTH), nullable=False, index=True),
    Column("time", BigInteger, nullable=False),
    Column("quantity", String(40), nullable=False),
    Column("price", String(40), nullable=False),
    Column("fee", String(40), nullable=False),
    Column("fee_coin", String(16), nullable=False),
    Column("booked_at", BigInteger, index=True),
)
EVENTS = Table(
    "events",
    SCHEMA,
    Column("id", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False, index=True),
    Column("symbol", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
)
RISK = Table(
    "risk_states",
    SCHEMA,
    Column("symbol", String(32), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)
COMMANDS = Table(
    "commands",
    SCHEMA,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("symbol", String(32), nullable=False, index=True),
    Column("verb", String(8), nullable=False),
    Column("origin", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("state", String(8), nullable=False, index=True),
    Column("taken_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("result", Text, nullable=False),
)
TRIALS = Table(
    "trials",
    SCHEMA,
    Column("id", Integer, primary_key=True),
    Column("run", String(96), nullable=False),
    Column("stage", String(96), nullable=False),
    Column("name", String(96), nullable=False),
    Column("spec", String(64), nullable=False),
    Column("symbol", String(64), nullable=False, index=True),
    Column("timeframe", String(8), nullable=False),
    Column("data_fingerprint", String(64), nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("folds", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("returns", LargeBinary, nullable=False),
    Column("evaluations", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("settings", String(64), nullable=False),
    Column("created_at", DateTime, nullable=False, server_default=func.now()),
    UniqueConstraint("run", "stage", "name"),
)
LOOKS = Table(
    "looks",
    SCHEMA,
    Column("id", Integer, primary_key=True),
    Column("candidate", String(96), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("symbol", String(64), index=True),  # unknown, as the times are, of looks that an older ledger counted
    Column("first_time", BigInteger),
    Column("last_time", BigInteger),
    Column("fingerprint", String(64), nullable=False, index=True),
    Column("trials", Integer, nullable=False),
    Column("created_at", DateTime, nullable=False, server_default=func.now()),
    UniqueConstraint("candidate", "fingerprint"),
)


def append_only_triggers(table: str) -> list[str]:
    """Return statements that make SQLite refuse to change or to delete what a table holds."""
    return [
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are only ever added'); END"
        for verb in ("update", "delete")
    ]


for _table in (TRIALS, LOOKS):
    for _statement in append_only_triggers(_table.name):
        _trigger = DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(_table, "after_create", _trigger.execute_if(dialect="sqlite"))


@dataclass(frozen=True)
class JournaledStep:
    """One closed bar as it was processed: a bar is decided on once, and none is left out.

    Attributes:
        status: `decided`, or why the bar was only processed: `late`, `warming up`, `unsettled`, `refused`.
        record: the `StepRecord` by field.
        state: what resumes the books and the agent at this close.
        saw: what the decision rests on, for people: what it takes to decide again, and what the agent tells of it.
        changed: what stations changed about the decision, one sentence each.
        model: sha256 of the model file.
    """

    symbol: str
    close_time: int
    decided_at: int
    status: str
    record: dict[str, Any]
    state: dict[str, Any]
    saw: dict[str, Any]
    changed: list[str]
    model: str

    @property
    def is_explained(self) -> bool:
        """Whether it holds what the agent tells of a decision, which is written once the order is on its way."""
        return self.status != "decided" or not self.saw.keys() <= DECISION_NEEDS


@dataclass(frozen=True)
class JournaledOrder:
    """An order and what is known of it.

    Attributes:
        price: worst it may trade at; without one it is a market order.
        reference: the close it was decided at.
        state: `intent`, `sending` or `resolved`; a stop that stands at the exchange is `resting` before that.
        stop_price: at which the exchange sends it; only a protective stop has one.
        part: 0 for the one a decision asked for; from 1 on for those that went on trading what was left of it.
    """

    client_id: str
    symbol: str
    close_time: int
    decided_at: int
    side: str
    amount: Decimal
    price: Decimal | None
    reference: float
    state: str = "intent"
    sent_at: int | None = None
    exchange_id: str | None = None
    outcome: str | None = None
    stop_price: Decimal | None = None
    part: int = 0
    time_in_force: TimeInForce = TimeInForce.IOC

    @property
    def shape(self) -> OrderShape:
        """What the exchange is sent."""
        return OrderShape(self.side, self.amount, self.price, self.stop_price, self.time_in_force)


@dataclass(frozen=True)
class JournaledFill:
    """One trade of one of our orders. The quantity is signed; the fee is positive, in `fee_coin`."""

    symbol: str
    trade_id: str
    client_id: str
    time: int
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_coin: str


class JournaledEvent(NamedTuple):
    """Something a person may ask about."""

    time: int
    kind: str
    text: str


def client_order_id(account: str, symbol: str, close_time: int) -> str:
    """Return the one id under which a bar's order may exist: the same after a restart, another on another account."""
    return _order_id(f"{account}|{symbol}|{close_time}")


def part_order_id(client_id: str, part: int) -> str:
    """Return the one id under which a further order of the same decision may exist."""
    return client_id if part == 0 else _order_id(f"{client_id}|{part}")


def _order_id(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return ID_PREFIX + b32encode(digest)[: ID_LENGTH - len(ID_PREFIX)].decode().lower()


def is_bot_id(client_id: str) -> bool:
    """Say whether an order's client id has the form of ours, from whichever bot."""
    return len(client_id) == ID_LENGTH and client_id.startswith(ID_PREFIX) and client_id.islower()
