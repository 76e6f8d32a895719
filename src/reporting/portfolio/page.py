"""The page of a portfolio's backtest, and the files of its folder."""

import json
from html import escape
from pathlib import Path

from src.reporting.figures_file import SUMMARY_FILE, write_figures
from src.reporting.formats import number, percent
from src.reporting.html.layout import (
    caution_boxes,
    document,
    facts_table,
    figure_card,
    note,
    table_card,
    table_head,
    table_row,
    tile_row,
)
from src.reporting.portfolio.plots import portfolio_plots
from src.reporting.portfolio.positions_file import POSITIONS_FILE, write_account_steps, write_positions
from src.reporting.portfolio.summary import (
    SYMBOL_HEADINGS,
    PortfolioReport,
    portfolio_plain,
    portfolio_rows,
    portfolio_verdict,
    symbol_rows,
)
from src.reporting.report import REPORT_FILE
from src.reporting.steps_file import STEPS_FILE
from src.reporting.summary import look_sentence
from src.storage import write_atomic


def write_portfolio(folder: Path, report: PortfolioReport) -> Path:
    """Write page, figures, steps and positions into `folder`; returns the path of the page."""
    write_account_steps(folder / STEPS_FILE, report)
    write_positions(folder / POSITIONS_FILE, report)
    write_figures(folder / SUMMARY_FILE, portfolio_plain(report))
    return write_atomic(folder / REPORT_FILE, portfolio_page(report).encode())


def portfolio_page(report: PortfolioReport) -> str:
    """Return the self-contained page."""
    about, (first, last) = report.description, report.period
    title = f"{about.member}: {about.portfolio}, {about.split} split"
    looked = "" if about.look is None else f'<p class="about">{escape(look_sentence(about.look))}</p>'
    header = (
        f"<h1>{escape(title)}</h1><p>{len(report.panel):,} bars of {escape(about.timeframe)}, "
        f"{len(report.panel.symbols)} symbols, {first} to {last}</p>"
        f'<p class="verdict">{escape(portfolio_verdict(report))}</p>{looked}'
        f"{caution_boxes(about.cautions)}{_tiles(report)}"
    )
    plots = "".join(figure_card(plot, wide=plot.name == "weights") for plot in portfolio_plots(report))
    cards = f"{plots}{_symbols_card(report)}{_figures_card(report)}{_stations_card(report)}{_facts_card(report)}"
    return document(title, header, cards)


def _tiles(report: PortfolioReport) -> str:
    measured = report.performance
    return tile_row(
        [
            ("Total return", percent(measured.total_return, sign=True), "after costs"),
            ("Sharpe ratio", number(measured.sharpe), "annual, over a rate of zero"),
            ("Deepest drawdown", percent(measured.max_drawdown), f"{measured.max_drawdown_bars:,} bars"),
            ("Exposure", percent(measured.gross_exposure), "gross, on average"),
            ("Turnover", number(measured.turnover_per_year), "times the equity a year"),
        ]
    )


def _symbols_card(report: PortfolioReport) -> str:
    rows = "".join(table_row(row[0], row[1:]) for row in symbol_rows(report.performance))
    table = f"{table_head(SYMBOL_HEADINGS)}<tbody>{rows}</tbody>"
    remark = "Contributions are parts of the initial equity, after commission, spread and slippage, before interest."
    return table_card("symbols", "By symbol", table, note(remark), is_sortable=True)


def _figures_card(report: PortfolioReport) -> str:
    rows = "".join(table_row(label, [value]) for label, value in portfolio_rows(report.performance))
    return table_card("summary", "The account, after costs", f"<tbody>{rows}</tbody>")


def _stations_card(report: PortfolioReport) -> str:
    if not report.description.preferences:
        return ""
    rows = "".join(table_row(name, [f"{count:,}", reason]) for name, (count, reason) in report.stations.items())
    limits = facts_table({name: str(value) for name, value in report.description.preferences.items()})
    below = note(f"What was wanted of each symbol, and every reason, stand in {POSITIONS_FILE}.")
    folded = f"<details><summary>Preferences in force</summary>{limits}</details>"
    table = f"{table_head(('', 'decisions changed', 'because'))}<tbody>{rows}</tbody>" if rows else ""
    title = "What preferences changed" if rows else "Preferences changed nothing"
    return table_card("stations", title, table, f"{below}{folded}")


def _facts_card(report: PortfolioReport) -> str:
    about = report.description
    facts = {
        "Member": f"{about.member} ({about.member_id})",
        "Symbols": ", ".join(report.panel.symbols),
        "Data fingerprint": about.data_fingerprint,
        "Preferences sha256": about.preferences_sha256 or "none in force",
        "Initial equity": number(report.performance.initial_equity),
        "Annualisation": f"{number(report.performance.bars_per_year, 1)} bars per year, counted from the data",
        **{f"Assumed {name}": str(value) for name, value in about.costs.items()},
    }
    config = escape(json.dumps(about.config, indent=2, default=str))
    folded = f"<details><summary>Configuration</summary><pre>{config}</pre></details>"
    return f'<section id="facts" class="wide"><h2>What this rests on</h2>{facts_table(facts)}{folded}</section>\n'
