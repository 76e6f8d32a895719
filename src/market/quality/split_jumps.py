"""Jumps between two bars that look like a stock split for which nobody adjusted the prices.

A jump is the price at which a bar opens over the price at which the bar before it closed. It is weighed by the odds
of two explanations: a split (the jump is a ratio of small integers, give or take an ordinary night; volume in shares
changes by the inverse) against a move of the market (heavy tails; volume may change by anything). How unusual the
jump is for this market decides nothing on its own, and a weekend before it changes nothing. A jump of which nothing is
left some bars later is no split. `docs/data_quality.md` states how often it is right and how often it is wrong.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import BarSeries, FloatArray
from src.market.quality.defects import DAY_MS, CandleColumns

Rows = NDArray[np.intp]

# New shares for old ones; and the other way round, where a company merges shares.
_FORWARD = (
    *((new, 1) for new in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100, 1000)),
    *((3, 2), (5, 2), (4, 3), (5, 3), (5, 4)),
)
RATIOS = np.array([*_FORWARD, *((old, new) for new, old in _FORWARD if old == 1), (2, 3)])  # (R, 2)
_LOG_RATIOS = np.log(RATIOS[:, 0] / RATIOS[:, 1])

SMALLEST_JUMP = 1.15  # a factor below this is no split of the list
LEVEL_BARS = 10  # bars before and after, whose medians tell whether the new level lasts
LASTING_FRAC = 0.5  # most of a jump that may be missing between those medians
VOLUME_DAYS, VOLUME_BARS = 5, 20  # volume is compared over so many days, but at least so many bars
SPLITS_PER_NIGHT = 1 / 2000  # how often a company splits its shares: every eight years
VOLUME_TELLS = 0.7  # part of the vendors whose volume is not adjusted either
NOTED_ODDS = 1 / 20  # a note costs little, a split that is missed costs the model


@dataclass(frozen=True, slots=True)
class SplitLikeJump:
    """A jump that looks like a split: `new` shares for `old` ones.

    Attributes:
        row: the first bar at the new price.
        open_time: of that bar, UTC milliseconds.
    """

    row: int
    open_time: int
    new: int
    old: int

    @property
    def ratio(self) -> str:
        """The ratio as people write it: 2:1, 1.5:1, 4:3, 1:10."""
        decimal = self.new / self.old
        return f"{decimal:g}:1" if self.new > self.old and 4 * decimal % 1 == 0 else f"{self.new}:{self.old}"

    def __str__(self) -> str:
        return f"looks like a {self.ratio} split at {np.datetime64(self.open_time, 'ms').astype('datetime64[D]')}"


def split_like_jumps(bars: BarSeries, rows: range | None = None) -> tuple[SplitLikeJump, ...]:
    """Return the jumps of a series that look like splits; with `rows` those between two bars of these rows alone.

    The whole series is looked at in any case, so this judges bars and must never decide what is traded.
    """
    prices = np.column_stack([bars.open, bars.high, bars.low, bars.close])
    found = find_split_jumps(CandleColumns(bars.open_time, prices, bars.volume, bars.open_time))
    return found if rows is None else tuple(jump for jump in found if rows.start < jump.row < rows.stop)


def find_split_jumps(c: CandleColumns) -> tuple[SplitLikeJump, ...]:
    """Return the jumps of sound rows in order of time; `row` is their position among these."""
    opened, close = c.prices[:, 0], c.prices[:, 3]
    factor = close[:-1] / opened[1:]
    rows = 1 + np.flatnonzero((factor > SMALLEST_JUMP) | (factor < 1 / SMALLEST_JUMP))
    if not rows.size:
        return ()
    nights = _first_bars(c)
    rows = rows[np.isin(rows, nights) & _lasts(close, rows, np.log(factor[rows - 1]))]
    if not rows.size:
        return ()
    log_odds = _log_odds(np.log(factor[rows - 1]), _scales(c, nights), _volume_shift(c, rows, nights))
    best = np.argmax(log_odds, axis=1)
    # The odds of all ratios together decide whether, the likeliest says which.
    is_split = np.logaddexp.reduce(log_odds, axis=1) > np.log(NOTED_ODDS)
    return tuple(
        SplitLikeJump(int(row), int(c.open_time[row]), *map(int, RATIOS[which]))
        for row, which in zip(rows[is_split], best[is_split], strict=True)
    )


def _first_bars(c: CandleColumns) -> Rows:
    # Bars that open another date, or after a pause: shares are not split while they trade.
    steps = np.diff(c.open_time)
    another_day = np.diff(c.open_time // DAY_MS) > 0
    return 1 + np.flatnonzero(another_day | (steps > np.median(steps)))


def _lasts(close: FloatArray, rows: Rows, jump: FloatArray) -> NDArray[np.bool_]:
    after = np.minimum(rows[:, None] + np.arange(LEVEL_BARS), len(close) - 1)
    before = np.maximum(rows[:, None] - 1 - np.arange(LEVEL_BARS), 0)
    change = np.log(np.median(close[before], axis=1) / np.median(close[after], axis=1))
    return np.asarray(np.abs(change - jump) < LASTING_FRAC * np.abs(jump))


class _Scales(NamedTuple):
    """Ordinary moves of a market, as robust standard deviations of log prices."""

    night: float  # from the last bar of a day to the first of the next
    day: float  # from the last bar of a day to that of the next


def _scales(c: CandleColumns, nights: Rows) -> _Scales:
    opened, close = c.prices[:, 0], c.prices[:, 3]
    ends = np.append(nights - 1, len(close) - 1)
    day = max(_robust_deviation(np.diff(np.log(close[ends]))), 1e-3)
    return _Scales(max(_robust_deviation(np.log(opened[nights] / close[nights - 1])), 0.2 * day), day)


def _robust_deviation(values: FloatArray) -> float:
    moving = np.abs(values[values != 0])
    return 1.4826 * float(np.median(moving)) if moving.size else 0.0


class _VolumeShift(NamedTuple):
    """How much log-volume changes at some rows, and how much it does on ordinary nights."""

    change: FloatArray  # (M,), NaN where it cannot be told
    scale: float


def _volume_shift(c: CandleColumns, rows: Rows, nights: Rows) -> _VolumeShift:
    bars = max(VOLUME_BARS, VOLUME_DAYS * len(c.open_time) // (len(nights) + 1))
    traded = c.volume > 0
    count = np.append(0, np.cumsum(traded))
    total = np.append(0.0, np.cumsum(np.log(np.where(traded, c.volume, 1.0))))

    def change(at: Rows) -> FloatArray:
        first, stop = np.maximum(at - bars, 0), np.minimum(at + bars, len(traded))
        before, after = count[at] - count[first], count[stop] - count[at]
        told = np.minimum(before, after) >= VOLUME_BARS // 2
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (total[stop] - total[at]) / after - (total[at] - total[first]) / before
        return np.where(told, means, np.nan)

    usual = change(nights)
    return _VolumeShift(change(rows), max(_robust_deviation(usual[np.isfinite(usual)]), 0.05))


def _log_odds(jump: FloatArray, scales: _Scales, volume: _VolumeShift) -> FloatArray:
    # Of a split by each ratio against a move of the market, (M, R).
    by_split = _log_density(jump[:, None] - _LOG_RATIOS, scales.night) - np.log(len(RATIOS))
    by_market = _log_density(jump, scales.day)[:, None]
    is_told = np.isfinite(volume.change)[:, None]
    change = np.where(is_told, volume.change[:, None], 0.0)
    by_news = _log_density(change, 1.5 * volume.scale)
    by_shares = _log_density(change - _LOG_RATIOS, volume.scale)
    told = np.logaddexp(np.log(VOLUME_TELLS) + by_shares, np.log(1 - VOLUME_TELLS) + by_news) - by_news
    return np.asarray(np.log(SPLITS_PER_NIGHT) + by_split - by_market + np.where(is_told, told, 0.0))


def _log_density(deviation: FloatArray, scale: float) -> FloatArray:
    # Student's t of three degrees of freedom, without its constant: tails as heavy as those of prices.
    return np.asarray(-np.log(scale) - 2 * np.log1p((deviation / scale) ** 2 / 3))
