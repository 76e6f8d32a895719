"""What the journal and the exchange know of each other. A start, the recovery from a crash and every bar do the same.

Covered: orders whose outcome is unknown, fills that come late, twice or before the order's status, orders that still
stand, trades of other people and other bots on the account, coins that came or went. Nothing is ever corrected by
trading: what cannot be explained is said aloud, and the caller stops opening positions.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from src.brokerage.broker_account import BrokerAccount, Trade
from src.brokerage.reported_fills import net_quantity
from src.errors import DataError
from src.journal.journal import Journal
from src.journal.schema import JournaledFill, JournaledOrder, is_bot_id
from src.market.instrument import Instrument

LOOK_BACK_MS = 30 * 86_400_000  # how far a journal without a past looks for orders of a bot
MOST_ASKED = 10  # strangers' trades whose orders are looked up at a time
OVERLAP_MS = 600_000  # trades are asked for once more for so long, since some are reported late


@dataclass(frozen=True)
class Reconciliation:
    """What came out. `foreign` and `other_bot` are sentences."""

    is_settled: bool
    foreign: list[str] = field(default_factory=list)
    other_bot: list[str] = field(default_factory=list)


def reconcile(account: BrokerAccount, journal: Journal, instrument: Instrument, now_ms: int) -> Reconciliation:
    """Resolve what can be resolved, keep new fills, and look for what is not ours.

    Args:
        now_ms: the exchange's time.

    Raises:
        TransientError: the exchange cannot be read; try again later.
        TradingHalted: it does not accept the key, or the journal cannot be written.
    """
    symbol = instrument.symbol
    for order in journal.unresolved(symbol):
        if order.state == "intent":
            journal.resolve(order.client_id, "never sent")
        else:
            settle_order(account, journal, order, now_ms, gives_up=order.time_in_force.rests)
    began = journal.pinned(f"trades_since {symbol}")
    since = int(began) if began is not None else now_ms - LOOK_BACK_MS
    trades = account.trades(symbol, since - OVERLAP_MS)
    journal.add_fills(our_fills(journal, symbol, trades))
    if journal.unresolved(symbol):
        return Reconciliation(is_settled=False)
    still_open = account.open_client_ids(symbol)
    if not _settle_stops(account, journal, symbol, still_open, now_ms):
        return Reconciliation(is_settled=False)
    foreign, other_bot = _strangers(account, journal, symbol, trades, since, still_open)
    if began is None:  # what people traded before is theirs; what a bot traded is missing from this journal
        foreign = []
    differs, stops = _balance_differs(account, journal, instrument), journal.stops(symbol)
    if differs and stops:  # one may have sold since the open orders were read
        if not all(settle_order(account, journal, stop, now_ms) for stop in stops):
            return Reconciliation(is_settled=False)
        differs = _balance_differs(account, journal, instrument)
    foreign += differs
    journal.pin(f"trades_since {symbol}", str(now_ms))
    return Reconciliation(True, foreign, other_bot)


def settle_order(
    account: BrokerAccount, journal: Journal, order: JournaledOrder, now_ms: int, gives_up: bool = False
) -> bool:
    """Ask what became of an order that was sent; return whether that is known now.

    "There is no such order" is believed once it can no longer arrive. An order counts as resolved when it is done and
    its trades add up to what the exchange says was filled, whichever of the two is reported first. Which trades are its
    own follows from the exchange's id as it is told to whoever asks by ours, whatever was answered to the order itself.

    A protective stop is known, too, where it stands at the exchange.

    Args:
        now_ms: the exchange's time, if our clock has not jumped since it was last looked at.
        gives_up: cancels what stands; otherwise that waits until no order would stand by itself.
    """
    assert order.sent_at is not None, "an order is asked for after it was sent"
    last_arrival = order.sent_at + account.valid_ms + account.late_ms
    is_overdue = now_ms > last_arrival and account.now() > last_arrival
    report = account.find(order.symbol, order.client_id)
    if report is None:
        if is_overdue:
            journal.resolve(order.client_id, "not placed")
        return is_overdue
    if order.exchange_id != report.exchange_id:
        journal.mark_seen(order.client_id, report.exchange_id)
    rests = order.stop_price is not None and not report.is_done
    if not report.is_done and not rests and (is_overdue or gives_up):
        account.cancel(order.symbol, report)
        report = account.find(order.symbol, order.client_id) or report
    trades = account.trades(order.symbol, order.sent_at - account.late_ms) if report.filled > 0 else []
    fills = our_fills(journal, order.symbol, trades)
    traded = sum((abs(fill.quantity) for fill in fills if fill.client_id == order.client_id), Decimal(0))
    is_known = report.is_done and traded == report.filled
    outcome = "filled" if traded == order.amount else f"{traded} of {order.amount} filled"
    journal.add_fills(fills, order.client_id if is_known else None, outcome)
    if rests:
        journal.mark_resting(order.client_id)
    return is_known or rests


def _settle_stops(account: BrokerAccount, journal: Journal, symbol: str, still_open: list[str], now_ms: int) -> bool:
    # A stop that stands nowhere any more has come to its end; one that was given up and stands all the same, rests.
    for stop in journal.stops_among(symbol, still_open):
        if stop.state == "resolved":
            journal.mark_resting(stop.client_id)
    ended = [stop for stop in journal.stops(symbol) if stop.client_id not in still_open]
    are_known = [settle_order(account, journal, stop, now_ms) for stop in ended]
    return all(are_known)


def our_fills(journal: Journal, symbol: str, trades: list[Trade]) -> list[JournaledFill]:
    """Return the trades of orders the journal knows."""
    client_ids = journal.client_ids(symbol, (trade.exchange_id for trade in trades))
    return [
        JournaledFill(symbol, t.trade_id, client_ids[t.exchange_id], t.time, t.quantity, t.price, t.fee, t.fee_coin)
        for t in trades
        if t.exchange_id in client_ids
    ]


def held_quantity(journal: Journal, instrument: Instrument) -> Decimal:
    """Return what the bot's orders hold: the books, and the fills they have not taken in yet."""
    last = journal.last_step(instrument.symbol)
    booked = Decimal(repr(last.state["books"]["accounts.units"])) if last is not None else Decimal(0)
    waiting = journal.fills(instrument.symbol, unbooked=True)
    return booked + sum(net_quantity(fill, instrument.base) for fill in waiting)


def traded_quantity(journal: Journal, instrument: Instrument) -> Decimal:
    """Return what the fills of the bot's orders add up to, whatever its books say."""
    fills = journal.fills(instrument.symbol)
    return sum((net_quantity(fill, instrument.base) for fill in fills), Decimal(0))


def books_differ(journal: Journal, instrument: Instrument) -> list[str]:
    """Return a sentence if the books hold something else than the bot's orders traded."""
    books, traded = held_quantity(journal, instrument), traded_quantity(journal, instrument)
    if abs(traded - books) < instrument.step:
        return []
    return [
        f"the books hold {books:f} {instrument.base}, and this bot's orders traded {traded:f}; close the position, "
        "then go on with another journal"
    ]


def accept_account(journal: Journal, symbol: str, now_ms: int) -> None:
    """Take the account as it is from now on: what was traded on it before, and what it owns besides, is known."""
    journal.pin(f"accepted_until {symbol}", str(now_ms))
    journal.pin(f"other_coins {symbol}", "")


def _strangers(
    account: BrokerAccount, journal: Journal, symbol: str, trades: list[Trade], since: int, still_open: list[str]
) -> tuple[list[str], list[str]]:
    known = journal.client_ids(symbol, (trade.exchange_id for trade in trades))
    accepted = int(journal.pinned(f"accepted_until {symbol}") or since)
    unknown = [trade for trade in trades if trade.exchange_id not in known and trade.time >= accepted]
    traded = {trade.exchange_id: trade for trade in unknown[-MOST_ASKED:]}
    foreign: list[str] = []
    other_bot: list[str] = []
    for exchange_id, trade in traded.items():
        client_id = _client_id(account, symbol, exchange_id)
        kind = other_bot if is_bot_id(client_id) else foreign
        kind.append(
            f"order {client_id or exchange_id} traded {trade.quantity} at {trade.price}, and this bot did not send it"
        )
    stops = {stop.client_id for stop in journal.stops(symbol)}
    unknown_open = [client_id for client_id in still_open if is_bot_id(client_id) and client_id not in stops]
    other_bot += [f"order {client_id} is open, and this bot did not send it" for client_id in unknown_open]
    return foreign, other_bot


def _client_id(account: BrokerAccount, symbol: str, exchange_id: str) -> str:
    try:
        return account.client_id_of(symbol, exchange_id)
    except DataError:
        return ""


def _balance_differs(account: BrokerAccount, journal: Journal, instrument: Instrument) -> list[str]:
    # The account may own coins of its own; what matters is that nothing came or went since they were counted.
    key = f"other_coins {instrument.symbol}"
    total, ours = account.balance(instrument.base).total, held_quantity(journal, instrument)
    others = journal.pinned(key)
    if not others:
        journal.pin(key, str(total - ours))
        return []
    difference = total - Decimal(others) - ours
    if abs(difference) < instrument.step:
        return []
    return [f"the account holds {difference:+f} {instrument.base} that no order of this bot explains"]
