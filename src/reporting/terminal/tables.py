"""Tables on standard output: a strategy beside buy and hold, strategies side by side, a rolling record."""

import textwrap
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from src.evaluation.returns import Performance
from src.reporting.comparison import Comparison, headings, table_row
from src.reporting.portfolio.comparison import HEADINGS, PortfolioComparison, comparison_rows
from src.reporting.portfolio.summary import SYMBOL_HEADINGS, PortfolioReport, portfolio_rows, symbol_rows
from src.reporting.rolling import CURVE_HEADINGS, STEP_HEADINGS, RollingRecord, curve_rows, step_rows
from src.reporting.summary import summary_rows
from src.reporting.terminal.plain_output import standard_output


def print_performance(title: str, performance: Performance, console: Console | None = None) -> None:
    """Print the summary table on standard output."""
    (console or Console()).print(performance_table(title, performance))


def performance_table(title: str, performance: Performance) -> Table:
    """Return a table of the strategy's figures beside buy and hold's."""
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("")
    table.add_column("strategy", justify="right")
    table.add_column("buy and hold", justify="right")
    for row in summary_rows(performance):
        table.add_row(row.label, row.strategy, row.benchmark)
    return table


def wide_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table of numbers beside a first column of names; headings are wrapped to the width of their cells."""
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1))
    for place, heading in enumerate(headings):
        width = max(len(text) for text in (*heading.split(), *(row[place] for row in rows)))
        table.add_column(textwrap.fill(heading, width), justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print the table, what each difference amounts to, and the remarks, on standard output."""
    out = console or standard_output()
    rows = [table_row(report) for report in comparison.reports]
    out.print(wide_table("after costs, over the same bars", headings(comparison), rows), markup=False)
    remarks = (f"Careful: {remark}." for remark in comparison.remarks)
    choice = [comparison.choice] if comparison.choice else []
    for line in (*comparison.verdicts, *choice, *comparison.stations, *remarks):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def print_portfolio(report: PortfolioReport, console: Console | None = None) -> None:
    """Print the figures of an account of several symbols, what each added, and what stations changed."""
    out = console or standard_output()
    account = wide_table("the account, after costs", ("", ""), portfolio_rows(report.performance))
    out.print(account, wide_table("by symbol", SYMBOL_HEADINGS, symbol_rows(report.performance)), markup=False)
    for name, (count, reason) in report.stations.items():
        out.print(f"{name} changed {count:,} decisions: {reason}", markup=False, highlight=False, soft_wrap=True)


def print_portfolio_comparison(comparison: PortfolioComparison, console: Console | None = None) -> None:
    """Print members side by side, and what each difference amounts to."""
    out = console or standard_output()
    out.print(wide_table("after costs, over the same bars", HEADINGS, comparison_rows(comparison)), markup=False)
    for line in (*comparison.sentences, *filter(None, [comparison.choice])):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def print_rolling(record: RollingRecord, console: Console | None = None) -> None:
    """Print the steps, the stitched record beside its rivals, and the verdict, on standard output."""
    out = console or standard_output()
    tables = (
        ("each step, out of sample", STEP_HEADINGS, step_rows(record)),
        ("all steps end to end", CURVE_HEADINGS, curve_rows(record)),
    )
    for title, columns, rows in tables:
        out.print(wide_table(title, columns, rows), markup=False)
    out.print(record.verdict, markup=False, highlight=False, soft_wrap=True)
