"""`Support`: the bars an inner loop learns from, enumerated over the positions of the action grid."""

from typing import NamedTuple

from torch import Tensor


class Support(NamedTuple):
    """S consecutive decisions for each of G groups; the bar after the last one has closed."""

    inputs: Tensor  # (G, S, D) embeddings where the head alone adapts, else (G, context_bars + S, F) features
    rewards: Tensor  # (G, S, P, A) of every change of position
    accounts: Tensor  # (P, C) account inputs at each position
