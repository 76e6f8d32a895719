"""Faults of network, exchange and account: after each, the invariants of `Stage.check` hold. Real ccxt, real HTTP."""

import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event

from src.brokerage import ccxt_account
from src.journal.schema import JournaledOrder
from src.live.live_guard import RiskState
from tests.support.fakes.exchange_server import rows, status
from tests.support.live_scene import FATES, FIRST, FromFirst, Stage
from tests.support.live_setup import CONFIG, HOUR_MS, LIMITS, SYMBOL, Chooser, random_rows

BUY_HOLD_SELL = [1.0, 1.0, 0.0, 0.0]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def traded(stage: Stage) -> list[str]:
    decided = [order for order in stage.server.ours() if order.stop_price is None or order.filled]
    return [f"{order.side} {order.status}" for order in decided]


# Requests that place orders: faults 1 to 10.

# A restart right after matters where the outcome is not known at once; `test_live_kills.py` has the rest.
RESTARTED = ("2 cut after accept", "4 the request arrives late", "7 throttled")


@pytest.mark.parametrize(
    ("name", "restart"), [*((name, False) for name in FATES), *((name, True) for name in RESTARTED)]
)
def test_an_order_that_fares_badly_is_accounted_for(tmp_path: Path, name: str, restart: bool) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.fates = [FATES[name]]
        stage.play(1)
        if FATES[name] == "late":
            stage.server.deliver_late()
        if restart:
            stage.restart()
        stage.check()
        assert len(stage.server.posts) == 1
        stage.play(3)
        stage.check()
        # What did not trade at first is made up for at the next candle, under another id.
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        assert stage.state is RiskState.ACTIVE


def test_4_a_request_that_arrives_after_it_was_given_up_trades_nothing(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.fates = ["late"]
        stage.play(2)
        stage.server.deliver_late()
        stage.play(2)
        stage.check()
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]


def test_6_the_exchange_is_down_for_hours_with_an_order_on_its_way(tmp_path: Path) -> None:
    config = replace(CONFIG, max_silence_s=1e9)
    with Stage(tmp_path, BUY_HOLD_SELL, config=config) as stage:
        stage.server.fates = ["cut after accept"]
        place = stage.account.place

        def place_before_the_outage(*arguments: object) -> str:
            for endpoint in ("order", "myTrades", "account", "openOrders"):
                stage.server.faults[endpoint] = [status(503)] * 10_000
            stage.account.place = place  # type: ignore[method-assign]
            return place(*arguments)  # type: ignore[arg-type]

        stage.account.place = place_before_the_outage  # type: ignore[method-assign]
        stage.play(3)
        assert len(stage.server.posts) == 1
        assert stage.trader.view.trouble
        stage.server.faults.clear()
        stage.play(2, looks=2)
        stage.check()
        assert traded(stage)[0] == "BUY FILLED"
        assert stage.units() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_10_a_revoked_key_halts_and_says_so(tmp_path: Path, restart: bool) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.play(2)
        stage.server.key_is_revoked = True
        stage.play(1)
        for _ in range(60):
            stage.server.now_ms += int(stage.worker.once() * 1000)
        assert stage.state is RiskState.HALTED
        assert "key" in stage.trader.guard.reason or "-2015" in stage.trader.guard.reason
        assert any("HALTED" in message for message in stage.messages.errors)
        stage.server.key_is_revoked = False
        if restart:
            stage.restart()
        stage.play(2)
        assert stage.state is RiskState.HALTED
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]  # to be flat is always allowed
        stage.check()


KRAKEN_FATES = [
    "ok",
    "lost",
    "cut after accept",
    "late",
    "body:{}",
    "body:<html></html>",
    "status:503",
    "-2010",
    "-1021",
]


@pytest.mark.parametrize("fate", KRAKEN_FATES)
def test_kraken_too_accounts_for_every_order(tmp_path: Path, fate: str) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, exchange="kraken") as stage:
        stage.server.fates = [fate]
        stage.play(2)
        stage.server.deliver_late()
        stage.restart()
        stage.check()
        stage.play(2)
        stage.check()
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        assert stage.state is RiskState.ACTIVE


# Fills: faults 11 to 15.


def test_11_a_part_fills_now_and_the_rest_later(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0, 1.0, 0.0]) as stage:
        stage.server.fill_plan, stage.server.keeps_rest = [0.4], True
        asked: list[str] = []

        def fill_at_the_third_question(reply: object) -> None:
            asked.append("")
            if len(asked) == 3:
                stage.server.fill_rest()

        stage.server.faults["order"] = [lambda reply: None, *[fill_at_the_third_question] * 3]
        stage.play(4)
        stage.check()
        assert [len([t for t in stage.server.account.trades if t.order is o]) for o in stage.server.ours()] == [2, 1]
        assert stage.units() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("keeps_rest", [False, True], ids=["lapses", "is cancelled"])
def test_12_a_part_fills_and_the_rest_does_not(tmp_path: Path, keeps_rest: bool) -> None:
    with Stage(tmp_path, [1.0, 1.0, 1.0, 0.0]) as stage:
        stage.server.fill_plan, stage.server.keeps_rest = [0.4], keeps_rest
        stage.play(1)
        stage.check()
        assert 3.5 < stage.units() < 4.0
        assert stage.server.ours()[0].status in ("EXPIRED", "CANCELED")
        stage.play(1)
        assert 0.3 < stage.steps()[-2].record["target"] <= 1.0
        assert len(stage.server.ours()) == 2, "the next decision completes it"
        stage.play(2)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=1e-5)


def test_13_fills_reported_twice_count_once(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.faults["myTrades"] = [rows(lambda found: found * 2)] * 50
        stage.play(4)
        stage.check()
        assert len(stage.services.journal.fills(SYMBOL)) == 2


def test_14_fills_are_reported_before_the_status_and_out_of_order(tmp_path: Path) -> None:
    def still_new(reply: object) -> None:
        reply.payload.update(status="NEW", executedQty="0")  # type: ignore[attr-defined]

    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.faults["order"] = [lambda reply: None, still_new, still_new]
        stage.server.faults["myTrades"] = [rows(lambda found: found[::-1])] * 50
        stage.play(4)
        stage.check()
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]


def test_14_the_status_is_reported_before_the_fills(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.faults["myTrades"] = [rows(lambda found: [])] * 3
        stage.play(1)
        stage.check()
        stage.play(3)
        stage.check()
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]


@pytest.mark.parametrize("coin", ["BTC", "base on buy", "USDT", "BNB"])
def test_15_fees_in_any_coin_leave_books_and_balance_equal(tmp_path: Path, coin: str) -> None:
    with Stage(tmp_path, [1.0, 0.5, 1.0, 0.0]) as stage:
        stage.server.fee_coin = coin
        stage.play(5)
        stage.check()
        cash = stage.trader._session.accounts.cash
        assert cash == pytest.approx(float(stage.server.account.balances["USDT"]) - 9_000.0, abs=1e-6)


# Clock: fault 16.


@pytest.mark.parametrize("skew_ms", [-20_000, 20_000])
def test_16_a_clock_that_is_twenty_seconds_off_changes_nothing(tmp_path: Path, skew_ms: int) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL, skew_ms=skew_ms) as stage:
        stage.play(4)
        stage.check()
        assert stage.trader.view.clock_offset_ms == -skew_ms
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]


def test_16_a_clock_that_jumps_while_running_is_made_up_for(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 0.0, 1.0, 0.0]) as stage:
        stage.play(1)
        stage.clock.skew_ms = 20_000
        stage.play(1)
        stage.clock.skew_ms = -20_000
        stage.play(2)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=1e-5)


# Numbers: faults 23 to 28.


class Mad(Chooser):
    """Wants what no account can have, after a purchase that is sound."""

    def __init__(self, target: float, confidence: float = 1.0) -> None:
        super().__init__()
        self._sound, self._wish = FromFirst([0.5]), (target, confidence)

    def act(self, market_state):  # type: ignore[no-untyped-def]
        wish = self._sound.act(market_state)
        if wish.target[0] == 0.5 and market_state.account[0, 0] > 0:
            return wish._replace(target=wish.target * 0 + self._wish[0], confidence=wish.confidence * 0 + self._wish[1])
        return wish


@pytest.mark.parametrize("target", [float("nan"), float("inf"), -float("inf"), 7.0, -1.0])
def test_23_a_decision_that_is_none_holds_the_position_and_stops_opening(tmp_path: Path, target: float) -> None:
    with Stage(tmp_path, agent=Mad(target)) as stage:
        stage.play(4)
        stage.check()
        assert traded(stage) == ["BUY FILLED"]
        assert stage.state is RiskState.REDUCING
        assert "model wanted" in stage.trader.guard.reason
        assert stage.units() > 4


def test_23_a_confidence_that_is_none_is_no_decision(tmp_path: Path) -> None:
    with Stage(tmp_path, agent=Mad(1.0, float("nan"))) as stage:
        stage.play(4)
        stage.check()
        assert traded(stage) == ["BUY FILLED"]
        assert stage.state is RiskState.REDUCING


def test_25_what_is_below_the_minimum_is_not_sent(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.min_notional = "5000"
        stage.restart()
        stage.play(3)
        stage.check()
        assert stage.server.posts == []
        assert any("below the minimum" in text for step in stage.steps() for text in step.changed)


@pytest.mark.parametrize("step", ["0.1", "1", "0.001"])
def test_25_26_amounts_are_whole_steps(tmp_path: Path, step: str) -> None:
    with Stage(tmp_path, [0.5, 1.0, 0.5, 0.0]) as stage:
        stage.server.step = step
        stage.restart()
        stage.play(5)
        stage.check()
        assert len(stage.server.ours()) == 4
        assert all(Decimal(post["quantity"]) % Decimal(step) == 0 for post in stage.server.posts)


def test_27_the_free_balance_bounds_what_is_bought(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.account.balances["USDT"] = Decimal(500)
        stage.play(1)
        stage.check()
        assert 4.5 < stage.units() < 5.0
        stage.play(3)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("factor", [1.5, 0.6])
def test_28_nothing_is_opened_after_a_price_jump_and_closing_is_free(tmp_path: Path, factor: float) -> None:
    candles = random_rows(FIRST + 20, sigma=1e-4)
    jump = FIRST
    candles[jump:] = [(row[0], *(value * factor for value in row[1:5]), row[5]) for row in candles[jump:]]
    candles[jump] = (candles[jump][0], 100.0, *[max(100.0, factor * 100), min(100.0, factor * 100)], factor * 100, 5.0)
    limits = replace(LIMITS, price_band_frac=0.2)
    with Stage(tmp_path / "open", [1.0, 1.0, 0.0], candles, limits) as stage:
        stage.play(1)
        assert any("price_band_frac" in text for text in stage.steps()[-1].changed)
        assert stage.server.posts == []
        stage.play(1)
        assert len(stage.server.ours()) == 1
        stage.check()
    held = random_rows(FIRST + 20, sigma=1e-4)
    held[jump + 1 :] = candles[jump:-1]
    held = [(plain[0], *row[1:]) for plain, row in zip(random_rows(FIRST + 20), held, strict=True)]
    with Stage(tmp_path / "close", [1.0, 0.0, 0.0], held, limits) as stage:
        stage.play(2)
        assert traded(stage)[-1] == "SELL FILLED"
        stage.check()


def test_28_a_fill_worse_than_the_slippage_allowed_does_not_happen(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.server.price = Decimal(120)
        stage.play(1)
        stage.check()
        assert [(order.status, order.filled) for order in stage.server.ours()] == [("EXPIRED", 0)]


# Limits: faults 29 to 31.


def test_29_the_daily_loss_limit_outlives_a_restart(tmp_path: Path) -> None:
    candles = random_rows(FIRST + 60, sigma=1e-4)
    fall = FIRST + 2
    candles[fall:] = [(row[0], *(value * 0.9 for value in row[1:5]), row[5]) for row in candles[fall:]]
    candles[fall] = (candles[fall][0], 100.0, 100.0, 89.0, 90.0, 5.0)
    limits = replace(LIMITS, max_daily_loss_frac=0.05)
    with Stage(tmp_path, [1.0], candles, limits) as stage:
        stage.play(4)
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]
        assert any("loss limit is reached" in text for text in stage.messages.errors)
        stage.restart()
        stage.play(2)
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        assert any("daily loss" in text for text in stage.steps()[-1].changed)
        stage.play(24)  # the next UTC day begins, and it may buy again
        assert traded(stage)[2:] == ["BUY FILLED"]
        stage.check()


def other_symbol(stage: Stage) -> None:
    """Have an order of another symbol decided on at the candle that closes next."""
    close_time = int(stage.server.bars[stage.candle + 1][0]) + HOUR_MS
    order = JournaledOrder(f"eth{close_time}", "ETH/USDT", close_time, close_time, "buy", Decimal(1), None, 100.0)
    stage.services.journal.add_order(order)


def test_29_the_number_of_orders_an_hour_is_bounded_and_closing_is_not(tmp_path: Path) -> None:
    limits = replace(LIMITS, max_orders_per_hour=1)
    with Stage(tmp_path, [0.5, 1.0, 0.0, 0.5], limits=limits) as stage:
        stage.play(1)
        other_symbol(stage)
        stage.play(1)
        assert any("max_orders_per_hour" in text for text in stage.steps()[-1].changed)
        assert len(stage.server.ours()) == 1
        other_symbol(stage)
        stage.play(1)
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]
        stage.check()


@pytest.mark.parametrize("gone", ["BREAK", "delisted"])
def test_30_a_market_that_stops_trading_sends_nothing_and_is_told(tmp_path: Path, gone: str) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0, 0.0]) as stage:
        stage.play(2)
        stage.server.market_status = "BREAK"
        if gone == "delisted":
            stage.account._exchange.markets = {}
        else:
            stage.account.connect()
        stage.play(2, looks=2)
        assert traded(stage) == ["BUY FILLED"]
        told = [*stage.messages.errors, *(text for step in stage.steps() for text in step.changed)]
        assert any("trade" in text or "no market" in text for text in told)
        assert stage.units() > 9


def test_31_filters_that_change_are_read_again_after_a_refusal(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 0.5, 1.0, 0.0]) as stage:
        stage.server.step = "0.1"
        stage.play(1)
        assert stage.server.ours() == []
        stage.play(3)
        stage.check()
        assert traded(stage)[0] == "BUY FILLED"
        assert stage.units() == pytest.approx(0.0, abs=1e-5)


# The account: faults 37, 44, 45.


def test_37_coins_that_were_there_before_are_left_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path, BUY_HOLD_SELL)
    stage.server.account.balances["BTC"] = Decimal(3)
    with stage:
        stage.play(4)
        stage.check(strangers="3")
        assert stage.server.account.balances["BTC"] == pytest.approx(Decimal(3), abs=Decimal("1e-5"))


def test_37_coins_of_a_lost_journal_halt(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.folder = tmp_path / "second"
        stage.restart()
        assert stage.state is RiskState.HALTED
        assert "this bot did not send it" in stage.trader.guard.reason
        posts = len(stage.server.posts)
        stage.play(3)
        assert len(stage.server.posts) == posts


def test_44_an_order_of_another_bot_halts(tmp_path: Path) -> None:
    with Stage(tmp_path, BUY_HOLD_SELL) as stage:
        stage.play(1)
        stage.server.trade_by_hand("BUY", "0.2", client_id="st" + "z" * 16)
        stage.play(1)
        assert stage.state is RiskState.HALTED
        assert "st" + "z" * 16 in stage.trader.guard.reason


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_45_a_trade_by_hand_stops_opening_and_is_not_undone(tmp_path: Path, side: str) -> None:
    with Stage(tmp_path, [0.5, 0.5, 1.0, 0.0]) as stage:
        stage.play(1)
        stage.server.trade_by_hand(side, "0.2")
        stage.play(2)
        assert stage.state is RiskState.REDUCING
        assert any("did not send" in text for text in stage.messages.errors)
        assert len(stage.server.ours()) == 1
        stage.restart()
        assert stage.state is RiskState.REDUCING
        stage.play(1)
        assert traded(stage)[-1] == "SELL FILLED"
        stage.check(strangers="0.2" if side == "BUY" else "-0.2")


def test_45_coins_that_leave_without_a_trade_stop_opening(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 0.5, 1.0]) as stage:
        stage.play(1)
        stage.server.account.balances["BTC"] -= Decimal("0.5")
        stage.play(2)
        assert stage.state is RiskState.REDUCING
        assert "no order of this bot explains" in stage.trader.guard.reason


# The kill switch, and what a person may do afterwards.


def test_the_kill_switch_halts_and_only_closing_passes(tmp_path: Path) -> None:
    limits = replace(LIMITS, kill_switch_file=str(tmp_path / "KILL"))
    with Stage(tmp_path, [0.5, 1.0, 1.0, 0.0, 1.0], limits=limits) as stage:
        stage.play(1)
        (tmp_path / "KILL").touch()
        stage.play(2)
        assert len(stage.server.ours()) == 1
        stage.play(2)
        assert traded(stage) == ["BUY FILLED", "SELL FILLED"]
        stage.check()


def test_39_a_full_disk_means_no_order(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 1.0, 0.0]) as stage:
        stage.play(1)
        record = stage.services.journal.record_step

        def full(*arguments: object) -> None:
            with stage.services.journal.database.writing() as connection:
                connection.exec_driver_sql("PRAGMA max_page_count = 1")
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                connection.exec_driver_sql("CREATE TABLE filler (x)")
                connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(1000000))")
            record(*arguments)  # type: ignore[arg-type]

        stage.services.journal.record_step = full  # type: ignore[method-assign]
        stage.play(1)
        assert len(stage.server.posts) == 1
        assert stage.state is RiskState.HALTED
        assert "full" in stage.trader.view.trouble
        stage.services.journal.record_step = record  # type: ignore[method-assign]
        stage.restart()
        stage.check()


def test_40_a_disk_that_turns_read_only_means_no_order(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 1.0, 0.0]) as stage:
        stage.play(1)

        @event.listens_for(stage.services.journal.database.engine, "checkout")
        def read_only(raw: sqlite3.Connection, *_: object) -> None:
            raw.execute("PRAGMA query_only = ON")

        stage.play(1)
        assert len(stage.server.posts) == 1
        assert stage.state is RiskState.HALTED
        assert "readonly" in stage.trader.view.trouble
        assert any("HALTED" in message for message in stage.messages.errors)
        stage.restart()
        stage.check()
