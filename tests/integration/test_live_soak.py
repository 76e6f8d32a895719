"""A soak: thousands of accelerated candles with random faults and restarts; memory stays, and the invariants hold."""

import gc
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.execution import exchange
from src.live.trader import TAPE_BARS
from tests.fakes.exchange_server import body, status
from tests.live_setup import CONFIG, Chooser, random_rows
from tests.live_stage import Stage

FATES = ("ok", "ok", "ok", "ok", "lost", "cut after accept", "late", "body:{}", "status:503", "-2010", "-1021")
PARTS = (1.0, 1.0, 0.5, 0.0)
CANDLES, SETTLED = 10_000, 1_000


def memory_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_ten_thousand_candles_with_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # what is captured of the log would count as the bot's memory
    # The bot looks once an hour here, so two looks in vain are an hour of silence and not yet a reason to halt.
    config = replace(CONFIG, max_silence_s=1e9)
    monkeypatch.setattr(exchange, "TIMEOUT_MS", 1_500)
    candles = int(os.environ.get("SOAK_CANDLES", CANDLES))
    settled = min(SETTLED, candles // 2)
    rng = np.random.default_rng(0)
    rows = random_rows(TAPE_BARS + candles + 5, sigma=1e-4)
    before = 0
    with Stage(tmp_path, agent=Chooser(), rows=rows, config=config) as stage:
        for candle in range(candles):
            stage.server.fates, stage.server.fill_plan = [str(rng.choice(FATES))], [float(rng.choice(PARTS))]
            stage.server.keeps_rest = bool(rng.random() < 0.2)
            if rng.random() < 0.05:
                stage.server.faults["myTrades"] = [status(503), body(b"{}"), body(b"<html>")][: rng.integers(1, 4)]
            if rng.random() < 0.01:
                stage.clock.skew_ms = int(rng.integers(-20_000, 20_000))
            stage.play(1)
            if rng.random() < 0.002:
                stage.restart()
            if candle % 100 == 99:  # the exchange's own log is not the bot's memory
                stage.server.requests.clear()
                stage.server.posts.clear()
                stage.messages.errors.clear()
            if candle == settled:
                before = memory_bytes()
        growth = memory_bytes() / before - 1
        stage.server.fates, stage.server.fill_plan, stage.server.keeps_rest = [], [], False
        stage.server.faults.clear()
        stage.play(1)
        stage.check()
        assert growth < 0.05, f"memory grew by {growth:.1%}"
        assert len(stage.server.ours()) > candles // 4
