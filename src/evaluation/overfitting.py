"""Whether choosing the best of several strategies chooses anything: cross-validation of the choice itself.

The probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado
and Zhu, "The Probability of Backtest Overfitting", 2017). One draw of it under the null has a standard deviation near
.18: never decide on a single one. Among strategies that are equally good it is a coin flip too, which is why the
probability of loss, of the same paper, stands beside it.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from src.errors import DataError
from src.market.bars import FloatArray


@dataclass(frozen=True)
class Overfitting:
    """Outcome of the cross-validation.

    Attributes:
        probability: share of splits in which the strategy best in sample is in the lower half out of sample.
        loss_probability: share of splits in which it loses out of sample; to earn nothing is half a loss.
        logits: of its relative rank out of sample, one per split; negative is the lower half.
    """

    probability: float
    loss_probability: float
    logits: FloatArray


def backtest_overfitting(returns: FloatArray, blocks: int = 16) -> Overfitting:
    """Cross-validate the choice of the best strategy by Sharpe ratio.

    Args:
        returns: per bar, (T, N): N strategies over the same bars. The first `T mod blocks` bars are left out.
        blocks: even number of blocks of equal length; every half of them is in sample once, the rest out of sample.

    Raises:
        DataError: fewer than two strategies, an odd number of blocks, blocks of fewer than two bars, or a return that
            is not finite.
    """
    bars, strategies = returns.shape
    if strategies < 2 or blocks < 2 or blocks % 2 or bars < 2 * blocks:
        raise DataError(
            f"overfitting needs >= 2 strategies and an even number of blocks of >= 2 bars, "
            f"had {strategies} strategies over {bars} bars in {blocks} blocks"
        )
    if not np.isfinite(returns).all():
        raise DataError("overfitting needs finite returns; a strategy without an equity curve cannot be compared")
    in_sample = _sharpe_of_halves(returns, blocks)
    out_of_sample = in_sample[::-1]  # combinations are listed so that the i-th from the end completes the i-th
    best = np.argmax(in_sample, axis=1)
    chosen = np.take_along_axis(out_of_sample, best[:, None], axis=1)
    # Ties share their ranks: of N equal strategies none is in the lower half.
    rank = (out_of_sample < chosen).sum(axis=1) + 0.5 * ((out_of_sample == chosen).sum(axis=1) + 1)
    share = rank / (strategies + 1)
    logits = np.log(share / (1.0 - share))
    return Overfitting(_share_below_zero(logits), _share_below_zero(chosen), logits)


def _sharpe_of_halves(returns: FloatArray, blocks: int) -> FloatArray:
    # Sharpe ratios (halves, N) of every choice of half the blocks, from sums per block; 0 without variance.
    size = len(returns) // blocks
    centred = returns[len(returns) - size * blocks :] - returns.mean(axis=0)  # squares of small differences stay exact
    stretches = centred.reshape(blocks, size, -1)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    count = size * blocks // 2
    mean = chosen @ stretches.sum(axis=1) / count
    square = chosen @ (stretches**2).sum(axis=1) / count
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    ratio: FloatArray = np.divide(
        mean + returns.mean(axis=0), deviation, out=np.zeros_like(mean), where=deviation > 1e-12
    )
    return ratio


def _share_below_zero(values: FloatArray) -> float:
    return float(np.mean(values < 0) + 0.5 * np.mean(values == 0))
