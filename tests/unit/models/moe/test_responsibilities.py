"""Hindsight on experts: equal to the sum over all histories, blind to units, and right about who was right."""

import itertools

import pytest
import torch
from torch import Tensor

from src.models.moe.responsibilities import responsibilities, smoothed


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("experts", [2, 3])
@pytest.mark.parametrize("stay_bars", [1.0, 4.0])
def test_the_posterior_at_a_bar_is_the_sum_over_every_history_of_the_others(experts: int, stay_bars: float) -> None:
    bars, evidence = 5, random_tensor(1, 5, experts)
    expected = torch.zeros(bars, experts, dtype=torch.float64)
    for history in itertools.product(range(experts), repeat=bars):
        likelihood = torch.stack([evidence[0, bar, state] for bar, state in enumerate(history)]).exp()
        chance = torch.ones((), dtype=torch.float64)
        for before, after in itertools.pairwise(history):
            chance = chance * (1 - 1 / stay_bars if before == after else 1 / stay_bars / (experts - 1))
        for bar, state in enumerate(history):
            expected[bar, state] += chance * likelihood.prod() / likelihood[bar]
    torch.testing.assert_close(smoothed(evidence, stay_bars)[0], expected / expected.sum(-1, keepdim=True))


def test_a_chunk_does_not_hear_of_another() -> None:
    evidence = random_tensor(3, 20, 2)
    alone = torch.cat([smoothed(evidence[[chunk]], 10.0) for chunk in range(3)])
    torch.testing.assert_close(smoothed(evidence, 10.0), alone)


def test_evidence_of_any_strength_leaves_probabilities() -> None:
    shares = smoothed(1e4 * random_tensor(2, 50, 3).float(), 1e6)
    assert bool(shares.isfinite().all())
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 50))


def test_neither_the_unit_nor_what_all_share_nor_a_lasting_lead_matters() -> None:
    advantage = random_tensor(4, 30, 3)
    shares = responsibilities(advantage, 0.5, 20.0)
    torch.testing.assert_close(responsibilities(1e-4 * advantage, 0.5, 20.0), shares)
    torch.testing.assert_close(responsibilities(advantage + random_tensor(4, 30, 1, seed=1), 0.5, 20.0), shares)
    torch.testing.assert_close(responsibilities(advantage + random_tensor(3, seed=2), 0.5, 20.0), shares)


def test_experts_that_do_not_differ_share_alike() -> None:
    advantage = random_tensor(2, 10, 1).expand(-1, -1, 4)
    torch.testing.assert_close(responsibilities(advantage, 0.5, 20.0), torch.full_like(advantage, 0.25))


def test_hindsight_finds_the_right_expert_where_single_bars_hide_it() -> None:
    """Each bar has a signal of .3 standard deviations, so its sign alone is right on Phi(.3) = 62 % of the bars."""
    truth = torch.where(torch.arange(4000) // 100 % 2 == 0, 1.0, -1.0)
    signal = 0.3 * truth + random_tensor(4000)
    shares = responsibilities(torch.stack([signal, -signal], -1).reshape(40, 100, 2), 0.3, 100.0).reshape(4000, 2)
    alone, together = (((own > 0) == (truth > 0)).double().mean().item() for own in (signal, shares[:, 0] - 0.5))
    assert alone == pytest.approx(0.62, abs=0.03)
    assert together > 0.95


def test_hindsight_does_not_hold_luck_for_skill() -> None:
    """Who always buys and who always sells a random walk earn nothing on the bars they are given: mean error .01."""
    walk = random_tensor(200, 100)
    advantage = torch.stack([walk, -walk], -1)
    shares = responsibilities(advantage, 0.5, 50.0)
    assert (shares * advantage).sum(-1).mean().item() == pytest.approx(0.0, abs=0.03)
    assert float(shares.std()) > 0.2, "it does take sides"
