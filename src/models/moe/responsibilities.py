"""Which expert was the right one at each bar, in hindsight: the training targets of specialists and their gate.

The agent does not move the market, so once a bar is over it is known what every expert would have earned on it. One
bar says next to nothing, but the expert that was right tends to stay right, as in a hidden Markov model whose state is
the expert (Jacobs et al. 1991, Jordan and Jacobs 1994: responsibilities; Baum et al. 1970: forward and backward).

The probabilities at a bar come from the bars around it and not from the bar itself. Otherwise an expert would be
taught what it did just where that happened to do well, and would take its luck for skill: half the bars of a random
walk rise and half fall, and one expert that always buys beside one that always sells would seem a perfect division.

Deviation: no likelihood of the bars is modelled. Evidence for an expert is how much better its decisions were than
those of the others, by the advantages of policy gradients, divided by its standard deviation. So it has no unit, and
experts that hardly differ yet are told apart as clearly as ones that do, which makes them differ. The mean of each
expert is subtracted, so that none is the right one everywhere, and none nowhere.
"""

import torch
from torch import Tensor

_TINY = 1e-12


def responsibilities(advantage: Tensor, sharpness: float, stay_bars: float) -> Tensor:
    """Return the probability of each expert to be the right one, (G, T, E), given all T bars of a chunk but that one.

    Args:
        advantage: (G, T, E) of each expert's decision at each bar.
        sharpness: evidence in nats that one standard deviation of it counts for.
        stay_bars: mean number of bars that the right expert stays right.
    """
    centred = advantage - advantage.mean(-1, keepdim=True)
    centred = centred - centred.mean((0, 1))
    evidence = sharpness * centred / centred.square().mean().sqrt().clamp_min(_TINY)
    return smoothed(evidence, stay_bars)


def smoothed(evidence: Tensor, stay_bars: float) -> Tensor:
    """Return how likely each state of a hidden Markov chain is at a bar given all other bars, (G, T, E).

    The chain leaves its state after `stay_bars` on average.

    Args:
        evidence: (G, T, E) log-likelihood of each bar in each state, but for a constant per bar. The state before the
            first bar is any, the state after a change any other.
        stay_bars: at least 1.
    """
    experts = evidence.shape[-1]
    change = 1.0 / stay_bars
    others = change / max(1, experts - 1)
    likelihood = (evidence - evidence.amax(-1, keepdim=True)).exp().transpose(0, 1)  # (T, G, E)

    def moved(belief: Tensor) -> Tensor:  # rows sum to 1
        return _normal((1.0 - change - others) * belief + others)

    forward = [torch.full_like(likelihood[0], 1.0 / experts)]
    for bar in likelihood[:-1]:
        forward.append(moved(_normal(forward[-1] * bar)))
    backward = [torch.full_like(likelihood[0], 1.0 / experts)]
    for bar in likelihood[1:].flip(0):
        backward.append(moved(_normal(backward[-1] * bar)))
    return _normal(torch.stack(forward, 1) * torch.stack(backward[::-1], 1))


def _normal(weights: Tensor) -> Tensor:
    return weights / weights.sum(-1, keepdim=True)
