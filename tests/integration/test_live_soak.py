"""A soak: thousands of accelerated candles with random faults and restarts; memory stays, and the invariants hold."""

import gc
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from src.execution import exchange
from src.live.trader import TAPE_BARS
from src.risk.live_guard import RiskState
from tests.fakes import account_server
from tests.fakes.exchange_server import body, cut_connection, status
from tests.live_setup import CONFIG, Chooser, random_rows
from tests.live_stage import Stage

FATES = ("ok", "ok", "ok", "ok", "lost", "cut after accept", "late", "body:{}", "status:503", "-2010", "-1021")
PARTS = (1.0, 1.0, 0.5, 0.0)
ENDPOINTS = ("order", "myTrades", "account", "openOrders", "klines")
READING = (status(503), body(b"{}"), body(b"<html>"), cut_connection)
CANDLES, SETTLED = 10_000, 1_000


def memory_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def misfortune(stage: Stage, rng: np.random.Generator) -> None:
    """Draw what goes wrong at the next candle."""
    server = stage.server
    server.fates, server.fill_plan = [str(rng.choice(FATES))], [float(rng.choice(PARTS))]
    server.keeps_rest = bool(rng.random() < 0.2)
    if rng.random() < 0.1:
        fault = READING[rng.integers(len(READING))]
        server.faults[str(rng.choice(ENDPOINTS))] = [fault] * int(rng.integers(1, 5))
    if rng.random() < 0.01:
        stage.clock.skew_ms = int(rng.integers(-20_000, 20_000))
    if rng.random() < 0.05:
        server.deliver_late()


def forget(stage: Stage) -> None:
    """The log of the exchange, and what people were told, is not the memory of the bot."""
    stage.server.requests.clear()
    stage.server.posts.clear()
    stage.messages.errors.clear()


@pytest.mark.slow
def test_ten_thousand_candles_with_faults(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    caplog.set_level(logging.CRITICAL)  # what is captured of the log would count as the bot's memory
    # The bot looks once an hour here, so two looks in vain are an hour of silence and not yet a reason to halt.
    config = replace(CONFIG, max_silence_s=1e9)
    monkeypatch.setattr(exchange, "TIMEOUT_MS", 1_500)
    monkeypatch.setattr(account_server, "FEE_FRAC", Decimal("0.00001"))  # the usual one would eat the account up
    candles = int(os.environ.get("SOAK_CANDLES", CANDLES))
    settled = min(SETTLED, candles // 2)
    rng, memory, grown, born = np.random.default_rng(0), [], 0, None
    rows = random_rows(TAPE_BARS + candles + 5, sigma=1e-4)
    with Stage(tmp_path, agent=Chooser(), rows=rows, config=config) as stage:
        for candle in range(candles):
            misfortune(stage, rng)
            stage.play(1)
            if rng.random() < 0.002:
                # In truth a restart is a new process, and takes nothing of the old one's memory along.
                grown += 0 if born is None else memory_bytes() - born
                stage.restart()
                born = None if born is None else memory_bytes()
            if candle % 100 == 99:
                forget(stage)
            if candle % settled == settled - 1:
                memory.append(memory_bytes())
                born = memory[0] if born is None else born
        assert born is not None
        grown += memory_bytes() - born
        stage.server.fates, stage.server.fill_plan, stage.server.keeps_rest = [], [], False
        stage.server.faults.clear()
        stage.play(1)
        stage.check()
        record_testsuite_property("memory_MB", [round(each / 1e6, 1) for each in memory])
        record_testsuite_property("grown_MB", round(grown / 1e6, 1))
        record_testsuite_property("orders", len(stage.server.ours()))
        assert memory[-1] < 1.05 * memory[0], f"memory in bytes, every {settled} candles: {memory}"
        assert grown < 0.05 * memory[0], f"grown by {grown} bytes between restarts; every {settled} candles: {memory}"
        assert len(stage.server.ours()) > candles // 4
        assert stage.state is RiskState.ACTIVE, stage.trader.guard.reason
