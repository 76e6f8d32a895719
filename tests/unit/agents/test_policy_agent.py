"""The policy as an agent: what the network says, greedily, causally, and the same upside down where asked."""

import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from src.agents.model_file import ModelFile
from src.agents.policy_agent import NumpyHead, PolicyAgent, Side, head_parameters, is_symmetric
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RiskConfig
from src.errors import ConfigError, ModelFileError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from src.models.ppo_model import PPOModel, build_model
from src.trading.records import MarketState
from src.trading.rules import TradingRules, make_rules
from tests.support.random_bars import random_bars

BARS = random_bars(900, seed=4)
PIPELINE = FeaturePipeline(["returns", "volatility", "rsi"], 6.0).fit([(BARS, range(100, 600))])
RULES = make_rules(EnvironmentConfig(), CostsConfig(), RiskConfig(), 0.01)
CONTINUOUS = replace(RULES, action=ActionConfig(kind=ActionKind.continuous, grid=[-0.5, 0.0, 0.5], max_leverage=0.5))
CONFIG = ModelConfig(core=CoreTransformerConfig(d_model=16, num_heads=2, window=12, ff_dim=32), head_dim=16)
ROWS = range(200, 900)


def make_model(rules: TradingRules = RULES, seed: int = 0) -> PPOModel:
    """A network with opinions: a fresh one is close to uniform."""
    continuous = rules.action.kind is ActionKind.continuous
    outputs = 2 if continuous else len(rules.action.targets)
    model = build_model(PPOModel, seed, CONFIG, len(PIPELINE.columns), len(rules.account_inputs), outputs, continuous)
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
    return model


def make_file(rules: TradingRules = RULES, mirror: bool = False) -> ModelFile:
    model = make_model(rules)
    return ModelFile(
        kind="ppo",
        stage="stage_1_ppo",
        symbol="TEST",
        timeframe="1h",
        weights=model.state_dict(),
        model=model.describe(),
        features=PIPELINE.to_plain(),
        rules=rules.to_plain(),
        data_fingerprint="",
        split={},
        config={"sequence": {"stage_1_ppo": {"mirror": mirror}}},
        evaluations=1,
        validation={},
        verdict="",
        lineage=[],
    )


def accounts(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 4)).astype(np.float32)


@torch.no_grad()
def torch_outputs(model: PPOModel, bars: BarSeries, row: int, account: np.ndarray) -> np.ndarray:
    """The network asked directly, about the window that ends at `row`."""
    window = PIPELINE.transform(bars)[row - model.context_bars : row + 1]
    part = model.market_part(model.encode_market(torch.from_numpy(window)[None])[0, -1])
    return model.policy(part.policy, torch.from_numpy(account)).numpy()


@pytest.mark.parametrize("rules", [RULES, CONTINUOUS], ids=["grid", "continuous"])
def test_it_decides_what_the_network_says(rules: TradingRules) -> None:
    model = make_model(rules)
    agent = PolicyAgent(model, PIPELINE, rules)
    agent.prepare(BARS)
    for row in (200, 555, 899):
        account = accounts(7, row)
        said = torch_outputs(model, BARS, row, account)
        market_state = MarketState(row, 0, account)
        np.testing.assert_allclose(agent.outputs(market_state), said, atol=2e-5)  # encoders agree within 1e-5
        decision = agent.act(market_state)
        if rules is RULES:
            np.testing.assert_array_equal(decision.target, np.array(rules.action.targets)[said.argmax(1)])
            expected = torch.from_numpy(said).softmax(-1).max(-1).values
        else:
            np.testing.assert_allclose(decision.target, said[:, 0].clip(-0.5, 0.5), atol=2e-5)
            normal = torch.distributions.Normal(0.0, 1.0)
            expected = normal.cdf(torch.from_numpy(np.abs(said[:, 0]) / np.exp(said[:, 1])))
        np.testing.assert_allclose(decision.confidence, expected.numpy(), atol=1e-4)


def test_the_numpy_head_equals_the_torch_head() -> None:
    model = make_model()
    market, account = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)), torch.from_numpy(accounts(50))
    with torch.no_grad():
        expected = model.policy_head(market, account).numpy()
    got = NumpyHead(head_parameters(model.policy_head), [Side(np.ones(4, np.float32), lambda outputs: outputs)])(
        market.numpy(), account.numpy()
    )
    assert np.abs(expected).max() > 0.3
    assert np.abs(got - expected).max() < 1e-6


@pytest.mark.parametrize("mirror", [False, True])
def test_accounts_decide_independently_of_their_company(mirror: bool) -> None:
    agent = PolicyAgent(make_model(), PIPELINE, RULES, mirror=mirror)
    agent.prepare(BARS)
    together = agent.act(MarketState(300, 0, accounts(9)))
    alone = [agent.act(MarketState(300, 0, one[None])) for one in accounts(9)]
    np.testing.assert_array_equal(together.target, [one.target[0] for one in alone])
    np.testing.assert_allclose(together.confidence, [one.confidence[0] for one in alone], atol=1e-6)


@pytest.mark.parametrize("mirror", [False, True])
def test_the_future_changes_no_decision(mirror: bool) -> None:
    agent = PolicyAgent(make_model(), PIPELINE, RULES, mirror=mirror)
    full = run_backtest(agent, BARS, RULES, ROWS).records
    short = run_backtest(agent, BARS[:600], RULES, range(200, 600)).records
    np.testing.assert_array_equal(short.target, full.target[:400])
    assert len(set(full.target)) > 1


@pytest.mark.parametrize("rules", [RULES, CONTINUOUS], ids=["grid", "continuous"])
def test_mirrored_it_takes_the_opposite_side_of_the_opposite_market(rules: TradingRules) -> None:
    agent = PolicyAgent(make_model(rules), PIPELINE, rules, mirror=True)
    account = accounts(20)
    opposite = account.copy()
    opposite[:, rules.account_inputs.index("exposure")] *= -1
    agent.prepare(BARS)
    up = [agent.outputs(MarketState(row, 0, account)) for row in range(300, 330)]
    agent.prepare(BARS.mirrored())
    down = [agent.outputs(MarketState(row, 0, opposite)) for row in range(300, 330)]
    turned = np.array(down)[..., ::-1] if rules is RULES else np.array(down) * [-1, 1]
    np.testing.assert_allclose(up, turned, atol=2e-5)


def test_mirroring_needs_a_symmetric_action_space() -> None:
    assert is_symmetric(RULES.action)
    assert is_symmetric(CONTINUOUS.action)
    for action in (ActionConfig(allow_short=False), ActionConfig(grid=[-0.5, 0.0, 1.0])):
        assert not is_symmetric(action)
        rules = replace(RULES, action=action)
        with pytest.raises(ConfigError, match="symmetric"):
            PolicyAgent(make_model(rules), PIPELINE, rules, mirror=True)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_file_rebuilds_the_agent(mirror: bool) -> None:
    rebuilt = agent_from_file(make_file(mirror=mirror))
    original = PolicyAgent(make_model(), PIPELINE, RULES, mirror=mirror)
    got, expected = (run_backtest(agent, BARS, RULES, ROWS).records for agent in (rebuilt, original))
    np.testing.assert_array_equal(got.target, expected.target)
    np.testing.assert_array_equal(got.equity, expected.equity)
    assert rebuilt.name == "TEST_stage_1_ppo"


def test_the_warm_up_covers_features_and_context() -> None:
    agent = PolicyAgent(make_model(), PIPELINE, RULES)
    first = agent.warmup_bars
    features = PIPELINE.transform(BARS)[first - agent._model.context_bars : first + 1]
    assert np.abs(features).sum(axis=1).min() > 0  # warm-up rows hold zeros
    assert np.abs(PIPELINE.transform(BARS)[first - agent._model.context_bars - 1]).sum() == 0


def test_files_whose_parts_do_not_fit_are_refused() -> None:
    file = make_file()
    weights = {name: tensor for name, tensor in file.weights.items() if "output" not in name}
    other_rules = {**file.rules, "action": asdict(ActionConfig(grid=[-1.0, 0.0, 1.0])) | {"kind": "discrete"}}
    broken = {
        "Missing key": {"weights": weights},
        "policy outputs": {"rules": other_rules},
        "features this code does not have": {"features": {**file.features, "names": ["returns", "volatility", "moon"]}},
        "kind 'alphago' is unknown": {"kind": "alphago"},
        "num_outputs": {"model": {key: value for key, value in file.model.items() if key != "num_outputs"}},
    }
    for message, change in broken.items():
        with pytest.raises(ModelFileError, match=message) as caught:
            agent_from_file(replace(file, **change))
        assert "\n" not in str(caught.value)


def test_a_single_decision_is_fast() -> None:
    agent = PolicyAgent(make_model(), PIPELINE, RULES, mirror=True)
    agent.prepare(BARS)
    market_state = MarketState(300, 0, accounts(1))
    best = np.inf
    for _ in range(20):
        started = time.thread_time()  # of this thread alone, however busy the machine is
        for _ in range(20):
            agent.act(market_state)
        best = min(best, (time.thread_time() - started) / 20)
    assert best < 100e-6
