"""`close` and `resume` at an exchange: what a person does while the bot is stopped, whatever happens on the wire."""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update

from src.brokerage import ccxt_account
from src.journal.schema import STEPS
from src.live.live_guard import LiveGuard, RiskState
from src.live.operator.by_hand import Closing, close_at_exchange, resume
from tests.support.fakes.exchange_server import status
from tests.support.live_scene import Stage
from tests.support.live_setup import SYMBOL


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def exchange_now(stage: Stage) -> int:
    return stage.server.now_ms


def close(stage: Stage) -> str:
    return str(close_of(stage))


def close_of(stage: Stage) -> Closing:
    guard = LiveGuard(SYMBOL, stage.limits, stage.services.journal)
    return close_at_exchange(stage.account, guard, stage.services.journal, stage.config, lambda: exchange_now(stage))


@pytest.mark.parametrize("fate", ["ok", "cut after accept", "cut mid-body", "accepted:503", "body:{}"])
def test_close_sells_what_the_bot_holds_and_nothing_else(tmp_path: Path, fate: str) -> None:
    stage = Stage(tmp_path, [1.0])
    stage.server.account.balances["BTC"] = Decimal(3)
    with stage:
        stage.play(2)
        stage.server.fates = [fate]
        assert "HALTED; sell" in close(stage)
        assert len(stage.server.posts) == 2
        assert "price" not in stage.server.posts[-1]
        assert stage.server.account.balances["BTC"] == pytest.approx(Decimal(3), abs=Decimal("1e-5"))
        assert "nothing to close" in close(stage)
        stage.restart()
        stage.play(3)
        stage.check(strangers="3")
        assert len(stage.server.ours()) == 2, "it wants to hold, and stays flat until a person says resume"
        assert stage.state is RiskState.HALTED
        guard = LiveGuard(SYMBOL, stage.limits, stage.services.journal)
        assert "ACTIVE; was HALTED" in resume(guard, stage.services.journal, exchange_now(stage))
        stage.restart()
        stage.play(2)
        stage.check(strangers="3")
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL", "BUY"]


@pytest.mark.parametrize("fate", ["lost", "late", "-2010", "status:503"])
def test_a_close_that_does_not_arrive_can_be_said_again(tmp_path: Path, fate: str) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.fates = [fate]
        text = close(stage)
        stage.server.deliver_late()
        assert "not placed" in text or "refused" in text
        stage.server.now_ms += 60_000
        assert "filled" in close(stage)
        stage.restart()
        stage.play(1)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]


def test_close_sends_nothing_while_an_earlier_order_is_not_accounted_for(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.server.fates = ["cut after accept"]
        place = stage.account.place

        def place_before_the_outage(*arguments: object) -> str:
            stage.server.faults["order"] = [status(503)] * 100
            return place(*arguments)  # type: ignore[arg-type]

        stage.account.place = place_before_the_outage  # type: ignore[method-assign]
        stage.play(1)
        stage.account.place = place  # type: ignore[method-assign]
        stage.server.faults.clear()
        stage.server.faults["myTrades"] = []
        posts = len(stage.server.posts)
        stage.server.faults["order"] = [lambda reply: reply.payload.update(status="NEW", executedQty="0")] * 100
        assert "try again in a minute" in close(stage)
        assert len(stage.server.posts) == posts
        stage.server.faults.clear()
        assert "filled" in close(stage)
        stage.restart()
        stage.check()


def lose_a_fill(stage: Stage) -> None:
    """Let the books be as if the last fill had never been taken in, as an older program could leave them."""
    step = stage.steps()[-1]
    books = {**step.state["books"], "accounts.units": 0.0, "accounts.target": 0.0}
    with stage.services.journal.database.writing() as connection:
        where = STEPS.c.close_time == step.close_time
        connection.execute(update(STEPS).where(where).values(state={**step.state, "books": books}))


def test_65_close_sells_what_the_orders_traded_though_the_books_say_nothing(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        lose_a_fill(stage)
        stage.server.now_ms += 1
        closing = close_of(stage)
        assert "filled" in closing.text
        assert stage.server.account.balances["BTC"] == pytest.approx(Decimal(0), abs=Decimal("1e-5"))
        assert any("the books hold 0" in doubt for doubt in closing.doubts)
        assert not closing.is_well
        assert len(str(closing).splitlines()) == 1 + len(closing.doubts)


@pytest.mark.parametrize("moved", ["0.3", "-0.3"])
def test_65_close_says_where_account_and_books_differ(tmp_path: Path, moved: str) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.account.balances["BTC"] += Decimal(moved)
        closing = close_of(stage)
        assert any("0.30000 BTC that no order of this bot explains" in doubt for doubt in closing.doubts)
        assert not closing.is_well
        left = max(Decimal(moved), Decimal(0))
        assert stage.server.account.balances["BTC"] == pytest.approx(left, abs=Decimal("1e-5"))


def test_65_a_bot_whose_books_are_wrong_halts_at_its_start(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        lose_a_fill(stage)
        stage.restart()
        assert stage.state is RiskState.HALTED
        assert "the books hold 0" in stage.trader.guard.reason
        stage.play(2)
        assert len(stage.server.posts) == 1


def test_resume_takes_the_account_as_it_is(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 0.5, 1.0, 0.0]) as stage:
        stage.play(1)
        stage.server.trade_by_hand("BUY", "0.2")
        stage.play(1)
        assert stage.state is RiskState.REDUCING
        stage.server.now_ms += 1
        guard = LiveGuard(SYMBOL, stage.limits, stage.services.journal)
        resume(guard, stage.services.journal, exchange_now(stage))
        stage.restart()
        stage.play(2)
        stage.check(strangers="0.2")
        assert stage.state is RiskState.ACTIVE
        assert [order.side for order in stage.server.ours()] == ["BUY", "BUY", "SELL"]


def test_84_a_position_larger_than_the_largest_order_is_closed_in_parts(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        held = stage.server.account.balances["BTC"]
        stage.server.max_amount = "4"
        stage.account.connect()
        closing = close_of(stage)
        sold = [order.amount for order in stage.server.ours() if order.side == "SELL"]
        assert sold == [Decimal(4), Decimal(4), held - 8]
        assert closing.is_well
        assert stage.server.account.balances["BTC"] == 0
        stage.restart()
        stage.play(1)
        stage.check(strangers="0", orders_by_hand=3)


def test_84_of_a_position_closed_in_parts_what_is_not_filled_is_left_and_closed_by_the_next_command(
    tmp_path: Path,
) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.max_amount = "4"
        stage.account.connect()
        stage.server.fill_plan = [1.0, 0.5]
        closing = close_of(stage)
        assert "sell 4.0 at market: filled; sell 4.0 at market: 2.0 of 4.0 filled" in closing.text
        assert not closing.is_flat
        stage.server.now_ms += 1_000
        assert close_of(stage).is_well
        assert stage.server.account.balances["BTC"] == 0


def test_84_close_says_how_much_lies_in_orders_of_other_people(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        held = stage.server.account.balances["BTC"]
        resting = stage.server.rest_by_hand("SELL", "2", "500")
        closing = close_of(stage)
        assert f"sell {held - 2} at market: filled" in closing.text
        assert (
            "2.00000 BTC are locked in open orders that are not this bot's; cancel them and close again" in closing.text
        )
        assert not closing.is_flat
        resting.status = "CANCELED"
        stage.server.now_ms += 1_000
        assert close_of(stage).is_well
        assert stage.server.account.balances["BTC"] == 0


def test_84_close_says_so_where_all_coins_lie_in_other_orders(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.rest_by_hand("SELL", str(stage.server.account.balances["BTC"]), "500")
        assert "are locked in open orders that are not this bot's" in close(stage)
        assert len(stage.server.posts) == 1
