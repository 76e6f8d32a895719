"""A mixture as an agent: it trades like any policy, and tells whom the gate asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.agents.mixture_agent import MixtureAgent
from src.agents.policy_agent import PolicyAgent
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.evaluation.specialists import specialists
from src.models.moe_model import MoEModel
from src.models.ppo_model import PPOModel
from src.training.training_data import prepare_data
from tests.support.backtest_setup import CONFIG, make_file, make_mixture

DATA = prepare_data(CONFIG)
ROWS = DATA.splits.validation


def make_agent(mirror: bool = False) -> MixtureAgent:
    model = make_mixture(experts=3)
    return MixtureAgent(model, DATA.pipeline, DATA.rules, mirror=mirror)


@pytest.mark.parametrize("mirror", [False, True], ids=["plain", "mirror"])
def test_it_shows_the_gate_on_the_bars_as_they_are(mirror: bool) -> None:
    agent = make_agent(mirror)
    agent.prepare(DATA.bars)
    features = torch.from_numpy(DATA.pipeline.transform(DATA.bars))
    with torch.no_grad():
        expected = make_mixture(experts=3).trunk.gate(features[None], 0)[0].exp().numpy()
    np.testing.assert_allclose(agent.gates, expected, atol=1e-6)
    assert agent.gates.std() > 0.01


def test_the_gate_does_not_hear_of_the_future() -> None:
    agent, cut = make_agent(), ROWS[10]
    agent.prepare(DATA.bars)
    whole = agent.gates[:cut]
    agent.prepare(DATA.bars[:cut])
    np.testing.assert_allclose(agent.gates, whole, atol=1e-6)


def test_it_describes_its_experts_by_the_bars_after_their_decisions() -> None:
    agent = make_agent()
    run_backtest(agent, DATA.bars, DATA.rules, ROWS)
    found = agent.diagnose(DATA.bars, ROWS)
    own = slice(ROWS.start, ROWS.stop)
    expected = specialists(agent.gates[own][:-1], DATA.bars.log_returns[own])
    assert len(found) == 3 * 5
    for index, expert in enumerate(expected):
        assert found[f"moe/expert_{index}/load"] == expert.load
        assert found[f"moe/expert_{index}/persistence"] == expert.persistence


def test_a_mixture_of_one_trades_as_the_plain_policy() -> None:
    file = make_file("stage_1_ppo")
    plain = PPOModel.from_description(file.model)
    plain.load_state_dict(file.weights)
    single = make_mixture(experts=1)
    single.load_state_dict({name.replace("trunk.", "trunk.experts.0."): value for name, value in file.weights.items()})
    agents = (PolicyAgent(plain, DATA.pipeline, DATA.rules), MixtureAgent(single, DATA.pipeline, DATA.rules))
    ours, theirs = (run_backtest(agent, DATA.bars, DATA.rules, ROWS).records for agent in agents)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.count_nonzero(ours.fill_units) > 5


def test_files_of_mixtures_become_mixture_agents() -> None:
    model = make_mixture(experts=3)
    file = replace(make_file("stage_2_moe"), kind="moe", model=model.describe(), weights=model.state_dict())
    assert isinstance(agent_from_file(file), MixtureAgent)
    assert MoEModel.from_description(file.model).describe() == model.describe()
