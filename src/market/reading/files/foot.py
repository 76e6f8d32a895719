"""What stands below the rows of a text file, such as a note of where they come from, or a total."""

import csv
import re

# What stands in the cell of a bar: a number in any style, a date, a time.
_VALUE = re.compile(
    r"[-+]?[$€£¥₹₿]?\s?\d[\d.,:'/\u00a0 -]*(e[-+]?\d+)?\s?(k|m|b|t|%|am|pm|z|utc|gmt)?"
    r"|\d[\d/:. -]*T?[\d:.]+\s?(z|(gmt|utc)?[-+]\d[\d:]*)?"
    r"|nan|null|n/a|",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"(grand )?(total|sum|average|mean|summe|gesamt)s?:?", re.IGNORECASE)
# A bar whose prices are missing is a bar: its row begins with a time, in digits or in words.
_TIME = re.compile(
    r"\d.*|([a-z]{2,9},? )?(\d{1,2}[ -][a-z]{3,9}\.?[ -]|[a-z]{3,9}\.? \d{1,2},? )\d{2,4}.*", re.IGNORECASE
)
_TAIL_BYTES = 1 << 12


def is_value(cell: str) -> bool:
    """Say whether a cell holds what a bar may hold: a number, a date or a time."""
    return bool(cell.strip()) and _VALUE.fullmatch(cell.strip()) is not None


def without_foot(data: bytes, delimiter: str) -> tuple[bytes, list[str]]:
    """Return a file without the lines below its rows, and these lines; notes hold no value, totals say so."""
    tail = data[-_TAIL_BYTES:]
    lines = tail.splitlines(keepends=True)[int(len(data) > _TAIL_BYTES) :]
    foot: list[str] = []
    end = len(data)
    for line in reversed(lines):
        shown = line.decode("utf-8", errors="replace").strip()
        if shown and not _is_below_rows(next(csv.reader([shown], delimiter=delimiter))):
            break
        end -= len(line)
        foot = [shown, *foot] if shown else foot
    return (data[:end], foot) if foot and end and len(foot) < len(lines) else (data, [])


def _is_below_rows(row: list[str]) -> bool:
    filled = [cell.strip() for cell in row if cell.strip()]
    is_total = bool(filled) and bool(_TOTAL.fullmatch(filled[0])) and len(filled) < len(row)
    is_note = bool(filled) and not _TIME.fullmatch(filled[0]) and not any(map(is_value, filled))
    return is_total or is_note
