"""Stations of a portfolio: limits hold on any proposal, exits are never held back, and nothing grows."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.portfolio.preferences import Preferences
from src.execution.ledger import Accounts
from src.risk.portfolio.caps import CashFloor, NetCap, SectorCap
from src.risk.portfolio.chain import portfolio_chain
from src.risk.portfolio.exits import StopLoss, TakeProfit, TrailingStop
from src.risk.portfolio.openings import CorrelationLimit, PositionCount, Tradable
from src.risk.portfolio.view import PortfolioView
from src.risk.stations.station import ReviewContext, Station

ACCOUNTS, SYMBOLS = 100_000, 8
OFF = Preferences(
    stop_loss_frac=None,
    take_profit_frac=None,
    trailing_stop_frac=None,
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
TIGHT = Preferences(
    trailing_stop_frac=0.04,
    max_position_frac=0.25,
    max_sector_frac=0.4,
    max_gross=0.9,
    max_net=0.3,
    min_cash_frac=0.3,
    max_positions=5,
)


def holding(units: np.ndarray, entry: np.ndarray, close: np.ndarray, equity: float = 1000.0) -> Accounts:
    flat, account = np.zeros_like(units), np.full(units.shape[:-1], equity)
    cash = equity - (units * close).sum(axis=-1)
    return Accounts(
        cash, units, account, account, flat, units * entry, flat, close, account < 0, account, np.zeros_like(account)
    )


def seen(accounts: Accounts, confidence: object = 1.0, view: PortfolioView | None = None) -> ReviewContext:
    symbols = accounts.units.shape[-1]
    known = view or PortfolioView(np.ones(symbols, np.bool_), np.arange(symbols), np.eye(symbols))
    return ReviewContext(np, accounts, confidence, accounts.last_close, 0, None, known)


def flat(symbols: int) -> Accounts:
    return holding(np.zeros((1, symbols)), np.ones((1, symbols)), np.full((1, symbols), 10.0))


def passed(station: Station, target: list[float], context: ReviewContext) -> list[float]:
    result: list[float] = station.review(np.array([target]), context).target[0].tolist()
    return result


@pytest.fixture(scope="module")
def proposals() -> tuple[np.ndarray, ReviewContext]:
    rng = np.random.default_rng(5)
    shape = (ACCOUNTS, SYMBOLS)
    units = rng.normal(0, 8, shape) * (rng.random(shape) < 0.5)
    accounts = holding(units, rng.uniform(8, 12, shape), rng.uniform(8, 12, shape))
    returns = rng.normal(size=(60, SYMBOLS)) + rng.normal(size=(60, 1)) * np.linspace(0.2, 3, SYMBOLS)
    view = PortfolioView(np.arange(SYMBOLS) != 3, np.arange(SYMBOLS) // 3, np.corrcoef(returns.T))
    target = rng.normal(0, 0.4, shape) * (rng.random(shape) < 0.8)
    return target, seen(accounts, rng.random(shape), view)


def test_no_limit_is_exceeded_and_nothing_grows(proposals: tuple[np.ndarray, ReviewContext]) -> None:
    target, context = proposals
    view, held = context.portfolio, context.accounts.units
    assert view is not None
    reviewed = portfolio_chain(TIGHT).review(target, context).target
    tiny = 1e-12
    assert (np.abs(reviewed) <= np.abs(target) + tiny).all()
    assert (reviewed * target >= 0).all()
    moving = np.where(view.can_trade, reviewed, 0.0)
    assert np.abs(moving).max() <= 0.25 + tiny
    assert np.abs(moving).sum(axis=1).max() <= 0.9 + tiny
    assert np.abs(moving.sum(axis=1)).max() <= 0.3 + tiny
    assert np.maximum(moving, 0).sum(axis=1).max() <= 0.7 + tiny
    assert (moving != 0).sum(axis=1).max() <= 5
    for sector in range(3):
        assert np.abs(moving[:, view.sectors == sector]).sum(axis=1).max() <= 0.4 + tiny
    assert not reviewed[:, ~view.can_trade][held[:, ~view.can_trade] == 0].any()
    side = np.sign(moving)
    for one in range(SYMBOLS):
        for other in range(one):
            together = view.correlation[one, other] * side[:, one] * side[:, other] > 0.7
            both_held = (np.sign(held[:, one]) == side[:, one]) & (np.sign(held[:, other]) == side[:, other])
            assert not (together & ~both_held).any()


def test_flat_always_passes_and_every_exit_is_an_exit(proposals: tuple[np.ndarray, ReviewContext]) -> None:
    target, context = proposals
    chain = portfolio_chain(TIGHT)
    wants_out = np.where(np.random.default_rng(1).random(target.shape) < 0.3, 0.0, target)
    reviewed = chain.review(wants_out, context)
    assert not reviewed.target[wants_out == 0].any()
    assert not np.broadcast_to(reviewed.hold, target.shape)[wants_out == 0].any()
    accounts = context.accounts
    entry = np.where(accounts.units != 0, accounts.entry_price, 1.0)
    profit = np.sign(accounts.units) * (accounts.last_close / entry - 1)
    is_due = (accounts.units != 0) & ((profit <= -0.05) | (profit >= 0.1))
    same_way = np.sign(target) == np.sign(accounts.units)
    assert not reviewed.target[is_due & same_way].any()
    assert np.count_nonzero(is_due & same_way) > 10_000


def test_without_limits_proposals_pass_to_the_bit(proposals: tuple[np.ndarray, ReviewContext]) -> None:
    target, context = proposals
    everywhere = context._replace(
        portfolio=PortfolioView(np.ones(SYMBOLS, np.bool_), np.arange(SYMBOLS), np.eye(SYMBOLS))
    )
    assert np.array_equal(portfolio_chain(OFF).review(target, everywhere).target, target)


def test_an_exit_that_leaves_one_side_too_large_scales_that_side() -> None:
    # Long 0.4 and short 0.4; the short has lost 10 % and is closed. Net 0.4 is more than 0.2, so the long is halved.
    accounts = holding(np.array([[40.0, -40.0]]), np.array([[10.0, 9.0]]), np.array([[10.0, 10.0]]))
    preferences = replace(OFF, stop_loss_frac=0.05, max_net=0.2)
    reviewed = portfolio_chain(preferences).review(np.array([[0.4, -0.4]]), seen(accounts))
    assert reviewed.target[0] == pytest.approx([0.2, 0.0])
    assert [change.station for change in reviewed.changes] == ["stop-loss", "net cap"]


def test_an_exit_holds_until_the_decision_changes() -> None:
    station, losing = StopLoss(0.05, 3), holding(np.array([[10.0]]), np.array([[10.0]]), np.array([[9.4]]))
    assert passed(station, [0.5], seen(losing)) == [0.0]
    assert passed(station, [0.5], seen(flat(1))) == [0.0]  # is closed by now, and still wanted
    other = StopLoss(0.05, 3)
    other.load_state_dict(station.state_dict())
    assert passed(other, [0.3], seen(flat(1))) == [0.0]
    assert passed(station, [0.0], seen(flat(1))) == [0.0]
    assert passed(station, [0.5], seen(flat(1))) == [0.5]


def test_an_exit_ends_after_its_bars() -> None:
    station, losing = StopLoss(0.05, 3), holding(np.array([[10.0]]), np.array([[10.0]]), np.array([[9.4]]))
    assert passed(station, [0.5], seen(losing)) == [0.0]
    assert [passed(station, [0.5], seen(flat(1))) for _ in range(3)] == [[0.0], [0.0], [0.5]]


def test_an_exit_lets_a_position_turn_round() -> None:
    losing = holding(np.array([[10.0]]), np.array([[10.0]]), np.array([[9.4]]))
    assert passed(StopLoss(0.05, 3), [-0.5], seen(losing)) == [-0.5]


@pytest.mark.parametrize(("units", "close", "stays"), [(10.0, 10.9, True), (10.0, 11.0, False), (-10.0, 9.0, False)])
def test_profits_are_taken_at_their_fraction(units: float, close: float, stays: bool) -> None:
    accounts = holding(np.array([[units]]), np.array([[10.0]]), np.array([[close]]))
    assert (passed(TakeProfit(0.1, 3), [np.sign(units) * 0.5], seen(accounts)) != [0.0]) is stays


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_trailing_stop_follows_the_best_close(side: float) -> None:
    station = TrailingStop(0.1, 3)
    path = [10.0, 12.0, 11.0, 10.7] if side > 0 else [10.0, 8.0, 8.7, 8.9]  # 10.7 is 10.8 % below 12, 8.9 11 % above 8
    each = [
        passed(station, [side], seen(holding(np.array([[side]]), np.array([[10.0]]), np.array([[close]]))))
        for close in path
    ]
    assert each == [[side], [side], [side], [0.0]]


def test_a_trailing_stop_goes_on_from_its_state() -> None:
    def at(close: float) -> ReviewContext:
        return seen(holding(np.array([[1.0]]), np.array([[10.0]]), np.array([[close]])))

    first, then = TrailingStop(0.1, 3), TrailingStop(0.1, 3)
    first.review(np.array([[1.0]]), at(20.0))
    then.load_state_dict(first.state_dict())
    assert passed(then, [1.0], at(17.9)) == [0.0]


def test_a_sector_is_scaled_alike_and_unknown_ones_stand_alone() -> None:
    view = PortfolioView(np.ones(4, np.bool_), np.array([0, 0, 1, 2]), np.eye(4))
    context = seen(flat(4), view=view)
    assert passed(SectorCap(0.3), [0.4, -0.2, 0.3, 0.1], context) == pytest.approx([0.2, -0.1, 0.3, 0.1])


def test_limits_count_over_symbols_that_can_trade() -> None:
    accounts = holding(np.array([[0.0, 30.0]]), np.full((1, 2), 10.0), np.full((1, 2), 10.0))
    view = PortfolioView(np.array([True, False]), np.arange(2), np.eye(2))
    context = seen(accounts, view=view)
    assert passed(NetCap(0.3), [0.3, 0.3], context) == [0.3, 0.3]
    assert passed(CashFloor(0.5), [0.3, 0.3], context) == pytest.approx([0.2, 0.3])  # of its cash, 0.3 is bound


def test_what_cannot_trade_is_kept_if_held_and_not_wanted_if_not() -> None:
    accounts = holding(np.array([[10.0, 0.0]]), np.full((1, 2), 10.0), np.full((1, 2), 10.0))
    view = PortfolioView(np.zeros(2, np.bool_), np.arange(2), np.eye(2))
    reviewed = portfolio_chain(OFF).review(np.array([[0.5, 0.5]]), seen(accounts, view=view))
    assert reviewed.target.tolist() == [[0.5, 0.0]]
    assert reviewed.hold.tolist() == [[True, False]]
    assert [change.station for change in reviewed.changes] == [Tradable.name]


def test_conviction_decides_which_new_position_is_kept_and_a_held_one_comes_first() -> None:
    together = PortfolioView(np.ones(3, np.bool_), np.arange(3), np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1.0]]))
    new = seen(flat(3), np.array([[0.2, 0.9, 0.5]]), together)
    assert passed(CorrelationLimit(0.7), [0.5, 0.5, 0.5], new) == [0.0, 0.5, 0.5]
    assert passed(CorrelationLimit(0.7), [0.5, -0.5, 0.5], new) == [0.5, -0.5, 0.5]  # one hedges the other
    assert passed(PositionCount(1), [0.5, 0.5, 0.5], new) == [0.0, 0.5, 0.0]
    held = holding(np.array([[10.0, 0.0, 0.0]]), np.full((1, 3), 10.0), np.full((1, 3), 10.0))
    keeps = seen(held, np.array([[0.2, 0.9, 0.5]]), together)
    assert passed(CorrelationLimit(0.7), [0.5, 0.5, 0.5], keeps) == [0.5, 0.0, 0.5]
    assert passed(PositionCount(2), [0.5, 0.5, 0.5], keeps) == [0.5, 0.5, 0.0]
