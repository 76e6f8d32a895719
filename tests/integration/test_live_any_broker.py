"""A bot trades at whatever keeps the promises of `BrokerAccount` and `BarSource`: here a broker in memory, no ccxt."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from src.brokerage.broker_account import BrokerAccount
from src.live.bot import Worker
from src.live.candle_feed import CandleFeed
from src.live.trader import Trader
from src.live.venues.exchange import ExchangeVenue
from tests.support.live_scene import FIRST, FromFirst
from tests.support.live_setup import (
    CONFIG,
    HOUR_MS,
    LIMITS,
    START,
    SYMBOL,
    Recording,
    RecordingClock,
    desk_of,
    model_of,
)
from tests.support.memory_broker import MemoryBroker

PRICE = 100.0
ROWS = [(START + place * HOUR_MS, PRICE, PRICE, PRICE, PRICE, 5.0) for place in range(FIRST + 12)]


class Scene:
    """A bot with 1000 USDT at a broker where BTC costs 100 for ever, without a fee."""

    def __init__(self, folder: Path, targets: list[float], shares: list[str | None]) -> None:
        self.source = Recording(ROWS)
        self.at_candle(FIRST - 1)
        clock = RecordingClock(self.source)
        self.services = desk_of(folder, clock)
        self.broker = MemoryBroker(clock, SYMBOL, Decimal(100), Decimal(1000), shares)
        account: BrokerAccount = self.broker
        self.trader = Trader(
            self.services,
            model_of(FromFirst(targets)),
            CandleFeed(self.source),
            lambda _: ExchangeVenue(account, self.services.journal, SYMBOL, CONFIG, LIMITS),
        )
        self.worker = Worker(self.trader, self.services)
        self.worker.once()

    def at_candle(self, candle: int) -> None:
        self.candle = candle
        self.source.now_ms = START + (candle + 1) * HOUR_MS + 1_000

    def play(self) -> list[float]:
        """Let a candle close; return the units in the books and the target in force after it."""
        self.at_candle(self.candle + 1)
        self.worker.once()
        assert self.trader.view.trouble == ""
        step = self.trader.last_step()
        assert step is not None
        return [step.record["units"], step.record["target"]]

    def outcomes(self) -> list[str | None]:
        orders = [self.services.journal.order_of(SYMBOL, step.close_time) for step in self.steps()]
        return [order.outcome for order in orders if order is not None]

    def steps(self) -> list:
        return self.services.journal.steps(SYMBOL, 0, self.source.now_ms)


def test_fills_a_partial_fill_and_a_refusal_at_a_broker_without_ccxt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)  # importing it would fail
    scene = Scene(tmp_path, [0.5, 0.9, 0.9, 0.9, 0.9, 0.0, 0.0], ["1", "0.25", None, "1", "1"])
    assert scene.play() == [0.0, 0.5]  # 5 are sent for, and filled whole
    assert scene.play() == [5.0, 0.9]  # 4 are sent for, and 1 is filled
    assert scene.play() == [6.0, 0.9]  # 3 are sent for, and refused
    assert scene.play() == [6.0, 0.9]  # 3 once more, filled whole
    assert scene.play() == [9.0, 0.9]  # what is wanted is held
    assert scene.play() == [9.0, 0.0]  # 9 are sold
    assert scene.play() == [0.0, 0.0]
    assert scene.outcomes() == [
        "filled",
        "1.000 of 4.0 filled",
        "refused: memory wants no more of it",
        "filled",
        "filled",
    ]
    assert [float(trade.quantity) for trade in scene.broker.executed] == [5.0, 1.0, 3.0, -9.0]
    assert scene.broker.coins == {"BTC": 0, "USDT": 1000}
    assert scene.trader.guard.state.name == "ACTIVE"
    assert [step.record["equity"] for step in scene.steps()] == [1000.0] * 8


def test_what_a_stranger_does_on_the_account_stops_opening(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [0.5, 0.5, 0.9], [])
    scene.play()
    scene.broker.coins["BTC"] -= 1
    assert scene.play() == [5.0, 0.5]
    assert scene.trader.guard.state.name == "REDUCING"
    assert scene.play() == [5.0, 0.5]
    assert len(scene.broker.orders) == 1
