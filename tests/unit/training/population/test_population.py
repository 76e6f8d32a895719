"""Who survives, who inherits from whom, and that a resumed population is the same population."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.config.model import CoreTransformerConfig
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.search_space import SearchSpaceConfig
from src.errors import ConfigError
from src.nas.strategies import STRATEGIES
from src.training.population.member import Member, MemberSpec, Parent
from src.training.population.population import Population, member_from_plain, member_to_plain, start_genome
from tests.support.plugin_modules import write_plugin

CORE = CoreTransformerConfig(d_model=16, num_heads=2, num_layers=1, ff_dim=32, window=16)
STAGE = AutonomousStageConfig(members=4, generations=5, survivors=2, tournament=2)


def population(stage: AutonomousStageConfig = STAGE, seed: int = 7, ancestor: Parent | None = None) -> Population:
    return Population(stage, start_genome(stage, CORE), seed, ancestor)


def born(spec: MemberSpec, total: float, failure: str = "") -> Member:
    rng = np.random.default_rng(len(spec.name))
    return Member(
        name=spec.name,
        genome=dict(spec.genome),
        parent=None if spec.parent is None else spec.parent.name,
        changes=(),
        description={"of": spec.name},
        weights={"w": torch.full((2,), total)},
        fitness={"total": total, "score": total},
        folds=({"sharpe": total},),
        training={"sharpe": total},
        returns=rng.normal(size=6) + total,
        history=(),
        curves={},
        env_steps=10,
        seconds=1.0,
        failure=failure,
    )


def live(population: Population, fitness: Any, generations: int = 1) -> list[Sequence[MemberSpec]]:
    """Breed with a fitness that is a function of the genome."""
    history = []
    for _ in range(generations):
        specs = population.specs(())
        population.add_generation([born(spec, fitness(spec.genome)) for spec in specs])
        history.append(specs)
    return history


def log_lr(genome: Any) -> float:
    # Best at a learning rate of 1e-3.
    return -abs(float(np.log10(genome["lr"])) + 3.0)


def test_the_configured_agent_is_the_first_of_all() -> None:
    specs = population().specs(())
    assert [spec.name for spec in specs] == ["g00_m0", "g00_m1", "g00_m2", "g00_m3"]
    first = specs[0].genome
    assert first["lr"] == STAGE.lr
    assert (first["num_heads"], first["head_dim"], first["window"]) == (2, 8, 16)
    assert len({spec.seed for spec in specs}) == 4
    without = population(replace(STAGE, founder=False)).specs(())
    assert first not in [spec.genome for spec in without]


def test_the_fittest_survive_whenever_they_lived() -> None:
    bred = population()
    live(bred, lambda genome: 1.0)
    specs = bred.specs(())
    bred.add_generation([born(spec, total) for spec, total in zip(specs, (0.0, 3.0, 0.5, 2.0), strict=True)])
    assert [member.name for member in bred.survivors] == ["g01_m1", "g01_m3"]
    specs = bred.specs(())
    bred.add_generation([born(spec, 0.0) for spec in specs])
    assert bred.champion.name == "g01_m1"  # nobody since was better
    assert bred.evaluations == 12
    assert bred.returns.shape == (6, 12)


def test_a_member_that_failed_leaves_no_weights_but_counts() -> None:
    bred = population()
    specs = bred.specs(())
    members = [born(spec, 9.0, "lr too high") for spec in specs[:3]] + [born(specs[3], -5.0)]
    bred.add_generation(members)
    assert [member.name for member in bred.survivors] == ["g00_m3"]
    assert bred.evaluations == 4
    assert bred.figures()["population/failed"] == 3


def test_a_child_inherits_from_the_survivor_most_like_it() -> None:
    bred = population(replace(STAGE, crossover_frac=0.0))
    live(bred, log_lr)
    one, other = bred.survivors
    shapes = [name for name in bred.space.genes if name not in (*SearchSpaceConfig.CHOICES, *SearchSpaceConfig.RANGES)]
    for spec in bred.specs(()):
        assert spec.parent is not None
        distance = {m.name: sum(m.genome[n] != spec.genome[n] for n in shapes) for m in (one, other)}
        assert distance[spec.parent.name] == min(distance.values())
        chosen = one if spec.parent.name == one.name else other
        torch.testing.assert_close(spec.parent.weights["w"], chosen.weights["w"])


def test_the_first_generation_inherits_from_an_earlier_stage() -> None:
    ancestor = Parent("SP500_stage_1_ppo", "ppo", {}, {})
    assert all(spec.parent is ancestor for spec in population(ancestor=ancestor).specs(()))


def test_lineage_names_every_ancestor() -> None:
    bred = population()
    live(bred, log_lr, generations=4)
    line = bred.lineage(bred.champion.name)
    assert line[-1] == bred.champion.name
    parents = {record["name"]: record["parent"] for record in bred.records}
    assert [parents[name] for name in line] == [None, *line[:-1]]


def test_better_hyperparameters_win_selection() -> None:
    # Everyone starts four tenfolds away from the best learning rate.
    narrow = SearchSpaceConfig(
        num_layers=[1], num_heads=[2], head_dim=[8], ff_ratio=[2.0], window=[16], activation=["gelu"],
        norm=["layernorm"], gating=["none"], position=["rope"], attention=["dot"], memory_size=[1024],
        modules=[], gamma=[0.98], epochs=[4], minibatches=[4], weight_decay=[0.0], lr=[1e-7, 1e-1],
    )  # fmt: skip
    stage = replace(STAGE, search=narrow, lr=1e-7, members=6, survivors=2)
    bred = population(stage)
    live(bred, log_lr, generations=1)
    early = bred.figures()["population/generation_median"]
    live(bred, log_lr, generations=11)
    assert bred.champion.total > -0.15
    assert bred.figures()["population/generation_median"] > early + 0.5


@pytest.mark.parametrize("controller", STRATEGIES)
def test_a_resumed_population_asks_for_the_same_children(controller: str) -> None:
    stage = replace(STAGE, controller=controller)
    straight = population(stage)
    live(straight, log_lr, generations=2)
    saved = population(stage)
    live(saved, log_lr, generations=1)
    state = saved.state_dict()
    resumed = population(stage)
    resumed.load_state_dict(state)
    live(resumed, log_lr, generations=1)
    assert resumed.records == straight.records
    np.testing.assert_array_equal(resumed.returns, straight.returns)
    assert [spec.genome for spec in resumed.specs(())] == [spec.genome for spec in straight.specs(())]


def test_no_genome_is_evaluated_twice() -> None:
    bred = population()
    live(bred, log_lr, generations=8)
    names = [record["genome_id"] for record in bred.records]
    assert len(set(names)) == len(names) == 32


def test_the_state_loads_without_pickle(tmp_path: Any) -> None:
    bred = population()
    live(bred, log_lr)
    torch.save(bred.state_dict(), tmp_path / "state.pt")
    again = population()
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert again.champion.name == bred.champion.name
    member = bred.champion
    copied = member_from_plain(member_to_plain(member))
    assert copied.folds == member.folds
    np.testing.assert_array_equal(copied.returns, member.returns)


def test_figures_are_those_of_the_last_generation() -> None:
    bred = population()
    live(bred, lambda genome: 5.0)
    specs = bred.specs(())
    bred.add_generation([born(spec, total) for spec, total in zip(specs, (1.0, 2.0, 3.0, 4.0), strict=True)])
    figures = bred.figures()
    assert figures["population/best"] == 5.0
    assert figures["population/generation_best"] == 4.0
    assert figures["population/generation_median"] == 2.5
    assert figures["population/generation_worst"] == 1.0
    assert figures["population/trials"] == 8
    rates = sorted(record["genome"]["lr"] for record in bred.records[4:])
    assert figures["hyperparameters/lr"] == pytest.approx((rates[1] + rates[2]) / 2)


# Search strategies of the user's own.

PLUGGED_IN = """
from src.nas.strategies import SearchStrategy
class Mine:
    def __init__(self, start):
        self.start = list(start)
    def ask(self, n):
        return [{asked} for _ in range(n)]
    def tell(self, evaluations):
        self.told = len(evaluations)
    def state_dict(self):
        return {state}
    def load_state_dict(self, state):
        self.start = state["start"]
MINE = SearchStrategy("mine", lambda space, rng, start, settings: Mine(start))
"""


def plugged(folder: Path, monkeypatch: pytest.MonkeyPatch, asked: str, state: str) -> Population:
    module = write_plugin(folder, monkeypatch, "mine", PLUGGED_IN.format(asked=asked, state=state))
    stage = replace(STAGE, controller="mine")
    return Population(stage, start_genome(stage, CORE), seed=7, plugins=[module])


def test_a_plugged_in_strategy_begins_with_the_founder_and_a_generation_that_covers_the_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breeding = plugged(tmp_path, monkeypatch, "self.start.pop(0)", "{'start': [dict(g) for g in self.start]}")
    specs = breeding.specs(())
    assert len(specs) == STAGE.members
    assert specs[0].genome == start_genome(STAGE, CORE)
    assert breeding.state_dict()["controller"] == {"start": []}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("self.start[0]", "search strategy 'mine' proposed a genome twice in generation 0"),
        ("{'lr': 1}", "search strategy 'mine' proposed {'lr': 1}: genome has missing or unknown genes"),
        ("self.start.pop() | {'window': 3}", "search strategy 'mine' proposed .*window"),
    ],
)
def test_what_a_plugged_in_strategy_proposes_is_checked(
    asked: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breeding = plugged(tmp_path, monkeypatch, asked, "{}")
    with pytest.raises(ConfigError, match=says):
        breeding.specs(())


def test_a_state_that_could_not_be_resumed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breeding = plugged(tmp_path, monkeypatch, "self.start.pop()", "{'mine': self}")
    with pytest.raises(ConfigError, match=r"search strategy 'mine' must return plain data from state_dict.*Mine"):
        breeding.state_dict()
