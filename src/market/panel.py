"""`Panel`: several symbols on one axis of time, each with the bars it has and no others.

The axis holds every time at which any symbol has a bar. Nothing is filled: where a symbol has none, its prices and
volume are NaN, so that arithmetic that forgets to look at `has_bar` shows at once. A symbol is listed from its first
bar on; one whose bars end well before the axis does was delisted after its last. Well before: by more bars than ten and
than twice its longest gap, so that a share is not taken for delisted on a weekend that only its neighbours trade on.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import COLUMNS, YEAR_MS, BarSeries, FloatArray, TimeArray, closing_times, symbol_id, timeframe_ms
from src.market.instrument import ROUND_THE_CLOCK

BoolArray = NDArray[np.bool_]
Array = TypeVar("Array", bound=NDArray[Any])

DELISTED_AFTER_BARS = 10  # bars of the axis at its end without one of its own
MOST_NAMED = 3


@dataclass(frozen=True)
class SymbolFacts:
    """What is known of a symbol besides its prices.

    Attributes:
        sector: of its issuer; empty where unknown, which is a sector of its own for each such symbol.
        currency: what it is paid in; empty where unknown.
        calendar: when it trades: `24/7`, or the code of an exchange with sessions, `XNYS`.
    """

    sector: str = ""
    currency: str = ""
    calendar: str = ROUND_THE_CLOCK


@dataclass(frozen=True, eq=False)
class Panel:
    """Closed candles of S symbols on one axis of T times.

    Arrays are read-only; prices and volumes are NaN exactly where `has_bar` is False. `Panel.of` checks what it is made
    of.
    """

    name: str
    timeframe: str
    symbols: tuple[str, ...]
    facts: tuple[SymbolFacts, ...]
    open_time: TimeArray  # (T,), UTC milliseconds
    open: FloatArray  # (T, S)
    high: FloatArray  # (T, S)
    low: FloatArray  # (T, S)
    close: FloatArray  # (T, S)
    volume: FloatArray  # (T, S)
    listed: BoolArray  # (T, S)

    @classmethod
    def of(cls, name: str, series: Sequence[BarSeries], facts: Mapping[str, SymbolFacts] | None = None) -> "Panel":
        """Put series side by side.

        Args:
            facts: by symbol, spelled as its series spells it; symbols without any have the defaults.

        Raises:
            DataError: no series, a symbol twice, bars of different lengths, a symbol with a single bar, or one that has
                no bar at a time at which another has one.
        """
        _require_symbols(name, series)
        axis = np.unique(np.concatenate([bars.open_time for bars in series]))
        rows = [np.searchsorted(axis, bars.open_time) for bars in series]
        _require_common_bars(name, series, rows, len(axis))
        columns = {column: _side_by_side(column, series, rows, len(axis)) for column in COLUMNS[1:]}
        known = facts or {}
        return cls(
            name,
            series[0].timeframe,
            tuple(bars.symbol for bars in series),
            tuple(known.get(bars.symbol, SymbolFacts()) for bars in series),
            _read_only(axis),
            **columns,
            listed=_read_only(_listed(rows, len(axis))),
        )

    def __len__(self) -> int:
        return int(self.open_time.shape[0])

    def __getitem__(self, rows: slice) -> "Panel":
        """Return a contiguous stretch as views of this panel, with all of its symbols.

        Raises:
            DataError: the slice holds no bars.
        """
        assert rows.step in (None, 1), f"a panel is cut into stretches, not into every {rows.step}. bar"
        if len(self.open_time[rows]) == 0:
            raise DataError(f"{self.name}: the stretch holds no bars; check the dates")
        return replace(self, **{column: getattr(self, column)[rows] for column in (*COLUMNS, "listed")})

    @cached_property
    def has_bar(self) -> BoolArray:
        """Whether a symbol has a bar and so can be traded, (T, S)."""
        return _read_only(np.isfinite(self.close))

    @cached_property
    def close_time(self) -> TimeArray:
        """UTC milliseconds at which the prices of each row may be used, (T,)."""
        return closing_times(self.open_time, self.timeframe)

    @cached_property
    def bars_per_year(self) -> float:
        """Rows in a year, counted over the time the axis spans; below one day of data, nominal."""
        span = float(self.open_time[-1] - self.open_time[0])
        nominal = YEAR_MS / timeframe_ms(self.timeframe)
        return nominal if span < 86_400_000 else min(nominal, (len(self) - 1) / span * YEAR_MS)

    @cached_property
    def last_close(self) -> FloatArray:
        """The newest close of each symbol at each row, by which a holding is marked, (T, S); NaN before its first."""
        newest = np.maximum.accumulate(np.where(self.has_bar, np.arange(len(self))[:, None], -1), axis=0)
        closes = np.take_along_axis(self.close, np.maximum(newest, 0), axis=0)
        return _read_only(np.where(newest >= 0, closes, np.nan))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of symbols, facts, timeframe and every value."""
        digest = hashlib.sha256(f"{self.timeframe}|{[symbol_id(s) for s in self.symbols]}|{self.facts}|".encode())
        for column in (*COLUMNS, "listed"):
            digest.update(np.ascontiguousarray(getattr(self, column)).tobytes())
        return digest.hexdigest()

    def column(self, symbol: str) -> int:
        """Return the place of a symbol.

        Raises:
            DataError: the panel does not hold it.
        """
        if symbol not in self.symbols:
            raise DataError(f"{self.name} does not hold '{symbol}'. Valid: {', '.join(self.symbols)}")
        return self.symbols.index(symbol)

    def series(self, symbol: str) -> BarSeries:
        """Return the bars of one symbol.

        Raises:
            DataError: the panel does not hold it, or no bar of it.
        """
        column = self.column(symbol)
        rows = np.flatnonzero(self.has_bar[:, column])
        values = [getattr(self, name)[rows, column] for name in COLUMNS[1:]]
        return BarSeries(symbol, self.timeframe, self.open_time[rows], *values)


def _require_symbols(name: str, series: Sequence[BarSeries]) -> None:
    if len(series) == 0:
        raise DataError(f"{name} holds no symbol; name at least one")
    seen: dict[str, str] = {}
    for bars in series:
        identity = symbol_id(bars.symbol)
        if identity in seen:
            raise DataError(f"{name} holds {bars.symbol} twice (as {seen[identity]} and {bars.symbol}); name it once")
        seen[identity] = bars.symbol
        if bars.timeframe != series[0].timeframe:
            raise DataError(
                f"{name}: {bars.symbol} has {bars.timeframe} bars and {series[0].symbol} has {series[0].timeframe}; "
                "bring all to one length, or set data.timeframe"
            )
        if len(bars) < 2:
            raise DataError(f"{name}: {bars.symbol} has a single bar; leave it out, or get more of its history")


def _require_common_bars(name: str, series: Sequence[BarSeries], rows: Sequence[TimeArray], length: int) -> None:
    if len(series) == 1:
        return
    holders = np.bincount(np.concatenate(rows), minlength=length)
    alone = [bars.symbol for bars, own in zip(series, rows, strict=True) if not np.any(holders[own] > 1)]
    if alone:
        more = f" and {len(alone) - MOST_NAMED} more" if len(alone) > MOST_NAMED else ""
        raise DataError(
            f"{name}: {', '.join(alone[:MOST_NAMED])}{more} shares no bar with any other symbol; check that the files "
            "cover the same years, and that their times are of one zone (data.timezone, data.session)"
        )


def _side_by_side(column: str, series: Sequence[BarSeries], rows: Sequence[TimeArray], length: int) -> FloatArray:
    values = np.full((length, len(series)), np.nan)
    for number, (bars, own) in enumerate(zip(series, rows, strict=True)):
        values[own, number] = getattr(bars, column)
    return _read_only(values)


def _listed(rows: Sequence[TimeArray], length: int) -> BoolArray:
    listed = np.zeros((length, len(rows)), dtype=np.bool_)
    for number, own in enumerate(rows):
        longest_gap = int(np.diff(own).max())
        is_delisted = own[-1] + max(DELISTED_AFTER_BARS, 2 * longest_gap) < length - 1
        listed[own[0] : own[-1] + 1 if is_delisted else length, number] = True
    return listed


def _read_only(array: Array) -> Array:
    array.setflags(write=False)
    return array
