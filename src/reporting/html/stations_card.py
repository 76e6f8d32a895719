"""The card that says which station changed how many decisions, and why."""

from html import escape

from src.reporting.formats import percent
from src.reporting.html.charts.bar_times import bar_name
from src.reporting.html.layout import facts_table, note, table_card, table_head
from src.reporting.stations import StationActivity, stations_acted, stations_sentence
from src.reporting.summary import Report


def stations_card(report: Report) -> str:
    """Return the table; nothing for a backtest without a risk file."""
    if report.reviews is None:
        return ""
    rows = "".join(_row(report, acted) for acted in stations_acted(report.reviews))
    headings = ("", "decisions", "of all", "on", "as it was")
    limits = facts_table({name: str(value) for name, value in report.description.limits.items()})
    below = note("What was wanted at each bar, and the reason, stand in steps.parquet as wanted and reason.")
    folded = f"<details><summary>Limits in force</summary>{limits}</details>"
    table = f"{table_head(headings)}<tbody>{rows}</tbody>" if rows else ""
    return table_card("stations", stations_sentence(report.reviews), table, f"{below}{folded}")


def _row(report: Report, acted: StationActivity) -> str:
    assert report.reviews is not None
    share = percent(acted.decisions / len(report.reviews.changes))
    day = bar_name(report.bars, acted.row)
    return (
        f'<tr><th scope="row" class="named">{escape(acted.station)}</th><td>{acted.decisions:,}</td><td>{share}</td>'
        f'<td>{day}</td><td class="words">{escape(acted.example)}</td></tr>'
    )
