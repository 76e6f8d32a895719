"""A backtest under a risk file: limits that do not bite change nothing, those that do leave what they did."""

from dataclasses import replace

import numpy as np
import pytest

from src.agents.baselines import scripted
from src.backtesting.engine import run_backtest
from src.config.risk import RiskLimits
from src.config.trading import ActionConfig, CostsConfig, EnvironmentConfig, RiskConfig
from src.market.bars import BarSeries
from src.trading.records import StepRecord
from src.trading.rules import make_rules
from tests.support.random_bars import concatenate, random_bars
from tests.support.trading_cases import daily, flat_candles, rules_of

OFF = RiskLimits(
    max_leverage=100.0, max_position=1e12, max_daily_loss_frac=None, max_drawdown_frac=None,
    max_orders_per_hour=1000, price_band_frac=10.0,
)  # fmt: skip
RULES = make_rules(EnvironmentConfig(), CostsConfig(impact=0.1), RiskConfig(), 0.01)
ROWS = range(70, 380)


def jumps(bars: BarSeries, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(rng.choice(RULES.action.targets, len(bars) // 5 + 1), 5)[: len(bars)]


@pytest.mark.parametrize("sigma", [0.01, 0.2], ids=["calm", "wild"])
@pytest.mark.parametrize("band", [None, 0.1])
def test_limits_that_do_not_bite_change_nothing(sigma: float, band: float | None) -> None:
    bars = random_bars(400, seed=3, sigma=sigma)
    rules = replace(RULES, action=replace(RULES.action, rebalance_band=band))
    agent = scripted(rules, jumps(bars))
    free, reviewed = run_backtest(agent, bars, rules, ROWS), run_backtest(agent, bars, rules, ROWS, OFF)
    assert free.reviews is None
    assert reviewed.reviews is not None
    for name in StepRecord._fields:
        np.testing.assert_array_equal(getattr(reviewed.records, name), getattr(free.records, name), err_msg=name)
    np.testing.assert_array_equal(reviewed.reviews.wanted, jumps(bars)[ROWS.start : ROWS.stop])
    ruined = np.logical_or.accumulate(free.records.terminated)
    acted = [[change.station for change in changes] for changes in reviewed.reviews.changes]
    assert acted == [["margin call"] if late and wanted else [] for late, wanted in
                     zip(ruined, reviewed.reviews.wanted, strict=True)]  # fmt: skip


def test_what_is_wanted_what_is_in_force_and_why_are_recorded() -> None:
    prices = daily(flat_candles(100.0, 100.0, 130.0, 130.0, 130.0))
    limits = replace(OFF, max_position=500.0, price_band_frac=0.2)
    result = run_backtest(
        scripted(rules_of(), np.array([0.5, 0.5, 1.0, 1.0, 0.0])), prices, rules_of(), range(5), limits
    )
    assert result.reviews is not None
    # Equity 1000, and 1150 after the jump, on whose close nothing is opened; 5 units are then worth 650, above the cap.
    assert result.reviews.wanted.tolist() == [0.5, 0.5, 1.0, 1.0, 0.0]
    assert result.records.target.tolist() == pytest.approx([0.5, 0.5, 500 / 1150, 500 / 1150, 0.0])
    assert result.records.fill_units.tolist() == pytest.approx([0.0, 5.0, 0.0, 500 / 130 - 5.0, 0.0])
    assert [[change.sentence for change in changes] for changes in result.reviews.changes] == [
        [],
        [],
        ["caps: max_leverage=100 and max_position=500 allow less; 1 became 0.4348"],
        ["caps: max_leverage=100 and max_position=500 allow less; 1 became 0.4348"],
        [],
    ]


def test_a_position_that_is_held_places_no_order_of_the_band_either() -> None:
    prices = daily(flat_candles(100.0, 100.0, 60.0, 60.0, 60.0))
    rules = rules_of(rebalance_band=0.05)
    agent = scripted(rules, np.full(5, 0.5))
    free = run_backtest(agent, prices, rules, range(5))
    held = run_backtest(agent, prices, rules, range(5), replace(OFF, price_band_frac=0.2))
    # 5 units of an equity of 1000; at 60 they are worth 300 of 800, and 100 / 60 more restore the half.
    assert free.records.fill_units.tolist() == pytest.approx([0.0, 5.0, 0.0, 100 / 60, 0.0])
    assert held.records.fill_units.tolist() == pytest.approx([0.0, 5.0, 0.0, 0.0, 100 / 60])
    assert held.reviews is not None
    assert [len(changes) for changes in held.reviews.changes] == [0, 0, 1, 0, 0]


def test_the_stricter_of_two_rules_holds() -> None:
    rules = rules_of(risk=RiskConfig(max_exposure=0.3, max_drawdown_frac=0.5))
    under = rules.under(replace(OFF, max_leverage=0.6, max_drawdown_frac=0.2, max_daily_loss_frac=0.1)).risk
    assert (under.max_exposure, under.max_drawdown_frac, under.max_daily_loss_frac) == (0.3, 0.2, 0.1)
    bars = random_bars(60, seed=1, sigma=0.001)
    result = run_backtest(scripted(rules, np.ones(60)), bars, rules, range(60), replace(OFF, max_leverage=0.6))
    assert set(result.records.target) == {0.3}
    assert result.reviews is not None
    assert {tuple(change.station for change in changes) for changes in result.reviews.changes} == {
        ("caps", "exposure rule")
    }


def test_changing_bars_after_t_changes_no_review_up_to_t() -> None:
    bars, cut = random_bars(400, seed=3, sigma=0.02), 250
    other = random_bars(400, seed=8, sigma=0.05, first_price=float(bars.close[cut - 1]))[cut:]
    times = bars.open_time[cut:]
    later = BarSeries(bars.symbol, bars.timeframe, times, other.open, other.high, other.low, other.close, other.volume)
    limits = RiskLimits(max_position=5_000.0, price_band_frac=0.02, cool_down_bars=3, max_daily_loss_frac=0.01)
    rules = replace(RULES, action=ActionConfig())
    lived = [
        run_backtest(scripted(rules, jumps(bars)), series, rules, ROWS, limits)
        for series in (bars, concatenate([bars[:cut], later]))
    ]
    known = [each.reviews.changes[: cut - ROWS.start] for each in lived if each.reviews is not None]
    assert known[0] == known[1]
    assert sum(map(len, known[0])) > 50
    assert len({change.station for changes in known[0] for change in changes}) >= 3
