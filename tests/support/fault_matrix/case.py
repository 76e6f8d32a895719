"""One case: a fault at a candle that buys or sells, an interruption at one of its steps, and what must hold after."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.config.live import Execution
from src.config.risk import RiskLimits
from src.errors import TraderError
from src.live.bot import Worker
from src.live.live_guard import RiskState
from tests.support.fakes.account_server import AHEAD_MS
from tests.support.fault_matrix.faults import FAULTS, Fault
from tests.support.fault_matrix.interruptions import INTERRUPTIONS, Interruption, Killed, Steps, StoppableClock
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import CONFIG, HOUR_MS, LIMITS, START, SYMBOL

STEPS_OF_A_CANDLE = 40  # requests and transactions, before and after each; faults make more of them
PER_PAIR = 1  # steps that are drawn for a fault and an interruption
NONE = "none"
LOOKS, MOST_STARTS = 3, 60
LAST = FIRST + 6
TARGETS = ((0.5, 1.0, 1.0, 0.5, 0.0), (1.0, 0.5, 1.0, 1.0, 0.0), (1.0, 0.0, 0.5, 0.5, 0.0))
# The bot looks a few times an hour here, so that looks in vain are no reason to halt; 104 s are too late.
CONFIG_OF_CASES = replace(CONFIG, max_silence_s=1e9, decision_window_frac=0.02)
STYLES = (Execution.immediate, Execution.immediate, Execution.limit_then_immediate, Execution.post_only)
PROTECTED = replace(LIMITS, max_drawdown_frac=0.2)  # a stop rests at the exchange while a position is held


@dataclass(frozen=True)
class Case:
    """What happens.

    Attributes:
        number: which numbers it draws.
        at: the step at which it is interrupted.
    """

    number: int
    fault: str
    interruption: str
    at: int


def cases(seed: int) -> list[Case]:
    """Return all cases of a seed: each fault alone, and interrupted in each way at steps that are drawn."""
    rng = np.random.default_rng([seed, 0])
    drawn = [
        (fault, interruption, int(at))
        for fault in FAULTS
        for interruption, count in [(NONE, 1), *((name, PER_PAIR) for name in INTERRUPTIONS)]
        for at in rng.choice(STEPS_OF_A_CANDLE, count, replace=False)
    ]
    return [Case(number, *each) for number, each in enumerate(drawn)]


def run_case(folder: Path, case: Case, seed: int) -> str:
    """Play a case; return the name of the step that was interrupted.

    Raises:
        AssertionError: an invariant is broken.
    """
    rng = np.random.default_rng([seed, 1, case.number])
    fault = FAULTS[case.fault]
    targets, style = TARGETS[rng.integers(len(TARGETS))], STYLES[rng.integers(len(STYLES))]
    is_protected = fault.is_of_stops or bool(rng.random() < 0.5)
    with CaseStage(folder, targets, style, PROTECTED if is_protected else LIMITS) as stage:
        stage.close_candle(1)
        fault.begin(stage, rng)
        posts = len(stage.server.posts)
        where = stage.interrupted(INTERRUPTIONS.get(case.interruption), case.at)
        stage.close_candle(LOOKS)
        stage.heal()
        fault.end(stage)
        while stage.closed < LAST:
            stage.close_candle(2)
        stage.judge(fault, posts)
    return where


class CaseStage(Stage):
    """A stage whose time never goes back."""

    clock: StoppableClock

    def __init__(self, folder: Path, targets: tuple[float, ...], style: Execution, limits: RiskLimits) -> None:
        super().__init__(folder, targets, limits=limits, config=replace(CONFIG_OF_CASES, execution=style))
        self.clock = StoppableClock(self.server)
        self.server.rest_plan = [0.4, 1.0] * 200  # an order that rests trades in two parts

    @property
    def closed(self) -> int:
        """The newest candle that has closed."""
        return (self.server.now_ms - START) // HOUR_MS - 1

    def close_candle(self, looks: int) -> None:
        """Let the next candle close that has not, and the bot look."""
        self.at_candle(self.closed + 1)
        for _ in range(looks):
            self.look()

    def look(self) -> None:
        self.server.now_ms += int(min(self.worker.once(), 10.0) * 1000)

    def interrupted(self, interruption: Interruption | None, at: int) -> str:
        """Close a candle, with an interruption at a step; return its name."""
        self.at_candle(self.closed + 1)
        if interruption is None:
            self.look()
            return ""
        name = self._interrupted_once(interruption, at)
        for left in reversed(range(interruption.restarts)):
            self.clock.is_stopped = False
            self.server.deliver_late()
            self._start()
            if left:
                self._interrupted_once(interruption, at)
            else:
                self.look()
        return name

    def _interrupted_once(self, interruption: Interruption, at: int) -> str:
        steps = Steps(at, lambda: interruption.happens(self))
        steps.watch(self)
        with suppress(Killed):
            self.look()
            while not steps.name:
                steps.see("the end of a look")
        return steps.name

    def _start(self) -> None:
        # As a service does: again a minute later, where the exchange cannot be reached.
        self.services.journal.close()
        for _ in range(MOST_STARTS):
            try:
                self.trader = self.build()
            except TraderError:
                self.server.now_ms += 60_000
            else:
                self.worker = Worker(self.trader, self.services)
                return
        raise AssertionError("the bot cannot be started")

    def judge(self, fault: Fault, posts: int) -> None:
        """Assert the invariants.

        Args:
            posts: orders that had been sent before the fault.
        """
        self.check_secrets()
        told = [*self.messages.errors, *self.messages.infos]
        assert self.state <= fault.leads_to, f"{self.state.name}: {self.trader.guard.reason}"
        if self.state is not RiskState.ACTIVE:
            assert any(self.state.name in text for text in told), f"nobody was told of {self.state.name}"
        assert any(fault.told in text for text in told) or not fault.told, f"'{fault.told}' was not told: {told}"
        if fault.loses_journal:
            assert len(self.server.posts) == posts, "an order left without a journal"
            assert self.state is RiskState.HALTED
            return
        self.check(strangers=fault.strangers)
        assert self.services.journal.unresolved(SYMBOL) == [], "an order is not accounted for"
        assert abs(self.units()) <= fault.left + 1e-4, f"{self.units()} are held, and nothing is wanted"
        self._judge_times()

    def _judge_times(self) -> None:
        window_ms, rest_ms = int(self.config.decision_window_frac * HOUR_MS), int(self.config.rest_s * 1000)
        arrived = {order.client_id: order.time for order in self.server.ours()}
        for step in self.steps():
            assert step.decided_at >= step.close_time, "a candle was decided on before it closed"
            latest = step.close_time + window_ms + rest_ms + self.account.valid_ms + AHEAD_MS
            for order in self.services.journal.orders_of(SYMBOL, step.close_time):
                assert arrived.get(order.client_id, 0) <= latest, f"an order arrived too late, {order}"
