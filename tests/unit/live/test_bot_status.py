"""Whether a bot is running, as `status` tells it: by the lock, and by the signs of life that the lock's file shows."""

import os
import time
from pathlib import Path

from src.brokerage.broker_account import Keys
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.live.assembly import Options, hold_journal, lock_file
from src.live.operator.looks import bot_status
from src.live.secrets import Secrets


def test_a_bot_runs_while_it_holds_the_lock_and_gives_signs_of_life(tmp_path: Path) -> None:
    config = LiveConfig(journal=f"sqlite:///{tmp_path / 'journal.db'}", state_dir=str(tmp_path))
    options = Options(("BTC/USDT",), config, RiskLimits(), Secrets(Keys("", ""), ()), tmp_path, False, False)
    assert bot_status(options) == "no bot is seen to run on this machine"
    with hold_journal(options):
        assert bot_status(options) == "a bot is running"
        then = time.time_ns() / 1e9 - 3_600
        os.utime(lock_file(config), (then, then))
        assert "has given no sign of life for 36" in bot_status(options)
    assert bot_status(options) == "no bot is seen to run on this machine"
