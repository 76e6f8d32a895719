"""Returns by calendar month, as numbers and as an HTML table whose colours follow the page's theme."""

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.reporting.formats import number

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
STRONGEST = 70  # opacity in percent of the month with the largest return


def monthly_returns(times: NDArray[np.datetime64], equity: FloatArray, initial_equity: float) -> dict[str, float]:
    """Return the return of equity (T,) in each calendar month (UTC) that has bars, by its name: `2024-03`."""
    months = times.astype("datetime64[M]")
    last = np.append(np.flatnonzero(months[1:] != months[:-1]), len(months) - 1)
    before = np.concatenate([[initial_equity], equity[last[:-1]]])
    change = np.divide(equity[last] - before, before, out=np.zeros_like(before), where=before > 0)
    return {str(month): float(value) for month, value in zip(months[last], change, strict=True)}


def heatmap_table(returns: dict[str, float]) -> str:
    """Return the months as a table: a row per year, compounded at its end, percent."""
    years = sorted({month[:4] for month in returns})
    reach = max(abs(value) for value in returns.values()) or 1.0
    head = "".join(f"<th>{name}</th>" for name in [*MONTHS, "Year"])
    rows = "".join(_year(year, returns, reach) for year in years)
    return f'<table class="months"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _year(year: str, returns: dict[str, float], reach: float) -> str:
    names = [f"{year}-{month:02d}" for month in range(1, 13)]
    cells = "".join(_cell(returns.get(name), reach) for name in names)
    total = float(np.prod([1.0 + returns[name] for name in names if name in returns])) - 1.0
    return f'<tr><th scope="row">{year}</th>{cells}<td class="total">{number(100 * total, 1)}</td></tr>'


def _cell(value: float | None, reach: float) -> str:
    if value is None:
        return "<td></td>"
    colour, strength = "gain" if value > 0 else "loss", round(STRONGEST * abs(value) / reach)
    shade = f"color-mix(in srgb, var(--{colour}) {strength}%, transparent)"
    return f'<td style="background:{shade}">{number(100 * value, 1)}</td>'
