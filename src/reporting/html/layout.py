"""The frame of every page: one file, no network, for phones too, light and dark; and the cards that fill it."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from src.reporting.html.canvas import Plot

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
main { display: grid; grid-auto-flow: dense; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 12px; }
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
#lineage :is(td, th), #architectures :is(td, th), #adaptations :is(td, th) { text-align: left; }
td.changed { background: color-mix(in srgb, var(--benchmark) 22%, transparent); }
#lineage td:last-child, td.words { white-space: normal; min-width: 9em; }
.verdict ul { margin: 6px 0 0; padding-left: 1.2em; font-size: .92rem; } .verdict b { font-size: 1.15rem; }
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


def figure_card(plot: Plot, wide: bool = False, below: str = "") -> str:
    """Return a plot under its title, over both columns if `wide`; `below` is HTML under the picture."""
    title = escape(plot.title)
    picture = plot.svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    width = ' class="wide"' if wide else ""
    return f'<section id="{plot.name}"{width}><h2>{title}</h2>{picture}{below}</section>\n'


def table_card(name: str, title: str, table: str, note: str = "") -> str:
    """Return a card over both columns; `table` (rows and headings) and `note` are HTML, the title is plain text."""
    return (
        f'<section id="{name}" class="wide"><h2>{escape(title)}</h2><div class="scroll">'
        f'<table class="summary">{table}</table></div>{note}</section>\n'
    )


def table_head(headings: Iterable[str]) -> str:
    """Return the headings of a table of plain texts."""
    return f"<thead><tr>{''.join(f'<th>{escape(heading)}</th>' for heading in headings)}</tr></thead>"


def table_row(label: str, cells: Iterable[str], swatch: str = "") -> str:
    """Return a row of plain texts; `swatch` is HTML in front of the label."""
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row" class="named">{swatch}{escape(label)}</th>{shown}</tr>'


def facts_table(facts: Mapping[str, str]) -> str:
    """Return plain texts by their names, one a row."""
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in facts.items())
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def note(text: str) -> str:
    """Return a remark under a card's picture or table."""
    return f'<p class="note">{escape(text)}</p>'


def tile_row(tiles: Sequence[tuple[str, str, str]]) -> str:
    """Return figures side by side: what it is, the figure, and what to hold it against."""
    boxes = (
        f'<div class="tile"><span>{escape(label)}</span><b>{escape(value)}</b><span>{escape(detail)}</span></div>'
        for label, value, detail in tiles
    )
    return f'<div class="tiles">{"".join(boxes)}</div>'


def verdict_box(claim: str, reasons: Sequence[str] = (), mood: str = "") -> str:
    """Return a judgement and its reasons, of plain texts; `mood` is `better`, `worse` or neither."""
    listed = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f'<div class="verdict {mood}"><b>{escape(claim)}</b>{f"<ul>{listed}</ul>" if listed else ""}</div>'
