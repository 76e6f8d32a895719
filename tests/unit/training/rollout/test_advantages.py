"""Advantages against the textbook sums, written out."""

import numpy as np
import torch

from src.training.rollout.group_rollout import generalised_advantages

GAMMA, LAMBDA = 0.9, 0.8


def textbook(rewards: np.ndarray, values: np.ndarray, gamma: float, gae_lambda: float) -> np.ndarray:
    """A_t = sum over k of (gamma lambda)^k delta_{t+k}, summed term by term."""
    horizon = len(rewards)
    delta = [rewards[t] + gamma * values[t + 1] - values[t] for t in range(horizon)]
    return np.array(
        [sum((gamma * gae_lambda) ** (k - t) * delta[k] for k in range(t, horizon)) for t in range(horizon)]
    )


def test_equals_the_textbook_sum_for_living_accounts() -> None:
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=7), rng.normal(size=8)
    alive = torch.ones(8, dtype=torch.bool)
    advantages, targets = generalised_advantages(torch.tensor(rewards), torch.tensor(values), alive, GAMMA, LAMBDA)
    expected = textbook(rewards, values, GAMMA, LAMBDA)
    np.testing.assert_allclose(advantages.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(targets.numpy(), expected + values[:-1], rtol=1e-12)


def test_lambda_one_is_the_discounted_return_minus_the_value() -> None:
    rng = np.random.default_rng(1)
    rewards, values = rng.normal(size=5), rng.normal(size=6)
    advantages, _ = generalised_advantages(
        torch.tensor(rewards), torch.tensor(values), torch.ones(6, dtype=torch.bool), GAMMA, 1.0
    )
    discounted = sum(GAMMA**k * rewards[k] for k in range(5)) + GAMMA**5 * values[5]
    assert np.isclose(advantages[0].item(), discounted - values[0])


def test_a_terminated_account_has_no_future() -> None:
    rewards = torch.tensor([1.0, 2.0, 5.0])
    values = torch.tensor([0.5, 0.25, 100.0, 100.0])
    alive = torch.tensor([True, True, False, False])  # the margin call came while earning rewards[1]
    advantages, _ = generalised_advantages(rewards, values, alive, GAMMA, LAMBDA)
    second = 2.0 - 0.25
    first = 1.0 + GAMMA * 0.25 - 0.5 + GAMMA * LAMBDA * second
    torch.testing.assert_close(advantages[:2], torch.tensor([first, second]))


def test_accounts_do_not_mix() -> None:
    rng = np.random.default_rng(2)
    rewards, values = torch.tensor(rng.normal(size=(4, 3, 2))), torch.tensor(rng.normal(size=(5, 3, 2)))
    alive = torch.tensor(rng.random((5, 3, 2)) > 0.2)
    together, _ = generalised_advantages(rewards, values, alive, GAMMA, LAMBDA)
    alone, _ = generalised_advantages(rewards[:, 1, 1], values[:, 1, 1], alive[:, 1, 1], GAMMA, LAMBDA)
    assert torch.equal(together[:, 1, 1], alone)
