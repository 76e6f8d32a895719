"""Action distributions against torch.distributions and sampling frequencies."""

import torch
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal

from src.training.rollout.action_distribution import Categorical, Gaussian

CPU = torch.device("cpu")


def test_categorical_agrees_with_torch() -> None:
    source = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=source)
    actions = torch.randint(0, 4, (6,), generator=source)
    ours, theirs = Categorical(4), TorchCategorical(logits=logits)
    torch.testing.assert_close(ours.log_prob(logits, actions), theirs.log_prob(actions))
    torch.testing.assert_close(ours.entropy(logits), theirs.entropy())


def test_categorical_samples_with_the_stated_probabilities() -> None:
    probabilities = torch.tensor([0.1, 0.2, 0.7])
    ours, draws = Categorical(3), 40_000
    noise = ours.noise((draws,), torch.Generator().manual_seed(1), CPU)
    actions = ours.sample(probabilities.log().expand(draws, 3), noise)
    frequency = torch.bincount(actions, minlength=3) / draws
    standard_error = (probabilities * (1 - probabilities) / draws).sqrt()
    assert ((frequency - probabilities).abs() < 4 * standard_error).all()


def test_categorical_noise_is_finite() -> None:
    noise = Categorical(5).noise((100_000,), torch.Generator().manual_seed(2), CPU)
    assert noise.isfinite().all()


def test_gaussian_agrees_with_torch() -> None:
    source = torch.Generator().manual_seed(3)
    outputs = torch.randn(5, 2, generator=source)
    actions = torch.randn(5, generator=source)
    ours, theirs = Gaussian(), Normal(outputs[:, 0], outputs[:, 1].exp())
    torch.testing.assert_close(ours.log_prob(outputs, actions), theirs.log_prob(actions))
    torch.testing.assert_close(ours.entropy(outputs), theirs.entropy())


def test_gaussian_sample_is_mean_plus_scaled_noise() -> None:
    outputs = torch.tensor([[0.3, 0.0], [-0.1, -1.0]])
    noise = torch.tensor([[2.0], [-1.0]])
    expected = torch.tensor([0.3 + 2.0, -0.1 - torch.tensor(-1.0).exp().item()])
    torch.testing.assert_close(Gaussian().sample(outputs, noise), expected)
