"""Times of price files in whichever form, as UTC milliseconds. Times without a zone are UTC."""

import numpy as np
import pandas as pd

from src.errors import DataError
from src.market.bars import TimeArray

# Tried in this order; none reads another's text. Day and month are never guessed: 01/02/2020 is refused.
_FORMATS = (
    "ISO8601",
    "%d.%m.%Y %H:%M:%S.%f",  # Dukascopy
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%Y.%m.%d %H:%M:%S",  # MetaTrader
    "%Y.%m.%d %H:%M",
    "%Y%m%d %H%M%S",  # HistData
    "%Y-%m-%d %I-%p",  # CryptoDataDownload
)
# Numbers since 1970 by size: each unit spans the years 1973 to 5138, so no number is ambiguous.
_UNITS = ((1e8, 1e11, 1_000.0), (1e11, 1e14, 1.0), (1e14, 1e17, 1e-3), (1e17, 1e20, 1e-6))
_CALENDAR_DAYS = (19000101, 21001231)


def to_milliseconds(column: pd.Series) -> TimeArray:
    """Return the times of a column as int64 UTC milliseconds, (T,); what is finer is cut off.

    Numbers are s, ms, us or ns since 1970, row by row (some exchanges changed the unit halfway), or `yyyymmdd`.

    Raises:
        DataError: a time is missing or not understood; the first such row is named.
    """
    _refuse(column, column.isna().to_numpy())
    if isinstance(column.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_dtype(column):
        return _from_datetimes(pd.to_datetime(column, utc=True))
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return _from_numbers(column)
    return _from_texts(column.astype(str).str.strip())


def _from_datetimes(column: pd.Series) -> TimeArray:
    times: TimeArray = column.dt.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    return times


def _from_numbers(column: pd.Series) -> TimeArray:
    values = column.to_numpy()
    if np.all((values >= _CALENDAR_DAYS[0]) & (values <= _CALENDAR_DAYS[1])):
        return _from_texts(column.astype("int64").astype(str))
    times = np.zeros(len(values), dtype=np.int64)
    understood = np.zeros(len(values), dtype=bool)
    for low, high, factor in _UNITS:
        rows = (values >= low) & (values < high)
        times[rows] = _scaled(values[rows], factor)
        understood |= rows
    _refuse(column, ~understood)
    return times


def _scaled(values: np.ndarray, factor: float) -> TimeArray:
    if np.issubdtype(values.dtype, np.integer):
        whole = values.astype(np.int64)
        return whole * int(factor) if factor >= 1 else whole // round(1 / factor)
    return np.rint(values.astype(np.float64) * factor).astype(np.int64)


def _from_texts(texts: pd.Series) -> TimeArray:
    candidates = [pd.to_datetime(texts, utc=True, format=form, errors="coerce") for form in _likely_formats(texts)]
    best = min(candidates, key=lambda parsed: int(parsed.isna().sum()))
    _refuse(texts, best.isna().to_numpy())
    return _from_datetimes(best)


def _likely_formats(texts: pd.Series) -> list[str]:
    # The formats that read the first row; all rows must then agree with one of them.
    first = texts.iloc[:1]
    fitting = [f for f in _FORMATS if pd.to_datetime(first, utc=True, format=f, errors="coerce").notna().all()]
    return fitting or ["ISO8601"]


def _refuse(column: pd.Series, bad: np.ndarray) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"column '{column.name}' holds {int(bad.sum())} time(s) that cannot be read, first '{column.iloc[row]}' at"
            f" row {row}; write ISO times such as 2020-01-31T13:00Z or milliseconds since 1970"
        )
