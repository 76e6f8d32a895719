"""Answers without end: all of an answer has to be there in time, and has a size that it does not pass."""

import threading
import tracemalloc
from pathlib import Path

import pytest

from src.brokerage import ccxt_account
from src.brokerage.clock import SystemClock
from src.errors import DataError, TransientError
from src.live.live_guard import RiskState
from src.market.history.exchange_bars import TRIES, ExchangeBars
from tests.support.fakes.exchange_server import Fault, body, dripping, packed
from tests.support.live_scene import Stage
from tests.support.live_setup import START

TIMEOUT_MS = 500  # several bytes of a dripping answer, and a fraction of all
MEGABYTE = 2**20
ENDLESS: dict[str, Fault] = {
    "larger than memory should be": body(b"[" + b" " * 40 * MEGABYTE + b"]"),
    "small, and large unpacked": packed(100),
    "packed twice": packed(100, times=2),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", TIMEOUT_MS)


def source_of(stage: Stage) -> ExchangeBars:
    source = ExchangeBars("binance", "BTC/USDT", "1h", stage.server.url, sleep=lambda seconds: None)
    source.connect()
    source._exchange.timeout = TIMEOUT_MS
    return source


@pytest.mark.parametrize("endpoint", ["account", "order", "myTrades", "exchangeInfo"])
def test_66_an_answer_of_the_account_that_drips_is_given_up_and_asked_again(tmp_path: Path, endpoint: str) -> None:
    with Stage(tmp_path, [1.0, 0.0]) as stage:
        stage.server.faults[endpoint] = [dripping]
        stage.account.connect()
        stage.play(4, looks=2)
        assert stage.server.faults[endpoint] == []
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        assert stage.state is RiskState.ACTIVE


def test_66_all_of_an_answer_has_to_be_there_in_time(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        asked, source = stage.server.asked("klines"), source_of(stage)
        stage.server.faults["klines"] = [dripping, dripping]
        assert len(source.page(START)) > 0
        assert stage.server.asked("klines") - asked == 3  # the right answer, but too late, twice


def test_66_an_order_whose_answer_drips_is_asked_for_and_not_sent_again(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 0.0]) as stage:
        stage.server.fates = ["dripping"]
        stage.play(3)
        assert len(stage.server.posts) == len(stage.server.account.orders) == 2
        stage.check()


@pytest.mark.parametrize("fault", ENDLESS.values(), ids=list(ENDLESS))
def test_66_an_answer_without_end_is_not_read_to_its_end(tmp_path: Path, fault: Fault) -> None:
    with Stage(tmp_path) as stage:
        source = source_of(stage)
        stage.server.faults["klines"] = [fault] * TRIES
        source._exchange.timeout = 10_000
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match="in vain"):
                source.page(START)
            assert tracemalloc.get_traced_memory()[1] < 150 * MEGABYTE
        finally:
            tracemalloc.stop()
        stage.server.faults["myTrades"] = [fault]
        stage.account.trades("BTC/USDT", 0)
        assert stage.server.faults["myTrades"] == []


def test_66_a_bot_that_is_told_to_stop_asks_nothing_more(tmp_path: Path) -> None:
    stop = threading.Event()
    with Stage(tmp_path) as stage:
        source = ExchangeBars("binance", "BTC/USDT", "1h", stage.server.url, sleep=SystemClock(stop).sleep)
        source.connect()
        asked = stage.server.asked("klines")
        stop.set()
        with pytest.raises(TransientError, match="told to stop"):
            source.page(START)
        assert stage.server.asked("klines") == asked
