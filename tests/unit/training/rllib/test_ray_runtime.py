"""Ray starts late on a busy machine: it is tried again, and at last said so in one sentence."""

import errno
import os
import signal
import sys
from collections.abc import Callable

import pytest

from src.command_line import exit_code
from src.config.runtime import RuntimeConfig
from src.errors import ConfigError, TransientError
from src.training.rllib import ray_runtime
from src.training.rllib.ray_runtime import ray_session

LATE = "The current node timed out during startup. This could happen because the GCS has become overloaded."


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let `ray.init` end in one error after the other, then well; returns what was called."""

    def prepare(*errors: str) -> list[str]:
        calls, ahead = [], list(errors)

        def init(**_: object) -> None:
            calls.append("init")
            if ahead:
                raise Exception(ahead.pop(0))

        monkeypatch.setattr(ray_runtime.ray, "init", init)
        monkeypatch.setattr(ray_runtime.ray, "is_initialized", lambda: False)
        monkeypatch.setattr(ray_runtime.ray, "shutdown", lambda: calls.append("shutdown"))
        return calls

    return prepare


def test_a_late_start_is_tried_again(starts: Callable[..., list[str]]) -> None:
    calls = starts(LATE, LATE)
    with ray_session(RuntimeConfig(torch_threads=1)):
        assert calls == ["init", "shutdown", "init", "shutdown", "init"]


def test_a_start_that_is_always_late_says_so(starts: Callable[..., list[str]]) -> None:
    starts(*[LATE] * 5)
    with pytest.raises(TransientError, match="less busy"), ray_session(RuntimeConfig(torch_threads=1)):
        raise AssertionError("it has started")


def test_a_home_that_cannot_be_written_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")  # so that it is as it was afterwards
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    tokens: list[str | None] = []

    def init(**_: object) -> None:
        tokens.append(os.environ.get("RAY_AUTH_TOKEN"))
        if len(tokens) == 1:
            raise OSError(errno.EROFS, "Read-only file system", "/home/ada/.ray")

    monkeypatch.setattr(ray_runtime.ray, "init", init)
    monkeypatch.setattr(ray_runtime.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_runtime.ray, "shutdown", lambda: None)
    with ray_session(RuntimeConfig(torch_threads=1)):
        first, second = tokens
    assert first is None
    assert second is not None
    assert len(second) == 64


def test_sigterm_is_handled_as_before_whatever_ray_made_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = ["while Ray starts", "afterwards"]

    def init(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        if moments.pop(0) == "while Ray starts":
            signal.raise_signal(signal.SIGTERM)

    def work() -> int:
        with ray_session(RuntimeConfig(torch_threads=1)):
            signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr(ray_runtime.ray, "init", init)
    monkeypatch.setattr(ray_runtime.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_runtime.ray, "shutdown", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    assert [exit_code(work), exit_code(work)] == [143, 143]
    assert (moments, signal.getsignal(signal.SIGTERM)) == ([], before)


def test_a_cluster_that_cannot_be_joined_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance. Please start one.\nMore of this.")

    monkeypatch.setattr(ray_runtime.ray, "init", init)
    monkeypatch.setattr(ray_runtime.ray, "is_initialized", lambda: False)
    settings = RuntimeConfig(torch_threads=1, ray_address="auto")
    with (
        pytest.raises(ConfigError, match=r"'auto' cannot be joined: Could not find.*start one$"),
        ray_session(settings),
    ):
        raise AssertionError("it has started")


def test_other_errors_are_not_taken_for_lateness(starts: Callable[..., list[str]]) -> None:
    calls = starts("no such folder")
    with pytest.raises(Exception, match="no such folder"), ray_session(RuntimeConfig(torch_threads=1)):
        raise AssertionError("it has started")
    assert calls == ["init"]
