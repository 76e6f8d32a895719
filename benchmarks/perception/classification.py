"""How good are probabilities over classes, and how soon do they notice a change?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray

Labels = NDArray[np.int64]


def macro_f1(predicted: Labels, labels: Labels, classes: int) -> float:
    """Return the mean over classes of 2 TP / (2 TP + FP + FN); a class that neither side names counts 0."""
    table = np.zeros((classes, classes))
    np.add.at(table, (labels, predicted), 1)
    hits, named, true = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    return float((2 * hits / np.maximum(named + true, 1)).mean())


def log_loss(probabilities: FloatArray, labels: Labels) -> float:
    """Return the mean of -log of the probability given to the label, in nats; probabilities (n, S) count from 1e-12."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def calibration_error(probabilities: FloatArray, labels: Labels, bins: int = 15) -> float:
    """Return the expected calibration error (Guo et al. 2017, arXiv 1706.04599).

    The rows are put into bins of equal width by the probability of their likeliest class; the error is the mean over
    rows of the distance between a bin's mean probability and the share of rows it got right.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


class DetectionLag(NamedTuple):
    """How soon changes are noticed.

    Attributes:
        median_bars: from a change to the first bar that names the new class, 0 if at once; over the noticed changes.
        mean_bars: the same, averaged.
        missed_frac: share of stretches that ended before they were named.
    """

    median_bars: float
    mean_bars: float
    missed_frac: float


def detection_lag(predicted: Labels, labels: Labels) -> DetectionLag:
    """Measure over all changes of `labels` along one series, (T,); nan where none is noticed or there is none."""
    starts = np.flatnonzero(np.diff(labels)) + 1
    ends = np.append(starts, len(labels))[1:]
    lags = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        named = np.flatnonzero(predicted[start:end] == labels[start])
        lags.append(float(named[0]) if len(named) else np.nan)
    noticed = [lag for lag in lags if lag == lag]
    if not noticed:
        return DetectionLag(np.nan, np.nan, 1.0 if lags else np.nan)
    return DetectionLag(float(np.median(noticed)), float(np.mean(noticed)), 1 - len(noticed) / len(lags))
