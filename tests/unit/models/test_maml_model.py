"""The inner loop against brute force and finite differences, and what may and may not depend on it."""

import copy
import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from src.config.model import CoreTransformerConfig, ModelConfig, Trunk
from src.config.stages.learning import AdaptationConfig, Scope
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RewardConfig, RiskConfig
from src.errors import ConfigError
from src.execution.tape import build_tape
from src.models.maml.inner_loop import Parameters, inner_loss, policy_gradient
from src.models.maml.support import Support
from src.models.maml_model import AdaptedPolicy, MAMLModel, adapt_chunks
from src.models.position_grid import PositionGrid, linear_terms, position_grid
from src.models.ppo_model import PPOModel, build_model
from src.trading.rules import make_rules
from tests.support.random_bars import random_bars

F, C, A, S, T, G = 5, 2, 3, 4, 3, 4
CORE = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=2, ff_dim=16, window=5)
CONFIG = ModelConfig(core=CORE, head_dim=6)
HEAD = AdaptationConfig(
    support_bars=S, adapt_every=7, inner_steps=2, inner_lr=0.7, learn_inner_lr=True, second_order=True, scope=Scope.head
)
TARGETS = torch.tensor([-1.0, 0.0, 1.0])
GRID = PositionGrid(TARGETS, torch.stack([TARGETS, torch.zeros(A)], 1))
SCOPES = pytest.mark.parametrize("scope", Scope, ids=[scope.value for scope in Scope])


def make_model(scope: Scope = Scope.head, seed: int = 0, double: bool = False, **settings: object) -> MAMLModel:
    adaptation = replace(HEAD, scope=scope, **settings)
    model = build_model(MAMLModel, seed, CONFIG, F, C, A, adaptation=adaptation)
    source = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():  # a fresh model has branches of zero and a policy close to uniform
        for name, parameter in model.named_parameters():
            if name != "log_inner_lr":
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=source))
    return model.double() if double else model


class Tasks:
    """Random bars of `groups` tasks: context, support and query."""

    def __init__(self, model: MAMLModel, groups: int = G, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        source = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=source, dtype=dtype)

        self.context = model.context_bars
        self.features = normal(groups, self.context + S + T, F)
        self.log_return, self.cost = normal(groups, S), 0.2 * normal(groups, S).abs()
        self.query_return, self.query_cost = normal(groups, T), 0.2 * normal(groups, T).abs()
        self.grid = PositionGrid(*(column.to(dtype) for column in GRID))

    def adapted(self, model: MAMLModel) -> tuple[AdaptedPolicy, Tensor]:
        return adapt_chunks(model, self.features, self.log_return, self.cost, self.grid)

    def support(self, model: MAMLModel) -> Support:
        rows = self.features[:, : self.context + S]
        inputs = rows if model.adapts_trunk else model.encode_market(rows, context=self.context)
        return self.grid.support(inputs, self.log_return, self.cost)

    def outer_loss(self, model: MAMLModel) -> Tensor:
        policy, embedding = self.adapted(model)
        accounts = self.grid.accounts.expand(len(embedding), 1, -1, -1)
        probs = policy.policy(policy.market_part(embedding).policy[:, :, None], accounts).softmax(-1)
        return inner_loss(probs, self.grid.support(probs, self.query_return, self.query_cost).rewards)


def adapted_parameters(model: MAMLModel, tasks: Tasks) -> Parameters:
    support = tasks.support(model)
    return model.adapt(model.meta_parameters(len(support.inputs)), support)


def enumerated_loss(model: MAMLModel, features: Tensor, log_return: Tensor, cost: Tensor) -> Tensor:
    """Minus the expected reward per bar of one task, by every sequence of actions; features include the context."""
    embedding = model.encode_market(features[None], context=model.context_bars)[0]
    bars = len(embedding)
    grid = PositionGrid(*(column.to(features.dtype) for column in GRID))
    distributions = [[model.act(embedding[t], grid.accounts[held])[0].probs for held in range(A)] for t in range(bars)]
    total = torch.zeros((), dtype=features.dtype)
    for start, actions in product(range(A), product(range(A), repeat=bars)):
        held, chance, reward = start, torch.ones((), dtype=features.dtype) / A, torch.zeros((), dtype=features.dtype)
        for t, action in enumerate(actions):
            chance = chance * distributions[t][held][action]
            change = (grid.targets[action] - grid.targets[held]).abs()
            reward = reward + grid.targets[action] * log_return[t] - cost[t] * change
            held = action
        total = total + chance * reward
    return -total / bars


@SCOPES
@torch.no_grad()
def test_a_clone_equals_the_original(scope: Scope) -> None:
    model = make_model(scope)
    clone = AdaptedPolicy(model, model.meta_parameters(G))
    features = Tasks(model).features
    mask = 2.0 * (torch.rand(G, 1, 8, generator=torch.Generator().manual_seed(5)) > 0.5).float()
    account = torch.randn(G, 1, 6, C, generator=torch.Generator().manual_seed(6))
    for kept in (None, mask):
        embedding = clone.encode_market(features, kept, context=2)
        torch.testing.assert_close(embedding, model.encode_market(features, kept, context=2), atol=1e-6, rtol=0)
    ours, theirs = clone.market_part(embedding), model.market_part(embedding)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        clone.policy(ours.policy[:, :, None], account),
        model.policy(theirs.policy[:, :, None], account),
        atol=1e-6,
        rtol=0,
    )
    torch.testing.assert_close(
        clone.value(ours.value[:, :, None], account), model.value(ours.value[:, :, None], account)
    )
    assert clone.context_bars == model.context_bars == model.history_bars - S
    assert clone.trunk_dim == model.trunk_dim


@SCOPES
def test_the_first_order_gradient_is_that_of_a_copy_trained_step_by_step(scope: Scope) -> None:
    """The reference knows nothing of chains, functional calls or groups: a copied module, every sequence of actions."""
    model = make_model(scope, double=True, second_order=False)
    tasks = Tasks(model, groups=1, dtype=torch.float64)
    tasks.outer_loss(model).backward()
    copied = copy.deepcopy(model)
    adaptable = [copied.get_parameter(name) for name in model.adaptable]
    support, query = tasks.features[0, : tasks.context + S], tasks.features[0, S:]
    for _ in range(HEAD.inner_steps):
        loss = enumerated_loss(copied, support, tasks.log_return[0], tasks.cost[0])
        gradients = torch.autograd.grad(loss, adaptable)
        with torch.no_grad():
            for parameter, gradient in zip(adaptable, gradients, strict=True):
                parameter.sub_(model.log_inner_lr.exp()[0] * gradient)
    copied.zero_grad()
    enumerated_loss(copied, query, tasks.query_return[0], tasks.query_cost[0]).backward()
    compared = 0
    for (name, ours), theirs in zip(model.named_parameters(), copied.parameters(), strict=True):
        if name != "log_inner_lr" and theirs.grad is not None:
            # Rotary positions are tabulated in single precision, and one pass counts them from another bar than two.
            torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-5)
            compared += bool(theirs.grad.abs().max() > 1e-6)
    assert compared > len(model.adaptable) / 2


@SCOPES
@pytest.mark.parametrize("second_order", [True, False])
def test_the_second_order_gradient_is_the_derivative_of_the_outer_loss(scope: Scope, second_order: bool) -> None:
    """By central differences along a random direction of all meta-parameters; first order is not that derivative."""
    model = make_model(scope, double=True, second_order=second_order)
    tasks = Tasks(model, dtype=torch.float64)
    tasks.outer_loss(model).backward()
    source = torch.Generator().manual_seed(9)
    moved = [p for p in model.parameters() if p.grad is not None]
    direction = [torch.randn(p.shape, generator=source, dtype=torch.float64) for p in moved]
    slope = sum(float((p.grad * d).sum()) for p, d in zip(moved, direction, strict=True))

    def loss_at(step: float) -> float:
        shifted = copy.deepcopy(model)
        ours = [
            p for p, original in zip(shifted.parameters(), model.parameters(), strict=True) if original.grad is not None
        ]
        with torch.no_grad():
            for parameter, towards in zip(ours, direction, strict=True):
                parameter.add_(step * towards)
            return float(tasks.outer_loss(shifted))

    difference = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5
    assert (abs(slope - difference) < 1e-6 * max(1.0, abs(difference))) is second_order
    reached = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}
    trunk = {name for name, _ in model.named_parameters() if name.startswith("trunk.")}
    assert reached >= {*model.adaptable, "log_inner_lr", *trunk}


@SCOPES
@pytest.mark.parametrize("seed", range(3))
def test_one_small_step_lowers_the_inner_loss_as_the_gradient_says(scope: Scope, seed: int) -> None:
    rate = 1e-3
    model = make_model(scope, seed, double=True, inner_steps=1, inner_lr=rate)
    tasks = Tasks(model, groups=1, seed=seed, dtype=torch.float64)
    support, start = tasks.support(model), model.meta_parameters(1)
    probs = model.support_probs(start, support)
    squared = sum(
        float(gradient.square().sum()) for gradient in policy_gradient(start, probs, support.rewards, False).values()
    )
    before = inner_loss(probs, support.rewards).item()
    after = inner_loss(model.support_probs(model.adapt(start, support), support), support.rewards).item()
    assert after < before
    assert before - after == pytest.approx(rate * squared, rel=0.05)


def test_what_is_frozen_stays() -> None:
    model = make_model(Scope.head)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parameters = adapted_parameters(model, Tasks(model))
    assert set(parameters) == {name for name, _ in model.named_parameters() if name.startswith("policy_head.")}
    for name, value in parameters.items():
        assert not torch.equal(value[0], value[1]), f"{name} did not adapt to its own task"
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    policy, plain = AdaptedPolicy(model, parameters), AdaptedPolicy(model, model.meta_parameters(G))
    features = Tasks(model).features
    embedding = policy.encode_market(features)
    assert torch.equal(embedding, plain.encode_market(features))
    assert torch.equal(policy.market_part(embedding).value, plain.market_part(embedding).value)
    whole = adapted_parameters(make_model(Scope.network), Tasks(model))
    assert {name.split(".")[0] for name in whole} == {"policy_head", "trunk"}


@SCOPES
def test_tasks_together_equal_tasks_one_by_one(scope: Scope) -> None:
    model = make_model(scope)
    tasks = Tasks(model)
    policy, embedding = tasks.adapted(model)
    together = policy.market_part(embedding).policy
    for group in range(G):
        alone = Tasks(model)
        for name in ("features", "log_return", "cost"):
            setattr(alone, name, getattr(tasks, name)[group : group + 1])
        own, own_embedding = alone.adapted(model)
        torch.testing.assert_close(own.market_part(own_embedding).policy[0], together[group], atol=1e-5, rtol=1e-5)


@SCOPES
def test_bars_after_the_support_change_nothing(scope: Scope) -> None:
    model = make_model(scope)
    tasks, other = Tasks(model), Tasks(model)
    other.features[:, tasks.context + S + 1 :] = 99.0  # bars after the first of the query stretch
    (policy, embedding), (policy_too, embedding_too) = tasks.adapted(model), other.adapted(model)
    part, part_too = policy.market_part(embedding).policy, policy_too.market_part(embedding_too).policy
    torch.testing.assert_close(part[:, 0], part_too[:, 0], atol=1e-6, rtol=0)
    assert (part[:, 1:] - part_too[:, 1:]).abs().max() > 0.1
    other.features[:, tasks.context + S :] = 99.0
    ours, theirs = adapted_parameters(model, tasks), adapted_parameters(model, other)
    assert all(torch.equal(ours[name], theirs[name]) for name in model.adaptable)


@SCOPES
def test_one_pass_over_both_stretches_equals_one_over_each(scope: Scope) -> None:
    model = make_model(scope)
    tasks = Tasks(model)
    policy, embedding = tasks.adapted(model)
    expected = AdaptedPolicy(model, adapted_parameters(model, tasks))
    query = tasks.features[:, S:]
    torch.testing.assert_close(embedding, expected.encode_market(query, context=tasks.context), atol=1e-6, rtol=0)
    torch.testing.assert_close(policy.market_part(embedding), expected.market_part(embedding), atol=1e-6, rtol=0)


@SCOPES
def test_without_gradients_adaptation_is_the_same_and_detached(scope: Scope) -> None:
    model = make_model(scope)
    tasks = Tasks(model)
    with_graph = adapted_parameters(model, tasks)
    with torch.no_grad():
        without = adapted_parameters(model, tasks)
    for name, value in without.items():
        assert with_graph[name].requires_grad
        assert not value.requires_grad
        torch.testing.assert_close(value, with_graph[name].detach(), atol=0, rtol=0)


def test_step_sizes_are_learned_or_fixed() -> None:
    learned, fixed = make_model(), make_model(learn_inner_lr=False)
    for model in (learned, fixed):
        Tasks(model).outer_loss(model).backward()
        torch.testing.assert_close(model.log_inner_lr.exp(), torch.full((len(model.adaptable),), 0.7))
    assert bool((learned.get_parameter("log_inner_lr").grad != 0).all())
    assert "log_inner_lr" not in dict(fixed.named_parameters())
    assert learned.state_dict().keys() == fixed.state_dict().keys()


def test_a_description_and_weights_are_all_there_is_to_it() -> None:
    model = make_model(Scope.network, second_order=False)
    description = json.loads(json.dumps(model.describe()))
    rebuilt = MAMLModel.from_description(description, seed=3)
    assert rebuilt.adaptation == model.adaptation
    assert rebuilt.describe() == model.describe()
    rebuilt.load_state_dict(model.state_dict(), strict=True)
    tasks = Tasks(model)
    ours, theirs = adapted_parameters(model, tasks), adapted_parameters(rebuilt, tasks)
    assert all(torch.equal(ours[name], theirs[name]) for name in model.adaptable)
    del description["adaptation"]
    with pytest.raises(ConfigError, match="not that of a MAML model"):
        MAMLModel.from_description(description)


def test_it_starts_as_the_ppo_model_of_the_same_seed() -> None:
    fresh = build_model(MAMLModel, 4, CONFIG, F, C, A, adaptation=HEAD)
    plain = build_model(PPOModel, 4, CONFIG, F, C, A)
    weights = fresh.state_dict()
    assert set(weights) - set(plain.state_dict()) == {"log_inner_lr"}
    assert all(torch.equal(weights[name], tensor) for name, tensor in plain.state_dict().items())


def test_what_cannot_be_enumerated_or_batched_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"environment\.action\.kind=discrete"):
        build_model(MAMLModel, 0, CONFIG, F, C, 2, continuous=True, adaptation=HEAD)
    recurrent = replace(CONFIG, trunk=Trunk.lstm)
    with pytest.raises(ConfigError, match="scope=head"):
        build_model(MAMLModel, 0, recurrent, F, C, A, adaptation=replace(HEAD, scope=Scope.network))
    for change in ({"inner_steps": 0}, {"support_bars": 0}, {"adapt_every": 0}, {"inner_lr": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(change))):
            replace(HEAD, **change)
    model = build_model(MAMLModel, 0, recurrent, F, C, A, adaptation=HEAD)
    assert all(bool(value.isfinite().all()) for value in adapted_parameters(model, Tasks(model)).values())


def test_the_grid_is_that_of_the_rules() -> None:
    costs = CostsConfig(commission_bps=2.0, half_spread_bps=1.0, slippage_bps=3.0)
    action = ActionConfig(grid=[-1.0, 0.0, 2.0], max_leverage=2.0)
    environment = EnvironmentConfig(
        action=action, account_inputs=["drawdown", "exposure"], reward=RewardConfig(scale=10.0)
    )
    rules = make_rules(environment, costs, RiskConfig(), 0.01)
    grid = position_grid(rules)
    torch.testing.assert_close(grid.targets, torch.tensor([-1.0, 0.0, 2.0]))
    torch.testing.assert_close(grid.accounts, torch.tensor([[0.0, -0.5], [0.0, 0.0], [0.0, 1.0]]))
    bars = random_bars(30)
    log_return, cost = linear_terms(build_tape(bars, costs), rules)
    np.testing.assert_allclose(log_return[1:], 10.0 * np.diff(np.log(bars.close)), rtol=1e-6)
    np.testing.assert_allclose(cost, 10.0 * 6e-4, rtol=1e-6)
    with pytest.raises(ConfigError, match="was continuous"):
        position_grid(replace(rules, action=ActionConfig(kind=ActionKind.continuous)))
