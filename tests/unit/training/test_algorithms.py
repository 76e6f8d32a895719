"""One record for each stage algorithm: what configuration knows and what training knows are the same algorithms."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from src.agents.registry import agent_kind
from src.config.stages.learning import StageConfig
from src.config.training import stage_settings
from src.errors import ConfigError
from src.training.algorithms import algorithm_of, stage_algorithms
from src.training.stage import StageInputs, starts_anew
from src.training.training_data import prepare_data
from tests.support.training_setup import tiny_config


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


def test_what_is_known_of_a_champion_before_it_is_bred_is_no_shape_to_start_from(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    inputs = StageInputs("later", config.sequence["stage_1_ppo"], config, prepare_data(config), [])
    unbred = stage_algorithms()["Autonomous"].hands_over(inputs)
    with pytest.raises(ConfigError, match="not known before they are bred"):
        stage_algorithms()["PPO"].check_start(inputs, unbred)
    with pytest.raises(ConfigError, match="PPO starts from no other model"):
        starts_anew(inputs, unbred)
