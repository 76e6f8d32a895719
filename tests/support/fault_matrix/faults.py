"""What goes wrong at the candle that is interrupted: by the number of the fault in docs/live.md and a name."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import event

from src.live.live_guard import RiskState
from src.live.venues.exchange import RELOAD_MS, ExchangeVenue
from tests.support.fakes.exchange_server import Fault as Answer
from tests.support.fakes.exchange_server import Reply, body, cut_connection, dripping, rows, status
from tests.support.live_scene import FATES, Stage
from tests.support.live_setup import SYMBOL

Begin = Callable[[Stage, np.random.Generator], None]
OTHER_BOT = "st" + "z" * 16
NOWHERE = "http://127.0.0.1:1/"


def nothing(_stage: Stage) -> None:
    pass


@dataclass(frozen=True)
class Fault:
    """One of them.

    Attributes:
        begin: before the candle closes.
        end: after the candle that follows it.
        leads_to: the worst state it may end in.
        told: words that people must have been told, whatever interrupts the bot.
        strangers: base coins that others trade or take meanwhile.
        loses_journal: nothing can be accounted for afterwards; no order may leave.
        left: base coins that cannot be sold.
        is_of_stops: it needs a protective stop.
    """

    begin: Begin
    end: Callable[[Stage], None] = nothing
    leads_to: RiskState = RiskState.ACTIVE
    told: str = ""
    strangers: str = "0"
    loses_journal: bool = False
    left: float = 0.0
    is_of_stops: bool = False


def fate(*names: str) -> Fault:
    return Fault(lambda stage, rng: stage.server.fates.extend(names * int(rng.integers(1, 3))))


def setting(left: float = 0.0, **values: Any) -> Fault:
    def begin(stage: Stage, _rng: np.random.Generator) -> None:
        for name, value in values.items():
            setattr(stage.server, name, [*value] if isinstance(value, list) else value)

    return Fault(begin, left=left)


def reading(endpoint: str, answer: Answer, most: int = 6) -> Fault:
    def begin(stage: Stage, rng: np.random.Generator) -> None:
        stage.server.faults[endpoint] = [answer] * int(rng.integers(1, most + 1))

    return Fault(begin)


def of_stops(placed: str = "ok", cancelled: str = "ok") -> Fault:
    """Let requests that place protective stops, or take orders back, fare like this."""

    def begin(stage: Stage, rng: np.random.Generator) -> None:
        times = int(rng.integers(1, 3))
        stage.server.stop_fates, stage.server.cancel_fates = [placed] * times, [cancelled] * times

    return Fault(begin, is_of_stops=True)


def names_another_order(stage: Stage, _rng: np.random.Generator) -> None:
    place = stage.server._place

    def answered(query: dict[str, str]) -> Reply:
        stage.server._place = place  # type: ignore[method-assign]
        reply = place(query)
        if isinstance(reply.payload, dict) and "orderId" in reply.payload:
            reply.payload["orderId"] = 999
        return reply

    stage.server._place = answered  # type: ignore[method-assign]


def ban(endpoint: str) -> Fault:
    """Ban the address for twenty minutes, as Binance says it: in words."""

    def begin(stage: Stage, _rng: np.random.Generator) -> None:
        def banned(reply: Reply) -> None:
            until = stage.server.now_ms + 1_200_000
            sentence = f"Way too much request weight used; IP banned until {until}."
            reply.status, reply.payload = 418, {"code": -1003, "msg": sentence}

        stage.server.faults[endpoint] = [banned]

    return Fault(begin)


def delisted(reply: Reply) -> None:
    reply.status, reply.payload = 400, {"code": -1121, "msg": "Invalid symbol."}


def without_the_market(reply: Reply) -> None:
    reply.payload["symbols"] = [{**reply.payload["symbols"][0], "symbol": "ETHUSDT", "baseAsset": "ETH"}]


def markets_are_read(stage: Stage) -> None:
    venue = stage.trader.venue
    assert isinstance(venue, ExchangeVenue)
    venue._loaded -= RELOAD_MS


def market(answer: Answer | None = None, **values: Any) -> Fault:
    """Let the list of markets be read, with an answer or settings of its own."""
    normal = {"step": "0.00001", "min_notional": "5", "market_status": "TRADING"}

    def begin(stage: Stage, rng: np.random.Generator) -> None:
        vars(stage.server).update(values)
        stage.server.faults["exchangeInfo"] = [answer] * int(rng.integers(1, 4)) if answer else []
        markets_are_read(stage)

    def end(stage: Stage) -> None:
        vars(stage.server).update({name: normal[name] for name in values})
        markets_are_read(stage)

    return Fault(begin, end)


def clock(skew_ms: int) -> Fault:
    return Fault(lambda stage, _: setattr(stage.clock, "skew_ms", skew_ms))


def restarted(stage: Stage) -> None:
    stage.restart()


def journal(pragma: str) -> Fault:
    def begin(stage: Stage, _rng: np.random.Generator) -> None:
        @event.listens_for(stage.services.journal.database.engine, "checkout")
        def spoil(raw: sqlite3.Connection, *_: object) -> None:
            raw.execute(f"PRAGMA {pragma}")

    return Fault(begin, restarted, RiskState.HALTED)


def deleted(stage: Stage, _rng: np.random.Generator) -> None:
    for path in stage.folder.glob("journal.db*"):
        path.unlink()


def trades(side: str, client_id: str = "web_4711") -> Begin:
    return lambda stage, _: stage.server.trade_by_hand(side, "0.2", client_id)


def forget_other_bot(stage: Stage) -> None:
    """Leave its order out of what is judged."""
    account = stage.server.account
    account.orders = [order for order in account.orders if order.client_id != OTHER_BOT]


def coins_leave(stage: Stage, _rng: np.random.Generator) -> None:
    stage.server.account.balances["BTC"] -= Decimal("0.2")


def command(verb: str) -> Begin:
    def begin(stage: Stage, _rng: np.random.Generator) -> None:
        stage.services.journal.commands.append(f"key of {verb}", SYMBOL, verb, "a test", stage.clock.now_ms())

    return begin


def key_revoked(is_revoked: bool) -> Callable[..., None]:
    return lambda stage, *_: setattr(stage.server, "key_is_revoked", is_revoked)


ANSWERS: dict[str, Answer] = {
    "status 503": status(503),
    "an empty object": body(b"{}"),
    "HTML": body(b"<html>maintenance</html>"),
    "cut": cut_connection,
    "dripping": dripping,
    "redirected": status(302, Location=NOWHERE),
    "throttled": status(429, Retry_After="5"),
    "refused": delisted,
}
ENDPOINTS = ("order", "myTrades", "account", "openOrders", "klines", "time")
FEW = ("dripping",)  # each of them takes as long as a request may
REDUCES, HALTS = RiskState.REDUCING, RiskState.HALTED
ORDERS = {
    **{name: fate(kind) for name, kind in FATES.items()},
    "50 order redirected": fate(f"redirected:307:{NOWHERE}"),
    "66 order's answer drips": fate("dripping"),
    "53 another order named": Fault(names_another_order),
}
FILLS = {
    "11 a part fills, the rest later": setting(fill_plan=[0.4, 0.5], keeps_rest=True),
    "12 a part fills, the rest lapses": setting(fill_plan=[0.4, 0.5]),
    "12 nothing fills": setting(fill_plan=[0.0, 0.0]),
    "13 trades twice": reading("myTrades", rows(lambda found: found * 2)),
    "14 trades late": reading("myTrades", rows(lambda found: [])),
    "14 trades out of order": reading("myTrades", rows(lambda found: found[::-1])),
    "15 fee in base coin": setting(fee_coin="BTC", left=0.03),
    "15 fee in base coin on buying": setting(fee_coin="base on buy"),
}
QUESTIONS = {
    **{
        f"{66 if name == 'dripping' else 5} {endpoint}: {name}": reading(endpoint, answer, 2 if name in FEW else 6)
        for endpoint in ENDPOINTS
        for name, answer in ANSWERS.items()
    },
    **{f"74 {endpoint}: banned": ban(endpoint) for endpoint in ENDPOINTS},
}
MARKETS_AND_CANDLES = {
    "30 market stops trading": market(market_status="BREAK"),
    "31 filters change": market(step="0.001", min_notional="20"),
    "55 a list without the market": market(without_the_market),
    "5 the list of markets is garbage": market(body(b"{}")),
    "17 no new candles": reading("klines", rows(lambda found: [])),
    "18 a candle is missing": reading("klines", rows(lambda found: [*found[:-3], *found[-2:]]), 3),
    "19 candles twice": reading("klines", rows(lambda found: [each for row in found for each in (row, row)])),
    "19 candles out of order": reading("klines", rows(lambda found: found[::-1])),
    "22 a close that is no number": reading(
        "klines", rows(lambda f: [*f[:-1], *([*r[:4], "NaN", r[5]] for r in f[-1:])])
    ),
    "22 a price of zero": reading("klines", rows(lambda f: [*f[:-1], *([r[0], "0", *r[2:]] for r in f[-1:])])),
}
CLOCK_AND_DISK = {
    "16 clock 20 s behind": clock(-20_000),
    "16 clock 20 s ahead": clock(20_000),
    "39 disk full": journal("max_page_count = 1"),
    "40 disk read-only": journal("query_only = ON"),
    "64 journal deleted": Fault(deleted, leads_to=HALTS, told="HALTED", loses_journal=True),
}
PEOPLE = {
    "45 a person buys": Fault(trades("BUY"), leads_to=REDUCES, told="REDUCING", strangers="0.2"),
    "45 a person sells": Fault(trades("SELL"), leads_to=REDUCES, told="REDUCING", strangers="-0.2", left=0.2),
    "45 coins leave": Fault(coins_leave, leads_to=REDUCES, told="REDUCING", strangers="-0.2", left=0.2),
    "44 another bot trades": Fault(trades("BUY", OTHER_BOT), forget_other_bot, HALTS, "HALTED", strangers="0.2"),
    "10 key revoked": Fault(key_revoked(True), key_revoked(False), HALTS, "-2015"),
    "95 pause": Fault(command("pause"), leads_to=REDUCES, told="pause"),
    "95 close": Fault(command("close"), leads_to=HALTS, told="close"),
}
STOPS = {
    **{
        f"86 stop: {fate}": of_stops(placed=fate)
        for fate in ("lost", "late", "cut after accept", "status:503", "accepted:503", "-2010")
    },
    **{f"89 taken back: {fate}": of_stops(cancelled=fate) for fate in ("lost", "cut", "garbage", "filled first")},
}
FAMILIES: dict[str, dict[str, Fault]] = {
    "none": {"0 nothing": Fault(lambda *_: None)},
    "an order's request": ORDERS,
    "protective stops": STOPS,
    "fills": FILLS,
    "answers to questions": QUESTIONS,
    "markets and candles": MARKETS_AND_CANDLES,
    "clock and disk": CLOCK_AND_DISK,
    "people, commands, other bots": PEOPLE,
}
FAULTS = {name: fault for family in FAMILIES.values() for name, fault in family.items()}
