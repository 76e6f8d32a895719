"""Market E: cues that announce a move, for agents that must remember what followed when they last saw one.

Noise is interrupted by cues. A cue is one of a few fixed patterns of returns under noise, and is followed by a move in
a direction of its own. Cues and directions are drawn anew for every path, so weights cannot learn them: only recalling
earlier occurrences within the path pays. Nothing marks where a cue begins or ends.

Figures are log-returns per bar after costs, for positions -1, 0 and 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.known_markets import bars_of_log_prices

_TIMEFRAME = "1h"


class CuePath(NamedTuple):
    """One path and what is hidden in it, for scoring only.

    Attributes:
        bars: the series.
        patterns: (C, L) expected returns of each cue, summing to 0.
        directions: (C,) 1 or -1, where the move after a cue goes.
        row: (M,) last bar of each cue whose move lies within the series.
        cue: (M,) which cue it was.
    """

    bars: BarSeries
    patterns: FloatArray
    directions: FloatArray
    row: NDArray[np.int64]
    cue: NDArray[np.int64]

    @property
    def direction(self) -> FloatArray:
        """Where the move after each occurrence goes, (M,)."""
        return self.directions[self.cue]


@dataclass(frozen=True)
class CueMarket:
    """Parameters of the paths: a gap of noise, a cue, its move, again and again. Noise is added throughout.

    Attributes:
        cues: how many there are, drawn evenly.
        cue_bars: length of a cue.
        cue_size: standard deviation of a cue's returns before their mean is taken off.
        gap_bars: shortest gap.
        extra_gap_bars: a gap is longer by 0 to this many bars, drawn evenly.
        move_bars: length of the move.
        move: log-return of the move, spread evenly over its bars.
        noise: standard deviation of the noise of a bar.
        cost_frac: cost per unit of exposure changed.
    """

    cues: int
    cue_bars: int
    cue_size: float
    gap_bars: int
    extra_gap_bars: int
    move_bars: int
    move: float
    noise: float
    cost_frac: float

    @property
    def optimal_gain(self) -> float:
        """Return per bar of an agent that trades every move and nothing else, each at the cost of entry and exit.

        Not a maximum: an agent that recognises a cue by its first bars can trade the rest of it too.
        """
        cycle = self.gap_bars + self.extra_gap_bars / 2 + self.cue_bars + self.move_bars
        return (self.move - 2 * self.cost_frac) / cycle

    def draw(self, bars: int, rng: np.random.Generator) -> CuePath:
        """Draw a path.

        Raises:
            DataError: it is too short for a single cue and its move.
        """
        patterns = rng.normal(0.0, self.cue_size, (self.cues, self.cue_bars))
        patterns -= patterns.mean(axis=1, keepdims=True)
        directions = rng.choice([-1.0, 1.0], self.cues)
        lengths = self.cue_bars + self.move_bars
        count = bars // (self.gap_bars + lengths) + 1  # cycles that fill the path even if no gap is long
        gaps = self.gap_bars + rng.integers(0, self.extra_gap_bars + 1, count)
        cue = rng.integers(0, self.cues, count)
        row = np.cumsum(gaps + lengths) - self.move_bars - 1
        inside = row + self.move_bars < bars
        if not inside.any():
            raise DataError(f"a path of {bars} bars may hold no cue and its move; draw more bars")
        row, cue = row[inside], cue[inside]
        drift = np.zeros(bars)
        drift[row[:, None] + np.arange(1 - self.cue_bars, 1)] = patterns[cue]
        drift[row[:, None] + np.arange(1, self.move_bars + 1)] = (directions[cue] * self.move / self.move_bars)[:, None]
        log_prices = np.cumsum(drift + rng.normal(0.0, self.noise, bars))
        return CuePath(bars_of_log_prices("E", _TIMEFRAME, log_prices), patterns, directions, row, cue)

    def targets(self, path: CuePath, directions: FloatArray) -> FloatArray:
        """Return the exposures (T,) that hold `directions` (M,), 0 for none, over the move after each cue."""
        exposures = np.zeros(len(path.bars))
        exposures[path.row[:, None] + np.arange(self.move_bars)] = directions[:, None]
        return exposures


CUE_MARKET = CueMarket(
    cues=40,
    cue_bars=6,
    cue_size=0.01,
    gap_bars=10,
    extra_gap_bars=4,
    move_bars=2,
    move=0.02,
    noise=0.004,
    cost_frac=0.001,
)


def occurrence(cues: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each element of a sequence of cues came before it, (M,)."""
    counts = np.zeros(len(cues), dtype=np.int64)
    for cue in np.unique(cues):
        places = np.flatnonzero(cues == cue)
        counts[places] = np.arange(len(places))
    return counts
