"""The adaptive policy as an agent: it trades what the inner loop gives, on closed bars, at the calendar's cadence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.agents.adaptive_agent import AdaptivePolicyAgent
from src.agents.policy_agent import PolicyAgent
from src.backtesting.engine import run_backtest
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.stages.learning import AdaptationConfig, Scope
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RiskConfig
from src.errors import ConfigError, DataError
from src.execution.tape import build_tape
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from src.models.maml_model import MAMLModel, adapt_chunks
from src.models.position_grid import linear_terms, position_grid
from src.models.ppo_model import build_model
from src.trading.records import MarketState
from src.trading.rules import make_rules
from tests.support.random_bars import NASTY_MARKETS, random_bars

BARS = random_bars(700, seed=4)
PIPELINE = FeaturePipeline(["returns", "bollinger"], 6.0).fit([(BARS, range(100, 600))])
RULES = make_rules(EnvironmentConfig(), CostsConfig(), RiskConfig(), 0.01)
GRID = position_grid(RULES)
SUPPORT, EVERY, CONTEXT = 40, 24, 10
ADAPTATION = AdaptationConfig(
    support_bars=SUPPORT,
    adapt_every=EVERY,
    inner_steps=3,
    inner_lr=1.0,
    learn_inner_lr=True,
    second_order=False,
    scope=Scope.head,
)
ROWS = range(200, 700)
SCOPES = pytest.mark.parametrize("scope", Scope, ids=[scope.value for scope in Scope])
MIRROR = pytest.mark.parametrize("mirror", [False, True], ids=["plain", "mirror"])


def make_model(scope: Scope = Scope.head) -> MAMLModel:
    """A network with opinions: a fresh one is close to uniform."""
    config = ModelConfig(core=CoreTransformerConfig(d_model=16, num_heads=2, window=12, ff_dim=32), head_dim=16)
    sizes = (len(PIPELINE.columns), len(RULES.account_inputs), len(RULES.action.targets))
    model = build_model(MAMLModel, 0, config, *sizes, adaptation=replace(ADAPTATION, scope=scope))
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
    return model


def make_agent(scope: Scope = Scope.head, mirror: bool = False) -> AdaptivePolicyAgent:
    return AdaptivePolicyAgent(make_model(scope), PIPELINE, RULES, mirror=mirror)


def accounts(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, 4)).astype(np.float32)


def outputs(agent: PolicyAgent, bars: BarSeries, rows: range) -> np.ndarray:
    agent.prepare(bars)
    return np.stack([agent.outputs(MarketState(row, 0, accounts(5))) for row in rows])


@torch.no_grad()
def by_hand(model: MAMLModel, bars: BarSeries, adapted_at: int, row: int) -> np.ndarray:
    """What the network says at a row when adapted at the close of an earlier one, from the bars up to it alone."""
    bars = bars[: row + 1]
    features = torch.from_numpy(PIPELINE.transform(bars))[None, adapted_at - SUPPORT - CONTEXT :]
    log_return, cost = linear_terms(build_tape(bars, RULES.costs), RULES)
    paid = slice(adapted_at - SUPPORT + 1, adapted_at + 1)
    policy, embedding = adapt_chunks(
        model.eval(), features, torch.from_numpy(log_return[None, paid]), torch.from_numpy(cost[None, paid]), GRID
    )
    account = torch.from_numpy(accounts(5))[None]
    return policy.policy(policy.market_part(embedding).policy[:, -1:], account)[0].numpy()


@SCOPES
def test_it_says_what_the_network_says_after_its_latest_adaptation(scope: Scope) -> None:
    model, agent = make_model(scope), make_agent(scope)
    agent.prepare(BARS)
    for row in (216, 217, 239, 240, 500):  # the series opens at hour 0: it adapts at multiples of 24
        said = agent.outputs(MarketState(row, 0, accounts(5)))
        np.testing.assert_allclose(said, by_hand(model, BARS, row - row % EVERY, row), atol=5e-5)
    plain = outputs(PolicyAgent(model, PIPELINE, RULES), BARS, ROWS)
    assert np.abs(outputs(agent, BARS, ROWS) - plain).max() > 0.1


@SCOPES
@MIRROR
def test_the_future_changes_no_decision(scope: Scope, mirror: bool) -> None:
    agent, now = make_agent(scope, mirror), 430
    full = run_backtest(agent, BARS, RULES, ROWS).records
    other = random_bars(700, seed=5, first_price=BARS.close[now])
    names = ("open_time", "open", "high", "low", "close", "volume")
    columns = [
        np.concatenate([getattr(BARS, n)[: now + 1], getattr(BARS if n == "open_time" else other, n)[now + 1 :]])
        for n in names
    ]
    changed = run_backtest(agent, BarSeries("TEST", "1h", *columns), RULES, ROWS).records
    count = now + 1 - ROWS.start
    np.testing.assert_array_equal(changed.target[:count], full.target[:count])
    assert (changed.target[count:] != full.target[count:]).any()
    assert len(set(full.target)) > 1


def test_a_stream_of_bars_gives_what_the_whole_series_gives() -> None:
    agent = make_agent()
    whole = outputs(agent, BARS, ROWS)
    for row in (200, 239, 240, 241, 399):
        np.testing.assert_allclose(outputs(agent, BARS[: row + 1], range(row, row + 1))[0], whole[row - 200], atol=2e-5)


def test_the_cadence_is_the_calendars() -> None:
    agent = make_agent()
    whole = outputs(agent, BARS, range(400, 700))
    later = BARS[137:]  # more history before row 400 than anything looks back
    np.testing.assert_allclose(outputs(agent, later, range(400 - 137, 700 - 137)), whole, atol=2e-5)


def test_the_gain_is_what_the_adapted_policy_earns_above_the_one_left_as_it_is() -> None:
    """By sampled accounts: 50,000 of each policy, evenly spread at first; three standard errors are allowed."""
    agent, rows, source = make_agent(), range(300, 360), np.random.default_rng(0)
    found = (agent.prepare(BARS), agent.diagnose(BARS, rows))[1]["maml/gain"]
    plain = PolicyAgent(make_model(), PIPELINE, RULES)
    plain.prepare(BARS)
    log_return, cost = linear_terms(build_tape(BARS, RULES.costs), RULES)
    targets, count = np.array(RULES.action.targets), 50_000
    earned = []
    for policy in (agent, plain):
        held, reward = source.integers(0, 5, count), np.zeros(count)
        for row in range(rows.start, rows.stop - 1):
            logits = policy.outputs(MarketState(row, 0, GRID.accounts.numpy()))
            probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            chosen = (source.random((count, 1)) > probs.cumsum(1)[held]).sum(1).clip(max=4)
            reward += targets[chosen] * log_return[row + 1] - cost[row + 1] * abs(targets[chosen] - targets[held])
            held = chosen
        earned.append(reward / (len(rows) - 1))
    error = np.sqrt(sum(own.var() / count for own in earned))
    assert abs(found) > 5 * error
    assert found == pytest.approx(earned[0].mean() - earned[1].mean(), abs=3 * error)


def test_mirrored_it_takes_the_opposite_side_of_the_opposite_market() -> None:
    agent, row = make_agent(mirror=True), 333
    account = accounts(9)
    opposite = account.copy()
    opposite[:, RULES.account_inputs.index("exposure")] *= -1
    agent.prepare(BARS)
    up = agent.outputs(MarketState(row, 0, account))
    agent.prepare(BARS.mirrored())
    down = agent.outputs(MarketState(row, 0, opposite))
    np.testing.assert_allclose(up, down[:, ::-1], atol=5e-5)


@pytest.mark.parametrize("market", ["gaps", "jump"])
def test_after_the_warm_up_every_row_is_served_by_whole_history(market: str) -> None:
    agent = make_agent()
    bars = NASTY_MARKETS[market](400)
    first = agent.warmup_bars
    assert first == PIPELINE.warmup_bars + CONTEXT + SUPPORT + EVERY - 1
    assert np.isfinite(outputs(agent, bars, range(first, 400))).all()
    with pytest.raises(DataError, match="history"):
        run_backtest(agent, bars, RULES, range(first - 1, 400))
    points = agent._cadence(bars)
    assert points[0] >= PIPELINE.warmup_bars + CONTEXT + SUPPORT
    assert points[0] <= first
    assert int(points.diff().max()) <= EVERY


def test_continuous_actions_are_refused() -> None:
    rules = replace(RULES, action=ActionConfig(kind=ActionKind.continuous))
    with pytest.raises(ConfigError, match=r"environment\.action\.kind=discrete"):
        AdaptivePolicyAgent(make_model(), PIPELINE, rules)
