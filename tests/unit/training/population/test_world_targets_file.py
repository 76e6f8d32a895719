"""What the prediction heads of a population learn from: the training rows, all of their targets, and nothing later."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from src.config.stages.autonomous import AutonomousStageConfig
from src.config.training import TrainingConfig
from src.market.bars import PRICE_COLUMNS, BarSeries
from src.models.world.scenarios import STILL
from src.models.world.targets import WorldTargets
from src.training import training_data
from src.training.population.shared_market import SharedMarket, build_shared_market
from src.training.population.world_targets_file import flat_targets
from src.training.training_data import prepare_data
from tests.support.tiny_training import autonomous_config

STAGE = "stage_4_autonomous"
CONTEXT = 16
HORIZONS = [1, 4]


def shared_of(config: TrainingConfig) -> SharedMarket:
    stage = config.sequence[STAGE]
    assert isinstance(stage, AutonomousStageConfig)
    return build_shared_market(config, stage, prepare_data(config))


def learned(shared: SharedMarket) -> WorldTargets:
    return flat_targets(shared.learned, shared.mind, HORIZONS, CONTEXT)


def moved(bars: BarSeries, rows: slice) -> BarSeries:
    factor = np.ones(len(bars))
    factor[rows] = np.exp(0.05 * np.sin(np.arange(len(bars))))[rows]
    prices = {name: getattr(bars, name) * factor for name in PRICE_COLUMNS}
    return replace(bars, **prices)


def test_targets_end_with_the_training_rows(tmp_path: Path) -> None:
    shared = shared_of(autonomous_config(tmp_path, f"sequence.{STAGE}.mind.pattern_on=false"))
    targets, rows = learned(shared), len(shared.training) + CONTEXT
    assert len(shared.learned) == 1
    assert len(targets.regime) == rows
    bars_left = rows - 1 - torch.arange(rows)  # known are futures whose last bar is a training row
    for place, horizon in enumerate(HORIZONS):
        assert torch.equal(targets.returns_known[:, place], bars_left >= horizon)
    assert torch.equal(targets.regime_known, bars_left >= HORIZONS[1])  # the middle one of two
    assert torch.equal(targets.shape_known[:, 0], bars_left >= 1)
    sums = targets.regime[targets.regime_known].sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_nothing_later_than_the_training_rows_is_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = autonomous_config(tmp_path, f"sequence.{STAGE}.mind.pattern_on=false")
    bars, stop = (
        training_data.load_bars(config.symbol, config.data, config.seed),
        prepare_data(config).splits.train.stop,
    )
    shared = shared_of(config)
    assert shared.dynamics != STILL
    for rows, is_same in ((slice(stop, None), True), (slice(stop - 40, stop - 20), False)):
        changed = moved(bars, rows)
        monkeypatch.setattr(training_data, "load_bars", lambda *_, own=changed: own)
        other = shared_of(config)
        assert (other.dynamics == shared.dynamics) is is_same
        known = (learned(shared), learned(other))
        for name in ("regime", "returns", "shape"):
            mask = getattr(known[0], f"{name}_known")
            mine, theirs = (getattr(one, name)[mask] for one in known)
            assert torch.equal(mine, theirs) is is_same, name
