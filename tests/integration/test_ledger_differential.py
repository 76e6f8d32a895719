"""The ledger against other accountings: the `backtesting` package, and an event loop that keeps other books."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from src.config.trading import CostsConfig, RiskConfig
from src.execution.costs import TRAILING_BARS
from src.market.bars import BarSeries
from src.trading.rules import TradingRules
from tests.support.random_bars import NASTY_MARKETS, random_bars
from tests.support.trading_cases import DEAR, FREE, play_one, rules_of, stacked

# Units are whole there, so a fortune buys units by the thousand billion and rounding them to one is 1e-13.
FORTUNE = 1e12
UNIT_PRICE = 1.0
COMMISSION_ONLY = replace(FREE, commission_bps=7.0)


def targets_for(bars: BarSeries, seed: int) -> NDArray[np.float64]:
    """Return targets that change on a third of the bars: entries, exits, reversals, adding and reducing."""
    rng = np.random.default_rng(seed)
    targets = np.zeros(len(bars) - 1)
    for step in range(1, len(targets)):
        targets[step] = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0]) if rng.random() < 0.3 else targets[step - 1]
    return targets


def their_equity(bars: BarSeries, targets: NDArray[np.float64], commission: float) -> NDArray[np.float64]:
    """Return equity at each close according to `backtesting`, (T,)."""
    pandas, backtesting = pytest.importorskip("pandas"), pytest.importorskip("backtesting")

    class FollowTargets(backtesting.Strategy):  # type: ignore[name-defined, misc]
        def init(self) -> None:
            self.in_force = 0.0

        def next(self) -> None:
            row = len(self.data) - 1
            if row >= len(targets) or targets[row] == self.in_force:
                return
            self.in_force = targets[row]
            units = round(self.in_force * self.equity / self.data.Close[-1]) - self.position.size
            (self.buy if units > 0 else self.sell)(size=abs(units))

    prices = {name.capitalize(): getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    frame = pandas.DataFrame(prices, index=pandas.to_datetime(bars.open_time, unit="ms"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that trades are still open at the end
        # A margin of 1 % so that a gap against a full position does not refuse the order.
        test = backtesting.Backtest(frame, FollowTargets, cash=FORTUNE, commission=commission, margin=0.01)
        equity: NDArray[np.float64] = test.run()._equity_curve["Equity"].to_numpy()
    return equity


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("costs", [FREE, COMMISSION_ONLY], ids=["free", "commission"])
def test_equity_equals_that_of_the_backtesting_package(seed: int, costs: CostsConfig) -> None:
    bars = random_bars(400, seed, first_price=UNIT_PRICE)
    targets = targets_for(bars, seed)
    rules = rules_of(costs, RiskConfig(maintenance_margin_frac=0.0), equity=FORTUNE)

    outcomes, _, _ = play_one(rules, bars, targets.tolist())
    theirs = their_equity(bars, targets, costs.commission_bps * 1e-4)

    assert len(np.unique(np.sign(targets))) == 3
    assert stacked(outcomes)["equity"] == pytest.approx(theirs[1:], rel=1e-9)
    assert abs(theirs[-1] / FORTUNE - 1.0) > 1e-3


class Lots:
    """Books kept as lots bought or sold at a price, first in first out: equity is what was paid in, plus profits, less
    costs. Cash, which the ledger keeps, is what is left of equity when the lots are taken out."""

    def __init__(self, deposit: float) -> None:
        self.deposit = deposit
        self.realised = 0.0
        self.costs = 0.0
        self.lots: list[tuple[float, float]] = []  # signed units, price

    @property
    def units(self) -> float:
        return sum(units for units, _ in self.lots)

    def equity(self, price: float) -> float:
        open_profit = sum(units * (price - paid) for units, paid in self.lots)
        return self.deposit + self.realised + open_profit - self.costs

    def trade(self, units: float, price: float) -> None:
        while self.lots and units * self.lots[0][0] < 0:
            held, paid = self.lots[0]
            closed = -held if abs(units) >= abs(held) else units
            self.realised += -closed * (price - paid)
            units -= closed
            self.lots[0] = (held + closed, paid)
            if self.lots[0][0] == 0:
                self.lots.pop(0)
        if units != 0:
            self.lots.append((units, price))


def lot_books(rules: TradingRules, bars: BarSeries, targets: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return equity and reward after each bar from 1 on, one event at a time."""
    books, in_force = Lots(rules.initial_equity), 0.0
    worth, reward = rules.initial_equity, []
    equity = []
    for row in range(1, len(bars)):
        order = 0.0
        if targets[row - 1] != in_force:
            order = targets[row - 1] * worth / bars.close[row - 1] - books.units
            in_force = targets[row - 1]
        pay_interest(books, rules.costs, bars, row)
        books.costs += price_of_trading(rules.costs, bars, row, order)
        books.trade(order, bars.open[row])
        before, worth = worth, books.equity(bars.close[row])
        equity.append(worth)
        reward.append(rules.reward_scale * np.log(worth / before))
    return {"equity": np.array(equity), "reward": np.array(reward)}


def pay_interest(books: Lots, costs: CostsConfig, bars: BarSeries, row: int) -> None:
    days = (bars.open_time[row] - bars.open_time[row - 1]) / 86_400_000
    price = bars.close[row - 1]
    short_value = max(0.0, -books.units * price)
    debt = max(0.0, books.units * price - books.equity(price))
    yearly = short_value * costs.borrow_bps_per_year + debt * costs.financing_bps_per_year
    books.costs += yearly / 10_000 * days / 365.25


def price_of_trading(costs: CostsConfig, bars: BarSeries, row: int, order: float) -> float:
    past = slice(max(0, row - TRAILING_BARS), row)
    moves = np.log(bars.close[1:] / bars.close[:-1])[max(0, past.start - 1) : row - 1]
    volatility = np.sqrt((moves**2).sum() / (past.stop - past.start))
    quoted = np.mean(bars.volume[past] * bars.close[past])
    notional = abs(order) * bars.open[row]
    fractions = (costs.half_spread_bps + costs.slippage_bps) / 10_000
    fractions += costs.slippage_volatility * volatility + costs.impact * volatility * np.sqrt(notional / quoted)
    executed = notional * (1 + fractions) if order > 0 else notional * (1 - fractions)
    return float(notional * fractions + executed * costs.commission_bps / 10_000)


@pytest.mark.parametrize("market", ["random", "gaps", "leverage"])
@pytest.mark.parametrize("seed", [0, 1])
def test_equity_and_reward_equal_those_of_lots_kept_by_hand(market: str, seed: int) -> None:
    bars = NASTY_MARKETS["gaps"](300) if market == "gaps" else random_bars(300, seed, sigma=0.005)
    leverage = 3.0 if market == "leverage" else 1.0
    rules = rules_of(DEAR, RiskConfig(maintenance_margin_frac=0.0), max_leverage=leverage)
    targets = targets_for(bars, seed) * leverage

    outcomes, _, _ = play_one(rules, bars, targets.tolist())
    by_hand = lot_books(rules, bars, targets)

    ours = stacked(outcomes)
    assert ours["equity"] == pytest.approx(by_hand["equity"], rel=1e-10)
    assert ours["reward"] == pytest.approx(by_hand["reward"], rel=1e-7, abs=1e-10)
    assert ours["financing"].sum() > 0.1
