"""The tiny training setup with a MAML stage in place of PPO."""

from pathlib import Path

from src.config.load import load_training_config
from src.config.training import TrainingConfig

STAGE = "sequence.stage_3_maml"
MAML = (
    "+experiment=smoke",
    "~sequence.stage_1_ppo",
    "~sequence.stage_2_moe",
    "~sequence.stage_4_autonomous",
    "symbol=A4",
    "data.source=synthetic",
    "data.synthetic.bars=1500",
    "features.names=[returns,deviations]",
    "runtime.torch_threads=1",
    "runtime.device=cpu",
    "tracking.tensorboard=false",
    "tracking.progress=false",
    f"{STAGE}.init_from=null",
    f"{STAGE}.iterations=4",
    f"{STAGE}.accounts=16",
    f"{STAGE}.groups=4",
    f"{STAGE}.horizon=16",
    f"{STAGE}.epochs=1",
    f"{STAGE}.minibatches=2",
    f"{STAGE}.evaluate_every=1",
    f"{STAGE}.keep=last",
    f"{STAGE}.period_bars=64",
    f"{STAGE}.adaptation.support_bars=24",
    f"{STAGE}.adaptation.adapt_every=16",
)


def maml_config(folder: Path, *overrides: str) -> TrainingConfig:
    """Return settings of a run of a few hundred steps that writes below `folder`."""
    places = (f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'checkpoints'}")
    return load_training_config([*MAML, *places, *overrides])
