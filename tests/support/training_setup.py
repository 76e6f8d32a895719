"""A tiny training setup shared by the tests of the trainer: seconds, not minutes."""

from pathlib import Path

from src.config.load import load_training_config
from src.config.training import TrainingConfig

TINY = (
    "+experiment=smoke",
    "~sequence.stage_2_moe",
    "symbol=A4",
    "data.source=synthetic",
    "data.synthetic.bars=1500",
    "features.names=[returns,deviations]",
    "runtime.torch_threads=1",
    "runtime.device=cpu",
    "tracking.tensorboard=false",
    "tracking.progress=false",
    "sequence.stage_1_ppo.evaluate_every=1",
    "~sequence.stage_3_maml",
    "~sequence.stage_4_autonomous",
)


def tiny_config(folder: Path, *overrides: str) -> TrainingConfig:
    """Return settings of a run of a few hundred steps that writes below `folder`."""
    places = (f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'checkpoints'}")
    return load_training_config([*TINY, *places, *overrides])
