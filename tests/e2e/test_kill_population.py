"""Killed with SIGKILL within a generation, a population ends with the champion of an undisturbed one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from src.agents.model_file import ModelFile, load_model
from tests.support.autonomous_setup import TINY

ROOT = Path(__file__).resolve().parents[2]

# Trains as run_training.py does, with one function replaced by sudden death.
DRIVER = """
import os, signal, sys
from src.training.rllib.environment_variables import set_environment_variables

set_environment_variables()
import run_training
from src.training import autonomous_trainer

point, *arguments = sys.argv[1:]
write = autonomous_trainer._write
written = []

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def die_at_the_second(path, member):
    written.append(member)
    if len(written) == 2:
        die()
    write(path, member)

if point == "second member not written":
    autonomous_trainer._write = die_at_the_second
elif point == "population not saved":
    autonomous_trainer.AutonomousStage._save = die
elif point == "no champion":
    autonomous_trainer.save_model = die
sys.exit(run_training.main(arguments))
"""

POINTS = ("second member not written", "population not saved", "no champion")


def breed(point: str, folder: Path, cache: Path) -> "subprocess.CompletedProcess[str]":
    places = (
        f"run.runs_dir={folder / 'runs'}",
        f"run.checkpoints_dir={folder / 'checkpoints'}",
        f"sequence.stage_4_autonomous.mind.regime.cache_dir={cache}",
        f"sequence.stage_4_autonomous.mind.pattern.cache_dir={cache}",
    )
    command = [sys.executable, "-c", DRIVER, point, *TINY, *places]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=900)


def champion(folder: Path) -> ModelFile:
    return load_model(folder / "checkpoints" / "A4_autonomous_final.pth")


@pytest.mark.ray
def test_kills_within_a_generation_change_nothing(tmp_path: Path) -> None:
    whole = breed("never", tmp_path / "whole", tmp_path / "cache")
    assert whole.returncode == 0, whole.stderr
    for point in POINTS:
        killed = breed(point, tmp_path / "killed", tmp_path / "cache")
        assert killed.returncode == -signal.SIGKILL, f"{point}: {killed.stderr}"
    last = breed("never", tmp_path / "killed", tmp_path / "cache")
    assert last.returncode == 0, last.stderr
    expected, found = champion(tmp_path / "whole"), champion(tmp_path / "killed")
    assert expected.lineage == found.lineage
    assert expected.evaluations == found.evaluations
    assert all(torch.equal(expected.weights[name], found.weights[name]) for name in expected.weights)
