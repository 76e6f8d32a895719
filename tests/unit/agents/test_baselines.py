"""Baselines: what each wants, on the grid in force, and blind to the future."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ta

from src.agents.baselines import (
    BASELINES,
    buy_and_hold,
    known_baselines,
    ma_cross,
    make_baseline,
    nearest_targets,
    random,
    relative_strength,
    scripted,
)
from src.backtesting.engine import run_backtest
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RiskConfig
from src.errors import ConfigError, DataError, LookaheadError
from src.market.bars import BarSeries
from src.trading.agent import Agent
from src.trading.records import MarketState
from src.trading.rules import TradingRules, make_rules
from tests.support.plugin_modules import write_plugin

RULES = make_rules(EnvironmentConfig(), CostsConfig(), RiskConfig(), 0.01)
LONG_ONLY = replace(RULES, action=ActionConfig(allow_short=False))


def walk(count: int, seed: int = 0) -> BarSeries:
    """A random walk of hourly bars that open at the prior close."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(count)))
    opened = np.concatenate([[100.0], close[:-1]])
    wide = 1.0 + 0.002 * rng.random(count)
    return BarSeries(
        "TEST",
        "1h",
        3_600_000 * np.arange(count),
        opened,
        np.maximum(opened, close) * wide,
        np.minimum(opened, close) / wide,
        close,
        rng.random(count),
    )


def targets(agent: Agent, bars: BarSeries, accounts: int = 1) -> np.ndarray:
    """Every decision of an agent over a series, (T, N)."""
    agent.prepare(bars)
    inputs = np.zeros((accounts, 4), np.float32)
    return np.stack([agent.act(MarketState(row, 0, inputs)).target for row in range(len(bars))])


@pytest.mark.parametrize("rules", [RULES, LONG_ONLY])
@pytest.mark.parametrize("name", BASELINES)
def test_targets_are_causal_batched_and_on_the_grid(name: str, rules: TradingRules) -> None:
    bars = walk(300)
    full = targets(make_baseline(name, rules, seed=3), bars, accounts=3)
    assert full.shape == (300, 3)
    assert np.isin(full, rules.action.targets).all()
    np.testing.assert_array_equal(full[:, 0], full[:, 2])
    np.testing.assert_array_equal(targets(make_baseline(name, rules, seed=3), bars[:200]), full[:200, :1])
    other = walk(300, seed=9)
    scale = bars.close[199] / other.open[200]
    columns = [
        np.concatenate([getattr(bars, c)[:200], getattr(other, c)[200:] * scale])
        for c in ("open", "high", "low", "close")
    ]
    changed = BarSeries("TEST", "1h", bars.open_time, *columns, bars.volume)
    np.testing.assert_array_equal(targets(make_baseline(name, rules, seed=3), changed)[:200], full[:200, :1])


def test_trend_follower_sits_on_the_side_of_the_trend() -> None:
    close = np.concatenate([np.linspace(100, 200, 100), np.linspace(200, 100, 100)])
    bars = BarSeries("T", "1d", 86_400_000 * np.arange(200), close, close, close, close, np.zeros(200))
    followed = targets(ma_cross(RULES), bars)[:, 0]
    assert followed[50] == 1.0
    assert followed[-1] == -1.0
    assert targets(ma_cross(LONG_ONLY), bars)[-1, 0] == 0.0


def test_reversion_buys_low_sells_high_and_holds_between() -> None:
    bars = walk(2_000)
    rsi = ta.momentum.RSIIndicator(pd.Series(bars.close), 14).rsi().to_numpy()
    held, expected = 0.0, []
    for value in rsi:
        held = 1.0 if value < 30 else -1.0 if value > 70 else held
        expected.append(held)
    got = targets(make_baseline("rsi_reversion", RULES), bars)[:, 0]
    assert {-1.0, 1.0} <= set(expected)
    np.testing.assert_array_equal(got[100:], expected[100:])


def test_relative_strength_of_a_market_that_never_moves_is_neutral() -> None:
    np.testing.assert_array_equal(relative_strength(np.full(30, 5.0), 14), 50.0)


def test_random_switches_at_the_stated_rate_and_repeats_with_its_seed() -> None:
    bars = walk(20_000)
    drawn = targets(random(RULES, seed=1), bars)[:, 0]
    np.testing.assert_array_equal(drawn, targets(random(RULES, seed=1), bars)[:, 0])
    assert (drawn != targets(random(RULES, seed=2), bars)[:, 0]).any()
    # A redraw among five targets changes the target four times in five: rate .05 * .8, standard error .0014.
    assert np.mean(np.diff(drawn) != 0) == pytest.approx(0.04, abs=0.006)
    assert np.bincount(np.searchsorted(RULES.action.targets, drawn), minlength=5).min() > 0.1 * len(drawn)


def test_wishes_go_to_the_nearest_allowed_target() -> None:
    wanted = np.array([-3.0, -0.3, -0.2, 0.2, 0.8, 3.0])
    np.testing.assert_array_equal(nearest_targets(ActionConfig(), wanted), [-1, -0.5, 0, 0, 1, 1])
    free = ActionConfig(kind=ActionKind.continuous, max_leverage=2.0)
    np.testing.assert_array_equal(nearest_targets(free, wanted), [-2, -0.3, -0.2, 0.2, 0.8, 2])
    np.testing.assert_array_equal(nearest_targets(replace(free, allow_short=False), wanted), [0, 0, 0, 0.2, 0.8, 2])


def test_a_script_must_fit_its_series() -> None:
    with pytest.raises(DataError, match="10 finite targets"):
        scripted(RULES, np.zeros(9)).prepare(walk(10))
    with pytest.raises(DataError, match="10 finite targets"):
        scripted(RULES, np.full(10, np.nan)).prepare(walk(10))


def test_buy_and_hold_takes_the_largest_target_of_a_small_grid() -> None:
    small = replace(RULES, action=ActionConfig(grid=[0.0, 0.25]))
    assert set(targets(buy_and_hold(small), walk(5))[:, 0]) == {0.25}


PLUGGED_IN = """
import numpy as np
from src.agents.baselines import Baseline, SeriesAgent
def make(rules, seed=0):
    return SeriesAgent("mine", rules.action, lambda bars: {wanted})
MINE = Baseline("mine", make)
"""


def test_a_plugged_in_baseline_is_one_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = "np.sign(bars.close - bars.open)"
    module = write_plugin(tmp_path, monkeypatch, "mine", PLUGGED_IN.format(wanted=wanted))
    bars = walk(100)
    found = targets(make_baseline("mine", RULES, plugins=[module]), bars)[:, 0]
    np.testing.assert_array_equal(found, np.sign(bars.close - bars.open))
    assert list(known_baselines([module])) == [*BASELINES, "mine"]
    with pytest.raises(ConfigError, match="baseline 'minne' is unknown; did you mean 'mine'"):
        make_baseline("minne", RULES, plugins=[module])


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        ("np.sign(np.append(bars.close[1:], 0) - bars.close)", LookaheadError, "mine looks ahead: row"),
        ("np.where(bars.close > bars.close.mean(), 1, -1)", LookaheadError, "mine looks ahead: row"),
        ("np.full(len(bars), np.nan)", DataError, "mine: needs 200 finite targets"),
    ],
)
def test_a_plugged_in_baseline_sees_no_future(
    wanted: str, error: type[Exception], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = write_plugin(tmp_path, monkeypatch, "mine", PLUGGED_IN.format(wanted=wanted))
    with pytest.raises(error, match=says):
        run_backtest(make_baseline("mine", RULES, plugins=[module]), walk(200), RULES, range(20, 200))
