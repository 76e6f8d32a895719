"""Portfolios from a member's decision to what each symbol earned."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.agents.baselines import buy_and_hold, ma_cross
from src.agents.one_symbol import OneSymbol, Sleeves
from src.agents.portfolio_baselines import PORTFOLIO_BASELINES, Rebalanced, make_portfolio_baseline
from src.backtesting.engine import run_backtest
from src.backtesting.panel_causality import require_no_look_ahead
from src.backtesting.portfolio import run_portfolio
from src.config.portfolio.preferences import Preferences
from src.config.trading import RiskConfig
from src.errors import ConfigError, DataError, LookaheadError
from src.evaluation.portfolio.performance import exposures, portfolio_performance
from src.market.bars import COLUMNS, BarSeries
from src.market.panel import Panel, SymbolFacts
from src.market.synthetic.planted_panels import generate_panel
from src.trading.records import Decision, MarketState, StepRecord
from tests.support.random_bars import random_bars
from tests.support.random_panels import ragged_panel, random_targets, whole_panel
from tests.support.trading_cases import DEAR, FREE, rules_of

SEEDS = st.integers(0, 10_000)
OFF = Preferences(
    stop_loss_frac=None,
    take_profit_frac=None,
    max_position_frac=None,
    max_correlation=None,
    max_sector_frac=None,
    max_gross=None,
    max_net=None,
    min_cash_frac=None,
    max_positions=None,
    max_daily_loss_frac=None,
    max_drawdown_frac=None,
)


class Follows:
    """A member that follows targets it was given."""

    member_id, name, warmup_bars = "m-000000000000", "follows", 0

    def __init__(self, targets: np.ndarray, confidence: np.ndarray | None = None) -> None:
        self._targets = targets
        self._confidence = np.ones(targets.shape) if confidence is None else confidence

    def prepare(self, panel: Panel) -> None:
        pass

    def act(self, market_state: MarketState) -> Decision:
        return Decision(self._targets[market_state.row][None], self._confidence[market_state.row][None])


def at(symbol: str, prices: np.ndarray) -> BarSeries:
    walk = random_bars(len(prices), 0, 0.001)
    return replace(walk, symbol=symbol, open=prices, high=prices, low=prices, close=prices)


def marks(panel: Panel) -> np.ndarray:
    return np.where(np.isnan(panel.last_close), 1.0, panel.last_close)


@pytest.mark.parametrize("seed", range(4))
def test_one_symbol_is_the_backtest_of_one_market_to_the_bit(seed: int) -> None:
    panel, rules = whole_panel(300, 1, seed), rules_of(DEAR)
    alone = run_backtest(buy_and_hold(rules), panel.series("S0"), rules, range(5, 300))
    lifted = run_portfolio(OneSymbol(buy_and_hold(rules), "S0", 1.0), panel, rules, range(5, 300))
    for name in StepRecord._fields:
        ours, theirs = getattr(lifted.records, name), getattr(alone.records, name)
        assert np.array_equal(ours[:, 0] if ours.ndim == 2 else ours, theirs), name


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_profits_of_symbols_and_financing_add_up_to_the_account(seed: int) -> None:
    panel, rules = ragged_panel(150, 5, seed), rules_of(DEAR, max_leverage=3.0)
    result = run_portfolio(Follows(random_targets((150, 5), seed)), panel, rules, range(150))
    found = portfolio_performance(result.records, marks(panel), panel.symbols, panel.bars_per_year, 1000.0)
    of_symbols = sum(one.profit for one in found.by_symbol.values())
    assert of_symbols - found.costs.financing == pytest.approx(found.profit, abs=1e-6)
    assert sum(one.costs for one in found.by_symbol.values()) == pytest.approx(
        found.costs.total - found.costs.financing
    )
    assert found.gross_exposure >= abs(found.net_exposure)


def test_the_past_of_a_run_does_not_change_with_the_future() -> None:
    panel, rules = ragged_panel(200, 4, 9), rules_of(DEAR)
    strict = Preferences(correlation_bars=20, max_position_frac=0.4)
    targets = random_targets((200, 4), 1)
    whole = run_portfolio(Follows(targets), panel, rules, range(200), strict)
    early = run_portfolio(Follows(targets), panel[:120], rules, range(120), strict)
    for name in StepRecord._fields:
        assert np.array_equal(getattr(whole.records, name)[:120], getattr(early.records, name)), name


def test_no_opinion_leaves_the_position_as_it_is() -> None:
    panel, rules = whole_panel(5, 2, 0), rules_of(FREE)
    targets, sure = np.array([[0.5, 0.5]] + [[0.0, 0.0]] * 4), np.ones((5, 2))
    sure[1:, 0] = 0.0
    records = run_portfolio(Follows(targets, sure), panel, rules, range(5)).records
    assert (records.units[1:, 0] == records.units[1, 0]).all()
    assert records.units[2:, 1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("risk", [RiskConfig(max_drawdown_frac=0.1), RiskConfig(max_daily_loss_frac=0.05)])
@pytest.mark.parametrize("limits", [None, OFF])
def test_loss_limits_close_positions_on_which_nobody_has_an_opinion(
    risk: RiskConfig, limits: Preferences | None
) -> None:
    panel = Panel.of("falls", [at(symbol, 100 * np.exp(-0.03 * np.arange(20))) for symbol in ("S0", "S1")])
    targets, sure = np.full((20, 2), 0.5), np.ones((20, 2))
    sure[1:] = 0.0
    records = run_portfolio(Follows(targets, sure), panel, rules_of(FREE, risk), range(20), limits).records
    reached = records.equity[1:] <= 0.9 * 1000 if risk.max_drawdown_frac else records.equity[1:] <= 0.95 * 1000
    first = 1 + int(np.argmax(reached))
    assert records.units[first].all()
    assert not records.target[first].any()
    assert not records.units[first + 1].any()


def test_what_a_loss_limit_closes_says_so() -> None:
    panel, rules = whole_panel(240, 2, 7, sigma=0.05), rules_of(FREE)
    limits = replace(OFF, max_daily_loss_frac=0.03)
    result = run_portfolio(Follows(np.full((240, 2), 0.45)), panel, rules, range(240), limits)
    closed = (result.records.target == 0).all(axis=1)
    assert closed.any()
    for row in np.flatnonzero(closed):
        assert [change.station for change in result.changes[row]] == ["daily loss"]


def test_an_exit_is_not_undone_by_a_bar_on_which_the_symbol_does_not_trade() -> None:
    days = np.arange(60)
    whole, other = at("S0", np.full(60, 100.0)), at("S1", np.where(days < 10, 100.0, 90.0))
    traded = np.flatnonzero(days % 7 < 5)
    other = BarSeries("S1", other.timeframe, *[getattr(other, name)[traded] for name in COLUMNS])
    panel, limits = Panel.of("P", [whole, other]), replace(OFF, stop_loss_frac=0.05, exit_bars=20)
    for sure in (np.ones((60, 2)), panel.has_bar.astype(np.float64)):
        records = run_portfolio(Follows(np.full((60, 2), 0.4), sure), panel, rules_of(FREE), range(60), limits).records
        assert records.units[10, 1] > 0
        assert not records.units[11:31, 1].any()
        assert records.units[40, 1] > 0


@pytest.mark.parametrize(("target", "confidence"), [(np.nan, 1.0), (np.inf, 1.0), (0.2, np.nan), (0.2, 1.5)])
def test_what_is_no_decision_is_refused_by_name(target: float, confidence: float) -> None:
    panel, rules = whole_panel(9, 2, 0), rules_of(FREE)
    targets, sure = np.full((9, 2), 0.2), np.ones((9, 2))
    targets[4:, 1], sure[4:, 1] = target, confidence
    with pytest.raises(DataError, match=r"follows decides .* for S1 at row 4 of whole"):
        run_portfolio(Follows(targets, sure), panel, rules, range(9))
    with pytest.raises(DataError, match=r"follows decides .* for S1 at row \d of whole"):
        require_no_look_ahead(Follows(targets, sure), panel, range(4, 9), 4)


def test_sleeves_are_shown_symbols_before_their_first_bar() -> None:
    rules, whole, late = rules_of(FREE), at("S0", np.full(60, 100.0)), at("S1", np.full(60, 100.0))
    member = Sleeves([OneSymbol(ma_cross(rules), symbol, 0.5) for symbol in ("S0", "S1")])
    require_no_look_ahead(member, Panel.of("P", [whole, late[58:]]), range(60), 4)


def test_stations_act_on_what_is_wanted_and_say_why() -> None:
    panel, rules = whole_panel(100, 3, 2, sigma=0.03), rules_of(FREE)
    panel = Panel.of("P", [panel.series(s) for s in panel.symbols], {"S0": SymbolFacts("X"), "S1": SymbolFacts("X")})
    limits = Preferences(max_position_frac=0.4, max_sector_frac=0.5, correlation_bars=10)
    result = run_portfolio(Follows(np.full((100, 3), 0.45)), panel, rules, range(100), limits)
    assert (np.abs(result.records.target) <= 0.4).all()
    assert (np.abs(result.records.target[:, :2]).sum(axis=1) <= 0.5 + 1e-12).all()
    said = {change.station for changes in result.changes for change in changes}
    assert {"position cap", "sector cap", "stop-loss", "take-profit"} <= said
    assert np.array_equal(result.wanted, np.full((100, 3), 0.45))


def test_a_daily_loss_keeps_everything_flat_until_the_next_day() -> None:
    panel, rules = whole_panel(240, 2, 7, sigma=0.05), rules_of(FREE)
    off = dict.fromkeys(("stop_loss_frac", "take_profit_frac", "max_correlation", "max_drawdown_frac"))
    limits = Preferences(**off, max_position_frac=1.0, max_sector_frac=1.0)  # type: ignore[arg-type]
    result = run_portfolio(Follows(np.full((240, 2), 0.45)), panel, rules, range(240), limits)
    day = (panel.close_time - 1) // 86_400_000
    equity = result.records.equity
    opening = np.array([equity[np.flatnonzero(day < today)[-1]] if (day < today).any() else 1000.0 for today in day])
    lost = np.array([(equity[(day == day[t]) & (np.arange(240) <= t)] <= 0.97 * opening[t]).any() for t in range(240)])
    assert 0 < lost.sum() < 240
    assert not result.records.target[lost].any()
    assert result.records.target[~lost].all()


@pytest.mark.parametrize("name", PORTFOLIO_BASELINES)
def test_baselines_never_look_ahead_and_stay_within_one(name: str) -> None:
    panel, member = ragged_panel(900, 6, 4), make_portfolio_baseline(name)
    require_no_look_ahead(member, panel, range(300, 900), 4)
    assert (np.abs(member.targets).sum(axis=1) <= 1 + 1e-9).all()
    assert member.targets[-1].any()
    rebalanced = range(member.lookback_bars, 900, member.every_bars or 900)
    assert all(not member.targets[row, ~panel.listed[row]].any() for row in rebalanced)


def test_whoever_looks_ahead_is_caught() -> None:
    class Sees(Rebalanced):
        def prepare(self, panel: Panel) -> None:
            self.is_rebalanced = np.zeros(len(panel), np.bool_)
            self.targets = np.sign(np.roll(np.nan_to_num(panel.close), -1, axis=0) - np.nan_to_num(panel.close)) / 6

    member = Sees("sees", lambda returns: returns[0], 1, None)
    with pytest.raises(LookaheadError, match="sees looks ahead"):
        require_no_look_ahead(member, whole_panel(200, 6, 1), range(190), 4)


def test_momentum_holds_what_rose_and_reversal_what_fell() -> None:
    panel = generate_panel("M30", 2000, np.random.default_rng(0))
    rules = rules_of(FREE)
    earned = {}
    for name in ("momentum", "reversal", "equal_weight"):
        member = replace(make_portfolio_baseline(name), lookback_bars=21, every_bars=5)
        earned[name] = run_portfolio(member, panel, rules, range(100, 2000)).records.equity[-1]
    assert earned["momentum"] > earned["equal_weight"] > earned["reversal"]


def test_rebalancing_brings_weights_back_and_holding_lets_them_drift() -> None:
    panel, rules = whole_panel(200, 2, 5, sigma=0.03), rules_of(FREE)
    held = {}
    for name in ("equal_weight", "hold_the_index"):
        records = run_portfolio(make_portfolio_baseline(name), panel, rules, range(1, 200)).records
        held[name] = exposures(records, marks(panel)[1:])
        assert (np.abs(records.fill_units[:, 0]) > 0).sum() == (1 if name == "hold_the_index" else 10)
    filled = 1 + 21 * 9  # the ninth rebalancing fills at the open after its close
    assert held["equal_weight"][filled] == pytest.approx([0.5, 0.5], abs=0.02)
    assert np.abs(held["hold_the_index"][:, 0] - 0.5).max() > 0.05


def test_sleeves_trade_each_symbol_by_its_own_agent() -> None:
    panel, rules = ragged_panel(200, 3, 3), rules_of(FREE)
    members = [OneSymbol(buy_and_hold(rules), symbol, 0.25) for symbol in panel.symbols[:2]]
    records = run_portfolio(Sleeves(members), panel, rules, range(200)).records
    held = exposures(records, marks(panel))
    assert held[50, 0] > 0.1
    assert not held[:, 2].any()
    assert len({member.member_id for member in members}) == 2
    with pytest.raises(ConfigError, match="different symbols"):
        Sleeves([members[0], members[0]])


def test_an_agent_sees_of_its_sleeve_what_it_was_trained_to_see() -> None:
    class Sees:
        name, warmup_bars = "sees", 0
        seen: list[list[float]] = []

        def prepare(self, bars: object) -> None:
            pass

        def act(self, market_state: MarketState) -> Decision:
            self.seen.append(market_state.account[0].tolist())
            return Decision(np.ones(1), np.ones(1))

    panel, rules, agent = whole_panel(4, 2, 0), rules_of(FREE), Sees()
    member = OneSymbol(agent, "S1", 0.25, shown=rules.account_inputs, needs=("bars_in_trade", "exposure"))
    run_portfolio(member, panel, rules, range(4))
    assert [seen[1] for seen in agent.seen] == [0, 1, 1, 1]  # a quarter of the equity is the whole of the sleeve
    assert agent.seen[2][0] == pytest.approx(2 / 34)  # two bars in the trade
    with pytest.raises(ConfigError, match="drawdown; add them"):
        OneSymbol(agent, "S1", 0.25, shown=("exposure",), needs=("drawdown",))


def test_what_cannot_be_run_is_refused_in_one_sentence() -> None:
    rules, panel = rules_of(FREE), whole_panel(50, 2, 0)
    with pytest.raises(DataError, match="not a stretch"):
        run_portfolio(Follows(np.zeros((50, 2))), panel, rules, range(49, 50))
    with pytest.raises(DataError, match="needs 252 rows"):
        run_portfolio(make_portfolio_baseline("momentum"), panel, rules, range(10, 50))
    facts = {"S0": SymbolFacts(currency="USD"), "S1": SymbolFacts(currency="EUR")}
    mixed = Panel.of("P", [panel.series("S0"), panel.series("S1")], facts)
    with pytest.raises(DataError, match="EUR, USD"):
        run_portfolio(Follows(np.zeros((50, 2))), mixed, rules, range(50))
    with pytest.raises(ConfigError, match="momentum"):
        make_portfolio_baseline("momentun")
