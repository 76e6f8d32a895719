"""An autonomous champion a spot account can follow: every part on, tiny, with random but decided weights."""

from dataclasses import replace
from pathlib import Path

import torch

from src.agents.mind import Mind
from src.agents.model_file import ModelFile
from src.config.agent.mind import MindConfig
from src.config.agent.world import WorldConfig
from src.config.load import load_training_config
from src.config.training import TrainingConfig
from src.models.ppo_model import build_model
from src.models.world.inputs import WorldInputs
from src.models.world_model import TransformerWorldModel
from src.training.training_data import prepare_data
from tests.support.backtest_setup import SETTINGS, make_file

SPOT = ("environment.action.allow_short=false", "environment.action.grid=[0.0,0.5,1.0]")


def mind_config(folder: Path) -> MindConfig:
    """Settings of a mind that is fitted in seconds; its networks are kept in `folder`."""
    config = MindConfig(world=WorldConfig(hidden_dim=4, horizons=[1, 4]))
    pattern = replace(config.pattern, steps=2, batch=16, width=4, scales=[24], cache_dir=str(folder))
    filter_ = replace(config.regime.neural_filter, steps=2, market_paths=2, hidden_dim=4)
    regime = replace(config.regime, neural_filter=filter_, cache_dir=str(folder))
    memory = replace(config.memory, capacity=64)
    return replace(config, pattern=pattern, regime=regime, memory=memory)


def autonomous_champion(folder: Path, timeframe: str = "1h", seed: int = 0) -> ModelFile:
    """Return a champion of BTC/USDT with imagination, as the Autonomous stage would write it."""
    config: TrainingConfig = load_training_config([*SETTINGS, *SPOT, f"data.timeframe={timeframe}"])
    data = prepare_data(config)
    settings = mind_config(folder)
    mind = Mind.fit(settings, data.pipeline, [(data.bars, data.splits.train)])
    targets = tuple(data.rules.action.targets)
    model = build_model(
        TransformerWorldModel,
        seed,
        config.model,
        len(mind.columns),
        len(data.rules.account_inputs),
        len(targets),
        world=settings.world,
        inputs=WorldInputs(targets, mind.scale_column, mind.typical_volatility),
    )
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
    return replace(
        make_file("autonomous_final", seed, config),
        kind="autonomous",
        symbol="BTC/USDT",
        weights=model.state_dict(),
        model=model.describe(),
        features=mind.to_plain(),
        verdict="promoted",
    )
