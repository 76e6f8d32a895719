"""`PortfolioReport`: one evaluated account of several symbols, and what is said of it in words and figures."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.evaluation.bootstrap import Interval, sharpe_interval
from src.evaluation.portfolio.performance import PortfolioPerformance, exposures, portfolio_performance
from src.evaluation.returns import simple_returns
from src.evaluation.variation import why_no_sharpe
from src.market.bars import FloatArray
from src.market.panel import Panel
from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.optimum import Optimum
from src.reporting.summary import luck_sentence
from src.risk.stations.chain import Change
from src.trading.records import StepRecord


@dataclass(frozen=True)
class PortfolioDescription:
    """What was evaluated, on what, under which assumptions.

    Attributes:
        preferences: the limits in force by name; empty without any.
        preferences_sha256: their hash.
        cautions: what to know before believing it.
        look: number of this look at its sealed bars, from 1 on; None where none were looked at, or none are counted.
    """

    member: str
    member_id: str
    portfolio: str
    timeframe: str
    split: str
    data_fingerprint: str
    costs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    preferences: Mapping[str, Any] = field(default_factory=dict)
    preferences_sha256: str = ""
    cautions: tuple[str, ...] = ()
    look: int | None = None


@dataclass(frozen=True)
class PortfolioReport:
    """Everything the files of a result folder are made from; T records, S symbols."""

    description: PortfolioDescription
    records: StepRecord
    wanted: FloatArray  # (T, S)
    panel: Panel  # the T rows that were traded
    changes: tuple[tuple[Change, ...], ...]
    performance: PortfolioPerformance
    sharpe_interval: Interval | None
    optimum: Optimum | None = None  # what could have been earned, on a generated portfolio where that is known

    @cached_property
    def marks(self) -> FloatArray:
        """Price at which each holding is marked, (T, S)."""
        return marks(self.panel)

    @cached_property
    def exposures(self) -> FloatArray:
        """Value of each holding over equity at each close, (T, S)."""
        return exposures(self.records, self.marks)

    @property
    def equity(self) -> FloatArray:
        """Equity at each close, (T,)."""
        return np.asarray(self.records.equity, dtype=np.float64)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Last millisecond of each bar, (T,)."""
        return (self.panel.close_time - 1).astype("datetime64[ms]")

    @property
    def period(self) -> tuple[str, str]:
        """First and last day, as ISO dates in UTC."""
        first, last = self.times[[0, -1]].astype("datetime64[D]")
        return str(first), str(last)

    @property
    def no_sharpe(self) -> str:
        """Why it has no Sharpe ratio; empty if it has one."""
        return why_no_sharpe(simple_returns(self.equity, self.performance.initial_equity))

    @property
    def stations(self) -> dict[str, tuple[int, str]]:
        """How many decisions each station changed, and its last reason."""
        counts = Counter(change.station for changes in self.changes for change in changes)
        reasons = {change.station: change.reason for changes in self.changes for change in changes}
        return {name: (count, reasons[name]) for name, count in counts.most_common()}


def marks(panel: Panel) -> FloatArray:
    """Return the last close of each symbol, (T, S); 1 before its first, where nothing is held."""
    return np.where(np.isnan(panel.last_close), 1.0, panel.last_close)


def make_portfolio_report(
    description: PortfolioDescription,
    records: StepRecord,
    wanted: FloatArray,
    panel: Panel,
    changes: tuple[tuple[Change, ...], ...],
    initial_equity: float,
    rng: np.random.Generator,
    optimum: Optimum | None = None,
) -> PortfolioReport:
    """Measure an account; `rng` draws the interval of its Sharpe ratio. Records and wanted targets are (T, S)."""
    measured = portfolio_performance(records, marks(panel), panel.symbols, panel.bars_per_year, initial_equity)
    returns = simple_returns(np.asarray(records.equity, dtype=np.float64), initial_equity)
    interval = sharpe_interval(returns, panel.bars_per_year, rng)
    return PortfolioReport(description, records, wanted, panel, changes, measured, interval, optimum)


def portfolio_verdict(report: PortfolioReport) -> str:
    """Say plainly what it earned, and whether its Sharpe ratio can be told from 0."""
    earned = percent(report.performance.total_return, sign=True)
    said = f"Earned {earned} after costs. {luck_sentence(report.sharpe_interval, report.no_sharpe)}"
    return said if report.optimum is None else f"{said} {report.optimum.sentence}"


def portfolio_rows(measured: PortfolioPerformance) -> list[tuple[str, str]]:
    """Return the figures of the account, formatted, by what they are."""
    return [
        ("Total return", percent(measured.total_return)),
        ("Annual growth (CAGR)", percent(measured.cagr)),
        ("Annual volatility", percent(measured.annual_volatility)),
        ("Sharpe ratio", number(measured.sharpe)),
        ("Sortino ratio", number(measured.sortino)),
        ("Deepest drawdown", percent(measured.max_drawdown)),
        ("Exposure, gross", percent(measured.gross_exposure)),
        ("Exposure, net", percent(measured.net_exposure)),
        ("Symbols held, on average", number(measured.symbols_held, 1)),
        ("Turnover a year", number(measured.turnover_per_year)),
        ("Costs paid", number(measured.costs.total)),
        ("Costs, bps of what was traded", number(measured.cost_bps)),
        ("Break-even cost, bps", number(measured.break_even_fee_bps)),
    ]


SYMBOL_HEADINGS = ("symbol", "contribution", "of turnover", "mean exposure", "in the market", "fills", "costs")


def symbol_rows(measured: PortfolioPerformance) -> list[tuple[str, ...]]:
    """Return a row for each symbol, formatted, largest contribution first."""
    traded = sum(one.traded for one in measured.by_symbol.values())
    ordered = sorted(measured.by_symbol.items(), key=lambda item: -item[1].profit)
    return [
        (
            symbol,
            percent(one.contribution, sign=True),
            percent(one.traded / traded) if traded > 0 else UNDEFINED,
            percent(one.mean_exposure, sign=True),
            percent(one.in_market_frac),
            f"{one.fills:,}",
            number(one.costs),
        )
        for symbol, one in ordered
    ]


def portfolio_plain(report: PortfolioReport) -> dict[str, Any]:
    """Return the content of `summary.json`: plain data, stable keys, null where undefined."""
    first, last = report.period
    return {
        "description": asdict(report.description),
        "first_day": first,
        "last_day": last,
        "verdict": portfolio_verdict(report),
        "performance": report.performance.to_plain(),
        "sharpe_interval": None if report.sharpe_interval is None else asdict(report.sharpe_interval),
        "no_sharpe": report.no_sharpe or None,
        "optimum": None if report.optimum is None else report.optimum.to_plain(),
        "stations": {name: count for name, (count, _) in report.stations.items()},
    }
