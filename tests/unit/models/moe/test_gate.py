"""The gate: beliefs that add up, from the bars up to each, no further back than it says."""

import pytest
import torch
from torch import Tensor

from src.models.moe.gate import EvidenceGate

F, E, WINDOW = 3, 4, 16


def make_gate(window: int = WINDOW) -> EvidenceGate:
    torch.manual_seed(0)
    gate = EvidenceGate(F, 8, E, window)
    with torch.no_grad():
        gate.output.weight.mul_(10.0)
    return gate


def random_bars(bars: int = 60, seed: int = 0) -> Tensor:
    return torch.randn(2, bars, F, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_beliefs_are_probabilities_and_a_fresh_gate_favours_no_expert() -> None:
    x = random_bars()
    weights = make_gate()(x, 0).exp()
    assert weights.shape == (2, 60, E)
    assert bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 60))
    assert weights.std() > 0.05
    torch.manual_seed(1)
    fresh = EvidenceGate(F, 8, E, WINDOW)(random_bars(2000), 0).exp()
    assert float((fresh.mean((0, 1)) - 1 / E).abs().max()) < 0.1


@torch.no_grad()
def test_a_bar_hears_of_the_bars_in_its_window_and_of_no_other() -> None:
    gate, x, bar = make_gate(), random_bars(), 30
    beliefs = gate(x, 0).exp()
    changed = x.clone()
    changed[:, bar] += 3.0
    moved = (gate(changed, 0).exp() - beliefs).abs().amax((0, 2))
    assert bool((moved[:bar] == 0).all()), "the past heard of the future"
    assert bool((moved[bar : bar + WINDOW] > 0).all())
    assert bool((moved[bar + WINDOW :] < 1e-6).all())


@pytest.mark.parametrize("context", [0, 5, WINDOW - 1, 40])
@torch.no_grad()
def test_context_is_looked_at_and_not_weighed(context: int) -> None:
    gate, x = make_gate(), random_bars()
    torch.testing.assert_close(gate(x, context), gate(x, 0)[:, context:], atol=1e-5, rtol=0)
    if context >= WINDOW - 1:
        torch.testing.assert_close(gate(x[:, context - WINDOW + 1 :], WINDOW - 1), gate(x, context), atol=1e-5, rtol=0)


@torch.no_grad()
def test_evidence_fades_by_its_span() -> None:
    """Exponential weights of spans W, W / 4 and W / 16, at a variance of 1 for independent evidence."""
    kernels = make_gate(window=32).kernels[:, 0]
    for kernel, span in zip(kernels, (2, 8, 32), strict=True):
        torch.testing.assert_close(kernel[:-1] / kernel[1:].clamp_min(1e-30), torch.full((31,), 1 - 2 / (span + 1)))
        torch.testing.assert_close(kernel.square().sum(), torch.tensor(1.0))
