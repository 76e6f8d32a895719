"""Training of seconds: the settings of a run of every kind of stage, as a command line and as a configuration.

    main(tiny_settings(tmp_path, "seed=1"))                   # run_training.py
    run_sequence(tiny_config(tmp_path, "seed=1"))

What they leave is read by many tests: `trained_runs(tiny_settings)` is such a run, trained once for the whole suite.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from src.config.load import load_training_config
from src.config.training import TrainingConfig

Settings = Callable[..., list[str]]

_HERE = (
    "symbol=A4",
    "data.source=synthetic",
    "data.synthetic.bars=1500",
    "features.names=[returns,deviations]",
    "runtime.torch_threads=1",
    "runtime.device=cpu",
    "tracking.tensorboard=false",
    "tracking.progress=false",
)
MAML = "sequence.stage_3_maml"
AUTONOMOUS = "sequence.stage_4_autonomous"

TINY = (
    *_HERE,
    "+experiment=smoke",
    "~sequence.stage_2_moe",
    "~sequence.stage_3_maml",
    "~sequence.stage_4_autonomous",
    "sequence.stage_1_ppo.evaluate_every=1",
)
TINY_MAML = (
    *_HERE,
    "+experiment=smoke",
    "~sequence.stage_1_ppo",
    "~sequence.stage_2_moe",
    "~sequence.stage_4_autonomous",
    f"{MAML}.init_from=null",
    f"{MAML}.iterations=4",
    f"{MAML}.accounts=16",
    f"{MAML}.groups=4",
    f"{MAML}.horizon=16",
    f"{MAML}.epochs=1",
    f"{MAML}.minibatches=2",
    f"{MAML}.evaluate_every=1",
    f"{MAML}.keep=last",
    f"{MAML}.period_bars=64",
    f"{MAML}.adaptation.support_bars=24",
    f"{MAML}.adaptation.adapt_every=16",
)
TINY_AUTONOMOUS = (
    *_HERE,
    "~sequence.stage_1_ppo",
    "~sequence.stage_2_moe",
    "~sequence.stage_3_maml",
    "model.core.d_model=8",
    "model.core.num_heads=2",
    "model.core.num_layers=1",
    "model.core.ff_dim=16",
    "model.core.window=16",
    "model.head_dim=16",
    f"{AUTONOMOUS}.iterations=2",
    f"{AUTONOMOUS}.accounts=16",
    f"{AUTONOMOUS}.groups=4",
    f"{AUTONOMOUS}.horizon=16",
    f"{AUTONOMOUS}.epochs=1",
    f"{AUTONOMOUS}.minibatches=2",
    f"{AUTONOMOUS}.members=2",
    f"{AUTONOMOUS}.generations=2",
    f"{AUTONOMOUS}.survivors=1",
    f"{AUTONOMOUS}.workers=1",
    f"{AUTONOMOUS}.folds=2",
    f"{AUTONOMOUS}.stressed=0",
    f"{AUTONOMOUS}.mind.regime.method=moving_average",
    f"{AUTONOMOUS}.mind.pattern.steps=2",
    f"{AUTONOMOUS}.mind.pattern.batch=16",
    f"{AUTONOMOUS}.mind.pattern.width=4",
    f"{AUTONOMOUS}.mind.pattern.scales=[24]",
    f"{AUTONOMOUS}.mind.world.hidden_dim=4",
    f"{AUTONOMOUS}.mind.world.horizons=[1,4]",
    f"{AUTONOMOUS}.search.num_layers=[1]",
    f"{AUTONOMOUS}.search.num_heads=[1,2]",
    f"{AUTONOMOUS}.search.head_dim=[4]",
    f"{AUTONOMOUS}.search.ff_ratio=[2.0]",
    f"{AUTONOMOUS}.search.window=[8,16]",
    f"{AUTONOMOUS}.search.epochs=[1]",
    f"{AUTONOMOUS}.search.minibatches=[2]",
)


def places(folder: Path) -> list[str]:
    """Return the settings that let a run write below `folder`."""
    return [f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'checkpoints'}", "run.name=null"]


def tiny_settings(folder: Path, *overrides: str) -> list[str]:
    """Return the command line of a PPO stage of two iterations that writes below `folder`."""
    return [*TINY, *places(folder), *overrides]


def maml_settings(folder: Path, *overrides: str) -> list[str]:
    """Return the command line of a MAML stage of four iterations that writes below `folder`."""
    return [*TINY_MAML, *places(folder), *overrides]


def autonomous_settings(folder: Path, *overrides: str) -> list[str]:
    """Return the command line of two generations of two members, with every part, that write below `folder`."""
    caches = [f"{AUTONOMOUS}.mind.{part}.cache_dir={folder / 'cache'}" for part in ("regime", "pattern")]
    return [*TINY_AUTONOMOUS, *places(folder), *caches, *overrides]


def tiny_config(folder: Path, *overrides: str) -> TrainingConfig:
    """Return `tiny_settings` as a configuration."""
    return _below(folder, _loaded((*TINY, *overrides)))


def maml_config(folder: Path, *overrides: str) -> TrainingConfig:
    """Return `maml_settings` as a configuration."""
    return _below(folder, _loaded((*TINY_MAML, *overrides)))


def autonomous_config(folder: Path, *overrides: str) -> TrainingConfig:
    """Return `autonomous_settings` as a configuration."""
    return load_training_config(autonomous_settings(folder, *overrides))


@cache
def _loaded(overrides: tuple[str, ...]) -> TrainingConfig:
    # A quarter of a second each, and most are asked for again and again.
    return load_training_config(overrides)


def _below(folder: Path, config: TrainingConfig) -> TrainingConfig:
    run = replace(config.run, runs_dir=str(folder / "runs"), checkpoints_dir=str(folder / "checkpoints"), name=None)
    return replace(config, run=run)
