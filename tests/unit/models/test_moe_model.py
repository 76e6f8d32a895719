"""The mixture: one expert is the plain policy, a gate weighs several, each can be asked alone, one trunk seeds all."""

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from src.config.model import CoreTransformerConfig, ModelConfig, Trunk
from src.config.stages.learning import MoEStageConfig
from src.errors import ConfigError
from src.models.maml_model import AdaptationConfig, MAMLModel, Scope
from src.models.moe.mixture import MixtureConfig, MixtureTrunk, balance_loss, gate_entropy
from src.models.moe_model import MoEModel
from src.models.ppo_model import PPOModel, build_model, encode_series

F, C, A = 6, 4, 5
CONFIG = ModelConfig(core=CoreTransformerConfig(d_model=8, num_heads=2, ff_dim=16, window=12), head_dim=16)
SIZES = {"num_features": F, "num_account_inputs": C, "num_outputs": A, "continuous": False}
ADAPTATION = AdaptationConfig(
    support_bars=8,
    adapt_every=4,
    inner_steps=1,
    inner_lr=1.0,
    learn_inner_lr=True,
    second_order=False,
    scope=Scope.head,
)


def shaken(model: PPOModel, seed: int = 5) -> PPOModel:
    """A fresh model has branches of zero, an even gate and a policy close to uniform."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=source))
    return model.eval()


def make_moe(experts: int = 3, seed: int = 0, config: ModelConfig = CONFIG, **mixture: object) -> MoEModel:
    shape = MixtureConfig(**({"experts": experts, "top_k": None, "gate_dim": 8, "gate_window": 20} | mixture))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MoEModel(config, **SIZES, mixture=shape)


def make_ppo(seed: int = 0, config: ModelConfig = CONFIG) -> PPOModel:
    return build_model(PPOModel, seed, config, **SIZES)


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("trunk", Trunk)
def test_one_expert_is_the_plain_policy_to_the_bit(trunk: Trunk) -> None:
    config = replace(CONFIG, trunk=trunk)
    plain, mixture = make_ppo(config=config), make_moe(experts=1, config=config)
    names = {f"trunk.experts.0.{name.removeprefix('trunk.')}" if name.startswith("trunk.") else name: name
             for name in plain.state_dict()}  # fmt: skip
    assert mixture.state_dict().keys() == names.keys()
    assert all(torch.equal(mixture.state_dict()[ours], plain.state_dict()[theirs]) for ours, theirs in names.items())
    plain = shaken(plain)
    mixture.load_state_dict({ours: plain.state_dict()[theirs] for ours, theirs in names.items()})
    x, mask, account = random_tensor(2, 40, F), random_tensor(2, 1, 8, seed=1), random_tensor(2, 20, 3, C, seed=2)
    outputs, gradients = [], []
    for model in (plain, mixture):
        assert model.context_bars == plain.context_bars
        part = model.market_part(model.encode_market(x, mask, context=20))
        policy, value = model.policy(part.policy[:, :, None], account), model.value(part.value[:, :, None], account)
        outputs.append((policy, value))
        gradients.append(torch.autograd.grad(policy.square().sum() + value.square().sum(), model.parameters()))
    assert all(map(torch.equal, *outputs))
    assert all(map(torch.equal, *gradients))


@torch.no_grad()
@pytest.mark.parametrize("feature_skip", [True, False])
def test_the_heads_see_the_experts_as_the_gate_weighs_them_and_each_alone(feature_skip: bool) -> None:
    model, x = shaken(make_moe(config=replace(CONFIG, feature_skip=feature_skip))), random_tensor(2, 40, F)
    assert isinstance(model, MoEModel)
    mask = 2.0 * (random_tensor(2, 1, 8, seed=1) > 0).float()
    embedding = model.encode_market(x, mask, context=25)
    weights = model.gates(embedding)
    torch.testing.assert_close(weights, model.trunk.gate(x, 25).exp())
    torch.testing.assert_close(model.log_beliefs(embedding), weights.log())
    outputs = [CONFIG.embedding_scale * mask * expert.encode(x, 25) for expert in model.trunk.experts]
    mixed = sum(weights[..., [e]] * output for e, output in enumerate(outputs))
    parts, own = model.market_part(embedding), model.expert_parts(embedding)
    for head, mixture, experts in (
        (model.policy_head, parts.policy, own.policy),
        (model.value_head, parts.value, own.value),
    ):
        for seen, expected in [(mixed, mixture), *((output, experts[..., e, :]) for e, output in enumerate(outputs))]:
            beside = torch.cat([seen, x[:, 25:]], -1) if feature_skip else seen
            torch.testing.assert_close(head.market_half(beside), expected)


@pytest.mark.parametrize("top_k", [1, 2])
def test_top_k_keeps_the_likeliest_and_shares_out_what_the_others_had(top_k: int) -> None:
    log_beliefs = random_tensor(50, 3).log_softmax(-1)
    trunk = make_moe(top_k=top_k).trunk
    assert isinstance(trunk, MixtureTrunk)
    soft, sparse = log_beliefs.exp(), trunk.weights(log_beliefs)
    order = soft.argsort(-1, descending=True)
    assert bool((sparse.gather(-1, order[..., top_k:]) == 0).all())
    kept = soft.gather(-1, order[..., :top_k])
    torch.testing.assert_close(sparse.gather(-1, order[..., :top_k]), kept / kept.sum(-1, keepdim=True))


def test_losses_of_the_mixture_teach_its_experts_and_leave_the_gate_to_its_own() -> None:
    model = shaken(make_moe())
    assert isinstance(model, MoEModel)
    embedding = model.encode_market(random_tensor(2, 40, F))
    part = model.market_part(embedding)
    (part.policy.square().sum() + part.value.square().sum()).backward(retain_graph=True)
    gate = {name: weight for name, weight in model.named_parameters() if name.startswith("trunk.gate")}
    experts = {name: weight for name, weight in model.named_parameters() if name.startswith("trunk.experts")}
    assert all(weight.grad is None or not bool(weight.grad.any()) for weight in gate.values())
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in experts.values())
    model.log_beliefs(embedding)[..., 0].sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in gate.values())


@torch.no_grad()
def test_a_series_is_encoded_as_in_one_pass_and_knows_no_future() -> None:
    model, x = shaken(make_moe()), random_tensor(70, F)
    assert model.context_bars == 19  # the gate looks back further than the experts
    whole = model.encode_market(x[None])[0]
    torch.testing.assert_close(encode_series(model, x, chunk=16), whole, atol=1e-5, rtol=0)
    changed = x.clone()
    changed[50:] += 1.0
    torch.testing.assert_close(model.encode_market(changed[None])[0][:50], whole[:50], atol=1e-6, rtol=0)


def test_balance_is_perfect_when_all_serve_alike_and_worst_when_one_serves_alone() -> None:
    turns = torch.eye(4)[torch.arange(40) % 4].reshape(2, 20, 4)
    assert float(balance_loss(turns)) == pytest.approx(0.0, abs=1e-6)
    assert float(balance_loss(torch.full((2, 5, 4), 0.25))) == pytest.approx(0.0, abs=1e-6)
    assert float(balance_loss(torch.eye(4)[torch.zeros(10, dtype=torch.long)])) == pytest.approx(3.0)
    logits = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0]], requires_grad=True)
    balance_loss(logits.softmax(-1)).backward()
    assert logits.grad is not None
    assert bool((logits.grad[:, 0] > 0).all()), "a step down the gradient takes from the busiest"
    assert bool((logits.grad[:, 2] < 0).all())


def test_entropy_is_a_fraction_of_its_largest_value() -> None:
    assert float(gate_entropy(torch.full((2, 5, 4), 0.25))) == pytest.approx(1.0)
    assert float(gate_entropy(torch.eye(4))) == 0.0
    half = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    assert float(gate_entropy(half)) == pytest.approx(0.5)  # ln 2 / ln 4
    assert float(gate_entropy(torch.ones(3, 1))) == 0.0
    logits = torch.tensor([[1.0, 0.5, -torch.inf]], requires_grad=True)  # one expert is left out
    gate_entropy(logits.softmax(-1)).backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert bool((logits.grad[0, :2] != 0).all())


def test_description_and_weights_are_all_there_is() -> None:
    model = shaken(make_moe(top_k=2))
    rebuilt = MoEModel.from_description(json.loads(json.dumps(model.describe()))).eval()
    rebuilt.load_state_dict(model.state_dict(), strict=True)
    x = random_tensor(1, 30, F)
    assert torch.equal(rebuilt.encode_market(x), model.encode_market(x))
    assert rebuilt.describe() == model.describe()
    with pytest.raises(ConfigError, match="not that of a mixture"):
        MoEModel.from_description(make_ppo().describe())


@pytest.mark.parametrize(
    ("change", "says"),
    [({"experts": 0}, "experts must be >= 1"), ({"top_k": 4}, r"top_k must lie in \[1, experts=3\]"),
     ({"top_k": 0}, "top_k"), ({"gate_dim": 0}, "gate_dim"), ({"gate_window": 0}, "gate_window")],
)  # fmt: skip
def test_impossible_mixtures_are_refused(change: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make_moe(**change)
    with pytest.raises(ConfigError, match=says):
        MoEStageConfig(**change)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"sharpness": 0.0}, r"sharpness must lie in \(0, 100\]"), ({"stay_bars": 0.5}, "stay_bars"),
     ({"specialist_coef": -1.0}, "specialist_coef"), ({"gate_coef": -1.0}, "gate_coef"),
     ({"balance": -0.1}, "balance"), ({"gate_entropy": 101.0}, "gate_entropy"),
     ({"gate_entropy_end": -101.0}, "gate_entropy_end")],
)  # fmt: skip
def test_impossible_lessons_are_refused(change: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        MoEStageConfig(**change)


# Hand-over.


def test_a_single_trunk_becomes_every_expert_with_noise_on_all_but_the_first() -> None:
    source, model = shaken(make_ppo()), make_moe(seed=9)
    gate = {name: value.clone() for name, value in model.state_dict().items() if "gate" in name}
    model.start_from(source.describe(), source.state_dict(), generator())
    state = model.state_dict()
    for name, value in source.state_dict().items():
        if not name.startswith("trunk."):
            assert torch.equal(state[name], value)
            continue
        own = name.removeprefix("trunk.")
        assert torch.equal(state[f"trunk.experts.0.{own}"], value)
    assert all(torch.equal(state[name], value) for name, value in gate.items())
    weight = source.state_dict()["trunk.blocks.0.widen.weight"]  # the largest: 16 x 8
    noises = [state[f"trunk.experts.{e}.blocks.0.widen.weight"] - weight for e in (1, 2)]
    for noise in noises:  # the deviation of 128 draws is known to within a quarter at four standard errors
        assert float(noise.std() / weight.std()) == pytest.approx(0.1, rel=0.25)
    assert not torch.equal(*noises)


@torch.no_grad()
def test_a_mixture_of_one_starts_as_the_policy_it_came_from() -> None:
    source, model, x = shaken(make_ppo()), make_moe(experts=1, seed=9).eval(), random_tensor(1, 30, F)
    model.start_from(source.describe(), source.state_dict(), generator())
    ours, theirs = (each.market_part(each.encode_market(x)) for each in (model, source))
    assert all(map(torch.equal, ours, theirs))


def test_kinds_that_share_their_networks_hand_over_to_one_another() -> None:
    ppo, maml = shaken(make_ppo()), build_model(MAMLModel, 4, CONFIG, F, C, A, adaptation=ADAPTATION)
    rates = maml.log_inner_lr.clone()
    maml.start_from(ppo.describe(), ppo.state_dict(), generator())
    assert all(torch.equal(maml.state_dict()[name], value) for name, value in ppo.state_dict().items())
    assert torch.equal(maml.log_inner_lr, rates)
    fresh = make_ppo(seed=8)
    fresh.start_from(maml.describe(), maml.state_dict(), generator())
    assert all(torch.equal(fresh.state_dict()[name], value) for name, value in ppo.state_dict().items())
    again = make_moe(seed=8)
    again.start_from(make_moe().describe(), shaken(make_moe()).state_dict(), generator())
    assert all(map(torch.equal, again.parameters(), shaken(make_moe()).parameters()))


def test_what_cannot_be_handed_over_is_refused() -> None:
    mixture = make_moe()
    with pytest.raises(ConfigError, match="has no trunk that fits"):
        make_ppo().start_from(mixture.describe(), mixture.state_dict(), generator())
    with pytest.raises(ConfigError, match="that mixture has another shape"):
        make_moe(experts=2).start_from(mixture.describe(), mixture.state_dict(), generator())
    other = make_ppo(config=replace(CONFIG, head_dim=8))
    with pytest.raises(ConfigError, match=r"another architecture \(head_dim\)"):
        mixture.start_from(other.describe(), other.state_dict(), generator())
