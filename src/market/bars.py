"""`Bar` and `BarSeries`: closed OHLCV candles of one symbol, validated on construction.

A bar exists for the system once it has closed, so `close_time` is the moment its prices may be used.
Not here: reading files (`sources.py`), repairing defects (`market/quality`).
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.int64]

SETTLED_IN = "--"  # in an identity, where symbols have a colon
_WORD = re.compile(r"[^\W_]+")
_TIMEFRAME = re.compile(r"^(\d+)(mo|[smhdw])$")
YEAR_MS = 365.25 * 86_400_000
MONTH_MS = 2_629_800_000  # a twelfth of a year
_UNIT_MS = {"mo": MONTH_MS, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
PRICE_COLUMNS = ("open", "high", "low", "close")
COLUMNS = ("open_time", *PRICE_COLUMNS, "volume")
_values = attrgetter(*COLUMNS)


def timeframe_ms(timeframe: str) -> int:
    """Return the length of one bar in milliseconds: `15m`, `1h`, `1d` and the like; of months (`1mo`) the average."""
    count, unit = _count_and_unit(timeframe)
    return count * _UNIT_MS[unit]


def _count_and_unit(timeframe: str) -> tuple[int, str]:
    match = _TIMEFRAME.match(timeframe)
    if match is None or int(match[1]) == 0:
        raise DataError(
            f"timeframe '{timeframe}' is not understood; write a number and one of s, m, h, d, w, mo, like 1h"
        )
    return int(match[1]), match[2]


def closing_times(open_time: TimeArray, timeframe: str) -> TimeArray:
    """Return when bars that opened at `open_time`, (T,) or (), have closed; months end where the calendar says."""
    count, unit = _count_and_unit(timeframe)
    if unit != "mo":
        return open_time + count * _UNIT_MS[unit]
    opened = open_time.astype("datetime64[ms]")
    months = opened.astype("datetime64[M]")
    into_month = opened - months.astype("datetime64[ms]")
    closed: TimeArray = ((months + count).astype("datetime64[ms]") + into_month).astype(np.int64)
    return closed


def timeframe_name(ms: int) -> str:
    """Return the shortest name of a bar length: 3,600,000 -> `1h`."""
    for unit, length in _UNIT_MS.items():
        if ms % length == 0:
            return f"{ms // length}{unit}"
    raise DataError(f"a bar of {ms} ms is not a whole number of seconds")


def symbol_id(symbol: str) -> str:
    """Return the identity of a market, safe in file names: `BTC/USDT`, `btc-usdt` and `BTCUSDT` are one, `BTCUSDT`.

    What a contract is settled in stands behind the pair, so that a swap or a future is never taken for the spot market:
    `BTC/USDT:USDT` is `BTCUSDT--USDT`, `BTC/USDT:USDT-241227` is `BTCUSDT--USDT-241227`. An identity is a spelling of
    its market, too, and holds no `_`.

    Raises:
        DataError: there is no letter or digit before the colon, or none behind it.
    """
    pair, *settlement = re.split(f":|{SETTLED_IN}", unicodedata.normalize("NFKC", symbol).upper(), maxsplit=1)
    parts = ["".join(_WORD.findall(pair)), *("-".join(_WORD.findall(part)) for part in settlement)]
    if not all(parts):
        raise DataError(f"symbol '{symbol}' holds no letter or digit{' behind the colon' if parts[0] else ''}")
    return SETTLED_IN.join(parts)


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed candle. Times are UTC milliseconds since 1970."""

    open_time: int
    close_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True)
class BarSeries:
    """Closed candles of one symbol in order of time.

    Arrays are (T,), read-only: `open_time` int64 UTC milliseconds, prices and `volume` float64.

    Raises:
        DataError: unequal lengths, no bars, times not strictly increasing, prices not finite and positive, volume
            negative or not finite, or a candle whose high or low does not contain its open and close.
    """

    symbol: str
    timeframe: str
    open_time: TimeArray  # (T,)
    open: FloatArray  # (T,)
    high: FloatArray  # (T,)
    low: FloatArray  # (T,)
    close: FloatArray  # (T,)
    volume: FloatArray  # (T,)

    def __post_init__(self) -> None:
        timeframe_ms(self.timeframe)
        object.__setattr__(self, "open_time", _read_only(self.open_time, np.int64))
        for name in (*PRICE_COLUMNS, "volume"):
            object.__setattr__(self, name, _read_only(getattr(self, name), np.float64))
        self._validate()

    def _validate(self) -> None:
        self._require_bars()
        count = self.open_time.shape[0]
        for name in (*PRICE_COLUMNS, "volume"):
            if getattr(self, name).shape != (count,):
                raise DataError(f"{self.symbol}: column '{name}' has shape {getattr(self, name).shape}, not ({count},)")
        self._refuse(np.diff(self.open_time) <= 0, "open_time is not strictly increasing", offset=1)
        for name in PRICE_COLUMNS:
            column = getattr(self, name)
            self._refuse(~(np.isfinite(column) & (column > 0)), f"'{name}' is not a finite positive price")
        self._refuse(~(np.isfinite(self.volume) & (self.volume >= 0)), "'volume' is negative or not finite")
        top, bottom = np.maximum(self.open, self.close), np.minimum(self.open, self.close)
        self._refuse((self.high < top) | (self.low > bottom), "high or low does not contain open and close")

    def _require_bars(self) -> None:
        if self.open_time.shape[0] == 0:
            raise DataError(f"{self.symbol}: the series holds no bars; check the dates and the file")

    def _refuse(self, bad: NDArray[np.bool_], what: str, offset: int = 0) -> None:
        if bad.any():
            first = int(np.argmax(bad)) + offset
            when = np.datetime64(int(self.open_time[first]), "ms").astype("datetime64[s]")
            raise DataError(f"{self.symbol}: {what} in {int(bad.sum())} bar(s), first at row {first} ({when} UTC)")

    def __len__(self) -> int:
        return int(self.open_time.shape[0])

    def __getitem__(self, rows: slice) -> "BarSeries":
        """Return the bars of a contiguous slice, as views of these: candles that passed their checks pass them again.

        Raises:
            DataError: the slice holds no bars.
        """
        assert rows.step in (None, 1), f"a series is cut into stretches, not into every {rows.step}. bar"
        cut = object.__new__(BarSeries)
        object.__setattr__(cut, "symbol", self.symbol)
        object.__setattr__(cut, "timeframe", self.timeframe)
        for name in COLUMNS:
            object.__setattr__(cut, name, getattr(self, name)[rows])
        cut._require_bars()
        return cut

    @property
    def close_time(self) -> TimeArray:
        """UTC milliseconds at which each bar's prices may be used, (T,)."""
        return closing_times(self.open_time, self.timeframe)

    def bar(self, row: int) -> Bar:
        """Return one bar as a value."""
        opened = int(self.open_time[row])
        return Bar(
            open_time=opened,
            close_time=int(closing_times(self.open_time[row], self.timeframe)),
            open=float(self.open[row]),
            high=float(self.high[row]),
            low=float(self.low[row]),
            close=float(self.close[row]),
            volume=float(self.volume[row]),
        )

    @classmethod
    def of(cls, symbol: str, timeframe: str, bars: Sequence[Bar]) -> "BarSeries":
        """Return single candles as a series.

        Raises:
            DataError: as for the series itself.
        """
        values = chain.from_iterable(map(_values, bars))
        columns = np.fromiter(values, np.float64, len(COLUMNS) * len(bars)).reshape(-1, len(COLUMNS)).T
        return cls(symbol, timeframe, columns[0].astype(np.int64), *columns[1:])

    def to_frame(self) -> "pd.DataFrame":
        """Return a copy as a table: columns open, high, low, close, volume; index `open_time`, UTC."""
        import pandas as pd  # what trades needs no tables

        index = pd.to_datetime(self.open_time, unit="ms", utc=True).rename("open_time")
        return pd.DataFrame({name: getattr(self, name).copy() for name in COLUMNS[1:]}, index=index)

    @cached_property
    def log_returns(self) -> FloatArray:
        """Close-to-close log-returns, (T,); the first is 0."""
        return np.diff(np.log(self.close), prepend=np.log(self.close[0]))

    @cached_property
    def bars_per_year(self) -> float:
        """Bars in a year of this market, holidays and gaps included: count over elapsed time.

        Exact for round-the-clock markets and about 252 for daily equities; below one day of data, nominal.
        """
        span = float(self.open_time[-1] - self.open_time[0])
        nominal = YEAR_MS / timeframe_ms(self.timeframe)
        return nominal if span < 86_400_000 else min(nominal, (len(self) - 1) / span * YEAR_MS)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of symbol, timeframe and every value: two series with equal fingerprints are the same data."""
        digest = hashlib.sha256(f"{symbol_id(self.symbol)}|{self.timeframe}|".encode())
        for name in COLUMNS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()

    def mirrored(self) -> "BarSeries":
        """Return the market in a mirror: every log price negated around the first open.

        What rose falls by the same log-return. Used to show a policy both directions of the same path.
        """
        pivot = self.open[0] ** 2
        return BarSeries(
            self.symbol,
            self.timeframe,
            self.open_time,
            pivot / self.open,
            pivot / self.low,
            pivot / self.high,
            pivot / self.close,
            self.volume,
        )


def _read_only(values: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[np.generic]:
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array
