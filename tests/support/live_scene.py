"""`Stage`: a bot with real orders, real ccxt and an exchange on this machine; time is moved by hand.

stage = Stage(folder, targets=[1.0, 0.0])
stage.server.fates = ["cut after accept"]
stage.play(3)                      # three candles close
stage.restart()
stage.check()                      # the invariants
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

from src.brokerage.broker_account import Keys
from src.brokerage.ccxt_account import CcxtAccount
from src.brokerage.redaction import redact
from src.config.live import Execution, LiveConfig
from src.config.risk import RiskLimits
from src.live.assembly import LONGEST_PAUSE_S
from src.live.bot import Worker
from src.live.candle_feed import CandleFeed
from src.live.live_guard import RiskState
from src.live.live_model import LiveModel
from src.live.shared_services import SharedServices
from src.live.trader import TAPE_BARS, Trader
from src.live.venues.exchange import ExchangeVenue
from src.live.watching.notify import Notifier
from src.market.history.exchange_bars import ExchangeBars
from src.market.history.exchange_pause import ExchangePause
from src.risk.protective_stop import stop_loss_frac
from tests.support.fakes.account_server import OPEN, AccountServer
from tests.support.fakes.clocks import ServerClock
from tests.support.fakes.exchange_server import Row
from tests.support.fakes.kraken_server import KrakenServer
from tests.support.live_setup import (
    CONFIG,
    HISTORY,
    HOUR_MS,
    LIMITS,
    START,
    SYMBOL,
    Planned,
    desk_of,
    model_of,
    random_rows,
)

KEYS = Keys("stage-key-0123456789", b64encode(b"stage-secret-0123456789").decode())  # Kraken's are base64
# What may become of a request that places an order, by the number of the fault in docs/live.md.
FATES = {
    "1 cut before the order arrives": "lost",
    "2 cut after accept": "cut after accept",
    "2 cut in the middle of the answer": "cut mid-body",
    "3 time-out after accept": "hang after accept",
    "4 the request arrives late": "late",
    "5 empty body": "body:",
    "5 empty object": "body:{}",
    "5 null": "body:null",
    "5 HTML": "body:<html></html>",
    "5 truncated": 'body:{"symbol": "BTCUSDT", "orderId',
    "6 status 500": "status:500",
    "6 status 502": "status:502",
    "6 status 503": "status:503",
    "6 status 504": "status:504",
    "6 status 500 after accept": "accepted:500",
    "6 status 502 after accept": "accepted:502",
    "6 status 503 after accept": "accepted:503",
    "6 status 504 after accept": "accepted:504",
    "7 throttled": "status:429:5",
    "8 banned": "status:418:120",
    "9 maintenance": "body:<html>System maintenance</html>",
    "16 clock refused": "-1021",
    "25 filter refused": "-1013",
    "27 insufficient balance": "-2010",
}
FIRST = TAPE_BARS  # candles there are before the first one that is decided on


class Messages(Notifier):
    """Remembers what people were told."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []
        self.infos: list[str] = []

    def info(self, text: str) -> None:
        super().info(text)
        self.infos.append(redact(text))

    def error(self, text: str) -> None:
        super().error(text)
        self.errors.append(redact(text))


class FromFirst(Planned):
    """Wants target i at the i-th candle that is decided on."""

    def __init__(self, targets: Sequence[float]) -> None:
        super().__init__([0.0] * (FIRST - HISTORY + 1) + list(targets))


class Stage:
    """One symbol. The candles' prices barely move, so that limit prices are met unless a test says otherwise."""

    def __init__(
        self,
        folder: Path,
        targets: Sequence[float] = (1.0, 0.0),
        rows: Sequence[Row] | None = None,
        limits: RiskLimits = LIMITS,
        config: LiveConfig = CONFIG,
        skew_ms: int = 0,
        agent: Any = None,
        exchange: str = "binance",
        first: int = FIRST,
    ) -> None:
        self.folder, self.limits = folder, limits
        folder.mkdir(exist_ok=True)
        rows = rows if rows is not None else random_rows(first + 60, sigma=1e-4)
        self.exchange, self.timeframe = exchange, "1h"
        self.server = self.make_server([tuple(row) for row in rows])
        self.clock = ServerClock(self.server, skew_ms)
        self.agent = agent or FromFirst(targets)
        self._config = config
        self.messages = Messages()
        self.candle = first - 1

    def __enter__(self) -> "Stage":
        self.server.__enter__()
        self.config = replace(self._config, base_url=self.server.url, exchange=self.exchange)
        self.at_candle(self.candle)
        self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def make_server(self, rows: Sequence[Row]) -> AccountServer:
        """Return the exchange, not yet started."""
        return (KrakenServer if self.exchange == "kraken" else AccountServer)(rows, START)

    def at_candle(self, candle: int, after_ms: int = 1_000) -> None:
        """Let it be just after a candle has closed."""
        self.candle = candle
        self.server.now_ms = int(self.server.bars[candle][0]) + HOUR_MS + after_ms

    def build(self) -> Trader:
        """Return a bot as a fresh process would, from what is on disk and at the exchange."""
        trader, self.account, self.services = build_bot(
            self.folder, self.clock, self.agent, self.config, self.limits, self.messages, self.timeframe
        )
        return trader

    def restart(self) -> None:
        """Start a bot, and let it recover and process what has closed; of the one before only files are left."""
        if hasattr(self, "services"):
            self.services.journal.close()
        self.trader = self.build()
        self.worker = Worker(self.trader, self.services)
        self.worker.once()

    def play(self, candles: int = 1, looks: int = 1) -> None:
        """Let candles close, and the bot look after each."""
        for _ in range(candles):
            self.at_candle(self.candle + 1)
            for _ in range(looks):
                self.worker.once()

    def heal(self) -> None:
        """Let the exchange be as it should, and what is on its way arrive."""
        self.server.faults.clear()
        self.server.fates, self.server.fill_plan, self.server.keeps_rest = [], [], False
        self.server.stop_fates, self.server.cancel_fates = [], []
        self.server.deliver_late()

    @property
    def state(self) -> RiskState:
        return self.trader.guard.state

    def steps(self) -> list[Any]:
        return self.services.journal.steps(SYMBOL, 0, self.server.now_ms)

    def units(self) -> float:
        """What the books hold, fills that wait for the next bar included."""
        waiting = self.services.journal.fills(SYMBOL, unbooked=True)
        base = [fill.quantity - (fill.fee if fill.fee_coin == "BTC" else 0) for fill in waiting]
        return self.trader.view.units + float(sum(base, Decimal(0)))

    def check(self, strangers: str = "0", orders_by_hand: int = 0) -> None:
        """Assert the invariants; `strangers` is what others traded on the account."""
        ours = self.server.ours()
        assert max(Counter(order.client_id for order in ours).values(), default=0) <= 1, "two orders for a decision"
        if self.config.execution is Execution.immediate:
            decided = {order.client_id for order in ours if order.stop_price is None}
            assert len(decided) <= len(self.steps()) + orders_by_hand
        self.check_decisions()
        assert sum(order.stop_price is not None and order.status in OPEN for order in ours) <= 1, "two stops"
        at_exchange = {trade.trade_id for trade in self.server.account.trades if trade.order in ours}
        in_journal = [_number(fill.trade_id) for fill in self.services.journal.fills(SYMBOL)]
        assert sorted(at_exchange) == sorted(in_journal), "fills differ"
        step = Decimal(self.server.step)
        moved = self.server.account.balances["BTC"] - Decimal(strangers)
        fills = self.services.journal.fills(SYMBOL)
        held = sum(fill.quantity - (fill.fee if fill.fee_coin == "BTC" else 0) for fill in fills)
        assert abs(held - moved) < step, "journal and balance differ"
        assert abs(self.units() - float(moved)) < float(step), "books and balance differ"
        times = [step.close_time for step in self.steps()]
        known = [
            int(row[0]) + HOUR_MS for row in self.server.bars if times and times[0] <= row[0] + HOUR_MS <= times[-1]
        ]
        assert times == known, "a candle was decided twice or lost"
        self.check_secrets()

    def check_decisions(self) -> None:
        """No decision's orders traded more than it asked for, or beyond the limit price that it allows."""
        at_exchange = {order.client_id: order for order in self.server.ours()}
        for step in self.steps():
            orders = self.services.journal.orders_of(SYMBOL, step.close_time)
            sent = [at_exchange[order.client_id] for order in orders if order.client_id in at_exchange]
            assert sum((order.filled for order in sent), Decimal(0)) <= (orders[0].amount if orders else 0)
            for order in sent:
                slippage = float(order.price) / orders[0].reference - 1 if order.price else 0.0
                assert slippage * (1 if order.side == "BUY" else -1) <= self.limits.max_slippage_frac + 1e-12

    def check_secrets(self) -> None:
        """Neither key, secret nor signature is in any file or message."""
        texts = [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()]
        texts += [message.encode() for message in self.messages.errors]
        signatures = [query["signature"] for _, query in self.server.requests if "signature" in query]
        for secret in (KEYS.api_key, KEYS.api_secret, *signatures):
            assert all(secret.encode() not in text for text in texts)


def build_bot(
    folder: Path,
    clock: ServerClock,
    agent: Any,
    config: LiveConfig,
    limits: RiskLimits,
    messages: Notifier,
    timeframe: str = "1h",
) -> tuple[Trader, CcxtAccount, SharedServices]:
    """Return a bot with what it holds, from what is on disk and at the exchange of the settings."""
    shared = desk_of(folder, clock, limits, config)
    services = replace(shared, notifier=messages, uptime_ms=clock.uptime_ms)
    pause = ExchangePause(clock.now_ms)
    source = ExchangeBars(
        config.exchange,
        SYMBOL,
        timeframe,
        config.base_url,
        sleep=clock.sleep,
        pause=pause,
        longest_pause_s=LONGEST_PAUSE_S,
    )
    source.connect()
    account = CcxtAccount(config.exchange, KEYS, clock, config.base_url, pause)
    account.connect()
    last = services.journal.last_step(SYMBOL)
    known = services.journal.bars(SYMBOL, last.close_time if last else 0, 500, source.step_ms)
    feed = CandleFeed(source, known, int(config.settle_s * 1000))

    def venue(model: LiveModel) -> ExchangeVenue:
        loss_frac = stop_loss_frac(model.rules.risk, limits.protective_stop)
        return ExchangeVenue(account, services.journal, SYMBOL, config, limits, loss_frac)

    model = replace(model_of(agent, limits=limits), timeframe=timeframe)
    return Trader(services, model, feed, venue), account, services


def _number(trade_id: str) -> int:
    # 7 at Binance, TTRADE-00007-AAAAAA at Kraken
    return int(trade_id if trade_id.isdigit() else trade_id.split("-")[1])
