"""Changes a champion makes to itself: what they are fitted to, how they are judged, and that they survive a restart."""

from dataclasses import replace

import numpy as np
import pytest

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.cost_feature import CostFeature
from src.agents.mind import COSTS
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.self_modification import RuleConfig
from src.memory.outcomes import KINDS
from src.reasoning.adaptation_rules import AdaptationRules
from src.seeding import generator
from src.trading.records import MarketState
from src.training.population.adaptation_actions import AdaptationActions
from src.training.population.adapted_member import AdaptedMember
from src.training.population.adversary import Adversary
from src.training.population.member import Member, MemberSpec
from src.training.population.member_evaluation import evaluate_member
from src.training.population.member_trainer import MemberTrainer
from src.training.population.population import Population, start_genome
from src.training.population.self_adaptation import SelfAdaptation
from src.training.population.shared_market import SharedMarket, build_shared_market, with_higher_costs
from src.training.population.stressed_series import StressedSeries
from src.training.training_data import prepare_data
from tests.support.tiny_training import autonomous_config

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedMarket:
    config = autonomous_config(tmp_path_factory.mktemp("repair"), "sequence.stage_4_autonomous.stressed=1")
    stage = config.sequence["stage_4_autonomous"]
    assert isinstance(stage, AutonomousStageConfig)
    return build_shared_market(config, stage, prepare_data(config))


@pytest.fixture(scope="module")
def population(shared: SharedMarket) -> Population:
    return Population(shared.stage, start_genome(shared.stage, shared.config.model.core), seed=1)


@pytest.fixture(scope="module")
def member(shared: SharedMarket, population: Population) -> Member:
    members = [MemberTrainer(shared, threads=1).train(spec) for spec in population.specs(())]
    population.add_generation(members)
    return population.champion


def no_child(spec: MemberSpec) -> Member:
    raise AssertionError("no member was to be trained")


def changed(shared: SharedMarket, population: Population, member: Member, action: str) -> AdaptedMember:
    actions = AdaptationActions(shared, population.space, 1, no_child).at(1, 2)
    return actions[action].apply(AdaptedMember(member, AdaptationRules({}), shared), RuleConfig(action=action))


def test_the_body_of_a_member_does_what_the_member_was_judged_by(shared: SharedMarket, member: Member) -> None:
    adapted = AdaptedMember(member, AdaptationRules({}), shared)
    np.testing.assert_array_equal(evaluate_member(adapted.agent(), shared, adapted.rules).returns, member.returns)


def test_less_risk_halves_the_largest_exposure(shared: SharedMarket, population: Population, member: Member) -> None:
    adapted = changed(shared, population, member, "reduce_risk")
    assert adapted.rules.risk.max_exposure == 0.5
    assert evaluate_member(adapted.agent(), shared, adapted.rules).folds[0].performance.exposure <= 0.5 + 0.05


def test_what_was_fitted_to_the_folds_is_not_judged_by_them(
    shared: SharedMarket, population: Population, member: Member
) -> None:
    repair = SelfAdaptation(shared, population.space, 1)
    refit = changed(shared, population, member, "refit_regime")
    assert refit.knows_folds
    adopted = repair._adopted(refit, member, population)
    np.testing.assert_array_equal(adopted.returns, member.returns)
    assert adopted.fitness == member.fitness
    assert adopted.name != member.name
    # Nor is that forgotten by a restart, or by what changes next.
    resumed = SelfAdaptation(shared, population.space, 1)
    resumed.load_state_dict(repair.state_dict())
    assert resumed.adapted(adopted).knows_folds
    other = changed(shared, population, member, "reduce_risk")
    assert not other.knows_folds
    judged = repair._adopted(other, member, population)
    np.testing.assert_array_equal(judged.returns, evaluate_member(other.agent(), shared, other.rules).returns)


def test_a_new_memory_holds_its_own_large_trades_and_nothing_of_the_last_fold(
    shared: SharedMarket, population: Population, member: Member
) -> None:
    adapted = changed(shared, population, member, "change_memory")
    memory = adapted.mind.memory
    assert memory is not None
    plain = memory.memory.to_plain()
    last_known = shared.bars.close_time[shared.folds[-2].stop - 1]
    assert int(plain["ended_at"].max()) <= last_known
    assert memory.memory.config.significance.move_sigmas == pytest.approx(3.0 * 1.25)
    kinds = {KINDS[kind].value for kind in plain["kind"].tolist()}
    assert kinds & {"large_win", "large_loss", "rare_action"}


def test_stress_is_made_of_training_rows_and_follows_the_adversary(shared: SharedMarket, member: Member) -> None:
    stress = StressedSeries(shared, seed=5)
    (first,) = stress.series(0)
    tail = len(shared.bars) - shared.training.stop
    other = replace(shared, traded=(replace(shared.traded[0], bars=shared.bars[: len(shared.bars) - tail // 2]),))
    (again,) = StressedSeries(other, seed=5).series(0)  # bars after training are others: nothing changes
    np.testing.assert_array_equal(first.bars.close, again.bars.close)
    assert first.cost_factor == 1.0
    stress.learn(AdaptedMember(member, AdaptationRules({}), shared).agent(), 1)
    (second,) = stress.series(1)
    assert second.cost_factor > 1.0
    resumed = StressedSeries(shared, seed=5)
    resumed.load_state_dict(stress.state_dict())
    np.testing.assert_array_equal(resumed.series(1)[0].bars.close, second.bars.close)


def test_a_dearer_series_is_seen_as_dearer_and_the_others_lie_around_the_worst(
    shared: SharedMarket, member: Member
) -> None:
    assert shared.mind.columns[-1] == COSTS
    assert not any(one.matrix[:, -1].any() for one in shared.learned)
    several = replace(shared, stage=replace(shared.stage, stressed=4))
    stress = StressedSeries(several, seed=5)
    for generation in range(2):
        first, *others = stress.series(generation)
        adversary = Adversary(several.stage.adversary)
        adversary.load_state_dict(stress.state_dict())
        proposed = adversary.propose(generator(5, "others", generation), 3)
        assert len({tuple(knobs.values()) for knobs in proposed}) == 3
        assert [one.cost_factor for one in others] == [knobs["cost_factor"] for knobs in proposed]
        for one in (first, *others):
            level = CostFeature.from_costs(shared.rules.costs).with_costs(one.costs(shared.rules.costs))
            np.testing.assert_allclose(one.matrix[:, -1], level.value, rtol=1e-6)
            assert level.value == pytest.approx(8 * np.log2(one.cost_factor), abs=0.05)
        stress.learn(AdaptedMember(member, AdaptationRules({}), shared).agent(), generation + 1)


def test_an_agent_that_sees_costs_decides_by_them_and_alone_by_them(shared: SharedMarket, member: Member) -> None:
    agent = AdaptedMember(member, AdaptationRules({}), shared).agent()
    usual, dear = shared.rules.costs, with_higher_costs(shared.rules.costs, 2.0)

    def logits(one: AutonomousAgent) -> np.ndarray:
        one.prepare(shared.bars)
        account = np.zeros((1, len(shared.rules.account_inputs)), np.float32)
        rows = range(one.warmup_bars, one.warmup_bars + 50)
        return np.array([one.outputs(MarketState(row, 0, account))[0] for row in rows])

    np.testing.assert_allclose(logits(agent.with_costs(usual)), logits(agent), atol=1e-5)
    assert not np.allclose(logits(agent.with_costs(dear)), logits(agent), atol=1e-5)
    np.testing.assert_allclose(logits(agent.with_costs(dear).with_costs(usual)), logits(agent), atol=1e-5)
