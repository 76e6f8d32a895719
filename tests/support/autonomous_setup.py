"""A tiny population shared by the tests of the Autonomous stage: every part there, nothing trained for long."""

from pathlib import Path

from src.config.load import load_training_config
from src.config.training import TrainingConfig

TINY_STAGE = {
    "iterations": 2,
    "accounts": 16,
    "groups": 4,
    "horizon": 16,
    "epochs": 1,
    "minibatches": 2,
    "members": 2,
    "generations": 2,
    "survivors": 1,
    "workers": 1,
    "folds": 2,
    "stressed": 0,
    "mind.regime.method": "moving_average",
    "mind.pattern.steps": 2,
    "mind.pattern.batch": 16,
    "mind.pattern.width": 4,
    "mind.pattern.scales": "[24]",
    "mind.world.hidden_dim": 4,
    "mind.world.horizons": "[1,4]",
    "search.num_layers": "[1]",
    "search.num_heads": "[1,2]",
    "search.head_dim": "[4]",
    "search.ff_ratio": "[2.0]",
    "search.window": "[8,16]",
    "search.epochs": "[1]",
    "search.minibatches": "[2]",
}
TINY = (
    "~sequence.stage_1_ppo",
    "~sequence.stage_2_moe",
    "~sequence.stage_3_maml",
    "symbol=A4",
    "data.source=synthetic",
    "data.synthetic.bars=1500",
    "features.names=[returns,deviations]",
    "model.core.d_model=8",
    "model.core.num_heads=2",
    "model.core.num_layers=1",
    "model.core.ff_dim=16",
    "model.core.window=16",
    "model.head_dim=16",
    "runtime.torch_threads=1",
    "runtime.device=cpu",
    "tracking.tensorboard=false",
    "tracking.progress=false",
    *(f"sequence.stage_4_autonomous.{name}={value}" for name, value in TINY_STAGE.items()),
)


def autonomous_config(folder: Path, *overrides: str) -> TrainingConfig:
    """Return settings of a run of a few seconds that writes below `folder`."""
    places = (
        f"run.runs_dir={folder / 'runs'}",
        f"run.checkpoints_dir={folder / 'checkpoints'}",
        f"sequence.stage_4_autonomous.mind.regime.cache_dir={folder / 'cache'}",
        f"sequence.stage_4_autonomous.mind.pattern.cache_dir={folder / 'cache'}",
    )
    return load_training_config([*TINY, *places, *overrides])
