"""The adversary against scores whose worst market is known."""

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from src.config.stages.adversary import KNOBS, AdversaryConfig
from src.config.stages.stress import StressConfig
from src.errors import ConfigError, DataError
from src.market.synthetic.known_markets import generate, score
from src.market.synthetic.stressed_market import StressedMarket
from src.training.population.adversary import Adversary, Knobs, stress_of

CONFIG = AdversaryConfig()
Score = Callable[[Knobs], float]


def searched(
    policy: Score, implausible: Score = lambda _: 0.0, config: AdversaryConfig = CONFIG, rounds: int = 30, seed: int = 0
) -> Adversary:
    adversary, rng = Adversary(config), np.random.default_rng(seed)
    for _ in range(rounds):
        proposals = adversary.propose(rng)
        adversary.learn(proposals, [policy(one) for one in proposals], [implausible(one) for one in proposals])
    return adversary


def test_proposals_lie_in_the_box_and_fill_it_at_first() -> None:
    config = replace(CONFIG, proposals=2_000)
    proposals = Adversary(config).propose(np.random.default_rng(0))
    for name, (low, high) in CONFIG.box.items():
        values = np.array([one[name] for one in proposals])
        assert (values.min(), values.max()) == (low, high)
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))


def test_as_many_are_proposed_as_asked_for() -> None:
    adversary = Adversary(CONFIG)
    for count in (None, 0, 3):
        proposals = adversary.propose(np.random.default_rng(0), count)
        assert len(proposals) == (CONFIG.proposals if count is None else count)
        assert all(set(one) == set(CONFIG.box) for one in proposals)


@pytest.mark.parametrize("seed", range(5))
def test_the_worst_corner_is_found(seed: int) -> None:
    centre = searched(lambda k: -k["volatility_factor"] + 20 * k["tilt"] - k["cost_factor"], seed=seed).centre
    assert centre["volatility_factor"] > 1.44
    assert centre["tilt"] < -0.043
    assert centre["cost_factor"] > 1.92


@pytest.mark.parametrize("seed", range(5))
def test_a_worst_market_inside_the_box_is_found(seed: int) -> None:
    centre = searched(lambda k: (k["volatility_factor"] - 0.9) ** 2 + 100 * (k["tilt"] - 0.02) ** 2, seed=seed).centre
    assert centre["volatility_factor"] == pytest.approx(0.9, abs=0.04)
    assert centre["tilt"] == pytest.approx(0.02, abs=0.005)


def test_implausible_markets_bound_the_search() -> None:
    # Volatility hurts, and beyond 1.2 the market can be told from a real one.
    adversary = searched(
        lambda k: -k["volatility_factor"], lambda k: 0.05 + max(0.0, k["volatility_factor"] - 1.2), rounds=40
    )
    assert 1.12 < adversary.centre["volatility_factor"] < 1.21


def test_from_a_start_where_nothing_is_plausible_it_finds_what_is() -> None:
    box = {"volatility_factor": [0.7, 3.0]}
    adversary = searched(
        lambda k: -k["volatility_factor"],
        lambda k: 0.05 + max(0.0, k["volatility_factor"] - 0.9),
        replace(CONFIG, box=box, proposals=8),
    )
    assert adversary.centre["volatility_factor"] < 0.95  # the search began at 1.85


def test_it_follows_a_policy_that_has_learned() -> None:
    adversary, rng = searched(lambda k: k["tilt"]), np.random.default_rng(1)
    assert adversary.centre["tilt"] < -0.04
    for _ in range(40):
        proposals = adversary.propose(rng)
        adversary.learn(proposals, [-one["tilt"] for one in proposals], [0.0] * len(proposals))
    assert adversary.centre["tilt"] > 0.04


def test_it_finds_where_a_reverting_policy_loses_on_stressed_markets() -> None:
    market = StressedMarket(generate("A", 1_500, np.random.default_rng(0)))
    base = StressConfig(block_bars=None)

    def policy(knobs: Knobs) -> float:
        stress, costs = stress_of(knobs, base)
        bars = market.draw(stress, np.random.default_rng(1))
        return score(-np.sign(np.log(bars.close / 100.0)), bars.close, 0.001 * costs)

    neutral = policy({"volatility_factor": 1.0, "tilt": 0.0, "gaps_per_thousand_bars": 1.0, "cost_factor": 1.0})
    adversary = searched(policy, config=replace(CONFIG, proposals=8), rounds=20)
    assert policy(adversary.centre) < 0.7 * neutral
    assert adversary.centre["tilt"] > 0  # momentum is what a bet on reversion loses by
    assert adversary.centre["cost_factor"] > 1.5


def test_state_continues_where_it_was_left() -> None:
    whole, part = searched(lambda k: k["tilt"], rounds=7), Adversary(CONFIG)
    part.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert part.propose(np.random.default_rng(5)) == whole.propose(np.random.default_rng(5))
    assert (part.rounds, part.figures()) == (7, whole.figures())
    assert min(value for name, value in whole.figures().items() if "spread" in name) >= CONFIG.least_spread
    with pytest.raises(DataError, match="has 1 knobs, its saved state 4"):
        Adversary(replace(CONFIG, box={"tilt": [0.0, 0.1]})).load_state_dict(whole.state_dict())


def test_knobs_are_settings_of_stress() -> None:
    assert set(KNOBS) - {"cost_factor"} <= {field.name for field in fields(StressConfig)}
    stress, costs = stress_of({"tilt": 0.01, "cost_factor": 1.5}, StressConfig(block_bars=None))
    assert (stress, costs) == (StressConfig(block_bars=None, tilt=0.01), 1.5)
    assert stress_of({}, StressConfig()) == (StressConfig(), 1.0)


@pytest.mark.parametrize(
    ("scores", "implausible"), [([1.0], [0.0] * 2), ([1.0] * 2, [0.0]), ([1.0, math.nan], [0.0] * 2)]
)
def test_figures_that_do_not_fit_are_refused(scores: list[float], implausible: list[float]) -> None:
    proposals = Adversary(CONFIG).propose(np.random.default_rng(0))[:2]
    with pytest.raises(DataError, match="2 proposals need as many finite scores"):
        Adversary(CONFIG).learn(proposals, scores, implausible)


def test_settings_out_of_bounds_are_refused() -> None:
    for name, bad in {
        "proposals": 1,
        "elite_frac": 0.0,
        "smoothing": 0.0,
        "least_spread": 0.6,
        "most_implausible": -0.1,
        "box": {},
    }.items():
        with pytest.raises(ConfigError, match=name):
            replace(CONFIG, **{name: bad})
    with pytest.raises(ConfigError, match="box 'tild' is unknown; did you mean 'tilt'"):
        AdversaryConfig(box={"tild": [0.0, 1.0]})
    with pytest.raises(ConfigError, match=r"box.tilt must be \[low, high\]"):
        AdversaryConfig(box={"tilt": [1.0, 0.0]})
