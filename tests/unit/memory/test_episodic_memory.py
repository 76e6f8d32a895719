"""The memory recalls the right events, never ahead of time, forgets by its rule, and survives being saved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from src.agents.model_file import load_model, save_model
from src.config.agent.memory import MemoryConfig
from src.errors import ConfigError, DataError, ModelFileError
from src.memory.episodic_memory import ExternalMemory, Recall
from src.memory.outcomes import KINDS, NO_EVENT, EventKind, EventOutcome, EventOutcomes
from tests.unit.agents.test_model_file import EXAMPLE

PLAIN = MemoryConfig(bandwidth=1.0, recurrence=1.0)
DAY_MS = 86_400_000


def random_outcomes(count: int, rng: np.random.Generator, span: int = 1_000) -> EventOutcomes:
    started = rng.integers(0, span, count)
    return EventOutcomes(
        rng.integers(0, len(KINDS), count), rng.normal(size=count), started, started + rng.integers(0, 50, count)
    )


def filled(
    config: MemoryConfig, count: int, width: int = 5, seed: int = 0
) -> tuple[ExternalMemory, np.ndarray, EventOutcomes]:
    rng = np.random.default_rng(seed)
    keys, outcomes = rng.normal(size=(count, width)).astype(np.float32), random_outcomes(count, rng)
    memory = ExternalMemory(width, config)
    memory.store_many(keys, outcomes)
    memory.commit(looked_up_from=0)
    return memory, keys, outcomes


def by_hand(
    keys: np.ndarray, outcomes: EventOutcomes, query: np.ndarray, at: int, k: int, config: MemoryConfig
) -> list[int]:
    """Rows a look-up must return, by sorting everything that had ended."""
    ended = sorted(np.flatnonzero(outcomes.ended_at <= at), key=lambda row: (outcomes.ended_at[row], row))
    known = ended[-config.capacity :]
    distance = {row: float(((keys[row] * config.recurrence - query.astype(np.float64)) ** 2).sum()) for row in known}
    return sorted(known, key=lambda row: distance[row])[:k]  # stable: what ended first comes first


def assert_equal(one: Recall, other: Recall) -> None:
    for a, b in zip((*one[:2], *one.outcome, one.age_ms), (*other[:2], *other.outcome, other.age_ms), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("capacity", [1_000, 40])
def test_a_series_sees_what_a_loop_over_its_bars_would(capacity: int) -> None:
    config = replace(PLAIN, capacity=capacity, recurrence=0.8)
    memory, keys, outcomes = filled(config, 300)
    rng = np.random.default_rng(1)
    times = np.sort(rng.integers(-20, 1_100, 120))
    queries = rng.normal(size=(120, 5)).astype(np.float32)
    found = memory.retrieve_series(queries, times, k=7)
    for bar, at in enumerate(times.tolist()):
        rows = by_hand(keys, outcomes, queries[bar], at, 7, config)
        places = np.arange(7) < len(rows)
        np.testing.assert_array_equal(found.is_event[bar], places)
        np.testing.assert_array_equal(found.outcome.value[bar][places], outcomes.value[rows])
        np.testing.assert_array_equal(found.outcome.ended_at[bar][places], outcomes.ended_at[rows])
        np.testing.assert_array_equal(found.outcome.kind[bar][places], outcomes.kind[rows])
        assert (found.outcome.ended_at[bar][places] <= at).all()
        assert_equal(memory.retrieve(queries[bar], 7, at), _bar(found, bar))


def _bar(found: Recall, bar: int) -> Recall:
    outcome = EventOutcomes(*(column[bar] for column in found.outcome))
    return Recall(found.similarity[bar], found.weight[bar], outcome, found.age_ms[bar])


@pytest.mark.parametrize("capacity", [1_000, 40])
def test_other_events_later_change_nothing_before(capacity: int) -> None:
    config, rng, changed_from = replace(PLAIN, capacity=capacity), np.random.default_rng(2), 500
    keys, outcomes = rng.normal(size=(300, 5)), random_outcomes(300, rng)
    late = outcomes.ended_at > changed_from
    other_keys = np.where(late[:, None], rng.normal(size=keys.shape), keys)
    other_outcomes = outcomes._replace(value=np.where(late, -7.0, outcomes.value))
    more = random_outcomes(200, rng)
    more = more._replace(ended_at=more.ended_at + changed_from + 1)
    times, queries = np.arange(1_000), rng.normal(size=(1_000, 5))
    recalls = []
    for stored in ([(keys, outcomes)], [(other_keys, other_outcomes), (rng.normal(size=(200, 5)), more)]):
        memory = ExternalMemory(5, config)
        for part in stored:
            memory.store_many(*part)
        memory.commit(looked_up_from=0)
        recalls.append(memory.retrieve_series(queries, times))
    before, after = slice(0, changed_from + 1), slice(changed_from + 60, None)
    assert_equal(_bar(recalls[0], before), _bar(recalls[1], before))  # type: ignore[arg-type]
    assert (recalls[0].outcome.value[after] != recalls[1].outcome.value[after]).any()


def test_looking_up_afterwards_equals_having_lived_through_it() -> None:
    # Live: events are committed as they end, old ones are dropped for good, every bar is asked about at its close.
    config = replace(PLAIN, capacity=30)
    afterwards, keys, outcomes = filled(config, 120)
    live, queries = ExternalMemory(5, config), np.random.default_rng(3).normal(size=(1_100, 5))
    series = afterwards.retrieve_series(queries, np.arange(1_100), k=4)
    for at in range(1_100):
        for row in np.flatnonzero(outcomes.ended_at == at):
            live.store_many(keys[[row]], outcomes.take(np.array([row])))
        live.commit()
        assert len(live) <= 30
        assert_equal(live.retrieve(queries[at], 4, at), _bar(series, at))


def test_the_kernels_are_as_stated() -> None:
    # Stored at distance 3 in the first dimension after shrinking 10 * .5 towards the query at 2; age two half-lives.
    memory = ExternalMemory(2, MemoryConfig(bandwidth=2.0, recurrence=0.5, half_life_days=1.5))
    memory.store(np.array([10.0, 0.0]), EventOutcome(EventKind.large_loss, -0.3, 0, DAY_MS))
    memory.store(np.array([4.0, 0.0]), EventOutcome(EventKind.large_win, 0.1, 0, 4 * DAY_MS))
    memory.commit()
    found = memory.retrieve(np.array([2.0, 0.0]), k=2)
    near, far = 1.0, np.exp(-9 / 8)
    np.testing.assert_allclose(found.similarity, [near, far])
    np.testing.assert_allclose(found.weight, [near, far / 4])
    np.testing.assert_array_equal(found.age_ms, [0, 3 * DAY_MS])
    assert found.forecast == pytest.approx((near * 0.1 - far / 4 * 0.3) / (near + far / 4))
    assert [KINDS[kind] for kind in found.outcome.kind] == [EventKind.large_win, EventKind.large_loss]


def test_of_equally_near_events_that_which_ended_first_comes_first() -> None:
    memory = ExternalMemory(3, PLAIN)
    ends = np.random.default_rng(0).permutation(500)
    memory.store_many(np.zeros((500, 3)), EventOutcomes(np.zeros(500, int), ends.astype(float), ends * 0, ends))
    memory.commit()
    np.testing.assert_array_equal(memory.retrieve(np.zeros(3), k=6, at=300).outcome.ended_at, range(6))
    series = memory.retrieve_series(np.zeros((40, 3)), np.full(40, 300), k=150)
    np.testing.assert_array_equal(series.outcome.ended_at, np.tile(np.arange(150), (40, 1)))


def test_nothing_is_seen_before_it_is_committed_and_repeats_are_kept_once() -> None:
    memory = ExternalMemory(2, PLAIN)
    for _ in range(2):
        memory.store(np.array([1.0, 0.0]), EventOutcome(EventKind.flash_crash, -0.1, 0, 5))
    assert (len(memory), memory.staged) == (0, 2)
    assert not memory.retrieve(np.zeros(2), at=10).is_event.any()
    memory.commit()
    assert (len(memory), memory.staged) == (1, 0)
    memory.store(np.array([1.0, 0.0]), EventOutcome(EventKind.flash_crash, -0.2, 0, 5))
    memory.commit()
    assert len(memory) == 2


def test_a_full_memory_forgets_what_ended_first() -> None:
    memory = ExternalMemory(1, replace(PLAIN, capacity=3))
    for end in (5, 1, 4, 2, 3):
        memory.store(np.array([float(end)]), EventOutcome(EventKind.flash_crash, float(end), 0, end))
    memory.commit()
    assert sorted(memory.retrieve(np.zeros(1), k=3).outcome.value.tolist()) == [3.0, 4.0, 5.0]
    with pytest.raises(DataError, match="has forgotten what it knew before 5 and was asked about 4; raise memory"):
        memory.retrieve(np.zeros(1), at=4)


def test_a_past_that_is_still_looked_up_is_kept() -> None:
    memory = ExternalMemory(1, replace(PLAIN, capacity=3))
    for end in range(10):
        memory.store(np.array([0.0]), EventOutcome(EventKind.flash_crash, float(end), 0, end))
    memory.commit(looked_up_from=6)
    assert len(memory) == 6  # what ended at 4, 5 and 6, and all since
    np.testing.assert_array_equal(memory.retrieve(np.zeros(1), k=5, at=6).outcome.value, [4, 5, 6, 0, 0])
    np.testing.assert_array_equal(memory.retrieve(np.zeros(1), k=5).outcome.value, [7, 8, 9, 0, 0])
    with pytest.raises(DataError, match="before 6 and was asked about 5"):
        memory.retrieve_series(np.zeros((2, 1)), np.array([5, 9]))


def test_an_empty_memory_recalls_nothing() -> None:
    memory = ExternalMemory(3, PLAIN)
    memory.commit()
    found = memory.retrieve_series(np.ones((2, 3)), np.array([0, 1]), k=4)
    assert found.similarity.shape == (2, 4)
    assert (found.outcome.kind == NO_EVENT).all()
    assert not any(column.any() for column in (*found[:2], *found.outcome[1:], found.age_ms, found.forecast))
    assert memory.retrieve(np.ones(3)).similarity.shape == (PLAIN.recalled,)


def test_more_wanted_than_there_is_leaves_places_empty() -> None:
    memory, _, _ = filled(PLAIN, 3)
    found = memory.retrieve(np.zeros(5), k=5)
    np.testing.assert_array_equal(found.is_event, [True, True, True, False, False])
    assert (found.similarity[3:] == 0).all()
    assert np.isfinite(found.forecast)


def test_a_state_unlike_anything_has_the_forecast_nought() -> None:
    memory, _, _ = filled(PLAIN, 3)
    assert memory.retrieve(np.full(5, 1e4)).forecast == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(bad: float) -> None:
    memory, _, _ = filled(PLAIN, 3, width=2)
    queries = np.array([[0.0, 1.0], [0.0, bad]])
    with pytest.raises(DataError, match=r"1 embedding\(s\) to be looked up hold a value .* first at row 1; leave warm"):
        memory.retrieve_series(queries, np.array([0, 1]))
    with pytest.raises(DataError, match=r"1 embedding\(s\) to be stored hold a value that is not finite"):
        memory.store(queries[1], EventOutcome(EventKind.flash_crash, 0.0, 0, 1))
    assert memory.staged == 0


def test_impossible_events_and_questions_are_refused() -> None:
    memory = ExternalMemory(2, PLAIN)
    with pytest.raises(DataError, match="value that is not finite"):
        memory.store(np.zeros(2), EventOutcome(EventKind.flash_crash, np.nan, 0, 1))
    with pytest.raises(DataError, match="ends before it starts"):
        memory.store(np.zeros(2), EventOutcome(EventKind.flash_crash, 0.0, 2, 1))
    with pytest.raises(DataError, match=r"must have 2 dimensions each, got shape \(1, 3\)"):
        memory.retrieve(np.zeros(3))
    with pytest.raises(DataError, match="k must be >= 1, was 0"):
        memory.retrieve(np.zeros(2), k=0)
    with pytest.raises(DataError, match="2 embeddings need as many times"):
        memory.retrieve_series(np.zeros((2, 2)), np.array([1]))
    with pytest.raises(ConfigError, match="width was 0"):
        ExternalMemory(0, PLAIN)


def test_a_large_memory_recalls_the_true_nearest_almost_always() -> None:
    exact, _, _ = filled(replace(PLAIN, exact_events=6_000), 6_000, width=32)
    coded, _, _ = filled(replace(PLAIN, exact_events=1_000), 6_000, width=32)
    queries = np.random.default_rng(5).normal(size=(100, 32))
    times = np.full(100, 2_000)
    true, found = (memory.retrieve_series(queries, times, k=10) for memory in (exact, coded))
    shared = [len(np.intersect1d(a, b)) for a, b in zip(true.outcome.value, found.outcome.value, strict=True)]
    assert np.mean(shared) >= 9.9
    early = times * 0 + 400  # among a part of the events every look-up is exact
    assert_equal(exact.retrieve_series(queries, early), coded.retrieve_series(queries, early))


def test_a_memory_travels_inside_a_model_file(tmp_path: Path) -> None:
    memory, _, _ = filled(replace(PLAIN, capacity=100), 300)
    memory.commit()  # drops, so what can no longer be asked travels too
    save_model(tmp_path / "m.pth", replace(EXAMPLE, model={"memory": memory.to_plain()}))
    assert torch.load(tmp_path / "m.pth", weights_only=True)["model"]["memory"]["keys"].shape == (100, 5)
    again = ExternalMemory.from_plain(load_model(tmp_path / "m.pth").model["memory"])
    queries = np.random.default_rng(6).normal(size=(20, 5))
    times = np.full(20, 2_000)
    assert again.config == memory.config
    assert_equal(again.retrieve_series(queries, times), memory.retrieve_series(queries, times))
    with pytest.raises(DataError, match="has forgotten"):
        again.retrieve(queries[0], at=0)


def test_a_memory_with_staged_events_is_not_saved() -> None:
    memory = ExternalMemory(2, PLAIN)
    memory.store(np.zeros(2), EventOutcome(EventKind.flash_crash, 0.0, 0, 1))
    with pytest.raises(DataError, match="1 events are staged; commit the memory before saving it"):
        memory.to_plain()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 2}, "another version"),
        ({"kinds": ["flash_crash"]}, "another version"),
        ({"keys": torch.full((3, 5), torch.nan)}, "broken .*not finite"),
        ({"value": torch.zeros(2)}, "broken .*value has shape"),
        ({"config": {}}, "broken .*missing"),
        ({"width": 4}, "broken .*4 dimensions"),
    ],
)
def test_a_broken_memory_is_refused(change: dict, sentence: str) -> None:
    memory, _, _ = filled(PLAIN, 3)
    with pytest.raises(ModelFileError, match=sentence):
        ExternalMemory.from_plain({**memory.to_plain(), **change})
