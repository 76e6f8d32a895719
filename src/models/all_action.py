"""All-action advantages: the expectation over accounts in closed form, in place of sampled accounts.

On a discrete grid an account that sees the market and its own position can only be in A states per bar, and its reward
is a function of the state, the action and the bar. How often each state is visited and what each action is worth
therefore follow exactly from the policy's probabilities; no action is drawn. Policy gradients summed over all actions:
Sutton, McAllester, Singh and Mansour 2000; "mean actor critic", Allen et al. 2017 (arXiv 1709.00503).

Pure functions. Letters: N chunks, T bars, P = A positions held, A targets to take next; the action taken at one bar is
the position held at the next, so P and A enumerate the same grid.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class EnumeratedPolicy(NamedTuple):
    """What a policy does on chunks of bars, enumerated; the fixed part of the objective."""

    visited: Tensor  # (N, T, P) how accounts spread over positions; sums to 1 over P
    weight: Tensor  # (N, T, P) how much the decision at each position counts; sums to 1 over P
    probs: Tensor  # (N, T, P, A) of the policy
    advantage: Tensor  # (N, T, P, A)
    value: Tensor  # (N, T, P) expected discounted reward from each position on


def enumerated_rewards(targets: Tensor, log_return: Tensor, cost_frac: Tensor) -> Tensor:
    """Return the linear reward of every change of position, (N, T, P, A): a * r - c * |a - p|.

    Args:
        targets: (A,) exposures of the grid.
        log_return: (N, T) of the bar after each decision, in units of reward.
        cost_frac: (N, T) cost per unit of exposure changed, in units of reward.
    """
    earned = log_return[..., None, None] * targets
    paid = cost_frac[..., None, None] * (targets[:, None] - targets).abs()
    return earned - paid


def position_chain(probs: Tensor) -> Tensor:
    """Return how accounts spread over positions at each decision, (N, T, P): d_{t+1}(a) = sum_p d_t(p) pi(a | t, p).

    Args:
        probs: (N, T, P, A). They start evenly spread.
    """
    steps = probs.transpose(0, 1).contiguous()
    spread = torch.full_like(steps[0, :, 0], 1.0 / probs.shape[-1])
    visited = [spread]
    for step in steps[:-1]:
        spread = torch.bmm(spread[:, None], step)[:, 0]
        visited.append(spread)
    return torch.stack(visited, 1)


def action_values(probs: Tensor, rewards: Tensor, gamma: float, end: Tensor) -> tuple[Tensor, Tensor]:
    """Return Q (N, T, P, A) and V (N, T, P) by backward recursion: Q(t, p, a) = r(t, p, a) + gamma V(t + 1, a).

    Args:
        probs: (N, T, P, A).
        rewards: (N, T, P, A).
        gamma: discount per bar.
        end: (N, A) value of each position after the last bar.
    """
    policy, earned = (column.transpose(0, 1).contiguous() for column in (probs, rewards))
    following, qs, values = end, [], []
    for step in reversed(range(len(policy))):
        q = earned[step] + gamma * following[:, None]
        following = (policy[step] * q).sum(-1)
        qs.append(q)
        values.append(following)
    return torch.stack(qs[::-1], 1), torch.stack(values[::-1], 1)


def enumerate_policy(
    probs: Tensor, rewards: Tensor, gamma: float, position_mix: float, end: Tensor
) -> EnumeratedPolicy:
    """Enumerate a policy on chunks of bars.

    Args:
        probs: (N, T, P, A).
        rewards: (N, T, P, A).
        gamma: discount per bar.
        position_mix: part of the weight spread evenly over all positions; 0 keeps to what the policy visits, and a
            policy that never trades would then learn nothing about the positions it never takes.
        end: (N, A) value of each position after the last bar.
    """
    q, value = action_values(probs, rewards, gamma, end)
    visited = position_chain(probs)
    weight = (1.0 - position_mix) * visited + position_mix / probs.shape[-1]
    return EnumeratedPolicy(visited, weight, probs, q - value[..., None], value)


def expectation(spread: Tensor, probs: Tensor, quantity: Tensor) -> Tensor:
    """Return the mean per bar of a quantity (..., P, A) of decisions made at positions spread (N, T, P)."""
    return (spread[..., None] * probs * quantity).sum((-2, -1)).mean()


def clipped_objective(log_probs: Tensor, enumerated: EnumeratedPolicy, clip: float) -> Tensor:
    """Return PPO's clipped objective with the expectation over actions taken exactly; to be maximised.

    With the ratio rho = pi(a | t, p) / pi_plan(a | t, p):

        mean over bars of  sum_p w(p) sum_a pi_plan(a | t, p) min(rho A, clip(rho, 1 - clip, 1 + clip) A)

    At rho = 1 its gradient is the exact policy gradient, which for gamma = 1 and no position mix is that of the
    expected reward per bar.
    """
    ratio = log_probs.exp() / enumerated.probs.clamp_min(torch.finfo(enumerated.probs.dtype).tiny)
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    return expectation(
        enumerated.weight, enumerated.probs, torch.minimum(ratio * enumerated.advantage, clipped * enumerated.advantage)
    )
