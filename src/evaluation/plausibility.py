"""Could this have been the market? Two questions about generated returns, in windows of bars.

- `discriminative_score`: can a classifier tell them from real ones (two-sample test by classifier, Lopez-Paz and Oquab,
  ICLR 2017)? It looks at fixed features of windows: size, drift, tails, and how moves and their sizes follow one
  another. 0 is indistinguishable, .5 is told apart always.
- `nearest_distances`: are they copies? Copies pass the first question, and lie closer to a window of the source than
  real windows of another time do.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kurtosis, skew

from src.errors import DataError
from src.market.bars import FloatArray

Classifier = Callable[[FloatArray, NDArray[np.bool_], FloatArray], NDArray[np.bool_]]

WINDOW_BARS = 64
_LAGS = (1, 2, 3, 5, 10)
_RIDGE = 0.1
_CLIP = 4.0


def windows(returns: FloatArray, step: int = 8, width: int = WINDOW_BARS) -> FloatArray:
    """Cut returns (T,) into overlapping windows, (W, width).

    Raises:
        DataError: fewer returns than a window has, or one that is not finite.
    """
    if len(returns) < width or not np.isfinite(returns).all():
        raise DataError(f"windows of {width} bars need at least as many finite returns, had {len(returns)}")
    return np.lib.stride_tricks.sliding_window_view(returns, width)[::step].copy()


def window_features(cut: FloatArray) -> FloatArray:
    """Return the features (W, F) by which a classifier tells windows (W, width) apart.

    Raises:
        DataError: in a window no price moves.
    """
    spread = cut.std(axis=1)
    if (spread <= 1e-14).any():
        raise DataError(f"{int((spread <= 1e-14).sum())} window(s) hold no move at all; leave them out")
    centred, size = cut - cut.mean(axis=1, keepdims=True), np.abs(cut)
    sizes = size - size.mean(axis=1, keepdims=True)
    half, scatter = cut.shape[1] // 2, (centred**2).mean(axis=1)
    size_scatter = np.maximum((sizes**2).mean(axis=1), 1e-30)
    columns = [
        np.log(spread),
        cut.mean(axis=1) / spread,
        skew(cut, axis=1),
        kurtosis(cut, axis=1),
        cut.max(axis=1) / spread,
        cut.min(axis=1) / spread,
        *((sizes[:, lag:] * sizes[:, :-lag]).mean(axis=1) / size_scatter for lag in _LAGS),
        (centred[:, 1:] * centred[:, :-1]).mean(axis=1) / scatter,
        (centred[:, :-1] * sizes[:, 1:]).mean(axis=1) / np.sqrt(scatter * size_scatter),
        np.log((cut[:, half:].std(axis=1) + 1e-12) / (cut[:, :half].std(axis=1) + 1e-12)),
        size.mean(axis=1) / spread,
    ]
    return np.stack(columns, axis=1)


def discriminative_score(
    real: tuple[FloatArray, FloatArray], made: tuple[FloatArray, FloatArray], classify: Classifier | None = None
) -> float:
    """Return |balanced accuracy - 1/2|, 0 where a classifier cannot tell real returns (T,) from generated ones.

    A single draw varies much: compare the mean of several. The arguments are those of `balanced_accuracy`.
    """
    return abs(balanced_accuracy(real, made, classify) - 0.5)


def balanced_accuracy(
    real: tuple[FloatArray, FloatArray], made: tuple[FloatArray, FloatArray], classify: Classifier | None = None
) -> float:
    """Return the mean of a classifier's accuracy on real windows and on generated ones.

    Args:
        real, made: returns (T,) to learn from, and returns (T,) to be tested on, which for `real` are of another time.
        classify: called with features (W, F), whether each window is real (W,), and features (V, F) to classify;
            returns which of these it takes for real, (V,). `linear_classifier` unless given.
    """
    known, asked = ([window_features(windows(pair[place])) for pair in (real, made)] for place in (0, 1))
    truth = np.repeat([True, False], [len(known[0]), len(known[1])])
    predicted = (classify or linear_classifier)(np.concatenate(known), truth, np.concatenate(asked))
    hits, false = predicted[: len(asked[0])].mean(), predicted[len(asked[0]) :].mean()
    return float((hits + 1 - false) / 2)


def linear_classifier(features: FloatArray, truth: NDArray[np.bool_], asked: FloatArray) -> NDArray[np.bool_]:
    """Classify by Fisher's linear discriminant on the features and their squares: weak, but quick and dependable.

    Args:
        features: (W, F) to learn from.
        truth: (W,) whether each of them is real.
        asked: (V, F) to classify.

    Returns:
        Which of `asked` are taken for real, (V,).
    """
    centre = np.median(features, axis=0)
    scale = np.maximum(np.quantile(features, 0.75, axis=0) - np.quantile(features, 0.25, axis=0), 1e-12)

    def expanded(raw: FloatArray) -> FloatArray:
        level = np.clip((raw - centre) / scale, -_CLIP, _CLIP)
        return np.concatenate([level, level**2], axis=1)

    known = expanded(features)
    means = np.stack([known[truth].mean(axis=0), known[~truth].mean(axis=0)])
    within = known - np.where(truth[:, None], means[0], means[1])
    covariance = within.T @ within / len(within) + _RIDGE * np.eye(known.shape[1])
    weights = np.linalg.solve(covariance, means[0] - means[1])
    verdict: NDArray[np.bool_] = (expanded(asked) - means.mean(axis=0)) @ weights > 0
    return verdict


def nearest_distances(asked: FloatArray, source: FloatArray, width: int = WINDOW_BARS) -> FloatArray:
    """Return the distance of each window of returns `asked` (T,) to the nearest window of `source` (S,), (W,).

    Windows are compared at equal volatility: calm ones would otherwise always be near. Those of the source begin at
    every bar.
    """
    cut, base = windows(asked, width=width), windows(source, step=1, width=width)
    cut, base = (one / np.maximum(one.std(axis=1, keepdims=True), 1e-14) for one in (cut, base))
    squares = (cut**2).sum(axis=1)[:, None] + (base**2).sum(axis=1) - 2 * cut @ base.T
    found: FloatArray = np.sqrt(np.maximum(squares.min(axis=1), 0.0))
    return found
