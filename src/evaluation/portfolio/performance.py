"""What an account of several symbols earned, risked and paid, and which symbols that came from.

Conventions are those of `returns.py`. Exposure is summed over symbols at each close: gross by size, net with its sign.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from src.errors import DataError
from src.evaluation.returns import Costs, ReturnMetrics, break_even_fee_bps, costs_by_kind, return_metrics
from src.market.bars import FloatArray
from src.trading.records import StepRecord


@dataclass(frozen=True)
class SymbolPerformance:
    """The part of a symbol.

    Attributes:
        profit: money won after commission, spread and slippage; financing belongs to the account.
        contribution: the same over the initial equity.
        traded: value that changed hands. costs: money paid for it.
        mean_exposure: mean of its exposure at the closes, with its sign. in_market_frac: share of closes at which held.
        fills: orders and forced closings that filled.
    """

    profit: float
    contribution: float
    traded: float
    costs: float
    mean_exposure: float
    in_market_frac: float
    fills: int


@dataclass(frozen=True)
class PortfolioPerformance(ReturnMetrics):
    """Everything measured on one account; its `ReturnMetrics` are its own fields."""

    initial_equity: float
    final_equity: float
    profit: float
    turnover_per_year: float
    gross_exposure: float
    net_exposure: float
    symbols_held: float
    costs: Costs
    cost_bps: float | None
    break_even_fee_bps: float | None
    bars_per_year: float
    by_symbol: dict[str, SymbolPerformance]

    def to_plain(self) -> dict[str, Any]:
        """Return nested plain data with stable keys, ready for JSON."""
        return asdict(self)


def exposures(records: StepRecord, marks: FloatArray) -> FloatArray:
    """Return units times mark over equity, (T, S); 0 without equity."""
    equity = np.asarray(records.equity, dtype=np.float64)[:, None]
    value = np.asarray(records.units) * marks
    result: FloatArray = np.divide(value, equity, out=np.zeros_like(value), where=equity > 0)
    return result


def portfolio_performance(
    records: StepRecord, marks: FloatArray, symbols: tuple[str, ...], bars_per_year: float, initial_equity: float
) -> PortfolioPerformance:
    """Measure one account of S symbols, flat before the first of T records.

    Args:
        records: columns (T, S), those of the account (T,).
        marks: (T, S) prices at which holdings are marked; anything finite where nothing was ever held.
        symbols: names, S.

    Raises:
        DataError: shapes differ, or a value is not finite.
    """
    _check(records, marks, symbols)
    held = exposures(records, marks)
    each = {name: _of_symbol(records, marks, held, number, initial_equity) for number, name in enumerate(symbols)}
    equity = np.asarray(records.equity, dtype=np.float64)
    costs = costs_by_kind(records)
    traded, profit = sum(one.traded for one in each.values()), float(equity[-1] - initial_equity)
    before = np.concatenate([[initial_equity], equity[:-1]])
    turnover = np.divide(_notional(records).sum(axis=1), before, out=np.zeros_like(before), where=before > 0).mean()
    return PortfolioPerformance(
        **asdict(return_metrics(equity, bars_per_year, initial_equity)),
        initial_equity=initial_equity,
        final_equity=float(equity[-1]),
        profit=profit,
        turnover_per_year=float(turnover) * bars_per_year,
        gross_exposure=float(np.abs(held).sum(axis=1).mean()),
        net_exposure=float(held.sum(axis=1).mean()),
        symbols_held=float((np.asarray(records.units) != 0).sum(axis=1).mean()),
        costs=costs,
        cost_bps=costs.total * 1e4 / traded if traded > 0 else None,
        break_even_fee_bps=break_even_fee_bps(profit, costs, traded),
        bars_per_year=bars_per_year,
        by_symbol=each,
    )


def _of_symbol(
    records: StepRecord, marks: FloatArray, held: FloatArray, number: int, initial_equity: float
) -> SymbolPerformance:
    def column(name: str) -> FloatArray:
        return np.asarray(getattr(records, name), dtype=np.float64)[:, number]

    paid = column("fill_units") * column("fill_price") + column("call_units") * column("call_price")
    commission = column("commission").sum()
    profit = float(column("units")[-1] * marks[-1, number] - paid.sum() - commission)
    return SymbolPerformance(
        profit=profit,
        contribution=profit / initial_equity,
        traded=float(_notional(records)[:, number].sum()),
        costs=float(commission + column("spread").sum() + column("slippage").sum()),
        mean_exposure=float(held[:, number].mean()),
        in_market_frac=float((column("units") != 0).mean()),
        fills=int(np.count_nonzero(column("fill_units")) + np.count_nonzero(column("call_units"))),
    )


def _notional(records: StepRecord) -> FloatArray:
    orders = np.abs(np.asarray(records.fill_units)) * np.asarray(records.fill_price)
    called = np.abs(np.asarray(records.call_units)) * np.asarray(records.call_price)
    notional: FloatArray = orders + called
    return notional


def _check(records: StepRecord, marks: FloatArray, symbols: tuple[str, ...]) -> None:
    shape = (len(np.asarray(records.equity)), len(symbols))
    if marks.shape != shape:
        raise DataError(f"marks have shape {marks.shape}; {shape[1]} symbols over {shape[0]} records are {shape}")
    for name, column in zip(records._fields, records, strict=True):
        if np.shape(column) not in (shape, shape[:1]) or not np.isfinite(column).all():
            raise DataError(f"'{name}' has shape {np.shape(column)}, not {shape}, or holds a value that is not finite")
