"""Answers that are sound to look at and wrong: another order's id, half of the trades, a list without the market."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from src.brokerage import ccxt_account
from src.live.live_guard import RiskState
from src.live.venues.exchange import RELOAD_MS
from tests.support.fakes.exchange_server import Fault, Reply
from tests.support.live_scene import Stage
from tests.support.live_setup import SYMBOL


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def sides(stage: Stage) -> list[str]:
    return [order.side for order in stage.server.ours()]


def naming(order_id: object) -> Fault:
    def fault(reply: Reply) -> None:
        reply.payload["orderId"] = order_id

    return fault


def on_posts(stage: Stage, fault: Fault) -> None:
    """Change the answer to the order that is placed next, and to nothing else."""
    place = stage.server._place

    def answered(query: dict[str, str]) -> Reply:
        stage.server._place = place  # type: ignore[method-assign]
        reply = place(query)
        fault(reply)
        return reply

    stage.server._place = answered  # type: ignore[method-assign]


@pytest.mark.parametrize("named", [999, 1], ids=["of no order", "of a stranger's order"])
@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_53_an_acknowledgement_that_names_another_order_is_settled(tmp_path: Path, named: int, restart: bool) -> None:
    stage = Stage(tmp_path, [1.0, 1.0, 0.0, 0.0])
    stage.server.trade_by_hand("BUY", "0.2")  # order 1, from before this bot's time
    with stage:
        on_posts(stage, naming(named))
        stage.play(1)
        if restart:
            stage.restart()
        stage.check(strangers="0.2")
        assert stage.services.journal.unresolved(SYMBOL) == []
        stage.play(3)
        stage.check(strangers="0.2")
        assert sides(stage) == ["BUY", "SELL"]


PAGES = [("binance", 1_100), ("binance", 1_000), ("kraken", 120), ("kraken", 50)]


@pytest.mark.parametrize(("exchange", "executions"), PAGES)
def test_54_an_order_with_more_executions_than_a_page_holds_is_settled(
    tmp_path: Path, exchange: str, executions: int
) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0, 0.0], exchange=exchange) as stage:
        stage.server.executions = executions
        stage.play(1)
        assert stage.services.journal.unresolved(SYMBOL) == []
        assert len(stage.services.journal.fills(SYMBOL)) == executions
        stage.check()
        stage.play(3)
        stage.check()
        assert sides(stage) == ["BUY", "SELL"]
        assert stage.state is RiskState.ACTIVE


def without_the_market(reply: Reply) -> None:
    reply.payload["symbols"] = [{**reply.payload["symbols"][0], "symbol": "ETHUSDT", "baseAsset": "ETH"}]


@pytest.mark.parametrize("lists", [1, 2, 3])
def test_55_a_list_of_markets_without_ours_is_asked_for_again(tmp_path: Path, lists: int) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0, 0.0]) as stage:
        stage.play(1)
        stage.trader.venue._loaded -= RELOAD_MS  # type: ignore[attr-defined]
        stage.server.faults["exchangeInfo"] = [without_the_market] * lists
        stage.play(1)
        _look_until(stage, lambda: stage.trader.view.trouble == "")
        assert stage.state is RiskState.ACTIVE
        stage.check()
        stage.play(2)
        stage.check()
        assert sides(stage) == ["BUY", "SELL"]


def test_55_a_market_that_stays_gone_halts(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        stage.play(1)
        stage.trader.venue._loaded -= RELOAD_MS  # type: ignore[attr-defined]
        stage.server.faults["exchangeInfo"] = [without_the_market] * 1_000
        _look_until(stage, lambda: stage.state is RiskState.HALTED)
        assert f"no market '{SYMBOL}'" in stage.trader.guard.reason
        assert stage.server.account.balances["BTC"] > Decimal(9)


def _look_until(stage: Stage, is_so: Callable[[], bool]) -> None:
    for _ in range(200):
        stage.server.now_ms += int(stage.worker.once() * 1_000)
        if is_so():
            return
    raise AssertionError("it never came to that")
