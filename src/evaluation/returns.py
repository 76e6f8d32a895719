"""`performance`: what an account earned, what it risked and what it paid, as pure functions of its step records.

Conventions, the same for strategy and benchmark:

- Returns are simple returns of equity per bar, one per record; the first is measured from the initial equity. The
  buy-and-hold benchmark owns the market from the first record's close, so its first return is 0, and it pays no costs.
- Annualisation uses `bars_per_year`, counted from the data (`BarSeries.bars_per_year`), never guessed from a timeframe:
  a mean grows with it, a standard deviation with its square root. The risk-free rate is zero.
- Fractions, not percent; money in quote currency; drawdowns and costs are positive numbers.
- **None means undefined**, and nothing is ever NaN: a Sharpe ratio of returns that hardly vary, a hit rate without a
  trade, a growth rate of less than a month.
- A trade open at the end counts like any other, marked at the last close: nobody hides a loss by not closing it.
- An account at or below zero equity is finished: its returns are 0 from then on.

Not here: round trips (`trades.py`), intervals (`bootstrap.py`), corrections for luck (`significance.py`).
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from src.errors import DataError
from src.evaluation.trades import Trades, extract_trades
from src.evaluation.variation import why_no_sharpe
from src.market.bars import FloatArray
from src.trading.records import StepRecord

SHORTEST_ANNUAL_YEARS = 1.0 / 12.0  # below a month an annual growth rate is an extrapolation, not a measurement


@dataclass(frozen=True)
class ReturnMetrics:
    """What can be said from a path of equity alone. The function of the same name defines each field."""

    bars: int
    years: float
    total_return: float
    cagr: float | None
    annual_volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    max_drawdown_bars: int


@dataclass(frozen=True)
class Costs:
    """Money paid by kind; spread and slippage are already inside the fill prices."""

    commission: float
    spread: float
    slippage: float
    financing: float

    @property
    def total(self) -> float:
        """All four kinds together."""
        return self.commission + self.spread + self.slippage + self.financing


@dataclass(frozen=True)
class Performance(ReturnMetrics):
    """Everything measured on one account; the strategy's `ReturnMetrics` are its own fields.

    Attributes:
        profit: final minus initial equity, after all costs.
        turnover_per_bar, turnover_per_year: see `turnover`.
        exposure: mean of |position value| / equity at the closes; 1 is fully invested throughout.
        in_market_frac: share of bars that end with a position.
        trades: closed round trips; `has_open_trade` tells of one more, which hit rate and profit factor count.
        costs: money by kind. cost_frac: their sum over the initial equity.
        cost_bps: their sum over the traded notional, in basis points; None without a trade.
        break_even_fee_bps: see `break_even_fee_bps`; the edge survives costs while this exceeds `cost_bps`.
        buy_and_hold: the market itself over the same bars, without costs.
    """

    initial_equity: float
    final_equity: float
    profit: float
    turnover_per_bar: float
    turnover_per_year: float
    exposure: float
    in_market_frac: float
    trades: int
    has_open_trade: bool
    hit_rate: float | None
    profit_factor: float | None
    costs: Costs
    cost_frac: float
    cost_bps: float | None
    break_even_fee_bps: float | None
    bars_per_year: float
    buy_and_hold: ReturnMetrics

    @property
    def beats_buy_and_hold(self) -> bool:
        """Whether the total return exceeds the benchmark's by more than rounding."""
        return self.total_return > self.buy_and_hold.total_return + 1e-9

    def to_plain(self) -> dict[str, Any]:
        """Return nested plain data with stable keys, ready for JSON."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """Return the defined numbers under flat names, for a tracker; nested ones read `costs/spread`."""
        return _flat(self.to_plain())


def performance(records: StepRecord, closes: FloatArray, bars_per_year: float, initial_equity: float) -> Performance:
    """Measure one account.

    Args:
        records: arrays of shape (T,), one account, flat before the first record.
        closes: (T,) close of each record's bar.
        bars_per_year: bars in a year of this market.
        initial_equity: equity before the first record.

    Raises:
        DataError: shapes differ, a value is not finite, the account did not begin flat, or a scale is not positive.
    """
    closes = _validated(records, closes, bars_per_year, initial_equity)
    equity = np.asarray(records.equity, dtype=np.float64)
    trades = extract_trades(records, closes)
    costs = costs_by_kind(records)
    traded = float(np.sum(traded_notional(records)))
    profit = float(equity[-1] - initial_equity)
    per_bar = turnover(records, initial_equity)
    return Performance(
        **asdict(return_metrics(equity, bars_per_year, initial_equity)),
        initial_equity=initial_equity,
        final_equity=float(equity[-1]),
        profit=profit,
        turnover_per_bar=per_bar,
        turnover_per_year=per_bar * bars_per_year,
        exposure=exposure(records, closes),
        in_market_frac=float(np.mean(np.asarray(records.units) != 0)),
        trades=int(trades.is_closed.sum()),
        has_open_trade=bool((~trades.is_closed).any()),
        hit_rate=hit_rate(trades),
        profit_factor=profit_factor(trades),
        costs=costs,
        cost_frac=costs.total / initial_equity,
        cost_bps=_ratio(costs.total * 1e4, traded),
        break_even_fee_bps=break_even_fee_bps(profit, costs, traded),
        bars_per_year=bars_per_year,
        buy_and_hold=return_metrics(closes, bars_per_year, float(closes[0])),
    )


def return_metrics(equity: FloatArray, bars_per_year: float, initial_equity: float) -> ReturnMetrics:
    """Measure a path of equity (T,) that starts from `initial_equity`."""
    returns = simple_returns(equity, initial_equity)
    years = len(equity) / bars_per_year
    growth = cagr(float(equity[-1]) / initial_equity, years)
    depth, length = max_drawdown(equity, initial_equity)
    return ReturnMetrics(
        bars=len(equity),
        years=years,
        total_return=float(equity[-1]) / initial_equity - 1.0,
        cagr=growth,
        annual_volatility=annual_volatility(returns, bars_per_year),
        sharpe=sharpe(returns, bars_per_year),
        sortino=sortino(returns, bars_per_year),
        calmar=None if growth is None else _ratio(growth, depth),
        max_drawdown=depth,
        max_drawdown_bars=length,
    )


def simple_returns(equity: FloatArray, initial_equity: float) -> FloatArray:
    """Return `equity[t] / equity[t-1] - 1`, (T,), the first from `initial_equity`; 0 once equity is gone."""
    before = np.concatenate([[initial_equity], equity[:-1]])
    alive = np.minimum.accumulate(before) > 0
    returns: FloatArray = np.divide(equity - before, before, out=np.zeros_like(before), where=alive)
    return returns


def cagr(growth: float, years: float) -> float | None:
    """Return the compound annual growth rate of an account that grew by the factor `growth` in `years`.

    `growth ** (1 / years) - 1`. None below a month (`SHORTEST_ANNUAL_YEARS`); -1 if everything was lost.
    """
    if years < SHORTEST_ANNUAL_YEARS:
        return None
    return -1.0 if growth <= 0 else float(growth ** (1.0 / years) - 1.0)


def annual_volatility(returns: FloatArray, bars_per_year: float) -> float | None:
    """Return the sample standard deviation (over T - 1) of returns a bar (T,), times √bars_per_year; None for one bar.

    It is 0 for an account that never trades.
    """
    return None if len(returns) < 2 else float(np.std(returns, ddof=1) * np.sqrt(bars_per_year))


def sharpe(returns: FloatArray, bars_per_year: float) -> float | None:
    """Return mean over sample standard deviation (over T - 1) of returns a bar (T,), times √bars_per_year.

    The excess return is over a rate of zero (Sharpe 1994). None where `why_no_sharpe` says why: without a trade, and
    where returns are nearly the same in nearly all bars.
    """
    if why_no_sharpe(returns):
        return None
    return float(np.mean(returns) * np.sqrt(bars_per_year) / np.std(returns, ddof=1))


def sortino(returns: FloatArray, bars_per_year: float) -> float | None:
    """Return mean over downside deviation of returns a bar (T,), times √bars_per_year.

    Downside deviation is √mean(min(r, 0)²) over all bars (Sortino and Price 1994, target 0), not the standard deviation
    of the losing ones. None if no bar lost.
    """
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    return _ratio(float(np.mean(returns)) * np.sqrt(bars_per_year), downside)


def drawdowns(equity: FloatArray, initial_equity: float) -> FloatArray:
    """Return the loss since the highest equity so far, as a fraction of it, (T,), in [0, 1] while equity lasts."""
    peak = np.maximum(np.maximum.accumulate(equity), initial_equity)
    return 1.0 - equity / peak


def max_drawdown(equity: FloatArray, initial_equity: float) -> tuple[float, int]:
    """Return the deepest drawdown of equity (T,) as a positive fraction, and its length in bars.

    The length runs from the peak before it to the first bar back at that peak, or to the end if there is none.
    Both are 0 if equity never fell.
    """
    path = np.concatenate([[initial_equity], equity])
    depth = drawdowns(path, initial_equity)
    trough = int(np.argmax(depth))
    if depth[trough] <= 0:
        return 0.0, 0
    peak = trough - int(np.argmax(path[trough::-1]))  # the last time equity stood there
    recovered = np.flatnonzero(path[trough:] >= path[peak])
    end = trough + int(recovered[0]) if recovered.size else len(path) - 1
    return float(depth[trough]), end - peak


def traded_notional(records: StepRecord) -> FloatArray:
    """Return |units| times price of every fill, summed by bar, (T,): the value that changed hands."""
    ordered, called = (
        np.abs(np.asarray(units, dtype=np.float64)) * np.asarray(price, dtype=np.float64)
        for units, price in ((records.fill_units, records.fill_price), (records.call_units, records.call_price))
    )
    notional: FloatArray = ordered + called
    return notional


def turnover(records: StepRecord, initial_equity: float) -> float:
    """Return the mean over bars of traded notional / equity at the close before; 0 without a trade.

    1 per bar means the whole account changes hands every bar; a flip from long to short counts 2. What the market does
    to a held position is not turnover.
    """
    before = np.concatenate([[initial_equity], np.asarray(records.equity, dtype=np.float64)[:-1]])
    share = np.divide(traded_notional(records), before, out=np.zeros_like(before), where=before > 0)
    return float(np.mean(share))


def exposure(records: StepRecord, closes: FloatArray) -> float:
    """Return the mean of |position value| / equity at the closes (T,); bars without equity count 0."""
    equity = np.asarray(records.equity, dtype=np.float64)
    value = np.abs(np.asarray(records.units) * closes)
    return float(np.mean(np.divide(value, equity, out=np.zeros_like(equity), where=equity > 0)))


def hit_rate(trades: Trades) -> float | None:
    """Return the share of trades that made money after costs, an open one at the last close; None without a trade."""
    return None if len(trades) == 0 else float(np.mean(trades.profit > 0))


def profit_factor(trades: Trades) -> float | None:
    """Return money won over money lost by trades, after costs, an open one at the last close; None if none lost."""
    profit = trades.profit
    return _ratio(float(profit[profit > 0].sum()), float(-profit[profit < 0].sum()))


def costs_by_kind(records: StepRecord) -> Costs:
    """Return the money paid over all records, by kind."""
    return Costs(*(float(np.sum(getattr(records, kind))) for kind in ("commission", "spread", "slippage", "financing")))


def break_even_fee_bps(profit: float, costs: Costs, traded: float) -> float | None:
    """Return the total cost per traded notional, in basis points, at which nothing would be left of the profit.

    Gross profit (profit plus all costs) over traded notional. Negative if the account lost even before costs; None if
    nothing was traded.
    """
    return _ratio((profit + costs.total) * 1e4, traded)


def _ratio(numerator: float, denominator: float) -> float | None:
    return None if denominator == 0 else float(numerator / denominator)


def _flat(plain: dict[str, Any], prefix: str = "") -> dict[str, float]:
    flat: dict[str, float] = {}
    for name, value in plain.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}/")
        elif value is not None:
            flat[f"{prefix}{name}"] = float(value)
    return flat


def _validated(records: StepRecord, closes: FloatArray, bars_per_year: float, initial_equity: float) -> FloatArray:
    closes = np.asarray(closes, dtype=np.float64)
    for name, value in (("bars_per_year", bars_per_year), ("initial_equity", initial_equity)):
        if not (np.isfinite(value) and value > 0):
            raise DataError(f"{name} must be a positive number, was {value}")
    for name, column in (*zip(records._fields, records, strict=True), ("closes", closes)):
        if np.shape(column) != closes.shape or closes.ndim != 1:
            raise DataError(f"'{name}' has shape {np.shape(column)}; one account over T = {closes.size} bars is (T,)")
        if not np.isfinite(column).all():
            raise DataError(f"'{name}' holds a value that is not finite; look at the first one in steps.parquet")
    return closes
