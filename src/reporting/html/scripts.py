"""Scripts and styles of the pages: our own beside this file, the chart library in the project's `vendor` folder."""

from pathlib import Path

from src.errors import ConfigError

_ASSETS = Path(__file__).parent / "assets"
_CHART_LIBRARY = Path(__file__).parents[3] / "vendor/uplot"
_CHART_PARTS = ("axes.js", "candles.js", "panels.js", "chart.js")


def page_style() -> str:
    """Return the style sheet of every page."""
    return (_ASSETS / "page.css").read_text(encoding="utf-8")


def table_script() -> str:
    """Return the script that sorts tables."""
    return _enclosed((_ASSETS / "tables.js").read_text(encoding="utf-8"))


def chart_script() -> str:
    """Return the chart library and the script that draws the chart of a page."""
    parts = "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in _CHART_PARTS)
    return f"{_library('uPlot.iife.min.js')}\n{_enclosed(parts)}"


def chart_style() -> str:
    """Return the style sheet of the chart library."""
    return _library("uPlot.min.css")


def _library(name: str) -> str:
    try:
        return (_CHART_LIBRARY / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"the chart library of reports is missing: {_CHART_LIBRARY / name}; install the project from a checkout"
            " (pip install -e .), which holds it in vendor/uplot"
        ) from error


def _enclosed(script: str) -> str:
    return f'(() => {{\n"use strict";\n{script}}})();'
