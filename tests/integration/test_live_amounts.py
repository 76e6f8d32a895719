"""Fault 24: an amount that no order can have, whatever computed it, is neither sent nor booked."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.errors import OrderRefused
from src.execution.order_filters import OrderShape
from src.journal.schema import JournaledOrder
from src.live.live_guard import RiskState
from src.live.trader import TAPE_BARS
from src.trading import session
from tests.support.live_scene import Stage
from tests.support.live_setup import HOUR_MS, SYMBOL, Chooser, Recording, model_of, paper_trader, random_rows

BAD: dict[str, Any] = {
    "NaN": float("nan"),
    "infinite": float("inf"),
    "minus infinite": float("-inf"),
    "negative": -3.0,
    "None": None,
}
NUMBERS = [name for name in BAD if name != "None"]


def size_as(monkeypatch: pytest.MonkeyPatch, amount: Any) -> None:
    """Let sizing come out with this amount."""
    monkeypatch.setattr(session, "order_units", lambda *arguments: amount)


@pytest.mark.parametrize("name", NUMBERS)
def test_24_what_is_no_amount_is_not_sent_and_the_next_decision_is_sound(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0]) as stage:
        with monkeypatch.context() as patch:
            size_as(patch, BAD[name])
            stage.play(1)
        assert stage.server.posts == []
        assert any("no order: " in text for text in stage.steps()[-1].changed)
        stage.check()
        stage.restart()
        stage.play(2)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        assert stage.state is RiskState.ACTIVE


def test_24_no_more_is_sold_than_is_owned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stage(tmp_path, [1.0, 0.5]) as stage:
        stage.play(1)
        size_as(monkeypatch, -1e6)
        stage.play(1)
        stage.check()
        assert stage.server.account.balances["BTC"] == pytest.approx(Decimal(0), abs=Decimal("1e-5"))


def test_24_an_amount_that_is_missing_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        with monkeypatch.context() as patch:
            size_as(patch, None)
            stage.play(1)
        assert stage.state is RiskState.HALTED
        assert "unexpected TypeError" in stage.trader.guard.reason
        stage.play(1)
        stage.check()
        assert stage.server.posts == []


@pytest.mark.parametrize("name", NUMBERS)
def test_24_paper_books_are_never_given_what_is_no_amount(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Recording(random_rows(TAPE_BARS + 10))
    source.now_ms = int(source.rows[TAPE_BARS][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path, source, model_of(Chooser((1.0,))))
    with monkeypatch.context() as patch:
        size_as(patch, BAD[name])
        trader.start()
    step = trader.last_step()
    assert step is not None
    assert any("no order: " in text for text in step.changed)
    assert trader._services.journal.order_of(SYMBOL, step.close_time) is None
    source.now_ms += 2 * HOUR_MS
    trader.tick()
    assert trader.view.equity == pytest.approx(1000.0, rel=0.05)
    assert trader.view.units >= 0


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "-1", "0", None])
def test_24_an_order_cannot_even_be_made_of_it(value: str | None) -> None:
    amount = None if value is None else Decimal(value)
    with pytest.raises(OrderRefused, match="the amount of an order is"):
        OrderShape("buy", amount, Decimal(1))  # type: ignore[arg-type]
    if amount is not None:
        with pytest.raises(OrderRefused, match="the price of an order is"):
            OrderShape("buy", Decimal(1), amount)
    kept = JournaledOrder("st1", SYMBOL, 0, 0, "buy", amount, None, 1.0)  # type: ignore[arg-type]
    with pytest.raises(OrderRefused):
        assert kept.shape
