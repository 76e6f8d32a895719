"""Pages of reports as tests read them: well-formed, self-contained, and apart from their own scripts."""

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

from src.reporting.html.scripts import chart_script, chart_style, table_script

VOID = {"meta", "link", "br", "img", "input", "hr"}
_DATA = re.compile(r'<script type="application/json" id="chart-data">([^<]*)</script>')


class Page(HTMLParser):
    """Checks that every tag closes where it should and keeps ids and addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        if tag == "section":
            self.sections.append(str(found.get("id")))
        self.addresses += [str(found[name]) for name in ("src", "href", "xlink:href") if name in found]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def markup(page: str) -> str:
    """Return a page without the project's own scripts and the data of its chart, as a browser without scripts has it.

    A script that came in with the data of a report would stay.
    """
    tables, chart = table_script(), chart_script()
    for script in (f"<script>{tables}\n{chart}</script>", f"<script>{tables}</script>", chart_style()):
        page = page.replace(script, "")
    return _DATA.sub("", page)


def chart_data(page: str) -> dict[str, Any]:
    """Return what the chart of a page draws, columns decoded."""
    found: dict[str, Any] = _decoded(json.loads(_DATA.findall(page)[0]))
    return found


def refuse_network_and_nan(page: str) -> None:
    """Fail where a page would load something, or shows NaN, or a colour that its theme lacks."""
    html = markup(page)
    assert all(address.startswith("#") for address in Page(page).addresses)
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//|url\(\s*["']?https?:|@import|<script|<link""", html)
    assert not re.search(r"\b(nan|inf|infinity)\b", html, re.IGNORECASE)
    assert set(re.findall(r"var\(--(\w+)\)", page)) <= set(re.findall(r"--(\w+):", page))


def _decoded(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _decoded(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_decoded(inner) for inner in value]
    if isinstance(value, str) and name in {"times", "open", "high", "low", "close", "last", "buys", "sells"}:
        return np.frombuffer(base64.b64decode(value), "<f8")
    return value
