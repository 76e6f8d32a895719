"""Whatever is drawn, mutated or crossed is a valid agent, and identities hold across processes."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.model import CoreTransformerConfig, Gating, ModelConfig
from src.config.stages.learning import PPOStageConfig
from src.config.stages.search_space import SearchSpaceConfig
from src.errors import ConfigError
from src.nas.agent_space import agent_space, architecture_of, genome_of, stage_of
from src.nas.genes import Choice, Range
from src.nas.search_space import Genome, SearchSpace

CORE, STAGE, CONFIG = CoreTransformerConfig(), PPOStageConfig(), SearchSpaceConfig()
START = genome_of(CONFIG, CORE, STAGE, memory_size=256, modules=["regime"])
SPACE = agent_space(CONFIG, START, STAGE)
seeds = st.integers(0, 2**32 - 1)


def descendants(seed: int) -> list[Genome]:
    """Return genomes of every origin."""
    rng = np.random.default_rng(seed)
    family = [SPACE.sample(rng), SPACE.sample(rng)]
    for _ in range(5):
        family.append(SPACE.mutate(family[-1], rng))
        family.append(SPACE.crossover(family[0], family[-1], rng))
    return family + SPACE.neighbours(family[-1])


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_every_genome_is_an_agent_that_can_be_built(seed: int) -> None:
    for genome in descendants(seed):
        SPACE.check(genome)
        found = architecture_of(genome, CORE)  # the settings refuse what no model can be
        ModelConfig(core=found.core)
        assert found.core.d_model == genome["num_heads"] * genome["head_dim"]
        assert found.core.window == genome["window"]
        stage = stage_of(genome, STAGE)
        assert (stage.lr, stage.minibatches) == (genome["lr"], genome["minibatches"])


@given(seeds)
def test_a_mutation_changes_one_gene_and_leaves_its_parent_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parent = SPACE.sample(rng)
    before = dict(parent)
    child = SPACE.mutate(parent, rng)
    assert parent == before
    assert sum(child[name] != parent[name] for name in SPACE.genes) <= 1


@given(seeds)
def test_a_cross_takes_every_gene_from_a_parent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = SPACE.sample(rng), SPACE.sample(rng)
    child = SPACE.crossover(one, other, rng)
    assert all(child[name] in (one[name], other[name]) for name in SPACE.genes)


@given(seeds)
def test_neighbours_differ_in_one_gene(seed: int) -> None:
    genome = SPACE.sample(np.random.default_rng(seed))
    for neighbour in SPACE.neighbours(genome):
        assert sum(neighbour[name] != genome[name] for name in SPACE.genes) == 1


@given(seeds, st.floats(1e-5, 3e-2))
def test_steps_on_a_range_stay_inside(seed: int, value: float) -> None:
    rng, gene = np.random.default_rng(seed), Range("lr", 1e-5, 3e-2, is_log=True)
    for _ in range(20):
        value = float(gene.mutate(value, rng))
        gene.check(value)


def test_a_logarithmic_range_is_drawn_evenly_by_its_logarithm() -> None:
    rng, gene = np.random.default_rng(0), Range("lr", 1e-5, 1e-1, is_log=True)
    drawn = np.log10([float(gene.sample(rng)) for _ in range(4_000)])
    counts, _ = np.histogram(drawn, bins=[-5, -4, -3, -2, -1])
    np.testing.assert_allclose(counts / 4_000, 0.25, atol=0.03)


def test_configured_settings_make_the_round_trip() -> None:
    core = replace(CORE, d_model=48, num_heads=3, ff_dim=100, gating=Gating.gru, dropout=0.1)
    stage = replace(STAGE, gamma=0.97, minibatches=16)
    start = genome_of(CONFIG, core, stage, memory_size=500, modules=["pattern"])
    space = agent_space(CONFIG, start, stage)  # 3 heads, gamma .97 and memory 500 are none of the listed values
    found = architecture_of(start, core)
    assert (found.core, found.memory_size, found.modules) == (core, 500, ("pattern",))
    assert stage_of(start, stage) == stage
    space.check(json.loads(json.dumps(start, sort_keys=True)))


def test_identities_are_equal_in_every_process_and_order() -> None:
    code = (
        "from tests.unit.nas.test_search_space import SPACE, START;"
        "print(SPACE.arch_id(START), SPACE.genome_id(dict(reversed(START.items()))))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert shown == [SPACE.arch_id(START), SPACE.genome_id(START)]


def test_hyperparameters_do_not_name_the_architecture() -> None:
    tuned = {**START, "lr": 0.01}
    assert SPACE.arch_id(tuned) == SPACE.arch_id(START)
    assert SPACE.genome_id(tuned) != SPACE.genome_id(START)
    assert SPACE.arch_id({**START, "window": 32}) != SPACE.arch_id(START)


def test_size_counts_genomes() -> None:
    assert SearchSpace([Choice("a", [1, 2, 3]), Choice("b", [True, False])]).size == 6
    assert SPACE.size is None


def test_a_spread_covers_every_gene_evenly() -> None:
    # Latin hypercube: every quarter of a range and every value of a choice comes up equally often.
    founders = SPACE.spread(12, np.random.default_rng(3))
    for founder in founders:
        SPACE.check(founder)
    logs = np.sort([np.log(float(founder["lr"])) for founder in founders])
    low, high = np.log(1e-5), np.log(3e-2)
    quarters = ((logs - low) / (high - low) * 4 - 1e-6).astype(int)
    assert np.bincount(quarters, minlength=4).tolist() == [3, 3, 3, 3]
    windows = [founder["window"] for founder in founders]
    assert sorted(windows) == [16] * 4 + [32] * 4 + [64] * 4
    assert windows != sorted(windows)
    assert SPACE.spread(0, np.random.default_rng(0)) == []


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="gene 'window' takes 16, 32, 64, was 65"):
        SPACE.check({**START, "window": 65})
    with pytest.raises(ConfigError, match=r"gene 'lr' lies in \[1e-05, 0.03\], was 1.0"):
        SPACE.check({**START, "lr": 1.0})
    with pytest.raises(ConfigError, match="missing or unknown genes: colour, lr"):
        SPACE.check({name: value for name, value in START.items() if name != "lr"} | {"colour": "red"})
    with pytest.raises(ConfigError, match=r"minibatches must divide groups=32, but \[5\]"):
        agent_space(replace(CONFIG, minibatches=[2, 5]), START, STAGE)
    with pytest.raises(ConfigError, match="a window of 3 bars is too short for 3 layers, which read 4 at least"):
        agent_space(replace(CONFIG, num_layers=[1, 3]), {**START, "window": 3}, STAGE)
    with pytest.raises(ConfigError, match="gene names must differ"):
        SearchSpace([Choice("a", [1])], [Choice("a", [2])])


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("num_layers", []),
        ("num_heads", [2, 2]),
        ("head_dim", [4, 5]),
        ("ff_ratio", [0.0]),
        ("window", [3]),  # three layers need four bars
        ("activation", ["gelu", "tanh"]),
        ("memory_size", [-1]),
        ("epochs", [0]),
        ("lr", [0.0, 0.1]),
        ("clip", [0.4, 0.1]),
    ],
)
def test_impossible_spaces_are_refused_before_anything_is_built(name: str, bad: list[object]) -> None:
    with pytest.raises(ConfigError, match=name):
        SearchSpaceConfig(**{name: bad})
