"""Texts of dates, times of day and zones: what shape they have, and what they mean."""

import re

import numpy as np
import pandas as pd

from src.errors import DataError
from src.market.bars import TimeArray

_DAY_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AaPp][Mm])?"
_ZONE = r"\s?(?P<zone>Z|(?:UTC|GMT)?[+-]\d{1,2}:?(?:\d{2})?|[A-Z]{3,4}|[A-Za-z]+/[A-Za-z_/+-]+\d*)?"
_MONTH = r"[A-Za-z]{3,9}\.?"
# Tried in this order on the head of a file: dates in numbers, then dates with names of months.
_SHAPES = (
    rf"^(?P<date>\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}|\d{{8}}|\d{{4}}[-/.]\d{{1,2}})"
    rf"(?:(?:\s+|T|:|, ?)(?P<time>{_DAY_TIME}|\d{{6}}|\d{{4}}|\d{{1,2}}-[AP]M){_ZONE})?$",
    rf"^(?:[A-Z][a-z]{{2,8}},?\s+)?(?P<date>\d{{1,2}}[ -]{_MONTH}[ -]\d{{2,4}}|{_MONTH} \d{{1,2}},? \d{{4}})"
    rf"(?:,?\s+(?P<time>{_DAY_TIME}){_ZONE})?$",
)
_DATE_FORMATS = {
    r"\d{4}-\d{1,2}-\d{1,2}": ("%Y-%m-%d",),
    r"\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
    r"\d{4}\.\d{1,2}\.\d{1,2}": ("%Y.%m.%d",),
    r"\d{8}": ("%Y%m%d",),
    r"\d{4}-\d{1,2}": ("%Y-%m",),
    r"\d{4}/\d{1,2}": ("%Y/%m",),
    r"\d{4}\.\d{1,2}": ("%Y.%m",),
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),  # nobody writes the month first with points
    r"\d{1,2}\.\d{1,2}\.\d{2}": ("%d.%m.%y", "%y.%m.%d"),
    r"\d{1,2}/\d{1,2}/\d{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{1,2}/\d{1,2}/\d{2}": ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d"),
    r"\d{1,2}-\d{1,2}-\d{2}": ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    r"\d{1,2} [A-Za-z]+\.? \d{4}": ("%d %b %Y", "%d %B %Y"),
    r"\d{1,2}-[A-Za-z]+\.?-\d{4}": ("%d-%b-%Y", "%d-%B-%Y"),
    r"\d{1,2} [A-Za-z]+\.? \d{2}": ("%d %b %y", "%d %B %y"),
    r"\d{1,2}-[A-Za-z]+\.?-\d{2}": ("%d-%b-%y", "%d-%B-%y"),
    r"[A-Za-z]+\.? \d{1,2}, \d{4}": ("%b %d, %Y", "%B %d, %Y"),
    r"[A-Za-z]+\.? \d{1,2} \d{4}": ("%b %d %Y", "%B %d %Y"),
}
_ZONE_HOURS = {"Z": 0, "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PDT": -7}
_ZONE_HOURS |= {"PST": -8, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "HKT": 8, "SGT": 8, "JST": 9, "KST": 9}


def text_shape(head: list[str]) -> str:
    """Return the pattern, with groups date, time and zone, that fits most of the first texts of a column."""
    return max(_SHAPES, key=lambda shape: sum(re.match(shape, text) is not None for text in head))


def date_format(dates: list[str], name: str) -> tuple[TimeArray, str, str]:
    """Return distinct dates as milliseconds (N,), how they are written, and a remark if there was a choice.

    Raises:
        DataError: no way of writing fits all of them, or two do and mean different days.
    """
    fitting: dict[str, TimeArray] = {}
    candidates = _candidates(dates)
    for form in candidates:
        parsed = _parsed(dates, form)
        if parsed is not None and not any(np.array_equal(parsed, other) for other in fitting.values()):
            fitting[form] = parsed
    if not fitting:
        raise DataError(
            f"column '{name}' holds dates that are not all written in one way, such as '{dates[0]}' and"
            f" '{_other(dates, candidates)}'; say how with data.time_format, such as '%d/%m/%Y %H:%M'"
        )
    if len(fitting) > 1:
        raise DataError(
            f"dates of column '{name}' such as '{dates[0]}' may be {' or '.join(fitting)}, and no day above 12 settles"
            f" it; say which with data.time_format, for example data.time_format='{next(iter(fitting))}'"
        )
    form, parsed = next(iter(fitting.items()))
    had_choice = len({_order(candidate) for candidate in candidates}) > 1
    remark = f"dates are read as {form}, the only order that fits all of them; data.time_format decides otherwise"
    return parsed, form, remark if had_choice else ""


def _candidates(dates: list[str]) -> tuple[str, ...]:
    for shape, forms in _DATE_FORMATS.items():
        if re.fullmatch(shape, dates[0]):
            return forms
    return ()


def _order(form: str) -> str:
    return re.sub(r"[^a-zA-Z]", "", form).lower().replace("b", "m")


def _parsed(dates: list[str], form: str) -> TimeArray | None:
    without_points = [date.replace(".", "") for date in dates] if "%b" in form.lower() else dates
    try:
        days = pd.to_datetime(pd.Series(without_points), format=form)
    except ValueError:
        return None
    return days.to_numpy().astype("datetime64[ms]").astype(np.int64)


def _other(dates: list[str], forms: tuple[str, ...]) -> str:
    # A date that the way of the first does not read.
    return next((date for date in dates if forms and _parsed([date], forms[0]) is None), dates[-1])


def day_times(texts: list[str]) -> tuple[TimeArray, str]:
    """Return distinct times of day as milliseconds since midnight (N,), and how the first is written.

    Raises:
        DataError: a time of day that does not exist.
    """
    return np.array([_of_day(text) for text in texts], np.int64), _day_time_form(texts[0] if texts else "")


def _of_day(text: str) -> int:
    if text in ("", "None"):
        return 0
    numbers = re.findall(r"\d+", text)
    if len(numbers) == 1 and len(text) in (4, 6):  # 0930, 093000
        numbers = [text[place : place + 2] for place in range(0, len(text), 2)]
    hour, minute, second, fraction = [*numbers, "0", "0", "0"][:4]
    hours = int(hour)
    if half := re.search(r"[AaPp](?=[Mm])", text):
        hours = hours % 12 + (12 if half[0] in "Pp" else 0)
    if hours > 24 or int(minute) > 59 or int(second) > 59 or (hours == 24 and (int(minute) or int(second))):
        raise DataError(f"'{text}' is no time of day; say how times are written with data.time_format")
    return ((hours * 60 + int(minute)) * 60 + int(second)) * 1000 + int(f"{fraction:0<3}"[:3])


def _day_time_form(text: str) -> str:
    if not re.search(r"\d", text):
        return ""
    if re.fullmatch(r"\d+", text):
        return "%H%M%S"[: len(text)]
    clock = "%I" if re.search("[AaPp][Mm]", text) else "%H"
    form = clock + ":%M" * (":" in text) + ":%S" * (text.count(":") > 1) + ".%f" * ("." in text)
    return form if clock == "%H" else form + (" %p" if ":" in text else "-%p")


def zone_minutes(zone: str) -> int:
    """Return the minutes by which a zone is ahead of UTC: `Z`, `UTC`, `+0100`, `GMT-05:00`, `EST`.

    Raises:
        DataError: none of these.
    """
    if zone in _ZONE_HOURS:
        return 60 * _ZONE_HOURS[zone]
    if offset := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", zone):
        minutes = 60 * int(offset[2]) + int(offset[3] or 0)
        return -minutes if offset[1] == "-" else minutes
    without = "no zone in some rows" if not zone else f"the zone '{zone}', which may be several"
    raise DataError(f"times name {without}; write the offset from UTC, such as +01:00")
