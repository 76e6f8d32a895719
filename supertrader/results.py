"""What a backtest and a comparison hand back: figures as tables, words as text, files on demand."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from src.evaluation.bootstrap import Interval
from src.evaluation.returns import drawdowns
from src.market.bars import BarSeries, FloatArray
from src.reporting import comparison as words
from src.reporting.steps_file import step_columns
from src.reporting.summary import Report, summary_plain, verdict
from src.reporting.trades_file import TradeRow, trade_rows

_COMPARED = ("total_return", "sharpe", "sharpe_low", "sharpe_high", "max_drawdown", "turnover_per_year", "cost_frac")


@dataclass(frozen=True, repr=False)
class Backtest:
    """One strategy traded over a stretch of bars.

    Attributes:
        name: of the strategy.
        report: everything that was recorded and measured, as the commands use it.
    """

    name: str
    report: Report

    @property
    def bars(self) -> BarSeries:
        """The bars that were traded, one for each row of `steps`."""
        return self.report.bars

    @property
    def verdict(self) -> str:
        """Whether it beat buy and hold, and whether luck could explain its Sharpe ratio."""
        return verdict(self.report)

    @property
    def note(self) -> str:
        """What to know before believing it, such as that a model has seen some of the bars; empty if nothing."""
        about = self.report.description
        return "; ".join(filter(None, (about.note, *about.cautions)))

    @property
    def equity(self) -> "pd.Series[float]":
        """Equity at each close, labelled by the opening time of the bar as in `BarSeries.to_frame`."""
        return self._series(self.report.equity, "equity")

    @property
    def benchmark(self) -> "pd.Series[float]":
        """Equity of buying at the first close and holding, without costs."""
        return self._series(self.report.benchmark, "buy and hold")

    @property
    def drawdown(self) -> "pd.Series[float]":
        """Fraction by which equity lies below its last peak, at each close; positive."""
        return self._series(drawdowns(self.report.equity, self.report.performance.initial_equity), "drawdown")

    @property
    def exposure(self) -> "pd.Series[float]":
        """Value of the position as a fraction of equity, at each close; negative is short."""
        return self._series(self.report.exposures, "exposure")

    @property
    def steps(self) -> pd.DataFrame:
        """One row a bar: prices, decision, every fill and cost, equity; columns as in `steps.parquet`.

        Under a risk file also what was `wanted`, and the `reason` why something else is in force.
        """
        columns = step_columns(self.report.records, self.report.bars, self.report.reviews)
        return pd.DataFrame(columns, index=self._index()).drop(columns=["open_time", "close_time"])

    @property
    def trades(self) -> pd.DataFrame:
        """One row a round trip; columns as in `trades.csv`, times in UTC."""
        table = pd.DataFrame(trade_rows(self.report), columns=TradeRow._fields)
        times = ["entry_time", "exit_time"]
        return table.assign(**{name: pd.to_datetime(table[name], utc=True) for name in times})

    def summary(self) -> pd.DataFrame:
        """Return every figure, one row each, beside that of buy and hold where it has one.

        Fractions, not percent; NaN where undefined, such as the Sharpe ratio of an account that never traded.
        """
        plain = self.report.performance.to_plain()
        held, costs = plain.pop("buy_and_hold"), plain.pop("costs")
        own = plain | {f"cost_{name}": value for name, value in costs.items()}
        interval = self.report.sharpe_interval
        if interval is not None:
            own |= {"sharpe_low": interval.low, "sharpe_high": interval.high}
        table = pd.DataFrame({self.name: own, "buy and hold": held}, index=list(own))
        return table.astype(float)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `summary.json`: plain data, None where undefined."""
        return summary_plain(self.report)

    def save(self, folder: str | Path) -> Path:
        """Write `report.html`, `steps.parquet`, `trades.csv` and `summary.json`; returns the path of the page."""
        from src.reporting.report import write_result  # loads matplotlib

        return write_result(Path(folder), self.report)

    def __repr__(self) -> str:
        about, (first, last) = self.report.description, self.report.period
        note = f" ({self.note})" if self.note else ""
        return f"<Backtest {self.name}{note}: {about.symbol} {about.split}, {first} to {last}. {self.verdict}>"

    def _series(self, values: FloatArray, name: str) -> "pd.Series[float]":
        return pd.Series(values, index=self._index(), name=name)

    def _index(self) -> pd.Index:
        return pd.to_datetime(self.bars.open_time, unit="ms", utc=True).rename("open_time")


@dataclass(frozen=True, repr=False)
class Comparison:
    """Strategies over the same bars, and how each differs from the first.

    Attributes:
        backtests: by name, in the order given.
        comparison: everything that was measured, as the commands use it.
    """

    backtests: Mapping[str, Backtest]
    comparison: words.Comparison

    @property
    def verdicts(self) -> list[str]:
        """One sentence for each strategy after the first: how it differs, and whether luck could explain that."""
        return self.comparison.verdicts

    @property
    def remarks(self) -> list[str]:
        """What to know before believing the comparison, one sentence each."""
        return list(self.comparison.remarks)

    def summary(self) -> pd.DataFrame:
        """Return one row a strategy: what it earned and risked, and the interval of its Sharpe ratio."""
        rows = {name: one.summary()[name].reindex(_COMPARED) for name, one in self.backtests.items()}
        return pd.DataFrame(rows).T

    def differences(self) -> pd.DataFrame:
        """Return one row for each strategy after the first: what it has more than the first, with intervals.

        Columns `mean_return` (a year) and `sharpe`, each with `_low` and `_high`; `could_be_luck` where both intervals
        include 0.
        """
        rows = [
            {
                **_interval("mean_return", less.mean_return),
                **_interval("sharpe", less.sharpe),
                "could_be_luck": words.could_be_luck(less),
            }
            for less in self.comparison.differences
        ]
        return pd.DataFrame(rows, index=list(self.backtests)[1:])

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `comparison.json`: plain data, None where undefined."""
        return words.comparison_plain(self.comparison)

    def save(self, folder: str | Path) -> Path:
        """Write `comparison.html` and `comparison.json`; returns the path of the page."""
        from src.reporting.html.comparison_page import write_comparison  # loads matplotlib

        return write_comparison(Path(folder), self.comparison)

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.backtests)}. {' '.join(self.verdicts)}>"


def _interval(name: str, interval: Interval) -> dict[str, float]:
    plain = asdict(interval)
    return {name: plain["estimate"], f"{name}_low": plain["low"], f"{name}_high": plain["high"]}
