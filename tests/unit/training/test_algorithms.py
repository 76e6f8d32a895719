"""One record for each stage algorithm: what configuration knows and what training knows are the same algorithms."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from src.agents.registry import agent_kind
from src.config.load import load_training_config
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import StageConfig
from src.config.training import stage_settings
from src.errors import ConfigError
from src.training.algorithms import algorithm_of, stage_algorithms
from src.training.pipeline import prepare_stages
from src.training.stage import StageInputs, starts_anew
from src.training.training_data import prepare_data
from tests.support.plugin_modules import write_plugin
from tests.support.tiny_training import tiny_config


@dataclass
class UnheardOfConfig(StageConfig):
    """Settings of an algorithm that no record belongs to."""

    algorithm: str = "Autonomus"


def test_every_stage_that_can_be_configured_can_be_trained_and_traded() -> None:
    assert {name: record.settings for name, record in stage_algorithms().items()} == stage_settings()
    for name, record in stage_algorithms().items():
        stage = record.settings()
        assert algorithm_of(stage) is stage_algorithms()[name]
        assert agent_kind(stage.kind).name == stage.kind


def test_an_algorithm_without_a_record_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="'Autonomus' is unknown; did you mean 'Autonomous'"):
        algorithm_of(UnheardOfConfig())


def test_only_a_population_ends_in_the_champion() -> None:
    assert [name for name, record in stage_algorithms().items() if record.ends_in_champion] == ["Autonomous"]


def test_two_champions_of_one_run_are_refused(tmp_path: Path) -> None:
    config = replace(tiny_config(tmp_path), sequence={name: AutonomousStageConfig() for name in ("one", "two")})
    with pytest.raises(ConfigError, match=r"2 stages that end in a champion \(one, two\).* runs of their own"):
        prepare_stages(config, prepare_data(config))


def test_what_is_known_of_a_champion_before_it_is_bred_is_no_shape_to_start_from(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    inputs = StageInputs("later", config.sequence["stage_1_ppo"], config, prepare_data(config), [])
    unbred = stage_algorithms()["Autonomous"].hands_over(inputs)
    with pytest.raises(ConfigError, match="not known before they are bred"):
        stage_algorithms()["PPO"].check_start(inputs, unbred)
    with pytest.raises(ConfigError, match="PPO starts from no other model"):
        starts_anew(inputs, unbred)


# Algorithms of the user's own.

PLUGGED_IN = """
from dataclasses import dataclass
from src.config.base import require_at_least
from src.config.stages.learning import StageConfig
from src.training.stage import StageAlgorithm
@dataclass
class MineConfig(StageConfig):
    algorithm: str = "{name}"
    steps: int = 5
    def check(self):
        require_at_least("steps", self.steps, 1)
MINE = StageAlgorithm(MineConfig, train=None, plan=None)
"""


def test_a_plugged_in_algorithm_is_configured_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = write_plugin(tmp_path, monkeypatch, "mine", PLUGGED_IN.format(name="Mine"))
    given = [f"plugins=[{module}]", "sequence.mine.algorithm=Mine"]
    stage = load_training_config([*given, "sequence.mine.steps=7"]).sequence["mine"]
    assert (stage.algorithm, stage.steps) == ("Mine", 7)
    assert algorithm_of(stage, [module]).settings is type(stage)
    assert list(stage_algorithms([module])) == [*stage_algorithms(), "Mine"]
    for wrong, says in {
        "sequence.mine.stepps=7": "did you mean 'sequence.mine.steps'",
        "sequence.mine.steps=0": "sequence.mine.steps must be >= 1, was 0",
        "sequence.mine.algorithm=Mina": "'Mina' is unknown; did you mean 'Mine'",
    }.items():
        with pytest.raises(ConfigError, match=says):
            load_training_config([*given, wrong])
    with pytest.raises(ConfigError, match="algorithm 'Mine' is unknown"):
        algorithm_of(stage)


@pytest.mark.parametrize(
    ("name", "says"), [("PPO", "a stage algorithm 'PPO' is part of the program"), ("", "MineConfig needs a default")]
)
def test_a_plugged_in_algorithm_needs_a_name_of_its_own(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = write_plugin(tmp_path, monkeypatch, "mine", PLUGGED_IN.format(name=name))
    with pytest.raises(ConfigError, match=says):
        load_training_config([f"plugins=[{module}]"])
