"""The frame of every page: one file, no network, for phones too, light and dark; and the cards that fill it."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from src.reporting.html.canvas import Plot
from src.reporting.html.scripts import chart_script, chart_style, page_style, table_script


def document(title: str, header: str, cards: str, has_chart: bool = False) -> str:
    """Return a whole page in the house style; `header` and `cards` are HTML, the title is plain text.

    A page that `has_chart` holds the card of `chart_card` once.
    """
    style, script = page_style(), table_script()
    if has_chart:
        style, script = f"{chart_style()}\n{style}", f"{script}\n{chart_script()}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header>
{header}
</header>
<main>
{cards}
</main>
<script>{script}</script>
</body>
</html>
"""


def figure_card(plot: Plot, wide: bool = False, below: str = "", in_chart: bool = False) -> str:
    """Return a plot under its title, over both columns if `wide`; `below` is HTML under the picture.

    A picture that the chart shows too (`in_chart`) is hidden where the chart is drawn.
    """
    title = escape(plot.title)
    picture = plot.svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    if wide:
        picture = f'<div class="scroll">{picture}</div>'
    classes = " ".join(name for name, given in (("wide", wide), ("in-chart", in_chart)) if given)
    kind = f' class="{classes}"' if classes else ""
    return f'<section id="{plot.name}"{kind}><h2>{title}</h2>{picture}{below}</section>\n'


def table_card(name: str, title: str, table: str, note: str = "", is_sortable: bool = False) -> str:
    """Return a card over both columns; `table` (rows and headings) and `note` are HTML, the title is plain text."""
    kind = "summary sortable" if is_sortable else "summary"
    return (
        f'<section id="{name}" class="wide"><h2>{escape(title)}</h2><div class="scroll">'
        f'<table class="{kind}">{table}</table></div>{note}</section>\n'
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


def caution_boxes(cautions: Iterable[str]) -> str:
    """Return what to know before believing a page, a box for each plain text."""
    return "".join(f'<p class="verdict worse">Careful: {escape(caution)}.</p>' for caution in cautions)
