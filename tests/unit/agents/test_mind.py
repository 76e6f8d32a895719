"""The mind as columns: no part sees the future, what is off says nothing, and a saved one says the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.agents.cost_feature import CostFeature
from src.agents.mind import COSTS, Mind
from src.config.agent.memory import KeyConfig, MemoryConfig
from src.config.agent.mind import PARTS, MindConfig
from src.config.agent.reasoning import PatternConfig, RegimeConfig
from src.config.trading import CostsConfig
from src.errors import ModelFileError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from tests.support.random_bars import concatenate, random_bars

BARS, TRAINING = random_bars(1_200, seed=3, sigma=0.02), range(200, 800)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> MindConfig:
    cache = str(tmp_path_factory.mktemp("cache"))
    return MindConfig(
        regime=RegimeConfig(method="moving_average"),
        pattern=PatternConfig(scales=[24], steps=2, batch=16, width=4, cache_dir=cache),
        memory=MemoryConfig(capacity=50, key=KeyConfig(volatility_span_bars=20)),
    )


def fitted(config: MindConfig, bars: BarSeries, parts: tuple[str, ...] = PARTS) -> Mind:
    base = FeaturePipeline(["returns", "rsi"], 6.0).fit([(bars, TRAINING)])
    return Mind.fit(config, base, [(bars, TRAINING)], parts)


@pytest.fixture(scope="module")
def mind(config: MindConfig) -> Mind:
    return fitted(config, BARS)


def after(bars: BarSeries, row: int) -> BarSeries:
    """Return bars that are other ones from a row on."""
    return concatenate([bars[:row], replace(random_bars(len(bars), seed=9, sigma=0.05))[row:]])


def test_bars_after_the_training_rows_decide_nothing_that_is_fitted(config: MindConfig, mind: Mind) -> None:
    again = fitted(config, after(BARS, TRAINING.stop))
    np.testing.assert_array_equal(again.scaler.mean, mind.scaler.mean)
    np.testing.assert_array_equal(again.scaler.scale, mind.scaler.scale)
    assert again.typical_volatility == mind.typical_volatility
    np.testing.assert_array_equal(again.transform(BARS), mind.transform(BARS))


def test_a_row_depends_on_no_later_bar(mind: Mind) -> None:
    changed = mind.transform(after(BARS, 900))
    np.testing.assert_allclose(changed[:900], mind.transform(BARS)[:900], atol=1e-6)
    assert not np.allclose(changed[900:], mind.transform(BARS)[900:])


def test_the_latest_row_is_that_of_the_whole_and_depends_on_its_window_alone(mind: Mind) -> None:
    whole = mind.transform(BARS)
    for stop in (len(BARS) - 7, len(BARS)):
        window = BARS[stop - mind.history_bars : stop]
        np.testing.assert_allclose(mind.transform(window)[-1], whole[stop - 1], atol=1e-5)
        np.testing.assert_allclose(mind.latest(BARS[:stop]), whole[stop - 1], atol=1e-5)
        np.testing.assert_array_equal(mind.latest(window), mind.latest(BARS[:stop]))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_off_leaves_its_columns_at_0_and_the_rest_as_it_is(mind: Mind, part: str) -> None:
    without = mind.with_parts([other for other in PARTS if other != part])
    seen, whole = without.transform(BARS), mind.transform(BARS)
    own = mind.slice_of(part)
    assert not seen[:, own].any()
    assert whole[TRAINING.start :, own].any()
    np.testing.assert_array_equal(
        np.delete(seen, range(own.start, own.stop), 1), np.delete(whole, range(own.start, own.stop), 1)
    )
    np.testing.assert_array_equal(without.mask_inactive(mind.transform_all(BARS)), seen)


def test_parts_no_agent_can_have_are_not_fitted_but_keep_their_place(config: MindConfig, mind: Mind) -> None:
    bare = fitted(config, BARS, parts=())
    assert bare.columns == mind.columns
    assert bare.active == frozenset()
    assert bare.memory is None
    assert bare.with_parts(PARTS, memory_size=10).active == frozenset()
    assert Mind.from_plain(bare.to_plain()).columns == mind.columns


def test_it_survives_being_saved(mind: Mind) -> None:
    again = Mind.from_plain(mind.to_plain())
    np.testing.assert_array_equal(again.transform(BARS), mind.transform(BARS))
    assert (again.columns, again.active, again.history_bars) == (mind.columns, mind.active, mind.history_bars)
    broken = mind.to_plain()
    del broken["mind"]["parts"]["memory"]
    with pytest.raises(ModelFileError, match="the mind of the model does not fit"):
        Mind.from_plain(broken)


def test_the_volatility_column_is_the_logarithm_over_the_typical_one(mind: Mind) -> None:
    said = mind.transform(BARS)[TRAINING.start : TRAINING.stop, mind.scale_column]
    assert abs(float(said.mean())) < 0.05  # the typical one is the geometric mean of the training rows
    assert mind.typical_volatility == pytest.approx(0.02, rel=0.3)


def test_the_cache_is_where_it_was_asked_to_be(config: MindConfig) -> None:
    assert list(Path(config.pattern.cache_dir).iterdir())


def test_costs_are_a_last_column_where_they_are_seen_at_all(mind: Mind) -> None:
    usual = CostsConfig(commission_bps=3.0, half_spread_bps=2.0, slippage_bps=1.0)
    seeing = replace(mind, costs=CostFeature.from_costs(usual))
    assert seeing.columns == (*mind.columns, COSTS)
    whole = seeing.transform(BARS)
    np.testing.assert_array_equal(whole, np.column_stack([mind.transform(BARS), np.zeros(len(BARS))]))
    dear = seeing.with_costs(replace(usual, half_spread_bps=8.0))  # 12 bps in all, where 6 are usual
    np.testing.assert_allclose(dear.transform(BARS)[:, -1], 8.0, atol=0.02)
    np.testing.assert_array_equal(dear.transform(BARS)[:, :-1], whole[:, :-1])
    np.testing.assert_array_equal(dear.mask_inactive(dear.transform_all(BARS)), dear.transform(BARS))
    again = Mind.from_plain(dear.to_plain())
    assert again.costs == dear.costs
    np.testing.assert_array_equal(again.transform(BARS), dear.transform(BARS))
    assert mind.with_costs(usual) is mind


@pytest.mark.parametrize(
    ("usual_bps", "now_bps", "expected"), [(10.0, 10.0, 0.0), (10.0, 5.0, -8.0), (0.0, 0.0, 0.0), (0.0, 10.0, 16.0)]
)
def test_the_level_of_costs_moves_by_eight_for_each_doubling_and_stays_bounded(
    usual_bps: float, now_bps: float, expected: float
) -> None:
    usual, now = (
        CostsConfig(commission_bps=bps, half_spread_bps=0.0, slippage_bps=0.0) for bps in (usual_bps, now_bps)
    )
    level = CostFeature.from_costs(usual).with_costs(now)
    assert level.value == pytest.approx(expected, abs=0.02)
    assert CostFeature.from_plain(level.to_plain()) == level
