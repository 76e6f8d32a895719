"""A soak: thousands of accelerated candles with random faults and restarts; memory stays, and the invariants hold."""

import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from src.live.live_guard import RiskState
from src.live.trader import TAPE_BARS
from tests.support.bot_process import StageApart
from tests.support.fakes import account_server
from tests.support.fakes.exchange_server import body, cut_connection, status
from tests.support.live_setup import CONFIG, Chooser, random_rows

FATES = ("ok", "ok", "ok", "ok", "lost", "cut after accept", "late", "body:{}", "status:503", "-2010", "-1021")
PARTS = (1.0, 1.0, 0.5, 0.0)
ENDPOINTS = ("order", "myTrades", "account", "openOrders", "klines")
READING = (status(503), body(b"{}"), body(b"<html>"), cut_connection)
CANDLES, SETTLED = 10_000, 1_000


def misfortune(stage: StageApart, rng: np.random.Generator) -> None:
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


def forget(stage: StageApart) -> None:
    """What the exchange was asked is of no use here, and grows."""
    stage.server.requests.clear()
    stage.server.posts.clear()


def test_a_bot_in_a_process_of_its_own_is_killed_and_goes_on(tmp_path: Path) -> None:
    rows = random_rows(TAPE_BARS + 20, sigma=1e-4)
    with StageApart(tmp_path, agent=Chooser(), rows=rows) as stage:
        stage.play(4)
        stage.restart()
        stage.play(4)
        stage.restart_here()
        stage.check()
        assert len(stage.steps()) == 1 + 4 + 4  # the first had closed when the bot came
        assert len(stage.server.ours()) >= 2
        assert stage.state is RiskState.ACTIVE, stage.trader.guard.reason


@pytest.mark.slow
@pytest.mark.parametrize("restart_probability", [0.0, 0.002], ids=["one life", "many lives"])
def test_ten_thousand_candles_with_faults(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_testsuite_property: Callable[[str, object], None],
    restart_probability: float,
) -> None:
    # The bot looks once an hour here, so two looks in vain are an hour of silence and not yet a reason to halt.
    config = replace(CONFIG, max_silence_s=1e9)
    monkeypatch.setattr(account_server, "FEE_FRAC", Decimal("0.00001"))  # the usual one would eat the account up
    candles = int(os.environ.get("SOAK_CANDLES", CANDLES))
    settled = min(SETTLED, candles // 2)
    rng, memory = np.random.default_rng(0), []
    rows = random_rows(TAPE_BARS + candles + 5, sigma=1e-4)
    with StageApart(tmp_path, agent=Chooser(), rows=rows, config=config) as stage:
        for candle in range(candles):
            misfortune(stage, rng)
            stage.play(1)
            if rng.random() < restart_probability:
                stage.restart()
            if candle % 100 == 99:
                forget(stage)
            if candle % settled == settled - 1:
                memory.append(stage.memory_bytes())
        stage.server.fates, stage.server.fill_plan, stage.server.keeps_rest = [], [], False
        stage.server.faults.clear()
        stage.play(1)
        stage.restart_here()
        stage.check()
        record_testsuite_property(f"memory_MB_{restart_probability}", [round(each / 1e6, 1) for each in memory])
        record_testsuite_property(f"orders_{restart_probability}", len(stage.server.ours()))
        assert max(memory[1:]) < 1.05 * memory[0], f"memory in bytes, every {settled} candles: {memory}"
        assert len(stage.server.ours()) > candles // 4
        assert stage.state is RiskState.ACTIVE, stage.trader.guard.reason
