"""Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438, eq. 16) on account arrays."""

import torch
from torch import Tensor


def generalised_advantages(
    rewards: Tensor, values: Tensor, alive: Tensor, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Return advantages and value targets, each (T, ...).

    Args:
        rewards: (T, ...), reward earned between decision t and t + 1.
        values: (T + 1, ...), value of every decision state and of the state after the last; truncation bootstraps
            with it.
        alive: (T + 1, ...) bool, whether the account still trades at each decision; a terminated account has no future.
        gamma: discount per bar.
        gae_lambda: weight of longer estimates.
    """
    advantages = torch.empty_like(rewards)
    following = torch.zeros_like(rewards[0])
    for t in reversed(range(rewards.shape[0])):
        continues = alive[t + 1].to(rewards.dtype)
        delta = rewards[t] + gamma * continues * values[t + 1] - values[t]
        following = delta + gamma * gae_lambda * continues * following
        advantages[t] = following
    return advantages, advantages + values[:-1]
