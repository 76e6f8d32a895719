"""The forward filter of a hidden Markov chain over a sliding window."""

import numpy as np

from src.market.bars import FloatArray

WINDOW_BARS = 256  # a power of two
_BLOCK_BARS = 4096


def forward_filter(log_likelihoods: FloatArray, log_transitions: FloatArray, rows: int | None = None) -> FloatArray:
    """Return the probability of each state at each bar given the last 256 observations up to it, (T, S).

    One bar multiplies the beliefs over states by the matrix M[i, j] = P(j | i) * p(observation | j). A row is a uniform
    belief times the matrices of its window, whose product comes from eight doublings for all bars at once. A chain that
    mixes forgets what came before the window; in exchange a row depends on its window and nothing else, so a live
    caller with that many bars gets what a backtest got. Before the series begins, nothing was observed.

    Args:
        log_likelihoods: (T, S) of each bar's observation under each state, up to a constant per bar; finite.
        log_transitions: (S, S), from row to column; finite.
        rows: how many bars at the end are asked about, all unless given.
    """
    rows, states = len(log_likelihoods) if rows is None else rows, log_transitions.shape[0]
    chain, likelihoods = np.exp(log_transitions), np.exp(log_likelihoods - log_likelihoods.max(axis=1, keepdims=True))
    padded = np.concatenate([np.ones((WINDOW_BARS - 1, states)), likelihoods])
    padded = padded[len(padded) - (rows + WINDOW_BARS - 1) :]
    beliefs = np.empty((rows, states))
    for start in range(0, rows, _BLOCK_BARS):
        block = slice(start, min(start + _BLOCK_BARS, rows))
        turns = chain * padded[block.start : block.stop + WINDOW_BARS - 1, None, :]  # (bars, S, S)
        beliefs[block] = _window_products(turns).sum(axis=1)
    probabilities: FloatArray = beliefs / beliefs.sum(axis=1, keepdims=True)
    return probabilities


def _window_products(product: FloatArray) -> FloatArray:
    # (n, S, S) -> (n - 255, S, S) up to a factor each, by doublings; of a single window only every second product is
    # needed each time. The largest entry is kept at 1. What then underflows has nothing to say: a chain gets from each
    # state to each other, so the rows of a product differ by no more than transitions do.
    is_single, width = len(product) == WINDOW_BARS, 1
    while width < WINDOW_BARS:
        first, second = (product[::2], product[1::2]) if is_single else (product[:-width], product[width:])
        product, width = first @ second, 2 * width
        product /= product.max(axis=(1, 2), keepdims=True)
    return product
