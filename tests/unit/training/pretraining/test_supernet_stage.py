"""The supernet in the Autonomous stage: it knows training rows only, speaks once, and is refused where it is no use."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.config.model import CoreTransformerConfig
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.training import TrainingConfig
from src.errors import ConfigError
from src.market.bars import BarSeries
from src.nas.agent_space import agent_space
from src.nas.search_controller import Preferences
from src.training import training_data
from src.training.pipeline import prepare_stages
from src.training.population.population import Population, start_genome
from src.training.population.shared_market import build_shared_market
from src.training.pretraining.architecture_gradient import supernet_preferences
from src.training.training_data import prepare_data
from tests.support.tiny_training import autonomous_config

STAGE = "stage_4_autonomous"
SMALL = {
    "controller": "differentiable", "supernet.steps": 4, "supernet.batch": 2, "supernet.chunk_bars": 32,
    "search.modules": "[imagination]", "search.num_layers": "[1,2]", "mind.pattern_on": "false",
}  # fmt: skip


def config_in(folder: Path, *overrides: str) -> TrainingConfig:
    own = [f"sequence.{STAGE}.{name}={value}" for name, value in SMALL.items()]
    return autonomous_config(folder, *own, *overrides)


def preferences(config: TrainingConfig, seed: int = 1) -> Preferences:
    stage = config.sequence[STAGE]
    assert isinstance(stage, AutonomousStageConfig)
    start = start_genome(stage, config.model.core)
    shared = build_shared_market(config, stage, prepare_data(config))
    return supernet_preferences(shared, agent_space(stage.search, start, stage), start, seed)


def test_a_function_of_seed_and_training_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_in(tmp_path)
    found = preferences(config)
    assert {name: len(scores) for name, scores in found.items()} == {
        "num_layers": 2, "activation": 3, "norm": 2, "gating": 2, "position": 3, "attention": 2
    }  # fmt: skip
    assert all(abs(sum(scores)) < 1e-6 and any(scores) for scores in found.values())
    assert preferences(config, seed=2) != found

    bars, stop = (
        training_data.load_bars(config.symbol, config.data, config.seed),
        prepare_data(config).splits.train.stop,
    )

    def with_another(rows: slice) -> BarSeries:
        prices = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
        for own in prices.values():
            own[rows] *= np.exp(0.05 * np.sin(np.arange(len(bars)))[rows])
        prices["high"] = np.max(list(prices.values()), axis=0)
        prices["low"] = np.min(list(prices.values()), axis=0)
        return replace(bars, **prices)

    for rows, is_same in ((slice(stop, None), True), (slice(stop - 40, stop - 20), False)):
        changed = with_another(rows)
        monkeypatch.setattr(training_data, "load_bars", lambda *_, own=changed: own)
        assert (preferences(config) == found) is is_same


CORE = CoreTransformerConfig(d_model=16, num_heads=2, num_layers=1, ff_dim=32, window=16)


def test_what_it_said_is_part_of_the_population_from_then_on() -> None:
    stage = AutonomousStageConfig(members=4, controller="differentiable", founder=False)
    advice = {"activation": [-40.0, 40.0, 0.0], "gating": [0.0, 40.0]}
    straight, other = (Population(stage, start_genome(stage, CORE), seed=7) for _ in range(2))
    straight.inform(advice)
    state = straight.state_dict()
    other.load_state_dict(state)
    genomes = [spec.genome for spec in straight.specs(())]
    assert [spec.genome for spec in other.specs(())] == genomes
    assert {(genome["activation"], genome["gating"]) for genome in genomes} == {("relu", "gru")}
    # The first generation covers what nobody spoke of, one member to each quarter of the learning rates.
    low, high = np.log(stage.search.lr)
    places = sorted(int((np.log(genome["lr"]) - low) / (high - low) * 4) for genome in genomes)
    assert places == [0, 1, 2, 3]


def test_other_strategies_take_no_advice() -> None:
    stage = AutonomousStageConfig(controller="random")
    with pytest.raises(AssertionError, match="random takes no advice"):
        Population(stage, start_genome(stage, CORE), seed=7).inform({})


def checked(config: TrainingConfig) -> None:
    prepare_stages(config, prepare_data(config))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model.trunk=lstm", r"supernet compares transformers and model.trunk is lstm; set model.trunk=transformer or"),
        (
            f"sequence.{STAGE}.supernet.chunk_bars=400",
            r"later_frac=0.3 parts \d+ training bars into \d+ and \d+, one of",
        ),
    ],
)
def test_it_is_refused_before_anything_is_trained(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        checked(config_in(tmp_path, override))
    checked(config_in(tmp_path, override, f"sequence.{STAGE}.supernet.steps=0"))
