"""Killed with SIGKILL again and again, a run ends with the weights of an undisturbed one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from src.agents.model_file import load_model
from tests.support.training_setup import TINY

ROOT = Path(__file__).resolve().parents[2]

# Trains as run_training.py does, with one function replaced by sudden death.
DRIVER = """
import os, signal, sys
from pathlib import Path
from src.training.rllib.environment_variables import set_environment_variables

set_environment_variables()
import shutil
import torch
import run_training
from src.training import stage_run, stage_trainer
from src.runs import run_folder

point, *arguments = sys.argv[1:]
remove = shutil.rmtree

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def die_removing_a_state(path, *args, **kwargs):
    if Path(path).name.startswith("state_") and Path(path).exists():
        die()
    remove(path, *args, **kwargs)

if point == "state half written":
    stage_trainer.torch.save = die
elif point == "state not in place":
    Path.rename = die
elif point == "old state beside the new one":
    run_folder.shutil.rmtree = die_removing_a_state
elif point == "no model file":
    stage_trainer.save_model = die
elif point == "model not published":
    stage_run._publish = die
elif point == "completion not recorded":
    run_folder.StageFolder.complete = die
sys.exit(run_training.main(arguments))
"""

POINTS = (
    "state half written",
    "state not in place",
    "old state beside the new one",
    "no model file",
    "model not published",
    "completion not recorded",
)
SETTINGS = ("sequence.stage_1_ppo.iterations=4", "sequence.stage_1_ppo.keep=last")
MOE = ("sequence.stage_1_ppo.algorithm=MoE", "sequence.stage_1_ppo.experts=2", "sequence.stage_1_ppo.gate_window=16")
MAML = (
    "sequence.stage_1_ppo.algorithm=MAML",
    "sequence.stage_1_ppo.period_bars=64",
    "sequence.stage_1_ppo.adaptation.support_bars=16",
    "sequence.stage_1_ppo.adaptation.adapt_every=16",
)
# All kinds of stages are saved by the same code, so one death is enough to see that nothing of another kind is lost.
CASES = {"PPO": ((), POINTS), "MoE": (MOE, POINTS[2:3]), "MAML": (MAML, POINTS[2:3])}


def train(point: str, folder: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    places = (f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'checkpoints'}")
    command = [sys.executable, "-c", DRIVER, point, *TINY, *SETTINGS, *settings, *places]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder / "checkpoints" / "A4_stage_1_ppo.pth").weights


@pytest.mark.ray
@pytest.mark.parametrize(("settings", "points"), CASES.values(), ids=list(CASES))
def test_kills_at_every_step_change_nothing(settings: tuple[str, ...], points: tuple[str, ...], tmp_path: Path) -> None:
    whole = train("never", tmp_path / "whole", *settings)
    assert whole.returncode == 0, whole.stderr
    for point in points:
        killed = train(point, tmp_path / "killed", *settings)
        assert killed.returncode == -signal.SIGKILL, f"{point}: {killed.stderr}"
    last = train("never", tmp_path / "killed", *settings)
    assert last.returncode == 0, last.stderr
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
