"""Settings validate themselves, refuse changes, and name their enumerations the way YAML does."""

import math
from dataclasses import replace
from enum import Enum
from typing import Any

import pytest

from src.config import data, model, runtime, trading
from src.config.base import Schema, require_known
from src.config.data import DataConfig, DataSource, FeaturesConfig, SplitConfig, SyntheticConfig
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.runtime import RuntimeConfig, TrackingConfig
from src.config.stages import learning
from src.config.stages.learning import AdaptationConfig, MAMLStageConfig, PPOStageConfig, Sampling
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RewardConfig, RiskConfig
from src.config.training import TrainingConfig, stage_settings
from src.errors import ConfigError

DECLARED = [value for module in (data, model, runtime, trading, learning) for value in vars(module).values()]
ENUMS = {value for value in DECLARED if isinstance(value, type) and issubclass(value, Enum) and value is not Enum}


def test_settings_are_sealed_after_construction() -> None:
    config = TrainingConfig()
    with pytest.raises(ConfigError, match=r"CostsConfig\.impact is sealed"):
        config.costs.impact = 1.0
    with pytest.raises(ConfigError, match=r"TrainingConfig\.novelty is sealed"):
        config.novelty = 1  # type: ignore[attr-defined]
    assert config == TrainingConfig()


def test_replace_builds_a_new_checked_object() -> None:
    costs = CostsConfig()
    assert replace(costs, commission_bps=7.0).commission_bps == 7.0
    assert costs.commission_bps == CostsConfig().commission_bps
    with pytest.raises(ConfigError, match="commission_bps"):
        replace(costs, commission_bps=-1.0)


def test_defaults_are_not_shared_between_objects() -> None:
    assert ActionConfig().grid is not ActionConfig().grid
    assert FeaturesConfig().names is not FeaturesConfig().names


@pytest.mark.parametrize("enum", sorted(ENUMS, key=str), ids=lambda enum: enum.__name__)
def test_enumerations_are_written_by_their_value_or_name_alike(enum: type[Enum]) -> None:
    assert [member.name for member in enum] == [member.value for member in enum]


def test_each_stage_is_registered_under_its_own_algorithm() -> None:
    assert [schema().algorithm for schema in stage_settings().values()] == list(stage_settings())


# Each pair: the last value that is accepted, and one just beyond it.
BOUNDS: list[tuple[type[Schema], str, Any, Any]] = [
    (SplitConfig, "train_frac", 0.05, 0.049),
    (SplitConfig, "validation_frac", 0.0, -0.01),
    (SplitConfig, "validation_frac", 0.39, 0.4),  # with train_frac 0.6 nothing would be left to test
    (SplitConfig, "embargo_bars", 0, -1),
    (SyntheticConfig, "bars", 100, 99),
    (FeaturesConfig, "clip", 1.0, 0.9),
    (FeaturesConfig, "names", ["returns"], []),
    (FeaturesConfig, "names", ["returns", "rsi"], ["rsi", "rsi"]),
    (ActionConfig, "max_leverage", 100.0, 101.0),
    (ActionConfig, "grid", [0.0, 1.0], [0.0]),
    (ActionConfig, "grid", [-1.0, 0.0], [0.0, -1.0]),
    (ActionConfig, "grid", [-0.5, 0.0, 0.5], [-0.5, 0.5]),
    (ActionConfig, "grid", [0.0, 1.0], [0.0, 1.1]),
    (ActionConfig, "rebalance_band", 0.0, -0.1),
    (RewardConfig, "scale", 1e-9, 0.0),
    (RewardConfig, "drawdown_penalty", 0.0, -0.1),
    (RewardConfig, "variance_penalty", 0.0, -0.1),
    (EnvironmentConfig, "initial_equity", 0.01, 0.0),
    (EnvironmentConfig, "episode_bars", 2, 1),
    (EnvironmentConfig, "account_inputs", ["exposure"], ["drawdown"]),
    (EnvironmentConfig, "account_inputs", ["exposure"], ["exposure", "mood"]),
    (CostsConfig, "commission_bps", 5000.0, 5001.0),
    (CostsConfig, "half_spread_bps", 0.0, -1.0),
    (CostsConfig, "slippage_bps", 0.0, math.nan),
    (CostsConfig, "slippage_volatility", 100.0, 101.0),
    (CostsConfig, "impact", 0.0, -1.0),
    (CostsConfig, "borrow_bps_per_year", 0.0, -1.0),
    (CostsConfig, "financing_bps_per_year", 100_000.0, math.inf),
    (RiskConfig, "maintenance_margin_frac", 0.99, 1.0),
    (RiskConfig, "max_exposure", 0.1, 0.0),
    (RiskConfig, "max_drawdown_frac", 0.1, 0.0),
    (RiskConfig, "max_daily_loss_frac", 0.1, math.nan),
    (CoreTransformerConfig, "d_model", 40, 36),  # 4 heads of even width
    (CoreTransformerConfig, "num_layers", 63, 64),  # a window of 64 feeds 63 layers of two bars
    (CoreTransformerConfig, "window", 3, 2),
    (CoreTransformerConfig, "dropout", 0.9, 0.91),
    (CoreTransformerConfig, "ff_dim", 1, 0),
    (ModelConfig, "head_dim", 1, 0),
    (ModelConfig, "embedding_scale", 0.01, 0.0),
    (TrackingConfig, "wandb_mode", "offline", "silent"),
    (RuntimeConfig, "num_env_runners", 0, -1),
    (RuntimeConfig, "torch_threads", 1, 0),
    (PPOStageConfig, "iterations", 1, 0),
    (PPOStageConfig, "accounts", 64, 65),  # groups of 32
    (PPOStageConfig, "groups", 64, 96),  # 256 accounts are no multiple of 96
    (PPOStageConfig, "minibatches", 8, 5),
    (PPOStageConfig, "lr", 1.0, 0.0),
    (PPOStageConfig, "lr", 1e-6, math.nan),
    (PPOStageConfig, "lr_end_frac", 1.0, 1.1),
    (PPOStageConfig, "gamma", 1.0, 1.01),
    (PPOStageConfig, "gae_lambda", 0.0, -0.1),
    (PPOStageConfig, "trunk_lr_frac", 0.0, -0.1),
    (PPOStageConfig, "entropy", 0.0, math.nan),
    (PPOStageConfig, "clip", 0.9, 1.0),
    (PPOStageConfig, "grad_clip", 0.1, 0.0),
    (PPOStageConfig, "embedding_dropout", 0.9, 1.0),
    (PPOStageConfig, "weight_average", 0.9999, 1.0),
    (PPOStageConfig, "patience", 0, -1),
    (AdaptationConfig, "support_bars", 1, 0),
    (AdaptationConfig, "adapt_every", 1, 0),
    (AdaptationConfig, "inner_steps", 1, 0),
    (AdaptationConfig, "inner_lr", 1e4, 1.1e4),
    (AdaptationConfig, "inner_lr", 1e-6, math.nan),
    (MAMLStageConfig, "embargo_bars", 0, -1),
    (MAMLStageConfig, "period_bars", 129, 128),  # 64 bars of support, 64 of query, and the one that pays the last
    (MAMLStageConfig, "horizon", 127, 128),
    (MAMLStageConfig, "sampling", Sampling.encode_once, Sampling.reference),
    (TrainingConfig, "seed", 0, -1),
    (TrainingConfig, "symbol", "X", " "),
    (TrainingConfig, "symbols", ["X"], ["X", ""]),
]


@pytest.mark.parametrize(
    ("kind", "name", "good", "bad"), BOUNDS, ids=lambda value: str(getattr(value, "__name__", value))
)
def test_bounds(kind: type[Schema], name: str, good: Any, bad: Any) -> None:
    assert getattr(kind(**{name: good}), name) == good
    with pytest.raises(ConfigError, match=name):
        kind(**{name: bad})


@pytest.mark.parametrize(("source", "name"), [(DataSource.files, "path"), (DataSource.ccxt, "timeframe")])
def test_some_sources_need_more(source: DataSource, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.source={source.name} needs data\.{name}"):
        DataConfig(source=source)
    assert getattr(DataConfig(source=source, **{name: "1h"}), name) == "1h"


def test_without_shorting_the_negative_half_of_the_grid_is_dropped() -> None:
    assert ActionConfig().targets == (-1.0, -0.5, 0.0, 0.5, 1.0)
    assert ActionConfig(allow_short=False).targets == (0.0, 0.5, 1.0)


def test_the_bounds_are_the_furthest_exposures_an_action_reaches() -> None:
    def bounds(kind: ActionKind, *, allow_short: bool) -> tuple[float, float]:
        action = ActionConfig(kind=kind, grid=[-1.5, 0.0, 1.0], allow_short=allow_short, max_leverage=2.0)
        return action.bounds

    assert bounds(ActionKind.discrete, allow_short=True) == (-1.5, 1.0)
    assert bounds(ActionKind.discrete, allow_short=False) == (0.0, 1.0)
    assert bounds(ActionKind.continuous, allow_short=True) == (-2.0, 2.0)
    assert bounds(ActionKind.continuous, allow_short=False) == (0.0, 2.0)
    assert ActionConfig(kind=ActionKind.continuous).kind is ActionKind.continuous


def test_unknown_names_come_with_the_nearest_valid_one() -> None:
    require_known("fruit", ["apple"], ["apple", "pear"])
    with pytest.raises(ConfigError, match=r"fruit 'appel' is unknown; did you mean 'apple'\? Valid: apple, pear"):
        require_known("fruit", ["pear", "appel"], ["pear", "apple"])
