"""All-action mathematics against brute force: every sequence of actions on a tiny horizon, enumerated one by one."""

from itertools import product

import pytest
import torch
from torch import Tensor

from src.models.all_action import (
    action_values,
    clipped_objective,
    enumerate_policy,
    enumerated_rewards,
    expectation,
    position_chain,
)

T, A = 4, 3
TARGETS = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)


def draws(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (1, T, A, A), log-returns (1, T) and costs (1, T) of a small problem."""
    source = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    return normal(1, T, A, A), normal(1, T), normal(1, T).abs()


def sequences(probs: Tensor, rewards: Tensor, first: int, position: int, gamma: float = 1.0) -> list[tuple]:
    """Return (actions, probability, discounted reward) of every sequence of actions from a bar and position on."""
    found = []
    for actions in product(range(A), repeat=T - first):
        held, chance, total = position, torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
        for step, action in enumerate(actions):
            chance = chance * probs[0, first + step, held, action]
            total = total + gamma**step * rewards[0, first + step, held, action]
            held = action
        found.append((actions, chance, total))
    return found


def test_rewards_are_exposure_times_return_less_cost_of_change() -> None:
    rewards = enumerated_rewards(TARGETS.float(), torch.tensor([[0.5]]), torch.tensor([[0.1]]))
    by_hand = [[-0.5, -0.1, 0.3], [-0.6, 0.0, 0.4], [-0.7, -0.1, 0.5]]  # rows: held -1, 0, 1; columns: taken
    torch.testing.assert_close(rewards[0, 0], torch.tensor(by_hand))


@pytest.mark.parametrize("seed", range(3))
def test_the_chain_is_where_all_sequences_together_lead(seed: int) -> None:
    logits, _, _ = draws(seed)
    probs = logits.softmax(-1)
    expected = torch.zeros(T, A, dtype=torch.float64)
    for start in range(A):
        for actions, chance, _ in sequences(probs, torch.zeros_like(probs), 0, start):
            for t, held in enumerate((start, *actions[:-1])):
                expected[t, held] += chance / A
    torch.testing.assert_close(position_chain(probs)[0], expected)


@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_values_are_the_mean_over_all_sequences(gamma: float) -> None:
    logits, log_return, cost = draws(3)
    probs, rewards = logits.softmax(-1), enumerated_rewards(TARGETS, log_return, cost)
    end = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64)
    q, value = action_values(probs, rewards, gamma, end)
    for t, position in product(range(T), range(A)):
        paths = sequences(probs, rewards, t, position, gamma)
        totals = [
            (chance, total + gamma ** (T - t) * end[0, actions[-1]], actions[0]) for actions, chance, total in paths
        ]
        torch.testing.assert_close(value[0, t, position], sum(chance * total for chance, total, _ in totals))
        for action in range(A):
            mean = sum(chance * total for chance, total, first in totals if first == action)
            torch.testing.assert_close(q[0, t, position, action], mean / probs[0, t, position, action])


def test_the_gradient_is_that_of_the_expected_reward() -> None:
    logits, log_return, cost = draws(4)
    logits.requires_grad_()
    rewards = enumerated_rewards(TARGETS, log_return, cost)
    probs = logits.softmax(-1)
    paths = [path for start in range(A) for path in sequences(probs, rewards, 0, start)]
    per_bar = sum(chance * total for _, chance, total in paths) / (A * T)
    (expected,) = torch.autograd.grad(per_bar, logits)
    log_probs = logits.log_softmax(-1)
    enumerated = enumerate_policy(
        log_probs.exp().detach(), rewards, gamma=1.0, position_mix=0.0, end=torch.zeros(1, A).double()
    )
    (ours,) = torch.autograd.grad(clipped_objective(log_probs, enumerated, clip=0.2), logits)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(expectation(enumerated.visited, enumerated.probs, rewards), per_bar.detach())


def test_mixing_reaches_positions_the_policy_never_takes() -> None:
    logits, log_return, cost = draws(5)
    logits[..., 1] += 50.0  # flat, whatever is held
    enumerated = enumerate_policy(
        logits.softmax(-1),
        enumerated_rewards(TARGETS, log_return, cost),
        gamma=1.0,
        position_mix=0.3,
        end=torch.zeros(1, A).double(),
    )
    expected = torch.tensor([0.1, 0.8, 0.1], dtype=torch.float64).expand(T - 1, A)
    torch.testing.assert_close(enumerated.weight[0, 1:], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(enumerated.weight.sum(-1), torch.ones(1, T, dtype=torch.float64))


def test_the_clip_stops_the_gradient_of_moves_that_went_far_enough() -> None:
    """With two targets, moving the better one's probability from .5 to .7 is a ratio of 1.4: no reason to go on."""
    enumerated = enumerate_policy(
        torch.full((1, 1, 2, 2), 0.5),
        torch.tensor([0.0, 1.0]).expand(1, 1, 2, 2),
        gamma=1.0,
        position_mix=0.0,
        end=torch.zeros(1, 2),
    )
    for chance, stopped in ((0.55, False), (0.7, True)):
        logits = torch.tensor([1 - chance, chance]).log().expand(1, 1, 2, 2).clone().requires_grad_()
        (gradient,) = torch.autograd.grad(clipped_objective(logits.log_softmax(-1), enumerated, clip=0.2), logits)
        assert bool((gradient == 0).all()) is stopped
