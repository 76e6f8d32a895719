"""The decision filter: unsure or hasty decisions are not followed, going flat always is."""

from collections.abc import Sequence

import numpy as np
import pytest

from src.risk.stations.decision_filter import DecisionFilter
from tests.support.station_cases import arrays, context_of, holding

Wishes = Sequence[tuple[float, float]]  # target and confidence


def followed(wishes: Wishes, station: DecisionFilter, held: float = 0.0) -> list[float]:
    """The targets that pass, each in force at the next decision."""
    passed = []
    for target, confidence in wishes:
        held = station.review(target, context_of(holding(held), confidence)).target
        passed.append(held)
    return passed


def test_without_patience_every_decision_is_followed() -> None:
    assert followed([(1.0, 0.0), (0.5, 0.1), (0.0, 0.0), (1.0, 1.0)], DecisionFilter(0.0, 0)) == [1.0, 0.5, 0.0, 1.0]


def test_unsure_decisions_are_not_followed_but_going_flat_is() -> None:
    wishes = [(1.0, 0.4), (1.0, 0.6), (0.5, 0.4), (0.0, 0.1)]
    assert followed(wishes, DecisionFilter(0.5, 0)) == [0.0, 1.0, 1.0, 0.0]


def test_a_target_is_kept_for_the_cool_down_but_going_flat_is_not_kept_waiting() -> None:
    wishes = [(1.0, 1.0), (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), (0.0, 1.0), (1.0, 1.0)]
    assert followed(wishes, DecisionFilter(0.0, 3)) == [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]


def test_what_is_kept_is_the_target_in_force_and_what_was_followed_may_still_come() -> None:
    station = DecisionFilter(0.5, 0)
    assert station.review(1.0, context_of(holding(0.0))).target == 1.0
    # Another station let only 0.3 of it through.
    capped = holding(0.3)
    assert station.review(0.5, context_of(capped, 0.4)).target == 0.3
    assert station.review(1.0, context_of(capped, 0.4)).target == 1.0


def test_it_goes_on_where_its_state_was_saved() -> None:
    wishes = [(1.0, 1.0), (0.5, 1.0), (0.5, 1.0), (0.5, 1.0)]
    first, second = DecisionFilter(0.0, 3), DecisionFilter(0.0, 3)
    passed = followed(wishes[:2], first)
    second.load_state_dict(first.state_dict())
    assert passed + followed(wishes[2:], second, passed[-1]) == followed(wishes, DecisionFilter(0.0, 3))


@pytest.mark.parametrize(
    ("confidence", "cool_down_bars", "words"),
    [(0.4, 0, ["min_confidence=0.5"]), (0.9, 9, ["cool_down_bars=9"]), (0.4, 9, ["min_confidence", "cool_down_bars"])],
)
def test_the_reason_names_what_held_a_decision_back(confidence: float, cool_down_bars: int, words: list[str]) -> None:
    station = DecisionFilter(0.5, cool_down_bars)
    station.review(1.0, context_of(holding(0.0)))
    reason = station.review(0.5, context_of(holding(1.0), confidence)).reason
    assert all(word in reason for word in words)
    assert len(words) == ("min_confidence" in reason) + ("cool_down_bars" in reason)


def test_each_account_of_many_waits_for_itself() -> None:
    rng = np.random.default_rng(4)
    wanted, sure = rng.choice([0.0, 0.5, 1.0], (20, 3)), rng.random((20, 3))
    station, singles = DecisionFilter(0.3, 2), [DecisionFilter(0.3, 2) for _ in range(3)]
    held = [0.0] * 3
    for targets, confidences in zip(wanted, sure, strict=True):
        contexts = [context_of(holding(*pair)) for pair in zip(held, strict=True)]
        contexts = [each._replace(confidence=value) for each, value in zip(contexts, confidences.tolist(), strict=True)]
        together = station.review(targets, arrays(contexts)).target
        triples = zip(singles, targets.tolist(), contexts, strict=True)
        held = [single.review(target, context).target for single, target, context in triples]
        assert together.tolist() == held
