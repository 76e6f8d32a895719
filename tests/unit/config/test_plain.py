"""Settings survive the way through plain data, and nothing odd does."""

import json

import pytest

from src.config.base import Schema
from src.config.data import DataConfig, DataSource
from src.config.model import CoreTransformerConfig, Gating, ModelConfig, Trunk
from src.config.plain import from_plain, to_plain
from src.config.stages.learning import PPOStageConfig
from src.config.trading import ActionConfig, ActionKind
from src.errors import ConfigError


@pytest.mark.parametrize(
    "settings",
    [
        ModelConfig(trunk=Trunk.gru, core=CoreTransformerConfig(gating=Gating.gru, dropout=0.2)),
        ActionConfig(kind=ActionKind.continuous, rebalance_band=0.1),
        DataConfig(source=DataSource.files, path="{symbol}.csv", columns={"close": "Close"}),
        PPOStageConfig(),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_round_trip(settings: Schema) -> None:
    plain = json.loads(json.dumps(to_plain(settings)))
    rebuilt = from_plain(type(settings), plain)
    assert rebuilt == settings
    with pytest.raises(ConfigError, match="sealed"):
        rebuilt.anything = 1


def test_missing_unknown_and_impossible_settings_are_refused() -> None:
    plain = to_plain(ModelConfig())
    with pytest.raises(ConfigError, match="ModelConfig has missing or unknown settings: colour, head_dim"):
        from_plain(ModelConfig, {**{k: v for k, v in plain.items() if k != "head_dim"}, "colour": 1})
    with pytest.raises(ConfigError, match="activation must be one of gelu, relu, silu, was 'tanh'"):
        from_plain(ModelConfig, plain | {"core": plain["core"] | {"activation": "tanh"}})
    with pytest.raises(ConfigError, match="head_dim must be >= 1"):
        from_plain(ModelConfig, plain | {"head_dim": 0})
