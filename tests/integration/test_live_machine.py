"""Random sequences of candles, faults, restarts, skews and people: the invariants hold after each."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from src.brokerage import ccxt_account
from src.live.live_guard import RiskState
from tests.support.fakes.exchange_server import Fault, body, cut_connection, rows, status
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import CONFIG, Chooser

UNKNOWN = ("lost", "cut after accept", "cut mid-body", "late", "late", "body:{}", "status:500", "accepted:503")
FATES = ("ok", "ok", *UNKNOWN, "-2010", "-1021")
NOTHING_YET = rows(lambda found: [])
READING: tuple[Fault, ...] = (status(503), body(b"{}"), body(b"<html>"), cut_connection, NOTHING_YET)
PARTS = (1.0, 0.5, 0.0)


class BotMachine(RuleBasedStateMachine):
    """One bot with real orders, against one exchange."""

    def __init__(self) -> None:
        super().__init__()
        self.timeout_ms, ccxt_account.TIMEOUT_MS = ccxt_account.TIMEOUT_MS, 1_500
        self.folder = Path(tempfile.mkdtemp())
        # It looks once an hour here: two looks in vain are no reason to halt yet.
        self.stage = Stage(self.folder, agent=Chooser(), config=replace(CONFIG, max_silence_s=1e9))
        self.stage.__enter__()
        self.strangers = Decimal(0)

    def teardown(self) -> None:
        self.stage.__exit__(None, None, None)
        shutil.rmtree(self.folder)
        ccxt_account.TIMEOUT_MS = self.timeout_ms

    @rule(fate=st.sampled_from(FATES), part=st.sampled_from(PARTS), keeps_rest=st.booleans(), arrives=st.booleans())
    def a_candle_closes(self, fate: str, part: float, keeps_rest: bool, arrives: bool) -> None:
        self.stage.server.fates, self.stage.server.fill_plan = [fate], [part]
        self.stage.server.keeps_rest = keeps_rest
        if self.stage.candle < FIRST + 55:
            self.stage.play(1)
        if arrives:
            self.stage.server.deliver_late()

    @rule(endpoint=st.sampled_from(["order", "myTrades", "account", "klines"]), fault=st.sampled_from(READING))
    def reading_will_fail(self, endpoint: str, fault: Fault) -> None:
        self.stage.server.faults[endpoint] = [fault] * 4

    @rule()
    def late_requests_arrive(self) -> None:
        self.stage.server.deliver_late()

    @rule()
    def what_is_open_fills(self) -> None:
        self.stage.server.fill_rest()

    @rule(skew_ms=st.sampled_from([-20_000, 0, 20_000]))
    def the_clock_jumps(self, skew_ms: int) -> None:
        self.stage.clock.skew_ms = skew_ms

    @rule()
    def the_process_starts_again(self) -> None:
        self._patiently(self.stage.restart)

    @rule(side=st.sampled_from(["BUY", "SELL"]))
    def a_person_trades(self, side: str) -> None:
        if self.stage.server.account.balances["BTC"] > Decimal("0.01") or side == "BUY":
            self.stage.server.trade_by_hand(side, "0.01")
            self.strangers += Decimal("0.01") if side == "BUY" else Decimal("-0.01")

    @invariant()
    def books_and_exchange_agree(self) -> None:
        if not self.stage.services.journal.unresolved("BTC/USDT"):
            self.stage.check(strangers=str(self.strangers))

    @invariant()
    def no_decision_has_two_orders(self) -> None:
        ids = [order.client_id for order in self.stage.server.ours()]
        assert len(ids) == len(set(ids)) <= len(self.stage.steps())

    @invariant()
    def a_trade_by_hand_is_never_followed_by_opening_for_long(self) -> None:
        if self.strangers and self.stage.state is RiskState.HALTED:
            raise AssertionError(self.stage.trader.guard.reason)

    def _patiently(self, call: Callable[[], None]) -> None:
        self.stage.server.faults.clear()
        call()


TestBotMachine = BotMachine.TestCase
TestBotMachine.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
