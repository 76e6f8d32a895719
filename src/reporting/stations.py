"""What stations did to decisions, in words and figures: page, terminal, `steps.parquet` and `summary.json` agree."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.trading.records import Reviews

_BETWEEN = " | "  # what several stations said of one decision


class StationActivity(NamedTuple):
    """How often a station changed something, and how it did the first time."""

    station: str
    decisions: int
    example: str
    row: int  # of the example, among the rows reviewed


def stations_acted(reviews: Reviews) -> list[StationActivity]:
    """Return the stations that changed something, the busiest first."""
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, int]] = {}
    for row, changes in enumerate(reviews.changes):
        for change in changes:
            counts[change.station] += 1
            if change.station not in first:
                first[change.station] = (change.sentence, row)
    return [StationActivity(station, count, *first[station]) for station, count in counts.most_common()]


def stations_sentence(reviews: Reviews) -> str:
    """Say how many decisions were changed, and by which stations."""
    changed, total = _changed(reviews), len(reviews.changes)
    if not changed:
        return f"Stations changed none of {total:,} decisions."
    each = ", ".join(f"{acted.station} {acted.decisions:,}" for acted in stations_acted(reviews))
    return f"Stations changed {changed:,} of {total:,} decisions: {each}."


def stations_plain(reviews: Reviews) -> dict[str, Any]:
    """Return the same as plain data."""
    return {
        "decisions": len(reviews.changes),
        "changed": _changed(reviews),
        "by_station": {acted.station: acted.decisions for acted in stations_acted(reviews)},
    }


def review_columns(reviews: Reviews) -> dict[str, NDArray[Any]]:
    """Return columns (T,) of `steps.parquet`: what was `wanted`, and the `reason` why something else is in force."""
    return {"wanted": reviews.wanted, "reason": np.array(reasons(reviews), dtype=object)}


def reasons(reviews: Reviews) -> list[str]:
    """Return what stations said of each decision, (T,); empty where they changed nothing."""
    return [_BETWEEN.join(change.sentence for change in changes) for changes in reviews.changes]


def _changed(reviews: Reviews) -> int:
    return sum(bool(changes) for changes in reviews.changes)
