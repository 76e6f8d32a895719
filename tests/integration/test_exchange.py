"""What an account at an exchange makes of answers: real ccxt against a server on this machine."""

import logging
from collections.abc import Iterator
from decimal import Decimal

import pytest

from src.brokerage import ccxt_account
from src.brokerage.broker_account import Balance, Keys, OrderReport
from src.brokerage.ccxt_account import CcxtAccount
from src.brokerage.redaction import RedactingFormatter, redact
from src.errors import ConfigError, OrderRefused, OutcomeUnknown, TradingHalted, TransientError
from src.execution.order_filters import OrderShape
from src.market.instrument import Instrument
from tests.support.fakes.account_server import AccountServer
from tests.support.fakes.clocks import ServerClock
from tests.support.fakes.exchange_server import Fault, body, cut_connection, status

HOUR_MS = 3_600_000
START = 1_600_000_000_000 // HOUR_MS * HOUR_MS
SYMBOL, CLIENT_ID = "BTC/USDT", "st" + "a" * 16
KEYS = Keys("key-of-the-account", "secret-of-the-account")
BUY = OrderShape("buy", Decimal("0.5"), Decimal("101.00"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AccountServer]:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)
    bars = [(START + i * HOUR_MS, 100.0, 101.0, 99.0, 100.0, 5.0) for i in range(10)]
    with AccountServer(bars, START + 5) as server:
        yield server


def connected(server: AccountServer, skew_ms: int = 0) -> CcxtAccount:
    account = CcxtAccount("binance", KEYS, ServerClock(server, skew_ms), server.url)
    account.connect()
    return account


def test_an_order_is_one_request_that_carries_our_id_and_lapses_at_once(server: AccountServer) -> None:
    account = connected(server)
    exchange_id = account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    (post,) = server.posts
    assert (post["newClientOrderId"], post["quantity"], post["price"]) == (CLIENT_ID, "0.5", "101")
    assert (post["type"], post["timeInForce"], post["side"]) == ("LIMIT", "IOC", "BUY")
    assert account.find(SYMBOL, CLIENT_ID) == OrderReport(exchange_id, CLIENT_ID, True, Decimal("0.5"))
    (trade,) = account.trades(SYMBOL, START)
    assert (trade.quantity, trade.price, trade.fee, trade.fee_coin) == (Decimal("0.5"), 100, Decimal("0.05"), "USDT")
    assert trade.exchange_id == exchange_id
    assert account.balance("USDT") == Balance(Decimal("9949.95"), Decimal("9949.95"))
    assert account.client_id_of(SYMBOL, exchange_id) == CLIENT_ID


def test_a_market_order_carries_an_amount_and_no_price(server: AccountServer) -> None:
    connected(server).place(SYMBOL, OrderShape("buy", Decimal("0.5"), None), CLIENT_ID, server.now_ms)
    assert server.posts[0]["quantity"] == "0.5"
    assert not {"price", "quoteOrderQty", "timeInForce"} & server.posts[0].keys()


NOT_PLACED = ["-2010", "-1013", "-1021", "-2015", "status:429:7", "status:418:60"]
PERHAPS_PLACED = [
    "lost",
    "late",
    "cut after accept",
    "cut mid-body",
    "hang after accept",
    "body:",
    "body:{}",
    "body:null",
    "body:[]",
    "body:<html>maintenance</html>",
    'body:{"symbol": "BTCUSDT", "orderId',
    "status:500",
    "status:502",
    "status:503",
    "status:504",
    "-1000",
]


@pytest.mark.parametrize("fate", NOT_PLACED)
def test_what_proves_that_nothing_was_placed_is_a_refusal(server: AccountServer, fate: str) -> None:
    server.fates = [fate]
    with pytest.raises(OrderRefused, match="refused the order"):
        connected(server).place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    assert len(server.posts) == 1
    assert server.account.orders == []


@pytest.mark.parametrize("fate", PERHAPS_PLACED)
def test_anything_else_is_unknown_and_is_not_sent_again(server: AccountServer, fate: str) -> None:
    server.fates = [fate]
    account = connected(server)
    with pytest.raises(OutcomeUnknown):
        account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    assert len(server.posts) == 1
    found = account.find(SYMBOL, CLIENT_ID)
    assert (found is not None) == bool(server.account.orders)


def test_a_duplicate_is_not_a_refusal(server: AccountServer) -> None:
    account, server.keeps_rest, server.fill_plan = connected(server), True, [0.5]
    account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    with pytest.raises(OutcomeUnknown, match="Duplicate"):
        account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)


def test_an_order_that_arrives_after_its_time_is_refused_there(server: AccountServer) -> None:
    account, server.fates = connected(server), ["late"]
    with pytest.raises(OutcomeUnknown):
        account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    server.now_ms += account.valid_ms + 1
    server.deliver_late()
    assert server.account.orders == []


def test_no_request_is_made_while_a_pause_lasts(server: AccountServer) -> None:
    account, server.fates = connected(server), ["status:429:30"]
    with pytest.raises(OrderRefused):
        account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    asked = len(server.requests)
    with pytest.raises(OrderRefused, match="pause"):
        account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    assert len(server.requests) == asked
    server.now_ms += 30_000
    account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    assert len(server.account.orders) == 1


@pytest.mark.parametrize("skew_ms", [-20_000, 20_000])
def test_a_wrong_clock_is_noticed_and_made_up_for(server: AccountServer, skew_ms: int) -> None:
    account = connected(server, skew_ms)
    assert abs(account.sync_clock() + skew_ms) < 100
    account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    server.now_ms += 1000
    account.balance("BTC")


GARBAGE: list[Fault] = [
    status(500),
    status(503),
    status(429, Retry_After="1"),
    body(b""),
    body(b"{}"),
    body(b"null"),
    body(b"<html>maintenance</html>"),
    cut_connection,
]


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        *(("account", fault) for fault in GARBAGE),
        *(
            (endpoint, fault)
            for endpoint in ("order", "myTrades", "openOrders")
            for fault in (GARBAGE[0], *GARBAGE[4:7])
        ),
    ],
)
def test_reading_is_repeated_and_garbage_is_never_believed(server: AccountServer, endpoint: str, fault: Fault) -> None:
    account = connected(server)
    account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
    calls = {
        "order": lambda: account.find(SYMBOL, CLIENT_ID),
        "myTrades": lambda: account.trades(SYMBOL, START),
        "account": lambda: account.balance("BTC"),
        "openOrders": lambda: account.open_client_ids(SYMBOL),
    }
    right = calls[endpoint]()
    server.faults[endpoint] = [fault, fault]
    server.now_ms += 1000
    assert calls[endpoint]() == right
    server.faults[endpoint] = [fault] * 9
    with pytest.raises(TransientError):
        calls[endpoint]()
    assert len(server.posts) == 1


def test_a_key_that_is_not_accepted_halts(server: AccountServer) -> None:
    account, server.key_is_revoked = connected(server), True
    with pytest.raises(TradingHalted, match="does not accept the key"):
        account.balance("BTC")


def test_filters_are_read_as_exact_numbers(server: AccountServer) -> None:
    filters = connected(server).filters(SYMBOL)
    assert filters.instrument == Instrument(SYMBOL, "BTC", "USDT", "24/7", Decimal("0.00001"), Decimal("0.01"))
    assert (filters.min_notional, filters.is_trading) == (5, True)
    server.market_status = "BREAK"
    account = connected(server)
    assert not account.filters(SYMBOL).is_trading
    with pytest.raises(ConfigError, match="no market"):
        account.filters("GONE/USDT")


@pytest.mark.parametrize("keys", [Keys("", "secret"), Keys("key", "")])
def test_an_empty_key_is_refused(server: AccountServer, keys: Keys) -> None:
    with pytest.raises(ConfigError, match="API key"):
        CcxtAccount("binance", keys, ServerClock(server), server.url)


def test_real_keys_go_to_no_other_machine(server: AccountServer) -> None:
    with pytest.raises(ConfigError, match="on this machine"):
        CcxtAccount("binance", KEYS, ServerClock(server), "http://example.org")


def test_46_neither_key_nor_secret_nor_signature_leaves_in_errors_or_logs(
    server: AccountServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    formatter = RedactingFormatter(logging.Formatter("%(message)s"))
    account, texts = connected(server), []
    for fate in [*PERHAPS_PLACED, *NOT_PLACED]:
        server.fates, server.now_ms = [fate], server.now_ms + 61_000
        account.sync_clock()
        try:
            account.place(SYMBOL, BUY, CLIENT_ID, server.now_ms)
        except (OrderRefused, OutcomeUnknown) as error:
            texts.append(f"{error} {error.__cause__}")
    raw = "\n".join(record.getMessage() for record in caplog.records)
    assert KEYS.api_key in raw  # or nothing was there to hide
    assert "signature=" in raw
    texts += [formatter.format(record) for record in caplog.records]
    everything = "\n".join(texts)
    assert KEYS.api_key not in everything
    assert KEYS.api_secret not in everything
    for post in server.posts:
        assert post["signature"] not in everything


def test_unknown_keys_are_hidden_by_their_place() -> None:
    line = "GET https://api/v3/order?a=1&signature=0badc0de&b=2 {'X-MBX-APIKEY': 'whose-is-this', 'x': 1}"
    shown = redact(line)
    assert "0badc0de" not in shown
    assert "whose-is-this" not in shown
    assert "a=1" in shown
    assert "b=2" in shown
