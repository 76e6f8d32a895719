"""The pattern recognizer: which chart pattern do the last bars form? A `MarketModule` with the columns of `PATTERNS`.

The trailing 24, 48, 96 and 192 closes (the scales) are read by one network; the scale that is surest of a pattern gives
the row, so it sums to 1. A constant factor on all prices changes nothing; highs, lows and volume play no part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.config.agent.reasoning import PatternConfig
from src.errors import ConfigError, ModelFileError
from src.market.bars import BarSeries, FloatArray
from src.reasoning.market_module import require_version
from src.reasoning.patterns.network import VERSION, PatternNetwork, detected_patterns
from src.reasoning.patterns.numpy_network import NumpyPatternNetwork
from src.reasoning.patterns.shapes import NONE, PATTERNS
from src.reasoning.patterns.training import OnProgress, trained_pattern_network

_BLOCK_ROWS = 256  # of a series at a time: enough to keep a core busy, few enough to stay in its cache


@dataclass(frozen=True, eq=False)
class PatternRecognizer:
    """A trained network sliding over a series at several scales.

    Probabilities are those of the training mix, calibrated per scale on windows never trained on. Rows before the
    shortest scale is full, and windows that stand still, are `none` with certainty; longer scales join as they fill.

    Attributes:
        network: the same for every symbol.
        scales: window lengths in bars, increasing.
        threshold: a pattern counts as seen where its probability and that of the others together reach it.
    """

    network: PatternNetwork
    scales: tuple[int, ...]
    threshold: float

    name = "pattern_network"
    columns = PATTERNS

    @property
    def history_bars(self) -> int:
        """Bars of the longest scale."""
        return self.scales[-1]

    @property
    def false_positives(self) -> FloatArray:
        """Share of driftless random walks in which each scale sees a pattern at the threshold, (S,), as measured."""
        return self.network.false_positives(self.threshold)

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the probability of each pattern at each bar, (T, 8)."""
        return _surest(self.by_scale(bars))

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform`, (rows, 8), without computing the others: what a live caller needs."""
        windows = self._windows(bars.close[-(self.history_bars + rows - 1) :])[-rows:]
        return _surest(self._by_scale(windows, range(len(bars) - rows, len(bars))))

    def by_scale(self, bars: BarSeries) -> FloatArray:
        """Return the probability of each pattern at each scale and bar, (S, T, 8)."""
        windows = self._windows(bars.close)
        blocks = [range(at, min(at + _BLOCK_ROWS, len(bars))) for at in range(0, len(bars), _BLOCK_ROWS)]
        return np.concatenate([self._by_scale(windows[rows.start : rows.stop], rows) for rows in blocks], axis=1)

    def detected(self, probabilities: FloatArray) -> NDArray[np.int64]:
        """Return the index into `PATTERNS` that each row (T, 8) names at the threshold, (T,)."""
        return detected_patterns(probabilities, self.threshold)

    @cached_property
    def _reader(self) -> NumpyPatternNetwork:
        return NumpyPatternNetwork(self.network)

    def _windows(self, closes: FloatArray) -> FloatArray:
        # The longest window before each bar, (T, W); before the first bar stands its close, which no full scale reads.
        prices = np.log(closes)
        padded = np.concatenate([np.full(self.history_bars - 1, prices[0]), prices])
        windows: FloatArray = np.lib.stride_tricks.sliding_window_view(padded, self.history_bars)
        return windows

    def _by_scale(self, windows: FloatArray, rows: Sequence[int]) -> FloatArray:
        # (S, R, 8) of R rows, each with the longest window that ends there; all scales in one pass of the network.
        inputs = [windows[:, -bars:] for bars in self.scales]
        probabilities = self._reader.probabilities(inputs).reshape(len(self.scales), len(rows), len(PATTERNS))
        for table, bars in zip(probabilities, self.scales, strict=True):
            table[np.asarray(rows) < bars - 1] = np.eye(len(PATTERNS))[NONE]
        return probabilities

    def to_plain(self) -> dict[str, Any]:
        """Return weights and plain data."""
        return {
            "name": self.name,
            "version": VERSION,
            "weights": self.network.state_dict(),
            "scales": list(self.scales),
            "threshold": self.threshold,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "PatternRecognizer":
        """Rebuild from `to_plain`.

        Raises:
            ModelFileError: its state is incomplete or of another version.
        """
        require_version(cls.name, plain, VERSION)
        try:
            return cls(PatternNetwork.from_weights(plain["weights"]), tuple(plain["scales"]), plain["threshold"])
        except (ConfigError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelFileError(f"the model's {cls.name} does not fit this code ({error}); train it again") from error


def pattern_recognizer(config: PatternConfig, progress: OnProgress | None = None) -> PatternRecognizer:
    """Return the recognizer of these settings; its network comes from the cache, or is trained and kept.

    Args:
        progress: called with steps done and in all while it trains.

    Raises:
        ModelFileError: the cached network is damaged.
    """
    return PatternRecognizer(trained_pattern_network(config, progress), tuple(config.scales), config.threshold)


def _surest(by_scale: FloatArray) -> FloatArray:
    # (S, R, 8) -> (R, 8): of the scale that finds "none" least likely.
    scale = by_scale[..., NONE].argmin(axis=0)
    rows: FloatArray = by_scale[scale, np.arange(by_scale.shape[1])]
    return rows
