"""Run a program as on a server that only trades: what only training or developing installs is not there.

python tests/support/without_trainer.py run_live_bot.py doctor --symbol BTC/USDT
"""

import runpy
import sys
from pathlib import Path

ABSENT = (
    *("ray", "gymnasium", "tensorboard", "wandb", "hmmlearn"),
    *("pytest", "hypothesis", "backtesting", "gym_anytrading", "stable_baselines3", "sklearn"),
)

if __name__ == "__main__":
    sys.modules.update(dict.fromkeys(ABSENT))  # importing them fails as if they were not installed
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
