"""A run rests on the plug-ins that hold something its settings name, and on no other."""

from pathlib import Path

import pytest

from src.config.load import config_hash, load_training_config
from src.config.used_plugins import used_plugins
from tests.support.plugin_modules import feature_module, write_plugin

BASELINE = "from src.agents.baselines import Baseline, flat\nIDLE = Baseline('idle', flat)\n"
REWARD = (
    "from src.trading.rewards import RewardFormula, growth_of_equity\nMINE = RewardFormula('mine', growth_of_equity)\n"
)
REGIME = "from src.reasoning.market_classifier import RegimeMethod\nMINE = RegimeMethod('mine', None, None)\n"
ALGORITHM = """
from dataclasses import dataclass
from typing import Annotated
from src.config.base import OneOf
from src.config.stages.learning import StageConfig
from src.training.stage import StageAlgorithm
@dataclass
class MineConfig(StageConfig):
    algorithm: str = "Mine"
    rule: Annotated[str, OneOf("baseline", ("flat",))] = "flat"
MINE = StageAlgorithm(MineConfig, train=None, plan=None)
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    texts = {
        "feature": feature_module("bars.close"),
        "baseline": BASELINE,
        "reward": REWARD,
        "regime": REGIME,
        "algorithm": ALGORITHM,
    }
    return {name: write_plugin(tmp_path, monkeypatch, name, text) for name, text in texts.items()}


def test_only_what_is_named_is_used(modules: dict[str, str]) -> None:
    everything = f"plugins=[{','.join(modules.values())}]"
    regime = "sequence.stage_4_autonomous.mind.regime.method=mine"
    clone = ("sequence.mine.algorithm=Mine", "sequence.mine.rule=idle")
    cases = {
        (): [],
        ("features.names=[rsi,mine]",): ["feature"],
        ("environment.reward.kind=mine", regime): ["reward", "regime"],
        ("sequence.mine.algorithm=Mine",): ["algorithm"],
        clone: ["baseline", "algorithm"],
    }
    for settings, expected in cases.items():
        config = load_training_config([everything, *settings])
        assert used_plugins(config) == [modules[name] for name in expected]


def test_a_plug_in_that_is_not_used_leaves_a_run_the_run_it_was(modules: dict[str, str]) -> None:
    without, idle = load_training_config(), load_training_config([f"plugins=[{modules['baseline']}]"])
    assert config_hash(idle) == config_hash(without)
    named = load_training_config([f"plugins=[{modules['feature']}]", "features.names=[rsi,mine]"])
    both = load_training_config([f"plugins=[{modules['baseline']},{modules['feature']}]", "features.names=[rsi,mine]"])
    assert config_hash(named) == config_hash(both) != config_hash(without)
