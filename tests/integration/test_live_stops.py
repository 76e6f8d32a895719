"""The protective stop at the exchange: while a position is held, something sells it if nobody else can."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.brokerage import ccxt_account
from src.execution.tape import DAY_MS
from src.journal.inspection import status
from src.journal.inspection_text import status_lines
from src.live.day_replay import replay_day
from src.live.live_guard import LiveGuard, RiskState
from src.live.operator.by_hand import Closing, close_at_exchange, resume
from src.live.venues.venue import OrderKind
from tests.support.fakes.exchange_server import status as refused
from tests.support.live_scene import Stage
from tests.support.live_setup import CONFIG, LIMITS, SYMBOL, model_of

# Twice the widest limit, 0.2 of equity: a whole position is sold 40 % below its entry, half of one 80 % below.
STOPPED = replace(LIMITS, max_drawdown_frac=0.2, max_daily_loss_frac=0.05)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def stage_with_stop(folder: Path, targets: list[float] | None = None, **settings: Any) -> Stage:
    return Stage(folder, targets or [1.0], limits=STOPPED, **settings)


def held(stage: Stage) -> Decimal:
    return stage.server.account.balances["BTC"]


def close_of(stage: Stage) -> Closing:
    guard = LiveGuard(SYMBOL, stage.limits, stage.services.journal)
    return close_at_exchange(stage.account, guard, stage.services.journal, stage.config, lambda: stage.server.now_ms)


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_84_a_stop_rests_while_a_position_is_held_and_moves_only_with_it(tmp_path: Path, exchange: str) -> None:
    with stage_with_stop(tmp_path, [0.5, 0.5, 1.0, 1.0, 1.0, 0.0], exchange=exchange) as stage:
        stage.play(1)
        entry = stage.server.account.trades[0].price
        (stop,) = stage.server.stops()
        assert stop.amount == held(stage)
        assert float(stop.stop_price or 0) == pytest.approx(0.2 * float(entry), abs=0.1)
        posts = len(stage.server.posts)
        stage.play(1)
        assert len(stage.server.posts) == posts, "nothing has changed"
        stage.play(1)
        (stop,) = stage.server.stops()
        trades = stage.server.account.trades
        mean = sum(trade.amount * trade.price for trade in trades) / sum(trade.amount for trade in trades)
        assert stop.amount == held(stage)
        assert float(stop.stop_price or 0) == pytest.approx(0.6 * float(mean), abs=0.1)
        requests = len(stage.server.requests)
        stage.play(1)
        in_a_quiet_candle = len(stage.server.requests) - requests
        stage.play(1)
        assert len(stage.server.stops()) == 1
        assert len(stage.server.requests) - requests == 2 * in_a_quiet_candle
        assert sum(order.stop_price is not None for order in stage.server.ours()) == 2, "no churn"
        stage.play(2)
        assert held(stage) < Decimal("1e-4")
        assert stage.server.stops() == []
        stage.check()
        assert stage.messages.errors == []


def test_84_status_shows_the_stop_and_why_there_is_none(tmp_path: Path) -> None:
    def shown() -> str:
        found = status(stage.services.journal, SYMBOL)
        assert found is not None
        return "\n".join(status_lines(found))

    with stage_with_stop(tmp_path) as stage:
        stage.server.stop_fates = ["-1013"]
        stage.play(1)
        assert "stop: the position has no protective stop: refused" in shown()
        stage.play(1)
        (stop,) = stage.server.stops()
        assert f"stop           sells {held(stage):f} once the price is {stop.stop_price:f} or lower" in shown()


# A bot that is down or HALTED.


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_85_the_stop_sells_while_the_bot_is_down_and_the_next_start_books_it(tmp_path: Path, exchange: str) -> None:
    with stage_with_stop(tmp_path, [1.0, 1.0, 1.0, 0.0], exchange=exchange) as stage:
        stage.play(2)
        amount, cash = held(stage), stage.server.account.balances["USDT"]
        stop_id = stage.server.stops()[0].client_id
        stage.server.fall_to("55", then="100")
        stage.at_candle(stage.candle + 2)
        stage.restart()
        stage.check()
        assert held(stage) == 0
        steps = stage.steps()
        record = steps[-2].record  # the first candle that the start lives through takes it in
        assert record["fill_units"] == pytest.approx(-float(amount))
        assert record["fill_price"] == pytest.approx(55.0)
        assert record["units"] == pytest.approx(0.0)
        assert stage.server.account.balances["USDT"] - cash == pytest.approx(amount * 55 * Decimal("0.999"))
        (sentence,) = [said for said in steps[-2].changed if said.startswith("protective stop")]
        price = stop_price(stage, stop_id)
        said = f"protective stop: it sold {amount.normalize():f} at 55 once the price was {price} or lower"
        assert sentence == said
        assert any(sentence in message for message in stage.messages.errors)
        assert stage.server.stops() == []
        assert stage.trader.view.target == 0.0


def stop_price(stage: Stage, client_id: str) -> str:
    order = stage.services.journal.order(client_id)
    assert order is not None
    return str(order.stop_price)


def test_85_a_halted_bot_keeps_its_stop(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.play(2)
        stage.trader.escalate(RiskState.HALTED, "a test")
        stage.play(1)
        stage.restart()
        stage.play(1)
        assert [stop.amount for stop in stage.server.stops()] == [held(stage)]
        stage.server.fall_to("55")
        stage.play(1)
        assert held(stage) == 0
        assert stage.state is RiskState.HALTED
        stage.check()


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_85_a_stop_that_sells_while_the_account_is_looked_at_is_no_stranger(tmp_path: Path, exchange: str) -> None:
    with stage_with_stop(tmp_path, [1.0, 1.0, 1.0], exchange=exchange) as stage:
        stage.play(1)
        open_client_ids = stage.account.open_client_ids

        def falls_afterwards(symbol: str) -> list[str]:
            stage.account.open_client_ids = open_client_ids  # type: ignore[method-assign]
            found = open_client_ids(symbol)
            stage.server.fall_to("55", then="100")
            return found

        stage.account.open_client_ids = falls_afterwards  # type: ignore[method-assign]
        stage.play(1)
        assert stage.state is RiskState.ACTIVE
        assert stage.steps()[-1].record["units"] == pytest.approx(0.0, abs=1e-4)
        assert [text for text in stage.messages.errors if "protective stop: it sold" in text]
        stage.check()


def test_85_after_the_stop_has_sold_the_bot_can_be_resumed_and_goes_on(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.play(2)
        stage.server.fall_to("55", then="100")
        stage.play(1)
        assert "a loss limit is reached" in stage.messages.errors[-1] or stage.trader.view.units == 0.0
        guard = LiveGuard(SYMBOL, stage.limits, stage.services.journal)
        resume(guard, stage.services.journal, stage.server.now_ms)
        stage.restart()
        stage.play(2)
        stage.check()
        assert stage.state is RiskState.ACTIVE
        assert stage.trader.view.units == 0.0, "a drawdown of the risk file keeps it flat for good"
        assert stage.server.stops() == []


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_85_close_takes_the_stop_back_first(tmp_path: Path, exchange: str) -> None:
    with stage_with_stop(tmp_path, exchange=exchange) as stage:
        stage.play(2)
        closing = close_of(stage)
        assert closing.is_well
        assert held(stage) == 0
        assert stage.server.stops() == []
        stage.restart()
        stage.play(1)
        assert stage.server.stops() == []
        stage.check(orders_by_hand=1)


def test_85_close_sells_nothing_where_the_stop_was_quicker(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.play(2)
        stage.server.cancel_fates = ["falls:55"]
        closing = close_of(stage)
        assert "nothing to close" in closing.text
        assert closing.is_flat
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        stage.restart()
        stage.check()


# Whatever happens on the way.


@pytest.mark.parametrize(
    "fate", ["cut after accept", "hang after accept", "body:{}", "accepted:503", "lost", "status:503"]
)
def test_86_a_stop_whose_answer_is_lost_rests_once(tmp_path: Path, fate: str) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.server.stop_fates = [fate]
        stage.play(2)
        assert [stop.amount for stop in stage.server.stops()] == [held(stage)]
        stage.check()


@pytest.mark.parametrize("fate", ["cut", "garbage", "lost"])
def test_86_a_cancellation_whose_answer_is_lost_holds_up_no_sale_and_sells_nothing_twice(
    tmp_path: Path, fate: str
) -> None:
    with stage_with_stop(tmp_path, [1.0, 0.5]) as stage:
        stage.play(1)
        whole = held(stage)
        stage.server.cancel_fates = [fate]
        stage.play(1)
        assert held(stage) == pytest.approx(whole / 2, rel=Decimal("0.01"))
        assert [stop.amount for stop in stage.server.stops()] == [held(stage)]
        stage.check()


def test_86_where_it_stays_unknown_whether_the_stop_is_gone_nothing_is_sold(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path, [1.0, 0.0]) as stage:
        stage.play(1)
        whole = held(stage)
        stage.server.cancel_fates = ["lost"] * 100
        stage.play(1)
        assert held(stage) == whole
        assert any("what became of the protective stop is not known yet" in said for said in stage.messages.errors)
        stage.server.cancel_fates = []
        stage.play(1)
        assert held(stage) < Decimal("1e-4")
        stage.check()


@pytest.mark.parametrize("share", ["1", "0.4"])
def test_86_a_stop_that_sells_while_it_is_taken_back_leaves_no_more_to_sell_than_is_held(
    tmp_path: Path, share: str
) -> None:
    stage = stage_with_stop(tmp_path, [1.0, 0.0])
    stage.server.account.balances["BTC"] = Decimal(3)  # of somebody else
    with stage:
        stage.play(1)
        whole = held(stage) - 3
        assert whole > 9
        stage.server.stop_share = Decimal(share)
        stage.server.cancel_fates = ["falls:55"]
        stage.play(1)
        assert held(stage) - 3 == pytest.approx(whole * (1 - Decimal(share)), abs=Decimal("1e-5"))
        stage.server.price = None
        stage.play(2)
        assert held(stage) - 3 == pytest.approx(Decimal(0), abs=Decimal("1e-4"))
        stage.check(strangers="3")


class Killed(BaseException):
    """What ends a bot at once."""


def killed_at(stage: Stage, place: int) -> bool:
    """Let the bot look once, and end right after its `place`-th request that changes something or write."""
    count = 0

    def ending(owner: Any, name: str) -> None:
        method = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            result = method(*arguments, **named)
            count += 1
            if count == place:
                raise Killed
            return result

        setattr(owner, name, wrapped)

    for name in ("place", "cancel"):
        ending(stage.account, name)
    for name in ("record_step", "add_order", "mark_sending", "mark_seen", "mark_resting", "resolve", "add_fills"):
        ending(stage.services.journal, name)
    try:
        stage.worker.once()
    except Killed:
        return True
    return False


@pytest.mark.parametrize("targets", [[1.0, 0.5], [0.5, 1.0], [1.0, 0.0]], ids=str)
def test_86_killed_anywhere_between_cancel_sale_and_new_stop_it_has_one_stop_again(
    tmp_path: Path, targets: list[float]
) -> None:
    killed = True
    for place in range(1, 100):
        folder = tmp_path / str(place)
        with stage_with_stop(folder, targets) as stage:
            stage.play(1)
            stage.at_candle(stage.candle + 1)
            killed = killed_at(stage, place)
            stage.restart()
            stage.server.now_ms += 10_000  # what was never sent is known not to come
            stage.worker.once()
            stage.check()
            left = held(stage)
            assert [stop.amount for stop in stage.server.stops()] == ([left] if left > Decimal("1e-4") else []), place
            stage.play(2)
            stage.check()
            assert len(stage.server.stops()) == (held(stage) > Decimal("1e-4")), place
            assert stage.state is RiskState.ACTIVE
        if not killed:
            break
    assert not killed
    assert place > 8


# What exchanges say no to.


def test_87_a_stop_that_is_refused_is_told_and_tried_again_at_the_next_candle(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.server.stop_fates = ["-1013"]
        stage.play(1, looks=3)
        assert stage.server.stops() == []
        told = [said for said in stage.messages.errors if "has no protective stop" in said]
        assert len(told) == 1
        assert "it is tried again at the next candle" in told[0]
        assert stage.trader.view.unprotected
        stage.play(1)
        assert [stop.amount for stop in stage.server.stops()] == [held(stage)]
        assert stage.trader.view.unprotected == ""
        stage.check()


def test_87_a_stop_that_did_not_arrive_is_placed_though_candles_cannot_be_read(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.server.stop_fates = ["lost"]
        stage.play(1)
        assert stage.server.stops() == []
        stage.server.faults["klines"] = [refused(503)] * 100
        stage.server.now_ms += 3_600_000
        stage.worker.once()
        assert len(stage.server.stops()) == 1


def test_87_a_market_that_takes_no_stops_is_said_once(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.server.order_types = ["LIMIT", "MARKET"]
        stage.account.connect()
        stage.play(3)
        assert stage.messages.errors == [
            f"{SYMBOL}: binance is not known to take stop orders; the position has no protective stop"
        ]
        assert len(stage.server.posts) == 1


def test_87_a_market_that_asks_for_a_limit_gets_one_far_below(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.server.order_types = ["LIMIT", "MARKET", "STOP_LOSS_LIMIT"]
        stage.account.connect()
        stage.play(2)
        (stop,) = stage.server.stops()
        assert stop.stop_price is not None
        assert stop.price == stop.stop_price * Decimal("0.8") // Decimal("0.01") * Decimal("0.01")
        assert stage.server.posts[-1]["timeInForce"] == "GTC"
        stage.server.fall_to("40")  # through the limit: the stop stands, and sells what it can once the price allows
        stage.play(1)
        assert held(stage) > 1
        stage.server.fall_to("55")
        stage.play(1)
        assert held(stage) == 0
        stage.check()


def test_87_a_market_stop_sells_through_a_gap(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.play(2)
        stage.server.fall_to("20")
        stage.play(1)
        assert held(stage) == 0
        assert stage.steps()[-1].record["fill_price"] == pytest.approx(20.0)
        stage.check()


def test_87_of_a_stop_that_fills_in_part_the_rest_is_protected(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.play(2)
        stage.server.stop_share = Decimal("0.5")
        stage.trader.escalate(RiskState.HALTED, "a test")
        stage.server.fall_to("59", then="70")
        stage.play(1)
        left = held(stage)
        assert left > 1
        assert sum(stop.amount - stop.filled for stop in stage.server.stops()) == left
        stage.check()


def test_87_a_stop_that_a_person_cancels_is_placed_again(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path) as stage:
        stage.play(2)
        stage.server.stops()[0].status = "CANCELED"
        stage.play(1)
        assert [stop.amount for stop in stage.server.stops()] == [held(stage)]
        assert stage.state is RiskState.ACTIVE
        stage.check()


def test_87_dust_has_no_stop_and_that_is_said(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path, [1.0, 0.0]) as stage:
        stage.server.fill_plan = [1.0, 0.9999]
        stage.play(2)
        assert 0 < held(stage) < Decimal("0.05")
        assert stage.server.stops() == []
        assert "below the minimum" in stage.trader.view.unprotected
        stage.check()


# Days are replayed.


def test_87_a_day_replays_bit_for_bit_whether_its_stop_filled_or_not(tmp_path: Path) -> None:
    with stage_with_stop(tmp_path, [0.5, 1.0, 1.0, 0.5, 1.0, 1.0]) as stage:
        stage.play(5)
        day = stage.steps()[0].close_time // DAY_MS * DAY_MS
        model = model_of(stage.agent, limits=STOPPED)
        count, differences = replay_day(stage.services.journal, model, CONFIG, STOPPED, day, OrderKind.REAL)
        assert (count, differences) == (5, [])
        stage.server.fall_to("40", then="100")
        stage.play(2)
        count, differences = replay_day(stage.services.journal, model, CONFIG, STOPPED, day, OrderKind.REAL)
        assert (count, differences) == (7, [])
        booked = stage.steps()[-2].record  # what was bought just before, and the stop that sold it with the rest
        assert booked["units"] == pytest.approx(0.0)
        assert 40 < booked["fill_price"] < 100
