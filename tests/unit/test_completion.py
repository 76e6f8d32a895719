"""The script that completes commands, as a shell runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "src.completion"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    path = tmp_path_factory.mktemp("completion") / "script"
    path.write_text(done.stdout)
    return path


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    program = f"""
compopt() {{ :; }}
source {script}
COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMPREPLY=()
_supertrader
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("python", "run_backtest.py", "--check"), ["--check-lookahead", "--checkpoints"]),
        (("python", "run_backtest.py", "--model", "buy"), ["buy_and_hold"]),
        ((".venv/bin/python", "/opt/trader/run_training.py", "costs.commission"), ["costs.commission_bps="]),
        (("run_live_bot.py", "doc"), ["doctor"]),
        (("python", "other.py", "--che"), []),
    ],
)
def test_what_a_shell_offers(script: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(script, *words) == offered
