"""The HTML page of a report."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.html.backtest_chart import backtest_chart
from src.reporting.html.backtest_plots import all_plots
from src.reporting.html.experts_card import gates_plot, gates_table
from src.reporting.html.insights_card import insights_card
from src.reporting.html.layout import caution_boxes, document, facts_table, figure_card, note, tile_row
from src.reporting.html.monthly_returns import heatmap_table, monthly_returns
from src.reporting.html.provenance_card import provenance_card
from src.reporting.html.stations_card import stations_card
from src.reporting.html.trades_card import trades_card
from src.reporting.summary import Report, look_sentence, stop_sentence, summary_rows, trade_count, verdict


def render_page(report: Report) -> str:
    """Return the whole page."""
    about = report.description
    title = f"{about.model} on {about.symbol} {about.timeframe}, {about.split}"
    plots = {plot.name: plot for plot in all_plots(report)}
    cards = [
        backtest_chart(report),
        figure_card(plots["equity"], in_chart=True),
        _summary_card(report),
        figure_card(plots["drawdown"], in_chart=True),
        figure_card(plots["position"], in_chart=True),
        stations_card(report),
        _gates_card(report),
        insights_card(report),
        figure_card(plots["rolling_sharpe"]),
        figure_card(plots["distribution"]),
        figure_card(plots["costs"]),
        _months_card(report),
        trades_card(report),
        provenance_card(report.provenance),
        _facts_card(report),
    ]
    header = f"<h1>{escape(title)}</h1>\n{_about(report)}\n{_verdict(report)}\n{_tiles(report)}"
    return document(title, header, "".join(cards), has_chart=True)


def _about(report: Report) -> str:
    first, last = report.period
    about = report.description
    parts = [f"{first} to {last}", f"{len(report.closes):,} bars", about.note]
    parts += [] if about.look is None else [look_sentence(about.look)]
    return f'<p class="about">{escape(" · ".join(filter(None, parts)))}</p>{caution_boxes(about.cautions)}'


def _verdict(report: Report) -> str:
    measured, interval = report.performance, report.sharpe_interval
    proven = interval is not None and interval.excludes(0.0)
    mood = "better" if proven and measured.beats_buy_and_hold else "" if measured.beats_buy_and_hold else "worse"
    stops = note(stop_sentence(report)) if report.description.protective_stop is not None else ""
    return f'<p class="verdict {mood}">{escape(verdict(report))}</p>{stops}'


def _tiles(report: Report) -> str:
    measured, interval = report.performance, report.sharpe_interval
    market = measured.buy_and_hold
    span = UNDEFINED if interval is None else f"{number(interval.low)} to {number(interval.high)}"
    level = "interval" if interval is None else f"{percent(interval.level, digits=0)} interval"
    tiles = [
        (
            "Total return",
            percent(measured.total_return, sign=True),
            f"buy and hold {percent(market.total_return, sign=True)}",
        ),
        ("Sharpe ratio", number(measured.sharpe), f"{level} {span}"),
        ("Deepest drawdown", percent(measured.max_drawdown), f"buy and hold {percent(market.max_drawdown)}"),
        *_optimum_tile(report),
        ("Costs", percent(measured.cost_frac), f"of initial equity; trades: {trade_count(measured)}"),
    ]
    return tile_row(tiles)


def _optimum_tile(report: Report) -> list[tuple[str, str, str]]:
    if report.optimum is None:
        return []
    earned, best = number(report.optimum.earned_bps), number(report.optimum.best_bps)
    return [("Reached of the optimum", number(report.optimum.reached), f"{earned} of {best} bps a bar, after costs")]


def _summary_card(report: Report) -> str:
    cells = (tuple(map(escape, row)) for row in summary_rows(report.performance))
    rows = "".join(
        f'<tr><th scope="row">{label}</th><td>{ours}</td><td>{held}</td></tr>' for label, ours, held in cells
    )
    return (
        '<section id="summary" class="tall"><h2>After costs, beside buy and hold without costs</h2><div class="scroll">'
        '<table class="summary"><thead><tr><th></th><th>strategy</th><th>buy and hold</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>\n"
    )


def _gates_card(report: Report) -> str:
    if report.gates is None:
        return ""
    plot = gates_plot(report, report.gates)
    remark = "Drift, volatility and persistence (of a return in the next) are those of the bars after its decisions."
    table = f'<div class="scroll">{gates_table(report, report.gates)}</div>{note(remark)}'
    return figure_card(plot, wide=True, below=table)


def _months_card(report: Report) -> str:
    table = heatmap_table(monthly_returns(report.times, report.equity, report.performance.initial_equity))
    return f'<section id="months"><h2>Return by month, %</h2><div class="scroll">{table}</div></section>\n'


def _facts_card(report: Report) -> str:
    about = report.description
    facts = {
        "Model": about.model,
        "Model file sha256": about.model_sha256 or UNDEFINED,
        "Data fingerprint": about.data_fingerprint or UNDEFINED,
        "Symbol, timeframe, split": f"{about.symbol}, {about.timeframe}, {about.split}",
        "Initial equity": number(report.performance.initial_equity),
        "Annualisation": f"{number(report.performance.bars_per_year, 1)} bars per year, counted from the data",
        **{f"Assumed {name}": _shown(value) for name, value in about.costs.items()},
    }
    return (
        '<section id="facts" class="wide"><h2>What this rests on</h2>'
        f"{facts_table(facts)}{_config(about.config)}</section>\n"
    )


def _config(config: Mapping[str, Any]) -> str:
    if not config:
        return ""
    text = escape(json.dumps(config, indent=2, default=str))
    return f"<details><summary>Configuration</summary><pre>{text}</pre></details>"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
