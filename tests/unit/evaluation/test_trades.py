"""Round trips where a margin call is one of two fills in a bar: by hand, and on any path the money that is there."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.agents.baselines import scripted
from src.backtesting.engine import BacktestResult, run_backtest
from src.config.trading import CostsConfig
from src.evaluation.returns import costs_by_kind, traded_notional
from src.evaluation.trades import Trades, extract_trades
from src.market.bars import BarSeries
from src.trading.fills import fills_of
from tests.support.trading_cases import DEAR, FREE, Candle, daily, flat_candles, rules_of

LEVERAGE = 3.0
FEES = CostsConfig(10.0, 0.0, 0.0, borrow_bps_per_year=0.0, financing_bps_per_year=0.0)  # 0.1 % commission


def traded(
    bars: BarSeries, targets: list[float], costs: CostsConfig = FREE, equity: float = 10_000.0
) -> BacktestResult:
    """Trade exposures decided at each close."""
    rules = rules_of(costs, equity=equity, grid=sorted({-3.0, 0.0, 3.0, *targets}), max_leverage=LEVERAGE)
    return run_backtest(scripted(rules, np.array(targets)), bars, rules, range(len(bars)), prove=False)


def trades_of(result: BacktestResult) -> Trades:
    return extract_trades(result.records, result.closes)


# Short 300 at 100, turned round at 100 into 300 long with 20,000 borrowed: 300p - 20,000 <= 0.05 * 300p from 70.18.
CALLED_FLIP: list[Candle] = [*flat_candles(100.0, 100.0), (100.0, 100.0, 60.0, 80.0), *flat_candles(80.0)]


def test_a_flip_that_is_called_in_its_bar_is_two_fills_and_ends_two_trades() -> None:
    result = traded(daily(CALLED_FLIP), [-3.0, 3.0, 0.0, 0.0])
    fills, trades, measured = fills_of(result.records), trades_of(result), result.performance()
    assert list(zip(fills.row, fills.units, fills.price, fills.is_margin_call, strict=True)) == [
        (1, -300.0, 100.0, False),
        (2, 600.0, 100.0, False),
        (2, -300.0, 60.0, True),
    ]
    assert trades.side.tolist() == [-1, 1]
    assert trades.profit.tolist() == [0.0, -12_000.0]
    assert (trades.entry_row.tolist(), trades.exit_row.tolist(), trades.bars.tolist()) == ([1, 2], [2, 2], [1, 0])
    assert (trades.entry_price.tolist(), trades.exit_price.tolist()) == ([100.0, 100.0], [100.0, 60.0])
    assert trades.exit_reason == ["order", "margin call"]
    assert (measured.final_equity, measured.trades, measured.hit_rate, measured.profit_factor) == (
        -2_000.0,
        2,
        0.0,
        0.0,
    )
    # 30,000 and then 60,000 and 18,000, of an equity of 10,000, over four bars.
    assert traded_notional(result.records).tolist() == [0.0, 30_000.0, 78_000.0, 0.0]
    assert measured.turnover_per_bar == pytest.approx(10.8 / 4, rel=1e-14)


def test_what_a_called_flip_costs_falls_on_the_trade_that_paid_it() -> None:
    result = traded(daily(CALLED_FLIP), [-3.0, 3.0, 0.0, 0.0], FEES)
    # The short sells 300 at 100 for 30; equity 9,970 at 100 wants 299.1 long, so 599.1 are bought for 59.91, of which
    # 30 close the short and 29.91 open the long; the call sells 299.1 at 60 for 17.946.
    trades, measured = trades_of(result), result.performance()
    np.testing.assert_allclose(trades.costs, [60.0, 29.91 + 17.946], rtol=1e-12)
    np.testing.assert_allclose(trades.profit, [-60.0, -299.1 * 40 - 29.91 - 17.946], rtol=1e-12)
    traded_value = 30_000 + 59_910 + 17_946
    assert measured.cost_bps == pytest.approx(10.0, rel=1e-12)
    gross = -299.1 * 40
    assert measured.break_even_fee_bps == pytest.approx(1e4 * gross / traded_value, rel=1e-12)


def test_a_position_opened_and_called_in_one_bar_was_traded() -> None:
    # Long 300 at 100 with 20,000 borrowed, sold at the low of the same bar: nothing is held at any close.
    result = traded(daily([*flat_candles(100.0), (100.0, 100.0, 50.0, 90.0)]), [3.0, 3.0])
    trades, measured = trades_of(result), result.performance()
    assert result.records.units.tolist() == [0.0, 0.0]
    assert (trades.profit.tolist(), trades.exit_reason, trades.bars.tolist()) == ([-15_000.0], ["margin call"], [0])
    assert (measured.final_equity, measured.trades, measured.has_open_trade) == (-5_000.0, 1, False)
    assert measured.turnover_per_bar == pytest.approx((3.0 + 1.5) / 2, rel=1e-14)


def test_a_gap_calls_at_the_open_and_the_order_is_no_fill() -> None:
    result = traded(daily([*flat_candles(100.0, 100.0), (60.0, 60.0, 60.0, 60.0)]), [3.0, -3.0, 0.0])
    fills = fills_of(result.records)
    assert list(zip(fills.row, fills.units, fills.price, fills.is_margin_call, strict=True)) == [
        (1, 300.0, 100.0, False),
        (2, -300.0, 60.0, True),
    ]
    assert trades_of(result).profit.tolist() == [-12_000.0]


def test_interest_of_a_bar_falls_on_the_trade_that_was_held_into_it() -> None:
    costs = CostsConfig(0.0, 0.0, 0.0, borrow_bps_per_year=3652.5, financing_bps_per_year=0.0)  # 10 bps a day
    result = traded(daily(flat_candles(*[100.0] * 5)), [-1.0, -1.0, 1.0, 0.0, 0.0], costs)
    # 100 units short at the closes of rows 1 and 2 pay 10 each at rows 2 and 3, where the position is turned round.
    np.testing.assert_allclose(trades_of(result).costs, [20.0, 0.0], rtol=1e-12)


class RandomPlay(NamedTuple):
    """A market that jumps, and exposures decided in it."""

    seed: int
    costs: CostsConfig

    def bars(self) -> BarSeries:
        """Daily bars whose opens gap and whose prices jump."""
        rng = np.random.default_rng(self.seed)
        steps = rng.normal(0.0, 0.01, (60, 5))
        jumps = rng.random(steps.shape) < 0.03
        steps[jumps] *= rng.uniform(5.0, 40.0, int(jumps.sum()))
        path = steps.cumsum().reshape(steps.shape)  # the first step of a bar is the gap before its open
        prices = 100.0 * np.exp(path)
        return daily(
            list(zip(prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1], strict=True)),
            np.cumsum(rng.choice([1, 3], 60)).tolist(),
        )

    def targets(self) -> list[float]:
        """Exposures up to the leverage, some held for a while."""
        rng = np.random.default_rng(self.seed + 1)
        return np.repeat(rng.choice([-3.0, -1.5, 0.0, 1.5, 3.0], 60), rng.integers(1, 5, 60))[:60].tolist()

    def lived(self) -> BacktestResult:
        return traded(self.bars(), self.targets(), self.costs)


plays = st.builds(RandomPlay, seed=st.integers(0, 100_000), costs=st.sampled_from([FREE, FEES, CostsConfig(), DEAR]))
many = settings(max_examples=60, derandomize=True, deadline=None)


def test_these_paths_call_margins_at_the_open_and_later_in_bars_with_and_without_an_order() -> None:
    kinds = set()
    for seed in range(100):
        records = RandomPlay(seed, FEES).lived().records
        for row in np.flatnonzero(records.call_units):
            at_open = records.call_price[row] == RandomPlay(seed, FEES).bars().open[row]
            kinds.add((bool(at_open), bool(records.fill_units[row] != 0)))
    assert kinds >= {(True, False), (False, False), (False, True)}


@many
@given(play=plays)
def test_profits_and_costs_of_trades_add_up_to_those_of_the_account(play: RandomPlay) -> None:
    result = play.lived()
    trades, measured = trades_of(result), result.performance()
    scale = 10_000.0 + traded_notional(result.records).sum()
    assert trades.profit.sum() == pytest.approx(measured.final_equity - 10_000.0, abs=1e-12 * scale)
    assert trades.costs.sum() == pytest.approx(costs_by_kind(result.records).total, abs=1e-12 * scale)


@many
@given(play=plays)
def test_cash_follows_from_every_fill_and_interest(play: RandomPlay) -> None:
    # Money paid and received fill by fill, valued at the last close, is the equity the ledger kept.
    result = play.lived()
    fills, records = fills_of(result.records), result.records
    paid = fills.units @ fills.price + fills.commission.sum() + records.financing.sum()
    scale = 10_000.0 + traded_notional(records).sum()
    equity = 10_000.0 - paid + fills.units.sum() * result.closes[-1]
    assert records.equity[-1] == pytest.approx(equity, abs=1e-11 * scale)


@many
@given(play=plays)
def test_trades_from_one_flat_close_to_the_next_earned_what_equity_did(play: RandomPlay) -> None:
    result = play.lived()
    trades, records = trades_of(result), result.records
    flat = np.flatnonzero(records.units == 0)
    earned = np.diff(records.equity[flat])
    stretch = np.searchsorted(flat, trades.entry_row) - 1
    profits = np.bincount(stretch, trades.profit, minlength=len(earned))[: len(earned)]
    np.testing.assert_allclose(profits, earned, rtol=0, atol=1e-12 * (10_000.0 + traded_notional(records).sum()))
