"""The HTML page of a report, and the frame of any page: one file, no network, for phones too, light and dark."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from src.reporting.canvas import Plot
from src.reporting.gates import gates_plot, gates_table
from src.reporting.heatmap import heatmap_table, monthly_returns
from src.reporting.plots import all_plots
from src.reporting.summary import UNDEFINED, Report, number, percent, summary_rows, verdict

STYLE = """
:root {
  color-scheme: light dark;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  --page: #f6f7f8; --card: #ffffff; --ink: #1a1d21; --muted: #59626c; --grid: #dfe3e7;
  --strategy: #1f5fbf; --benchmark: #9a7b2f; --gain: #1b8a6b; --loss: #c4512f;
  --series1: #1f5fbf; --series2: #c4512f; --series3: #1b8a6b; --series4: #9a7b2f; --series5: #8a4fb0;
  --series6: #1794a8; --series7: #b83a78; --series8: #6b7278;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121518; --card: #1b1f23; --ink: #e7eaed; --muted: #9ba5af; --grid: #30363c;
    --strategy: #72aaff; --benchmark: #d0ae5c; --gain: #4cbf9d; --loss: #ef8763;
    --series1: #72aaff; --series2: #ef8763; --series3: #4cbf9d; --series4: #d0ae5c; --series5: #c79be6;
    --series6: #62cfe0; --series7: #f08dbd; --series8: #a7b0b8;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 20px 16px 48px; background: var(--page); color: var(--ink);
  font: 15px/1.5 var(--font); font-variant-numeric: tabular-nums; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: .95rem; line-height: 1.35; margin: 0 0 8px; }
.about { color: var(--muted); margin: 2px 0 0; }
header { margin-bottom: 12px; }
.verdict { margin: 16px 0; padding: 12px 16px; background: var(--card); border-left: 5px solid var(--benchmark);
  border-radius: 6px; font-size: 1.05rem; }
.verdict.better { border-color: var(--gain); } .verdict.worse { border-color: var(--loss); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-bottom: 12px; }
.tile, section { background: var(--card); border-radius: 6px; padding: 14px 16px; min-width: 0; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.3; }
.tile span { color: var(--muted); font-size: .85rem; display: block; }
main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 12px; }
section.wide { grid-column: 1 / -1; }
section.tall { grid-row: span 2; }
svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th { font-weight: 500; color: var(--muted); text-align: right; padding: 3px 8px; }
td { text-align: right; padding: 3px 8px; white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; }
.summary tbody tr { border-top: 1px solid var(--grid); }
.summary td, .summary th { padding-top: 6px; padding-bottom: 6px; }
.months td, .months th { padding: 4px 5px; font-size: .8rem; }
.months td { border: 1px solid var(--card); } .months .total { font-weight: 600; }
.swatch { display: inline-block; width: 1.6em; margin-right: .6em; vertical-align: middle; border-top: 3px solid; }
#growth svg { max-width: 860px; margin: 0 auto; }
.named { white-space: nowrap; }
.note { color: var(--muted); font-size: .88rem; margin: 10px 0 0; }
.facts th { text-align: left; white-space: nowrap; vertical-align: top; padding-left: 0; }
.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
pre { overflow-x: auto; font-size: .78rem; line-height: 1.4; }
summary { cursor: pointer; color: var(--muted); margin-top: 10px; }
@media (max-width: 760px) {
  main { grid-template-columns: minmax(0, 1fr); }
  section.tall { grid-row: auto; }
  body { padding: 14px 10px 32px; }
}
@media print { body { max-width: none; } section, .tile { break-inside: avoid; } }
"""


def render_page(report: Report) -> str:
    """Return the whole page."""
    about = report.description
    title = f"{about.model} on {about.symbol} {about.timeframe}, {about.split}"
    plots = {plot.name: plot for plot in all_plots(report)}
    cards = [
        figure_card(plots["equity"]),
        _summary_card(report),
        figure_card(plots["drawdown"]),
        figure_card(plots["position"]),
        _gates_card(report),
        figure_card(plots["rolling_sharpe"]),
        figure_card(plots["distribution"]),
        figure_card(plots["costs"]),
        _months_card(report),
        _facts_card(report),
    ]
    header = f"<h1>{escape(title)}</h1>\n{_about(report)}\n{_verdict(report)}\n{_tiles(report)}"
    return document(title, header, "".join(cards))


def document(title: str, header: str, cards: str) -> str:
    """Return a whole page in the house style; `header` and `cards` are HTML, the title is plain text."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
{header}
</header>
<main>
{cards}
</main>
</body>
</html>
"""


def _about(report: Report) -> str:
    first, last = report.period
    note = f" · {escape(report.description.note)}" if report.description.note else ""
    return f'<p class="about">{first} to {last} · {len(report.closes):,} bars{note}</p>'


def _verdict(report: Report) -> str:
    measured, interval = report.performance, report.sharpe_interval
    proven = interval is not None and interval.excludes(0.0)
    mood = "better" if proven and measured.beats_buy_and_hold else "" if measured.beats_buy_and_hold else "worse"
    return f'<p class="verdict {mood}">{escape(verdict(measured, interval))}</p>'


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
        ("Costs", percent(measured.cost_frac), f"of initial equity, {measured.trades:,} closed trades"),
    ]
    boxes = (
        f'<div class="tile"><span>{escape(label)}</span><b>{escape(value)}</b><span>{escape(detail)}</span></div>'
        for label, value, detail in tiles
    )
    return f'<div class="tiles">{"".join(boxes)}</div>'


def figure_card(plot: Plot, wide: bool = False) -> str:
    """Return a plot under its title, over both columns if `wide`."""
    title = escape(plot.title)
    picture = plot.svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    width = ' class="wide"' if wide else ""
    return f'<section id="{plot.name}"{width}><h2>{title}</h2>{picture}</section>\n'


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
    note = "Drift, volatility and persistence (of a return in the next) are those of the bars after its decisions."
    table = f'<div class="scroll">{gates_table(report, report.gates)}</div><p class="note">{note}</p>'
    return figure_card(plot, wide=True).replace("</section>", f"{table}</section>")


def _months_card(report: Report) -> str:
    table = heatmap_table(monthly_returns(report.moments, report.equity, report.performance.initial_equity))
    return f'<section id="months" class="wide"><h2>Return by month, %</h2><div class="scroll">{table}</div></section>\n'


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
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in facts.items())
    return (
        '<section id="facts" class="wide"><h2>What this rests on</h2>'
        f'<table class="facts"><tbody>{rows}</tbody></table>{_config(about.config)}</section>\n'
    )


def _config(config: Mapping[str, Any]) -> str:
    if not config:
        return ""
    text = escape(json.dumps(config, indent=2, default=str))
    return f"<details><summary>Configuration</summary><pre>{text}</pre></details>"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
