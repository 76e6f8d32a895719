"""A series adapted in batch equals its adaptations one by one, and looks at nothing ahead."""

import pytest
import torch
from torch import Tensor

from src.agents import adapted_series
from src.agents.adapted_series import AdaptedSeries, adapt_series
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.stages.learning import AdaptationConfig, Scope
from src.models.maml_model import MAMLModel, adapt_chunks
from src.models.position_grid import PositionGrid
from src.models.ppo_model import build_model

F, BARS = 4, 60
TARGETS = torch.tensor([-1.0, 0.0, 1.0])
GRID = PositionGrid(TARGETS, TARGETS[:, None])
POINTS = torch.tensor([17, 20, 29, 31, 55])
SCOPES = pytest.mark.parametrize("scope", Scope, ids=[scope.value for scope in Scope])


def make_model(scope: Scope) -> MAMLModel:
    core = CoreTransformerConfig(d_model=8, num_heads=2, ff_dim=16, window=7, dropout=0.2)
    adaptation = AdaptationConfig(
        support_bars=6,
        adapt_every=5,
        inner_steps=2,
        inner_lr=0.5,
        learn_inner_lr=True,
        second_order=True,
        scope=scope,
    )
    model = build_model(MAMLModel, 0, ModelConfig(core=core, head_dim=6), F, 1, 3, adaptation=adaptation)
    with torch.no_grad():  # a fresh model has branches of zero and a policy close to uniform
        for name, parameter in model.named_parameters():
            if name != "log_inner_lr":
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


def series(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    features = torch.randn(BARS, F, generator=source)
    return features, torch.randn(BARS, generator=source), 0.1 * torch.rand(BARS, generator=source)


def adapted(model: MAMLModel, *columns: Tensor) -> AdaptedSeries:
    return adapt_series(model, *columns, GRID, POINTS)


@SCOPES
def test_it_equals_one_adaptation_after_the_other(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapted_series, "_AT_ONCE", 2)
    model, (features, log_return, cost) = make_model(scope), series()
    assert model.training
    got = adapted(model, features, log_return, cost)
    assert model.training
    assert bool(got.part[: POINTS[0]].isnan().all())
    assert (got.serving[: POINTS[0]] == -1).all()
    model.eval()
    for index, (begin, end) in enumerate(zip(POINTS.tolist(), [*POINTS[1:].tolist(), BARS], strict=True)):
        rows = features[None, begin - model.history_bars : end]
        paid = slice(begin - 5, begin + 1)  # the bars after the six decisions, the last of them just closed
        with torch.no_grad():
            policy, embedding = adapt_chunks(model, rows, log_return[None, paid], cost[None, paid], GRID)
            part = policy.market_part(embedding).policy[0]
        torch.testing.assert_close(got.part[begin:end], part, atol=1e-5, rtol=1e-5)
        assert (got.serving[begin:end] == index).all()


@SCOPES
@pytest.mark.parametrize("now", [29, 30, 44])
def test_bars_after_the_present_change_nothing_up_to_it(scope: Scope, now: int) -> None:
    model, known, other = make_model(scope), series(), series(seed=1)
    changed = [torch.cat([ours[: now + 1], theirs[now + 1 :]]) for ours, theirs in zip(known, other, strict=True)]
    before, after = adapted(model, *known), adapted(model, *changed)
    torch.testing.assert_close(after.part[: now + 1], before.part[: now + 1], atol=1e-6, rtol=0, equal_nan=True)
    assert (after.part[now + 1 :] - before.part[now + 1 :]).abs().max() > 0.1
    made = int((now >= POINTS).sum())
    for name, value in before.parameters.items():
        torch.testing.assert_close(after.parameters[name][:made], value[:made], atol=1e-6, rtol=0)


def test_without_a_point_nothing_is_served() -> None:
    model = make_model(Scope.head)
    got = adapt_series(model, *series(), GRID, POINTS[:0])
    assert bool(got.part.isnan().all())
    assert (got.serving == -1).all()
    assert got.parameters == {}
