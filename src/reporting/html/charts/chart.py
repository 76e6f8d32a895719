"""The chart of a page: panels that share their bars, with zoom and a cursor, drawn by `assets/chart.js`.

What it shows travels inside the page, in columns of 64-bit numbers; where bars are very many, they are gathered and
their extremes kept. Without scripts the pictures that the chart replaces stay.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.market.bars import BarSeries, FloatArray
from src.reporting.html.canvas import LOG_AXIS_FROM, LineStyle
from src.reporting.html.charts.bar_times import bar_times, is_intraday
from src.reporting.html.charts.thinning import Buckets
from src.reporting.html.layout import note

MOST_NUMBERS = 350_000  # a chart holds, 10.7 bytes each; of more bars, some are gathered to one row

_USE = "Drag over a stretch to look closer; double-click for all of it."
_BUTTONS = {
    "all": ("all", "show all"),
    "back": ("◀", "earlier"),
    "on": ("▶", "later"),
    "in": ("+", "closer"),
    "out": ("−", "further away"),
}


@dataclass(frozen=True)
class Line:
    """A curve of values (T,), all finite; `colour` is the name of a CSS variable, an area reaches down to zero."""

    label: str
    values: FloatArray
    colour: str
    style: LineStyle = "solid"
    is_area: bool = False


@dataclass(frozen=True)
class Candles:
    """Prices of each bar, (T,) each."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray


@dataclass(frozen=True)
class Panel:
    """Curves, and perhaps candles, over one scale.

    Attributes:
        height: pixels.
        is_money: drawn on a log scale where values differ much; other scales hold zero.
        unit: written behind each value.
    """

    title: str
    height: int
    lines: Sequence[Line] = ()
    candles: Candles | None = None
    is_money: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Marks:
    """Fills: how many to mark at each bar, (T,) each, and what to say of all of them, by bar."""

    buys: FloatArray
    sells: FloatArray
    notes: Mapping[int, Sequence[str]]


@dataclass(frozen=True)
class Chart:
    """Panels over some bars.

    Attributes:
        bars: one series, or several that follow one another; T in all.
        borders: bars at which something new begins, marked by a line.
    """

    bars: BarSeries | Sequence[BarSeries]
    panels: Sequence[Panel]
    marks: Marks | None = None
    borders: Sequence[int] = ()

    @property
    def parts(self) -> list[BarSeries]:
        """The series of bars."""
        return [self.bars] if isinstance(self.bars, BarSeries) else list(self.bars)

    @property
    def buckets(self) -> Buckets:
        """The rows drawn: bars, gathered where the page would grow too large."""
        bars = sum(map(len, self.parts))
        lines = sum(len(panel.lines) for panel in self.panels)
        others = 1 + 4 * sum(panel.candles is not None for panel in self.panels) + 2 * (self.marks is not None)
        if bars * (lines + others) <= MOST_NUMBERS:
            return Buckets(bars, 1)
        return Buckets.at_most(bars, MOST_NUMBERS // (3 * lines + others))


def chart_card(title: str, chart: Chart, remark: str = "") -> str:
    """Return the card; it stays hidden without scripts. The title and the remark under it are plain texts."""
    size = chart.buckets.size
    gathered = f"Each point gathers {size} bars and keeps their extremes." if size > 1 else ""
    remarks = note(" ".join(filter(None, (_USE, gathered, remark))))
    buttons = "".join(
        f'<button name="{name}" title="{meaning}" aria-label="{meaning}">{sign}</button>'
        for name, (sign, meaning) in _BUTTONS.items()
    )
    readout = f'<p class="readout{" with-fills" if chart.marks else ""}"></p>'
    data = json.dumps(chart_plain(chart), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<section id="chart" class="wide chart"><h2>{escape(title)}</h2><div class="buttons">{buttons}</div>{readout}'
        f'<div class="panels"></div>{remarks}<script type="application/json" id="chart-data">{data}</script>'
        "</section>\n"
    )


def chart_plain(chart: Chart) -> dict[str, Any]:
    """Return what the script draws: plain data, columns of 64-bit numbers in base64 (little endian)."""
    buckets = chart.buckets
    times = np.concatenate([bar_times(part) for part in chart.parts]).astype(np.int64)
    return {
        "times": _encoded(times[buckets.starts]),
        "is_intraday": is_intraday(chart.parts[0]),
        "panels": [_panel_plain(panel, buckets) for panel in chart.panels],
        "marks": None if chart.marks is None else _marks_plain(chart.marks, buckets),
        "borders": [bar // buckets.size for bar in chart.borders],
    }


def _panel_plain(panel: Panel, buckets: Buckets) -> dict[str, Any]:
    candles = panel.candles
    values = [line.values for line in panel.lines] + ([candles.low, candles.high] if candles else [])
    low, high = min(float(column.min()) for column in values), max(float(column.max()) for column in values)
    return {
        "title": panel.title,
        "height": panel.height,
        "unit": panel.unit,
        "is_money": panel.is_money,
        "is_log": panel.is_money and low > 0 and high / low >= LOG_AXIS_FROM,
        "lines": [_line_plain(line, buckets) for line in panel.lines],
        "candles": None if candles is None else _candles_plain(candles, buckets),
    }


def _line_plain(line: Line, buckets: Buckets) -> dict[str, Any]:
    columns = {"last": line.values[buckets.ends]}
    if buckets.size > 1:
        columns |= {"low": buckets.lowest(line.values), "high": buckets.highest(line.values)}
    return {
        "label": line.label,
        "colour": line.colour,
        "style": line.style,
        "is_area": line.is_area,
        "columns": {name: _encoded(column) for name, column in columns.items()},
    }


def _candles_plain(candles: Candles, buckets: Buckets) -> dict[str, str]:
    return {
        "open": _encoded(candles.open[buckets.starts]),
        "high": _encoded(buckets.highest(candles.high)),
        "low": _encoded(buckets.lowest(candles.low)),
        "close": _encoded(candles.close[buckets.ends]),
    }


def _marks_plain(marks: Marks, buckets: Buckets) -> dict[str, Any]:
    notes: dict[int, list[str]] = {}
    for bar, texts in marks.notes.items():
        notes.setdefault(bar // buckets.size, []).extend(texts)
    return {
        "buys": _encoded(buckets.total(marks.buys)),
        "sells": _encoded(buckets.total(marks.sells)),
        "notes": notes,
    }


def _encoded(column: NDArray[Any]) -> str:
    assert np.isfinite(column).all(), "a chart has no place for NaN"
    return base64.b64encode(column.astype("<f8").tobytes()).decode("ascii")
