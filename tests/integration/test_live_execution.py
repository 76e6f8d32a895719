"""Styles of execution over the wire: whatever rests, trades in parts, is cancelled or killed, a decision stays one."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from src.brokerage import ccxt_account
from src.brokerage.ccxt_account import CcxtAccount
from src.config.live import Execution
from src.errors import TransientError
from src.execution.tape import DAY_MS
from src.journal.inspection import decision_at
from src.journal.inspection_text import trace_lines
from src.journal.journal import Journal
from src.live.day_replay import replay_day
from src.live.live_guard import RiskState
from src.live.venues.venue import OrderKind
from tests.support.fakes.exchange_server import status
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import CONFIG, LIMITS, SYMBOL, model_of, random_rows

BUY_HOLD_SELL = [1.0, 1.0, 0.0, 0.0]
LIMIT_THEN_IMMEDIATE = replace(CONFIG, execution=Execution.limit_then_immediate, rest_s=20.0)
POST_ONLY = replace(CONFIG, execution=Execution.post_only, rest_s=20.0)
STYLES = [LIMIT_THEN_IMMEDIATE, POST_ONLY]
IDS = [config.execution.value for config in STYLES]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def sent(stage: Stage) -> list[str]:
    ours = [order for order in stage.server.ours() if order.stop_price is None]
    return [f"{order.side} {order.tif} {order.status}" for order in ours]


def orders(stage: Stage, step: int = -1) -> list[Any]:
    return stage.services.journal.orders_of(SYMBOL, stage.steps()[step].close_time)


def posts(stage: Stage) -> list[dict[str, str]]:
    return stage.server.posts


@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_an_order_that_rests_trades_at_its_own_price_and_needs_no_other(tmp_path: Path, config: Any) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=config) as stage:
        stage.server.rest_plan = [0.0, 0.25, 1.0]
        stage.play(1)
        bid, _ = stage.server.quote()
        (order,) = stage.server.ours()
        assert order.status == "FILLED"
        assert order.price == (bid / Decimal("0.01")).to_integral_value(rounding="ROUND_FLOOR") * Decimal("0.01")
        assert [trade.price for trade in stage.server.account.trades] == [order.price] * 2
        assert orders(stage)[0].outcome == "filled"
        assert orders(stage)[0].price == order.price
        stage.server.rest_plan = [1.0]
        stage.play(3)
        assert [line.split()[0] for line in sent(stage)] == ["BUY", "SELL"]
        stage.check()
        assert stage.units() == 0.0
        assert stage.state is RiskState.ACTIVE


def test_post_only_is_a_limit_maker_order_at_binance_and_flagged_post_at_kraken(tmp_path: Path) -> None:
    for exchange in ("binance", "kraken"):
        with Stage(tmp_path / exchange, BUY_HOLD_SELL, config=POST_ONLY, exchange=exchange) as stage:
            stage.server.rest_plan = [1.0]
            stage.play(1)
            if exchange == "binance":
                assert posts(stage)[0]["type"] == "LIMIT_MAKER"
                assert "timeInForce" not in posts(stage)[0]
            else:
                assert posts(stage)[0]["oflags"] == "fciq,post"
            stage.check()


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
def test_88_a_part_trades_while_it_rests_and_the_rest_at_once_after_the_time_out(tmp_path: Path, exchange: str) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE, exchange=exchange) as stage:
        stage.server.rest_plan = [0.0, 0.4]
        began = stage.server.now_ms
        stage.play(1)
        assert sent(stage) == ["BUY GTC CANCELED", "BUY IOC FILLED"]
        rested, at_once = stage.server.ours()
        decided = orders(stage)[0].amount
        assert rested.amount == decided
        assert at_once.amount == decided - rested.filled
        assert 20_000 <= at_once.time - rested.time <= 21_000
        assert at_once.time > began
        assert [order.part for order in orders(stage)] == [0, 1]
        assert stage.steps()[-1].record["target"] == 1.0
        stage.play(1)
        assert len(stage.server.ours()) == 2, "the whole of it is held, so the next candle needs no order"
        assert stage.steps()[-1].record["target"] == 1.0
        stage.check()
        stage.server.rest_plan = []
        stage.play(2)
        assert sent(stage)[2:] == ["SELL GTC CANCELED", "SELL IOC FILLED"]
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        stage.check()
        assert stage.state is RiskState.ACTIVE


def test_88_what_post_only_leaves_waits_for_the_next_decision(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0, 1.0, 0.0], config=POST_ONLY) as stage:
        stage.server.rest_plan = [0.0, 0.4]
        stage.play(1)
        assert sent(stage) == ["BUY PO CANCELED"]
        assert 3.5 < stage.units() < 4.0
        stage.server.rest_plan = [1.0]
        stage.play(1)
        assert sent(stage)[1:] == ["BUY PO FILLED"]
        stage.check()
        stage.play(2)  # to sell, and nothing comes to trade
        assert sent(stage)[2:] == ["SELL PO CANCELED"]
        assert stage.units() > 9
        stage.check()
        assert stage.state is RiskState.ACTIVE


CANCEL_FATES = ["lost", "cut", "filled first", "filled first, cut"]


@pytest.mark.parametrize("exchange", ["binance", "kraken"])
@pytest.mark.parametrize("config", STYLES, ids=IDS)
@pytest.mark.parametrize("fate", CANCEL_FATES)
def test_89_a_cancellation_whose_answer_is_lost_or_comes_too_late(
    tmp_path: Path, fate: str, config: Any, exchange: str
) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=config, exchange=exchange) as stage:
        stage.server.rest_plan = [0.3]
        stage.server.cancel_fates = [fate]
        stage.play(1)
        stage.check()
        first = stage.server.ours()[0]
        if fate.startswith("filled first"):
            assert (first.status, len(stage.server.ours())) == ("FILLED", 1)
        else:
            assert first.status == "CANCELED"
            assert len(stage.server.ours()) == (2 if config is LIMIT_THEN_IMMEDIATE else 1)
        stage.server.rest_plan = [1.0] * 3
        stage.play(3)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        assert stage.state is RiskState.ACTIVE


def test_89_while_a_cancellation_is_unknown_nothing_more_is_sent(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        stage.server.rest_plan = [0.3]
        stage.server.cancel_fates = ["lost"] * 100
        stage.play(1)
        assert sent(stage) == ["BUY GTC PARTIALLY_FILLED"]
        assert orders(stage)[0].state == "sending"
        stage.server.cancel_fates = []
        stage.play(1)
        assert sent(stage)[0] == "BUY GTC CANCELED"
        stage.check()
        assert stage.units() > 2
        stage.play(2)
        stage.check()
        assert stage.state is RiskState.ACTIVE


class Killed(BaseException):
    """The process ends here; nothing catches it."""


def dying(owner: Any, name: str, time: int, after: bool) -> Callable[[pytest.MonkeyPatch], None]:
    """Die before or after the n-th call of a method."""

    def arm(patch: pytest.MonkeyPatch) -> None:
        method, calls = getattr(owner, name), []

        def wrapped(self: Any, *arguments: Any) -> Any:
            calls.append(name)
            if len(calls) != time:
                return method(self, *arguments)
            if after:
                method(self, *arguments)
            raise Killed

        patch.setattr(owner, name, wrapped)

    return arm


KILLS = {
    "before it is marked": dying(Journal, "mark_sending", 1, after=False),
    "after it is marked": dying(Journal, "mark_sending", 1, after=True),
    "after it was placed": dying(CcxtAccount, "place", 1, after=True),
    "while it rests": dying(CcxtAccount, "find", 3, after=False),
    "before it is cancelled": dying(CcxtAccount, "cancel", 1, after=False),
    "after it was cancelled": dying(CcxtAccount, "cancel", 1, after=True),
    "before what it traded is kept": dying(Journal, "add_fills", 2, after=False),
    "after what it traded is kept": dying(Journal, "add_fills", 2, after=True),
    "before the next order is kept": dying(Journal, "add_order", 1, after=False),
    "after the next order is kept": dying(Journal, "add_order", 1, after=True),
    "after the next order was placed": dying(CcxtAccount, "place", 2, after=True),
}


@pytest.mark.parametrize("name", KILLS)
def test_90_a_bot_that_is_killed_while_an_order_rests_cancels_it_and_accounts_for_it(tmp_path: Path, name: str) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        stage.server.rest_plan = [0.0, 0.3]
        with pytest.MonkeyPatch.context() as patch:
            KILLS[name](patch)
            with pytest.raises(Killed):
                stage.play(1)
        stage.restart()
        assert [order.status for order in stage.server.ours() if order.status in ("NEW", "PARTIALLY_FILLED")] == []
        sent_so_far = len(posts(stage))
        for _ in range(3):  # what cannot arrive any more is given up
            stage.server.now_ms += 5_000
            stage.worker.once()
        assert len(posts(stage)) == sent_so_far, "nothing is sent for that decision again"
        stage.check()
        assert stage.services.journal.unresolved(SYMBOL) == []
        stage.server.rest_plan = []
        stage.play(3)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        assert stage.state is RiskState.ACTIVE


@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_90_killed_while_it_rests_a_bot_takes_in_what_traded_meanwhile(tmp_path: Path, config: Any) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=config) as stage:
        with pytest.MonkeyPatch.context() as patch:
            KILLS["while it rests"](patch)
            with pytest.raises(Killed):
                stage.play(1)
        stage.server.fill_rest()
        stage.restart()
        assert sent(stage)[0].endswith("FILLED")
        assert stage.units() > 9
        stage.check()


class Stopping:
    """The clock of a program that is told to stop while it waits."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def now_ms(self) -> int:
        return self.stage.clock.now_ms()

    def sleep(self, seconds: float) -> None:
        if seconds:
            raise TransientError("the program is told to stop")


@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_33_a_stop_while_it_rests_cancels_it_and_sends_nothing_more(tmp_path: Path, config: Any) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=config) as stage:
        stage.trader._services = replace(stage.services, clock=Stopping(stage))
        stage.play(1)
        assert [line.split()[2] for line in sent(stage)] == ["CANCELED"]
        assert stage.services.journal.unresolved(SYMBOL) == []
        stage.check()


@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_a_kill_switch_while_it_rests_cancels_it_and_closing_goes_at_once(tmp_path: Path, config: Any) -> None:
    kill = tmp_path / "KILL"
    limits = replace(LIMITS, kill_switch_file=str(kill))
    with Stage(tmp_path / "bot", [1.0, 0.0, 0.0], config=config, limits=limits) as stage:
        stage.server.rest_plan = [0.3]
        stage.server.faults["order"] = [lambda reply: None] * 2 + [lambda reply: kill.touch()]
        stage.play(1)
        assert [line.split()[2] for line in sent(stage)] == ["CANCELED"]
        assert stage.state is RiskState.HALTED
        assert 2 < stage.units() < 3
        stage.play(1)
        assert sent(stage)[1:] == ["SELL IOC FILLED"]
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        stage.check()


def test_a_command_ends_the_rest(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        commands = stage.services.journal.commands
        asked: list[int] = []

        def pause(reply: object) -> None:
            asked.append(stage.server.now_ms)
            commands.append("key", SYMBOL, "pause", "test", stage.server.now_ms)

        stage.server.faults["order"] = [lambda reply: None, lambda reply: None, pause]
        stage.play(1)
        assert len(asked) == 1
        assert sent(stage) == ["BUY GTC CANCELED"]
        stage.check()


def test_a_post_only_order_that_would_take_is_not_placed_and_tried_again(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=POST_ONLY) as stage:
        quote = stage.server.quote
        crossing = [True, True]
        accept = stage.server._accept

        def accept_after_a_move(query: dict[str, str]) -> Any:  # the market has fallen by when the order arrives
            if not crossing:
                return accept(query)
            crossing.pop()
            stage.server.quote = lambda: tuple(price - 1 for price in quote())  # type: ignore[assignment]
            reply = accept(query)
            stage.server.quote = quote  # type: ignore[method-assign]
            return reply

        stage.server._accept = accept_after_a_move  # type: ignore[method-assign]
        stage.server.rest_plan = [1.0]
        stage.play(1)
        assert [order.outcome for order in orders(stage)] == [
            "refused: binance would have traded it at once; nothing was placed",
            "refused: binance would have traded it at once; nothing was placed",
            "filled",
        ]
        assert sent(stage) == ["BUY PO FILLED"]
        stage.check()


def test_another_refusal_of_a_post_only_order_is_told_apart(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=POST_ONLY) as stage:
        stage.server.fates = ["-2010"] * 100
        stage.play(1)
        assert "insufficient balance" in str(orders(stage)[0].outcome)
        assert len(posts(stage)) == 1, "what is refused for a reason that stays is not sent again and again"
        stage.check()


def test_post_only_follows_the_best_price(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=POST_ONLY) as stage:
        stage.server.price = stage.server.market_price()
        bid = stage.server.quote()[0]
        depths: list[int] = []

        def rise(reply: object) -> None:
            depths.append(0)
            if len(depths) == 3:
                stage.server.price += Decimal("0.10")

        stage.server.faults["depth"] = [rise] * 100
        stage.play(1)
        prices = [order.price for order in stage.server.ours()]
        tick = Decimal("0.01")
        floor = [(price / tick).to_integral_value(rounding="ROUND_FLOOR") * tick for price in (bid, bid + tick * 10)]
        assert prices == floor
        assert [order.status for order in stage.server.ours()] == ["CANCELED"] * 2
        stage.check()


@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_nothing_leaves_after_the_decision_window_however_long_it_may_rest(tmp_path: Path, config: Any) -> None:
    config = replace(config, rest_s=300.0, decision_window_frac=0.01)  # 36 s of an hour
    with Stage(tmp_path, BUY_HOLD_SELL, config=config) as stage:
        stage.play(1)
        close = stage.steps()[-1].close_time
        left = [int(post["timestamp"]) - close for post in posts(stage)]
        assert max(left) <= 36_000
        if config.execution is Execution.limit_then_immediate:
            assert sent(stage) == ["BUY GTC CANCELED", "BUY IOC FILLED"]
            assert left[1] - left[0] >= 25_000
        assert stage.services.journal.unresolved(SYMBOL) == []
        stage.check()


def test_where_prices_cannot_be_read_a_limit_goes_at_once_and_post_only_waits(tmp_path: Path) -> None:
    outcomes = {}
    for config in STYLES:
        with Stage(tmp_path / config.execution.value, BUY_HOLD_SELL, config=config) as stage:
            stage.server.faults["depth"] = [status(503)] * 1_000
            stage.play(1)
            outcomes[config.execution] = (sent(stage), str(orders(stage)[0].outcome))
            stage.check()
    assert outcomes[Execution.limit_then_immediate] == (["BUY IOC FILLED"], "filled")
    assert outcomes[Execution.post_only][0] == []
    assert outcomes[Execution.post_only][1].startswith("never sent: prices are unknown")


@pytest.mark.parametrize("fate", ["lost", "cut after accept", "late", "body:{}", "status:503", "-1013", "accepted:502"])
@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_90_a_request_to_rest_that_fares_badly_is_accounted_for(tmp_path: Path, config: Any, fate: str) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=config) as stage:
        stage.server.fates = [fate]
        stage.play(1)
        stage.server.deliver_late()
        stage.check()
        assert not any(line.endswith(("NEW", "PARTIALLY_FILLED")) for line in sent(stage))
        stage.server.rest_plan = [1.0] * 4
        stage.play(3)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        assert stage.state is RiskState.ACTIVE


def test_explain_shows_every_order_of_a_decision_and_the_hourly_limit_counts_one(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        stage.server.rest_plan = [0.4]
        stage.play(1)
        found = decision_at(stage.services.journal, SYMBOL, stage.server.now_ms)
        assert found is not None
        lines = [line for line in trace_lines(found) if line.startswith("  sent")]
        assert [", GTC" in line for line in lines] == [True, False]
        assert lines[1].endswith("filled")
        assert len(found.fills) == 2
        assert stage.services.journal.orders_since(0) == 1


def test_what_is_below_the_minimum_after_a_rest_is_left(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        stage.server.rest_plan = [0.999]  # of some 1,000 USDT, with a minimum of 5
        stage.play(1)
        assert sent(stage) == ["BUY GTC CANCELED"]
        assert str(orders(stage)[0].outcome).endswith("filled")
        stage.check()


def test_a_refusal_after_a_part_traded_is_told_with_it(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        stage.server.rest_plan = [0.4]
        stage.server.fates = ["ok", "-2010"]
        stage.play(1)
        (told,) = stage.messages.errors
        assert " filled, then refused: " in told
        stage.check()


@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_29_what_a_loss_limit_closes_goes_at_once(tmp_path: Path, config: Any) -> None:
    candles = random_rows(FIRST + 60, sigma=1e-4)
    fall = FIRST + 2
    candles[fall:] = [(row[0], *(value * 0.9 for value in row[1:5]), row[5]) for row in candles[fall:]]
    candles[fall] = (candles[fall][0], 100.0, 100.0, 89.0, 90.0, 5.0)
    limits = replace(LIMITS, max_daily_loss_frac=0.05)
    with Stage(tmp_path, [1.0], candles, limits, config=config) as stage:
        stage.server.rest_plan = [1.0]
        stage.play(4)
        assert [line for line in sent(stage) if line.startswith("SELL")] == ["SELL IOC FILLED"]
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        stage.check()


def test_a_protective_stop_gives_way_to_a_resting_sale_and_comes_back_for_what_it_left(tmp_path: Path) -> None:
    limits = replace(LIMITS, max_drawdown_frac=0.2, max_daily_loss_frac=0.05)
    with Stage(tmp_path, [1.0, 0.0, 0.0], config=POST_ONLY, limits=limits) as stage:
        stage.server.rest_plan = [1.0]
        stage.play(1)
        assert [stop.amount for stop in stage.server.stops()] == [stage.server.account.balances["BTC"]]
        stage.server.rest_plan = [0.0, 0.4]
        stage.play(1)
        left = stage.server.account.balances["BTC"]
        assert 5 < left < 7
        assert [stop.amount for stop in stage.server.stops()] == [left]
        stage.server.rest_plan = [1.0]
        stage.play(2)
        assert stage.server.stops() == []
        assert stage.server.account.balances["BTC"] < Decimal("1e-4")
        stage.check()
        assert stage.state is RiskState.ACTIVE


def test_a_day_of_resting_orders_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 0.5, 0.0, 1.0, 1.0, 0.0], config=LIMIT_THEN_IMMEDIATE) as stage:
        for share in (0.4, 1.0, 0.0, 0.7, 0.2, 0.5):
            stage.server.rest_plan = [share]
            stage.play(1)
        steps = stage.steps()
        model, day = model_of(stage.agent), steps[0].close_time // DAY_MS * DAY_MS
        count, differences = 0, []
        for each in sorted({day, steps[-1].close_time // DAY_MS * DAY_MS}):
            more, found = replay_day(stage.services.journal, model, stage.config, LIMITS, each, OrderKind.REAL)
            count, differences = count + more, differences + found
        assert (count, differences) == (len(steps) - 1, [])


@pytest.mark.parametrize("seed", range(12))
def test_random_sequences_of_fills_faults_and_restarts_keep_the_invariants(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = [float(target) for target in rng.choice([0.0, 0.5, 1.0], 8)]
    with Stage(tmp_path, targets, config=STYLES[seed % 2], exchange=("binance", "kraken")[seed // 2 % 2]) as stage:
        for _ in range(8):
            stage.server.rest_plan = [float(share) for share in rng.choice([0.0, 0.2, 0.5, 1.0], rng.integers(0, 6))]
            stage.server.fates = [str(rng.choice(["ok", "ok", "ok", "lost", "cut after accept", "body:{}"]))]
            stage.server.cancel_fates = [str(rng.choice(["ok", "ok", *CANCEL_FATES]))]
            stage.play(1)
            if rng.random() < 0.3:
                stage.restart()
            stage.server.fates, stage.server.cancel_fates, stage.server.rest_plan = [], [], []
            stage.server.now_ms += 20_000
            stage.worker.once()
            stage.check()
        assert stage.state is RiskState.ACTIVE


@pytest.mark.parametrize("config", STYLES, ids=IDS)
def test_90_a_journal_that_fails_while_an_order_rests_leaves_none_in_the_book(tmp_path: Path, config: Any) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=config) as stage:
        place = stage.account.place

        def place_and_fail(*arguments: Any) -> str:
            exchange_id = place(*arguments)
            event.listen(stage.services.journal.database.engine, "checkout", read_only)
            return exchange_id

        stage.server.rest_plan = [0.0, 0.25]
        stage.account.place = place_and_fail  # type: ignore[method-assign]
        stage.play(1)
        (order,) = stage.server.ours()
        assert order.status == "CANCELED"
        assert stage.state is RiskState.HALTED
        stage.restart()
        stage.play(1)
        assert len(stage.server.ours()) == 1
        stage.check()


def read_only(raw: Any, *_: object) -> None:
    raw.execute("PRAGMA query_only = ON")


def test_58_a_clock_that_is_set_back_while_an_order_rests_lets_it_rest_no_longer(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        place = stage.account.place

        def place_before_the_jump(*arguments: Any) -> str:
            exchange_id = place(*arguments)
            stage.clock.skew_ms = -1_800_000
            return exchange_id

        stage.account.place = place_before_the_jump  # type: ignore[method-assign]
        stage.play(1)
        assert sent(stage) == ["BUY GTC CANCELED", "BUY IOC FILLED"]
        rested, at_once = stage.server.ours()
        assert 20_000 <= at_once.time - rested.time <= 25_000
        stage.check()


def test_89_an_order_that_may_rest_is_cancelled_though_candles_cannot_be_read(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, config=LIMIT_THEN_IMMEDIATE) as stage:
        stage.server.cancel_fates = ["lost"] * 100
        stage.play(1)
        (order,) = stage.server.ours()
        assert order.status == "NEW"
        stage.server.cancel_fates = []
        stage.server.faults["klines"] = [status(503)] * 100
        stage.server.now_ms += 3_600_000
        stage.worker.once()
        assert order.status == "CANCELED"
