"""Two bots on one account, and what an order may be worth at its limit price."""

import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.brokerage import ccxt_account
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import RunLocked
from src.live.assembly import Options, hold_locks
from src.live.bot import Worker
from src.live.live_guard import RiskState
from src.live.secrets import Secrets
from tests.support.live_scene import KEYS, Messages, Stage, build_bot
from tests.support.live_setup import LIMITS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def options(folder: Path, journal: Path, is_live: bool = True) -> Options:
    config = LiveConfig(journal=f"sqlite:///{journal}", state_dir=str(folder / "state"))
    return Options(("BTC/USDT",), config, RiskLimits(), Secrets(KEYS, ()), folder, is_live, unpromoted=False)


HOLD = """
import sys
from pathlib import Path
from src.errors import RunLocked
from src.live.assembly import hold_locks
from tests.integration.test_live_two_bots import options
try:
    with hold_locks(options(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "live")):
        print("both trade")
except RunLocked as error:
    print(error)
"""


@pytest.mark.parametrize(("journal", "mode"), [("own.db", "live"), ("shared.db", "live"), ("shared.db", "paper")])
def test_59_a_second_bot_with_folders_of_its_own_is_refused(tmp_path: Path, journal: str, mode: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "TMPDIR": str(elsewhere), "HOME": str(elsewhere), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(elsewhere), str(tmp_path / journal), mode]
    with hold_locks(options(tmp_path, tmp_path / "shared.db", mode == "live")):
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    assert "another process is working on this journal or account" in done.stdout
    assert not list(elsewhere.rglob("*.lock"))


def test_59_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    for _ in range(2):
        one, other = options(tmp_path, tmp_path / "journal.db"), options(tmp_path / "b", tmp_path / "b.db")
        with hold_locks(one), pytest.raises(RunLocked), hold_locks(other):
            pass


def test_59_of_two_bots_that_decide_at_the_same_moment_one_sends(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        messages = Messages()
        other, _, services = build_bot(
            _made(tmp_path / "other"), stage.clock, stage.agent, stage.config, LIMITS, messages
        )
        second = Worker(other, services)
        second.once()
        record = services.journal.record_step

        def overtaken(*arguments: object) -> None:
            record(*arguments)  # type: ignore[arg-type]
            stage.worker.once()

        services.journal.record_step = overtaken  # type: ignore[method-assign]
        stage.at_candle(stage.candle + 1)
        second.once()
        assert len(stage.server.posts) == 1
        assert other.guard.state is RiskState.HALTED
        assert "this bot did not send it" in other.guard.reason
        stage.check()


@pytest.mark.parametrize("slippage", [0.005, 0.1])
def test_57_no_order_may_be_worth_more_than_the_largest_position_at_its_limit_price(
    tmp_path: Path, slippage: float
) -> None:
    limits = replace(LIMITS, max_position=500.0, max_slippage_frac=slippage)
    with Stage(tmp_path, [0.2, 1.0, 1.0, 1.0, 1.0], limits=limits) as stage:
        held = Decimal(0)
        for _ in range(5):
            stage.play(1)
            for post in stage.server.posts:
                assert Decimal(post["quantity"]) * Decimal(post["price"]) <= 500
            held = stage.server.account.balances["BTC"]
        worst = Decimal(stage.server.posts[-1]["price"])
        assert 500 * (1 - 2 * slippage) < held * worst <= 500
        assert len(stage.server.posts) == 2, "what the limit price leaves room for is no reason to trade again"
        stage.check()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
