"""What a report says in words and figures: the result of a run, its summary rows and its verdict.

The HTML page, the console table and `summary.json` all speak from here, so they cannot disagree.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.evaluation.bootstrap import SHORTEST_SERIES, Interval, sharpe_interval
from src.evaluation.returns import Performance, ReturnMetrics, performance, simple_returns
from src.evaluation.trades import ORDERED, Trades, extract_trades
from src.evaluation.variation import why_no_sharpe
from src.market.bars import BarSeries, FloatArray
from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.insights import Insights
from src.reporting.optimum import Optimum
from src.reporting.provenance import Provenance
from src.reporting.stations import reasons, stations_plain
from src.trading.fills import fills_of
from src.trading.records import Reviews, StepRecord


@dataclass(frozen=True)
class Description:
    """What was evaluated, on what, under which assumptions.

    Attributes:
        model: name of the agent or model file.
        split: which part of the data, for example `test`.
        note: shown beside the title, for example that another model than the champion was asked for.
        cautions: what to know before believing it, such as that the model has seen some of the bars.
        costs: the assumed cost settings by name.
        config: the resolved configuration.
        limits: those of the risk file by name, if there was one.
        protective_stop: multiple of the wider loss limit at which stops were modelled, if they were.
        look: number of this look at its sealed bars, from 1 on; None where none were looked at, or none are counted.
    """

    model: str
    symbol: str
    timeframe: str
    split: str
    note: str = ""
    cautions: tuple[str, ...] = ()
    data_fingerprint: str = ""
    model_sha256: str = ""
    costs: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    protective_stop: float | None = None
    look: int | None = None


@dataclass(frozen=True)
class Report:
    """One evaluated account: everything the files of a result folder are made from."""

    description: Description
    records: StepRecord  # of (T,) arrays
    bars: BarSeries  # the T bars it traded
    performance: Performance
    sharpe_interval: Interval | None
    gates: NDArray[np.floating] | None = None  # (T, E) weights of a mixture's experts at each decision
    insights: Insights | None = None  # what the agent knew at each decision
    provenance: Provenance | None = None  # how it was bred and judged
    reviews: Reviews | None = None  # what the stations of a risk file made of each decision
    optimum: Optimum | None = None  # what could have been earned, on a generated market where that is known

    @cached_property
    def trades(self) -> Trades:
        """Round trips; their rows are those of `records` and `bars`."""
        return extract_trades(self.records, self.closes)

    @cached_property
    def stop_fills(self) -> int:
        """How often a protective stop closed a position."""
        return int(fills_of(self.records).is_stop.sum())

    @property
    def exit_reasons(self) -> list[str]:
        """Why each trade ended, as `Trades.exit_reason`, with what stations said of the decision to leave."""
        said = [""] * len(self.closes) if self.reviews is None else reasons(self.reviews)
        ends = zip(self.trades.exit_reason, self.trades.exit_row.tolist(), strict=True)
        return [f"{why}: {said[row - 1]}" if why == ORDERED and said[row - 1] else why for why, row in ends]

    @property
    def closes(self) -> FloatArray:
        """Price at each close, (T,)."""
        return self.bars.close

    @property
    def equity(self) -> FloatArray:
        """Equity at each close, (T,)."""
        return np.asarray(self.records.equity, dtype=np.float64)

    @property
    def exposures(self) -> FloatArray:
        """Value of the position over equity at each close, (T,); 0 without equity."""
        value: FloatArray = np.asarray(self.records.units, dtype=np.float64) * self.closes
        held: FloatArray = np.divide(value, self.equity, out=np.zeros_like(self.equity), where=self.equity > 0)
        return held

    @property
    def benchmark(self) -> FloatArray:
        """Equity of buying at the first close and holding, (T,)."""
        held: FloatArray = self.performance.initial_equity * self.closes / self.closes[0]
        return held

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Last millisecond of each bar, (T,): a daily bar that closes at midnight belongs to the day it covers."""
        return (np.asarray(self.records.close_time, dtype=np.int64) - 1).astype("datetime64[ms]")

    @property
    def no_sharpe(self) -> str:
        """Why it has no Sharpe ratio; empty if it has one."""
        return why_no_sharpe(simple_returns(self.equity, self.performance.initial_equity))

    @property
    def period(self) -> tuple[str, str]:
        """First and last day, as ISO dates in UTC."""
        first, last = self.times[[0, -1]].astype("datetime64[D]")
        return str(first), str(last)


def make_report(
    description: Description,
    records: StepRecord,
    bars: BarSeries,
    bars_per_year: float,
    initial_equity: float,
    rng: np.random.Generator,
    gates: NDArray[np.floating] | None = None,
    insights: Insights | None = None,
    provenance: Provenance | None = None,
    reviews: Reviews | None = None,
    optimum: Optimum | None = None,
) -> Report:
    """Measure an account from records (T,) of T bars; `rng` draws the interval of its Sharpe ratio.

    The gate's weights of a mixture are (T, E).

    Raises:
        DataError: the insights are of other bars.
    """
    if insights is not None and len(insights.regimes) != len(bars):
        raise DataError(
            f"insights hold {len(insights.regimes)} bars, the report {len(bars)}; give those of the rows traded"
        )
    measured = performance(records, bars.close, bars_per_year, initial_equity)
    returns = simple_returns(np.asarray(records.equity, dtype=np.float64), initial_equity)
    interval = sharpe_interval(returns, bars_per_year, rng)
    return Report(description, records, bars, measured, interval, gates, insights, provenance, reviews, optimum)


def verdict(report: Report) -> str:
    """Say plainly whether the strategy beat buy and hold and whether its Sharpe ratio can be told from 0."""
    measured = report.performance
    beat = "Beat buy and hold" if measured.beats_buy_and_hold else "Did not beat buy and hold"
    earned, held = percent(measured.total_return, sign=True), percent(measured.buy_and_hold.total_return, sign=True)
    return f"{beat}: {earned} after costs against {held}. {luck_sentence(report.sharpe_interval, report.no_sharpe)}"


def stop_sentence(report: Report) -> str:
    """Say how often protective stops filled; empty where none was modelled."""
    multiple = report.description.protective_stop
    if multiple is None:
        return ""
    times = "never" if not report.stop_fills else "once" if report.stop_fills == 1 else f"{report.stop_fills:,} times"
    return f"The protective stop, at {multiple:g} times the wider loss limit, filled {times}."


def summary_plain(report: Report) -> dict[str, Any]:
    """Return the content of `summary.json`: plain data, stable keys, null where undefined."""
    first, last = report.period
    return {
        "description": asdict(report.description),
        "first_day": first,
        "last_day": last,
        "verdict": verdict(report),
        "performance": report.performance.to_plain(),
        "sharpe_interval": None if report.sharpe_interval is None else asdict(report.sharpe_interval),
        "no_sharpe": report.no_sharpe or None,
        "stations": None if report.reviews is None else stations_plain(report.reviews),
        "stop_fills": None if report.description.protective_stop is None else report.stop_fills,
        "optimum": None if report.optimum is None else report.optimum.to_plain(),
    }


class SummaryRow(NamedTuple):
    """One line of the summary table, formatted."""

    label: str
    strategy: str
    benchmark: str


def summary_rows(measured: Performance) -> list[SummaryRow]:
    """Return the summary table: the strategy beside buy and hold, then what only the strategy has."""
    return [*_shared_rows(measured), *_trading_rows(measured)]


def trade_count(measured: Performance) -> str:
    """Say how many trades there were, and whether one of them is still open."""
    return f"{measured.trades:,}" + (" closed, 1 open" if measured.has_open_trade else "")


def luck_sentence(interval: Interval | None, no_sharpe: str) -> str:
    """Say whether a Sharpe ratio with this interval can be told from 0, or why there is none."""
    if no_sharpe:
        return f"It has no Sharpe ratio: {no_sharpe}."
    if interval is None:
        return f"Its Sharpe ratio has no interval: that takes {SHORTEST_SERIES} bars."
    level, low, high = percent(interval.level, digits=0), number(interval.low), number(interval.high)
    spread = f"The {level} interval of its Sharpe ratio, {low} to {high},"
    if not interval.excludes(0.0):
        return f"{spread} includes 0: luck alone could explain the result."
    side = "above" if interval.low > 0 else "below"
    return f"{spread} excludes 0 and lies {side} it."


def look_sentence(look: int) -> str:
    """Say which look it was, and why that matters."""
    if look == 1:
        return "look 1 at these sealed bars: nothing else was judged on them so far"
    others = "another model or run was" if look == 2 else f"{look - 1} other models or runs were"
    return f"look {look} at these sealed bars: {others} judged on them before, and the best of many flatters itself"


def _shared_rows(measured: Performance) -> list[SummaryRow]:
    formats: dict[str, tuple[str, Callable[..., str]]] = {
        "Total return": ("total_return", percent),
        "Annual growth (CAGR)": ("cagr", percent),
        "Annual volatility": ("annual_volatility", percent),
        "Sharpe ratio": ("sharpe", number),
        "Sortino ratio": ("sortino", number),
        "Calmar ratio": ("calmar", number),
        "Deepest drawdown": ("max_drawdown", percent),
        "Its length, bars": ("max_drawdown_bars", lambda bars: number(bars, 0)),
    }
    sides: tuple[ReturnMetrics, ReturnMetrics] = (measured, measured.buy_and_hold)
    return [
        SummaryRow(label, *(style(getattr(side, name)) for side in sides)) for label, (name, style) in formats.items()
    ]


def _trading_rows(measured: Performance) -> list[SummaryRow]:
    held = measured.initial_equity * (1.0 + measured.buy_and_hold.total_return)
    marked = ", the open one marked" if measured.has_open_trade else ""
    return [
        SummaryRow("Final equity", number(measured.final_equity), number(held)),
        SummaryRow("Mean exposure", percent(measured.exposure), percent(1.0)),
        SummaryRow("Bars in the market", percent(measured.in_market_frac), percent(1.0)),
        SummaryRow("Turnover per year, × equity", number(measured.turnover_per_year, 1), UNDEFINED),
        SummaryRow("Trades", trade_count(measured), UNDEFINED),
        SummaryRow(f"Winning trades{marked}", percent(measured.hit_rate), UNDEFINED),
        SummaryRow(f"Profit factor{marked}", number(measured.profit_factor), UNDEFINED),
        SummaryRow("Costs, of initial equity", percent(measured.cost_frac), UNDEFINED),
        SummaryRow("Costs per traded value, bps", number(measured.cost_bps, 1), UNDEFINED),
        SummaryRow("… at which the profit is gone", number(measured.break_even_fee_bps, 1), UNDEFINED),
    ]
