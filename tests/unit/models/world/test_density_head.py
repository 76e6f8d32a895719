"""Mixture densities against quadrature, `torch.distributions` and scipy."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Categorical, MixtureSameFamily, StudentT

from src.models.world.density_head import DensityHead, MixtureDensity, student_t_cdf

LEVELS = torch.tensor([0.001, 0.05, 0.5, 0.9, 0.999], dtype=torch.float64)


def handmade(degrees: int = 8) -> MixtureDensity:
    """Two horizons of three laws each: a skewed density and one with two humps."""
    weight = torch.tensor([[0.2, 0.5, 0.3], [0.5, 0.25, 0.25]], dtype=torch.float64)
    location = torch.tensor([[-0.02, 0.003, 0.006], [-0.05, 0.04, 0.05]], dtype=torch.float64)
    scale = torch.tensor([[0.02, 0.006, 0.01], [0.004, 0.01, 0.03]], dtype=torch.float64)
    return MixtureDensity(weight.log(), location, scale, degrees)


def reference(density: MixtureDensity) -> MixtureSameFamily:
    distributions = StudentT(torch.tensor(density.degrees, dtype=torch.float64), density.location, density.scale)
    return MixtureSameFamily(Categorical(logits=density.log_weight), distributions)


GRID = torch.linspace(-3.0, 3.0, 120_001, dtype=torch.float64)


@pytest.mark.parametrize("degrees", [4, 6, 8, 20])
def test_the_distribution_function_is_scipys(degrees: int) -> None:
    value = torch.linspace(-40.0, 40.0, 401, dtype=torch.float64)
    np.testing.assert_allclose(student_t_cdf(value, degrees), stats.t.cdf(value, degrees), atol=1e-13)


def test_log_prob_mean_and_variance_are_those_of_torch() -> None:
    density, value = handmade(), torch.tensor([[-0.1, 0.02], [0.0, 0.04], [0.3, -1.0]], dtype=torch.float64)
    expected = reference(density)
    torch.testing.assert_close(density.log_prob(value), expected.log_prob(value))
    torch.testing.assert_close(density.mean, expected.mean)
    torch.testing.assert_close(density.variance, expected.variance)


def test_it_integrates_to_one_and_the_cdf_is_the_integral() -> None:
    density = handmade()
    value = GRID
    step = float(value[1] - value[0])
    mass = density.log_prob(value[:, None]).exp()  # (N, 2)
    running = torch.cumsum(0.5 * (mass[1:] + mass[:-1]) * step, 0)
    torch.testing.assert_close(running[-1], torch.ones(2, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(density.cdf(value[1:, None]), running, atol=5e-6, rtol=0)  # of trapezoids


def test_quantiles_invert_the_distribution_function() -> None:
    density = handmade()
    quantile = density.quantile(LEVELS)  # (2, 5)
    torch.testing.assert_close(density.cdf(quantile.T), LEVELS[:, None].expand(-1, 2), atol=1e-12, rtol=0)
    assert bool((quantile.diff(dim=-1) > 0).all())


def test_quantiles_of_humps_far_apart_are_found() -> None:
    # Newton's steps from the gap between the humps, where there is next to no density, would lead far away.
    weight = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    location = torch.tensor([[-1.0, 1.0]], dtype=torch.float64)
    density = MixtureDensity(weight.log(), location, torch.tensor([[0.001, 0.002]], dtype=torch.float64), 8)
    levels = torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64)
    torch.testing.assert_close(density.cdf(density.quantile(levels).T), levels[:, None], atol=1e-11, rtol=0)


def test_samples_follow_the_density() -> None:
    density, count = handmade(), 100_000
    drawn = density.sample(count, torch.Generator().manual_seed(0))
    assert drawn.shape == (count, 2)
    for index in range(2):
        uniform = density.horizon(index).cdf(drawn[:, index])
        assert stats.kstest(uniform.numpy(), "uniform").pvalue > 0.001
    assert torch.equal(drawn, density.sample(count, torch.Generator().manual_seed(0)))
    assert float(torch.corrcoef(drawn.T)[0, 1]) == pytest.approx(0.0, abs=0.015)


def test_an_ensemble_is_the_average_of_its_members_densities() -> None:
    one = handmade()
    other = MixtureDensity(one.log_weight, one.location + 0.01, 2 * one.scale, one.degrees)
    value = torch.tensor([[-0.03, 0.0], [0.02, 0.05]], dtype=torch.float64)
    both = MixtureDensity.blend([one, other])
    average = 0.5 * (one.log_prob(value).exp() + other.log_prob(value).exp())
    torch.testing.assert_close(both.log_prob(value).exp(), average)


def test_a_fresh_head_gives_base_volatility_times_the_root_of_the_horizon() -> None:
    head = DensityHead(6, [1, 5, 20], components=3, degrees=8)
    x, log_base = torch.randn(4, 6, generator=torch.Generator().manual_seed(1)), torch.tensor([-4.0, -5.0, -3.0, 0.0])
    density = head.density(head(x), log_base)
    torch.testing.assert_close(density.mean, torch.zeros(4, 3))
    expected = log_base.exp()[:, None] * torch.tensor([1.0, 5.0, 20.0]).sqrt()
    torch.testing.assert_close(density.variance.sqrt(), expected)
    assert head(x).shape == (4, head.output_dim)


def test_whatever_the_numbers_the_density_stays_proper() -> None:
    head = DensityHead(2, [1, 5], components=2, degrees=4)
    described = 1e4 * torch.randn(50, head.output_dim, generator=torch.Generator().manual_seed(2))
    density = head.density(described, torch.full((50,), -5.0))
    assert bool(density.log_prob(torch.zeros(50, 2)).isfinite().all())
    assert bool((density.variance > 0).all())
    assert bool(density.quantile(torch.tensor([0.01, 0.99])).isfinite().all())
