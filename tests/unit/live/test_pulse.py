"""A worker that waits is alive and one that is stuck is not; a stop ends waits, those of an account a little later."""

import threading

import pytest

from src.brokerage.clock import SystemClock
from src.errors import TransientError
from src.live.watching.pulse import HUNG_WORKER_S, Pulse, PulseClock


class HandClock:
    """Time moved by hand; what is to happen during a wait is asked of `during`."""

    def __init__(self) -> None:
        self.now_s, self.during = 0.0, lambda: None

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.during()


def test_72_a_worker_that_waits_on_purpose_is_alive_however_long_and_one_that_is_stuck_is_not() -> None:
    clock = HandClock()
    pulse = Pulse(lambda: clock.now_s)
    waits, missing = PulseClock(clock, pulse), []
    clock.during = lambda: missing.append(pulse.is_missing)
    waits.sleep(86_400.0)
    assert missing == [False]
    clock.now_s += HUNG_WORKER_S
    assert not pulse.is_missing
    clock.now_s += 1.0
    assert pulse.is_missing
    waits.sleep(0.0)  # as before a request
    assert not pulse.is_missing
    assert HUNG_WORKER_S <= 180, "a few minutes"


def test_72_a_wait_that_is_overslept_is_noticed() -> None:
    clock = HandClock()
    pulse = Pulse(lambda: clock.now_s)
    pulse.beat(600.0)
    clock.now_s = 600.0 + HUNG_WORKER_S + 1.0
    assert pulse.is_missing


def test_71_a_stop_ends_waits_at_once_and_those_of_an_account_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, now = threading.Event(), [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    hasty, patient = SystemClock(stop), SystemClock(stop, linger_s=20.0)
    hasty.sleep(0.0)
    stop.set()
    with pytest.raises(TransientError, match="told to stop"):
        hasty.sleep(0.0)
    with pytest.raises(TransientError, match="told to stop"):
        hasty.sleep(600.0)
    for _ in range(4):
        patient.sleep(4.0)
    assert now == [16.0]
    with pytest.raises(TransientError, match="told to stop"):
        patient.sleep(4.0)
    assert now == [16.0], "it waited for what was called off"
