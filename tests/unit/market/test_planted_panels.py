"""Planted panels hold the edge they say they hold, and their best policies find it without the future."""

import math

import numpy as np
import pytest

from src.errors import ConfigError, DataError
from src.market.bars import BarSeries
from src.market.panel import Panel
from src.market.synthetic.optimal_policy import optimal_gain
from src.market.synthetic.optimal_portfolios import (
    best_gain,
    best_sharpe_ratio,
    best_targets,
    lone_targets,
    panel_returns,
    score_portfolio,
)
from src.market.synthetic.planted_panels import (
    PLANTED_PANELS,
    DelistingPanel,
    IndependentPanel,
    MomentumPanel,
    PairPanel,
    generate_panel,
    planted_panel,
)

DAY_MS = 86_400_000


def drawn(name: str, bars: int, seed: int = 0) -> Panel:
    return generate_panel(name, bars, np.random.default_rng(seed))


def sharpe_ratio(earned: np.ndarray) -> float:
    return float(earned.mean() / earned.std())


@pytest.mark.parametrize("name", PLANTED_PANELS)
def test_the_same_seed_draws_the_same_panel_and_another_another(name: str) -> None:
    assert drawn(name, 200).fingerprint == drawn(name, 200).fingerprint != drawn(name, 200, seed=1).fingerprint


@pytest.mark.parametrize("name", PLANTED_PANELS)
def test_changing_the_future_does_not_change_what_the_best_policy_decided(name: str) -> None:
    panel, now = drawn(name, 600), 400
    odd = np.where(np.arange(len(panel.symbols)) % 2, 0.2, 3.0)
    changed = Panel(
        **{field: getattr(panel, field) for field in ("name", "timeframe", "symbols", "facts", "open_time", "listed")},
        **{
            field: np.where(np.arange(600)[:, None] >= now, getattr(panel, field) * odd, getattr(panel, field))
            for field in ("open", "high", "low", "close", "volume")
        },
    )
    before, after = best_targets(planted_panel(name), panel), best_targets(planted_panel(name), changed)
    assert np.array_equal(before[:now], after[:now])
    assert not np.array_equal(before[now:], after[now:])


def test_independent_copies_earn_what_each_market_earns() -> None:
    panel = drawn("A4x8", 12_000)
    planted = planted_panel("A4x8")
    assert isinstance(planted, IndependentPanel)
    assert best_gain(planted) == optimal_gain("A4")
    earned = score_portfolio(best_targets(planted, panel), panel, cost_frac=0.01)
    assert earned.mean() == pytest.approx(best_gain(planted), rel=0.08)
    moves = np.corrcoef(panel_returns(panel)[1:].T)
    assert np.abs(moves - np.eye(8)).max() < 5 / math.sqrt(12_000)


def test_momentum_earns_the_sharpe_ratio_of_its_formula_and_a_lone_filter_much_less() -> None:
    planted = planted_panel("M30")
    assert isinstance(planted, MomentumPanel)
    panel = drawn("M30", 20_000)
    reached = sharpe_ratio(score_portfolio(best_targets(planted, panel), panel, 0.0)[1000:])
    assert reached == pytest.approx(best_sharpe_ratio(planted), abs=4 / math.sqrt(19_000))
    alone = sharpe_ratio(score_portfolio(lone_targets(planted, panel), panel, 0.0)[1000:])
    assert alone < 0.5 * reached


def test_no_momentum_means_no_sharpe_ratio() -> None:
    assert best_sharpe_ratio(MomentumPanel(30, 0.98, 1e-9, 0.02, 0.01)) == pytest.approx(0, abs=1e-5)


def test_a_pair_wanders_and_its_spread_comes_back_and_pays_the_gain_of_its_formula() -> None:
    from arch.unitroot import ADF

    planted = planted_panel("P2")
    assert isinstance(planted, PairPanel)
    panel = drawn("P2", 30_000)
    logs = np.log(panel.close)
    assert ADF(logs[:, 0]).pvalue > 0.05
    assert ADF(logs[:, 0] - logs[:, 1]).pvalue < 0.001
    earned = score_portfolio(best_targets(planted, panel), panel, planted.spread.cost_frac)
    assert earned.mean() == pytest.approx(best_gain(planted), rel=0.05)


def test_whoever_leaves_what_is_in_distress_is_spared_the_haircut() -> None:
    planted = planted_panel("D20")
    assert isinstance(planted, DelistingPanel)
    panel = drawn("D20", 6000)
    delisted = ~panel.listed[-1]
    assert 3 <= delisted.sum() < 20
    assert not delisted[0]
    assert (panel.last_close[-1, delisted] < planted.distress_frac * 100).all()
    hold = panel.listed / planted.assets
    best = score_portfolio(best_targets(planted, panel), panel, 0.0, haircut_frac=0.5).sum()
    assert best > score_portfolio(hold, panel, 0.0, haircut_frac=0.5).sum()


def test_returns_of_a_panel_by_hand() -> None:
    days = np.arange(20)
    close = np.full(20, 100.0)
    steady = BarSeries("A", "1d", days * DAY_MS, close, close, close, close, close)
    gone = np.array([50.0, 25.0])
    short = BarSeries("B", "1d", np.array([2, 4]) * DAY_MS, gone, gone, gone, gone, gone)
    returns = panel_returns(Panel.of("P", [steady, short]), haircut_frac=0.2)
    assert not returns[:, 0].any()
    assert returns[:6, 1] == pytest.approx([0, 0, 0, 0, math.log(0.5), math.log(0.8)])
    assert not returns[6:, 1].any()


def test_what_does_not_exist_or_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="M30"):
        planted_panel("M3")
    with pytest.raises(DataError, match="shape"):
        score_portfolio(np.zeros((3, 2)), drawn("P2", 10), 0.0)
