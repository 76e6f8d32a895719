"""Distributions over actions, as array functions of the policy head's outputs.

Noise is drawn by the caller, so that two implementations of a rollout given the same noise take the same actions.
Discrete: categorical over the target grid, sampled by the Gumbel-max trick. Continuous: Gaussian over target exposure;
the environment clips what it executes, the density stays that of the unclipped sample.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

_TINY = 1e-12


class ActionDistribution(Protocol):
    """Outputs have O numbers each, in the last axis: A logits, or mean and log standard deviation."""

    def noise(self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
        """Draw the noise that `sample` needs, (*shape, A) or (*shape, 1)."""
        ...

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return actions (...), indices (int64) or exposures (float32), from outputs (..., O) and their noise."""
        ...

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Return the log-probability or log-density (...) of actions (...) under outputs (..., O)."""
        ...

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the entropy (...) of outputs (..., O), in nats."""
        ...


class Categorical:
    """Outputs (..., A) are logits over A targets."""

    def __init__(self, num_actions: int) -> None:
        self._num_actions = num_actions

    def noise(self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
        """Draw Gumbel noise, (*shape, A)."""
        uniform = torch.rand(*shape, self._num_actions, generator=generator, device=device)
        return -(-uniform.clamp(_TINY, 1 - 1e-7).log()).log()

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return indices (...) of logits (..., A)."""
        return (outputs + noise).argmax(-1)

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Return the log-probability (...) of indices (...) under logits (..., A)."""
        return outputs.log_softmax(-1).gather(-1, actions[..., None])[..., 0]

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the entropy (...) of logits (..., A), in nats."""
        log_probs = outputs.log_softmax(-1)
        return -(log_probs.exp() * log_probs).sum(-1)


class Gaussian:
    """Outputs (..., 2) are mean and log standard deviation of the target exposure."""

    def noise(self, shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
        """Draw standard normal noise, (*shape, 1)."""
        return torch.randn(*shape, 1, generator=generator, device=device)

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Return exposures (...) of outputs (..., 2)."""
        return outputs[..., 0] + outputs[..., 1].exp() * noise[..., 0]

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Return the log-density (...) of exposures (...) under outputs (..., 2)."""
        z = (actions - outputs[..., 0]) * (-outputs[..., 1]).exp()
        return -0.5 * z * z - outputs[..., 1] - 0.5 * math.log(2 * math.pi)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the entropy (...) of outputs (..., 2), in nats."""
        return outputs[..., 1] + 0.5 * math.log(2 * math.pi * math.e)


def make_distribution(num_actions: int, continuous: bool) -> ActionDistribution:
    """Return the distribution that fits the action space."""
    return Gaussian() if continuous else Categorical(num_actions)
