"""`ExternalMemory`: what happened when the market last looked like this.

Not here: what is worth remembering (`event_detection.py`), the keys (`key_encoder.py`), the search (`nearest_keys.py`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from src.config.agent.memory import MemoryConfig
from src.config.plain import from_plain, to_plain
from src.errors import ConfigError, DataError, ModelFileError
from src.market.bars import FloatArray, TimeArray
from src.memory.nearest_keys import NearestKeys
from src.memory.outcomes import (
    KINDS,
    NO_EVENT,
    EventKind,
    EventOutcome,
    EventOutcomes,
    concatenate_outcomes,
    empty_outcomes,
)

VERSION = 1
_DAY_MS = 86_400_000.0
_START_OF_TIME = int(np.iinfo(np.int64).min)

FloatKeys = NDArray[np.float32]


class Recall(NamedTuple):
    """Recalled events, (..., K), nearest first. Places without an event hold 0, and `NO_EVENT` as kind."""

    similarity: FloatArray  # exp(-distance² / (2 bandwidth²)), in (0, 1]
    weight: FloatArray  # similarity, halved with every half-life of age
    outcome: EventOutcomes
    age_ms: TimeArray  # since the outcome was known

    @property
    def is_event(self) -> NDArray[np.bool_]:
        """Which places hold an event, (..., K)."""
        found: NDArray[np.bool_] = self.outcome.kind != NO_EVENT
        return found

    @property
    def forecast(self) -> FloatArray:
        """Weighted mean of the values, (...) (Nadaraya 1964, Watson 1964); 0 where nothing has weight."""
        weight = self.weight.sum(axis=-1)
        total = (self.weight * self.outcome.value).sum(axis=-1)
        mean: FloatArray = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
        return mean


class ExternalMemory:
    """Significant events under keys (D,), recalled by their distance to the key of the current state.

    **Frozen between commits.** `store` only stages events. `commit` makes them visible, at a stated moment such as the
    end of a training iteration; an event that is stored already is not stored again.

    **No look-ahead.** A look-up at time t sees events with `ended_at` <= t, and of these the last `capacity`. That is
    the eviction rule: the event that ended first is forgotten first (of events that ended together, the one stored
    first). So a look-up at t depends on nothing later, and looking up a whole series at once gives the same as looking
    up bar by bar. A rule that kept the largest events longest would not: the largest are only known in the end.

    **Kernels.** Similarity is a Gaussian of the Euclidean distance to the stored key multiplied by `recurrence`: a
    stored key is one noisy sample, and the next one like it is nearer to the mean of all (Stein 1956). Weight is
    similarity that decays with age. Events are chosen by distance alone; of two equally near ones the one that ended
    first comes first.

    Args:
        width: D, dimensions of a key.
    """

    def __init__(self, width: int, config: MemoryConfig) -> None:
        if width < 1:
            raise ConfigError(f"a memory needs keys of at least 1 dimension, width was {width}")
        self.width = width
        self.config = config
        self._complete_from = _START_OF_TIME  # look-ups before it could miss what was dropped
        self._staged: list[tuple[FloatKeys, EventOutcomes]] = []
        self._hold(np.zeros((0, width), dtype=np.float32), empty_outcomes())

    def __len__(self) -> int:
        """Return the number of committed events."""
        return len(self._keys)

    @property
    def staged(self) -> int:
        """Events that wait for `commit`."""
        return sum(len(keys) for keys, _ in self._staged)

    def store(self, event_embedding: FloatKeys, outcome: EventOutcome) -> None:
        """Stage one event.

        Args:
            event_embedding: (D,) key of the state at `outcome.started_at`.

        Raises:
            DataError: see `store_many`.
        """
        kind, *rest = outcome
        columns = EventOutcomes(np.array([KINDS.index(kind)]), *(np.array([value]) for value in rest))
        self.store_many(np.asarray(event_embedding)[None], columns)

    def store_many(self, event_embeddings: FloatKeys, outcomes: EventOutcomes) -> None:
        """Stage events, (M, D) and (M,); all of them or none.

        Raises:
            DataError: shapes that do not fit, a key or value that is not finite, an end before its start.
        """
        keys = self._checked_keys(event_embeddings, "stored")
        for name, column in outcomes._asdict().items():
            if column.shape != (len(keys),):
                raise DataError(f"{len(keys)} keys need as many outcomes, {name} has shape {column.shape}")
        if not np.isfinite(outcomes.value).all():
            raise DataError("an outcome to be stored has a value that is not finite; store events once they have ended")
        if (outcomes.ended_at < outcomes.started_at).any():
            raise DataError("an outcome to be stored ends before it starts; give closing times in UTC milliseconds")
        self._staged.append((keys.copy(), concatenate_outcomes([outcomes])))

    def commit(self, looked_up_from: int | None = None) -> None:
        """Make staged events visible and drop those that no look-up can see any more.

        Args:
            looked_up_from: earliest time that will still be looked up, UTC milliseconds. Without it only the present
                counts, and at most `capacity` events are kept.
        """
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._staged)])
        outcomes = concatenate_outcomes([self._outcomes, *(outcomes for _, outcomes in self._staged)])
        self._staged = []
        rows = _first_of_equals(keys, outcomes)
        rows = rows[np.argsort(outcomes.ended_at[rows], kind="stable")]
        ends = outcomes.ended_at[rows]
        present = int(ends[-1]) if len(ends) else _START_OF_TIME
        earliest = present if looked_up_from is None else looked_up_from
        forgotten = max(int(np.searchsorted(ends, earliest, side="right")) - self.config.capacity, 0)
        if forgotten:
            self._complete_from = max(self._complete_from, earliest)
        self._hold(keys[rows[forgotten:]], outcomes.take(rows[forgotten:]))

    def retrieve(self, current_state_embedding: FloatKeys, k: int | None = None, at: int | None = None) -> Recall:
        """Return the events nearest to a state, (K,).

        Args:
            current_state_embedding: (D,) key of the state.
            k: how many; the configured number without it. More than there are leaves places empty.
            at: time of the state, UTC milliseconds; when the latest event ended, without it.

        Raises:
            DataError: see `retrieve_series`.
        """
        now = at if at is not None else int(self._outcomes.ended_at[-1]) if len(self) else 0
        found = self.retrieve_series(np.asarray(current_state_embedding)[None], np.array([now]), k)
        outcome = EventOutcomes(*(column[0] for column in found.outcome))
        return Recall(found.similarity[0], found.weight[0], outcome, found.age_ms[0])

    def retrieve_series(self, state_embeddings: FloatKeys, times: TimeArray, k: int | None = None) -> Recall:
        """Return for each bar what `retrieve` at its time returns, (T, K).

        Args:
            state_embeddings: (T, D) keys.
            times: (T,) closing times, UTC milliseconds.

        Raises:
            DataError: an embedding has the wrong shape or is not finite, k is not positive, or a time lies before what
                the memory has kept track of.
        """
        queries = self._checked_keys(state_embeddings, "looked up")
        count = self.config.recalled if k is None else k
        if count < 1:
            raise DataError(f"k must be >= 1, was {count}")
        if times.shape != (len(queries),):
            raise DataError(f"{len(queries)} embeddings need as many times, got shape {times.shape}")
        if len(times) and times.min() < self._complete_from:
            raise DataError(
                f"the memory has forgotten what it knew before {self._complete_from} and was asked about {times.min()};"
                " raise memory.capacity, or commit with looked_up_from"
            )
        stop = np.searchsorted(self._outcomes.ended_at, times, side="right")
        first = np.maximum(stop - self.config.capacity, 0)
        near = self._nearest.search(queries, first, stop, count)
        return self._recalled(near.rows, near.distances.astype(np.float64), times)

    def to_plain(self) -> dict[str, Any]:
        """Return the committed events as tensors and plain data, as a model file holds them.

        Raises:
            DataError: events are staged.
        """
        if self._staged:
            raise DataError(f"{self.staged} events are staged; commit the memory before saving it")
        columns = {name: torch.from_numpy(column.copy()) for name, column in self._outcomes._asdict().items()}
        return {
            "version": VERSION,
            "width": self.width,
            "config": to_plain(self.config),
            "kinds": [kind.value for kind in KINDS],
            "complete_from": self._complete_from,
            "keys": torch.from_numpy(self._keys.copy()),
            **columns,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "ExternalMemory":
        """Rebuild from `to_plain`.

        Raises:
            ModelFileError: the data is of another version, incomplete, or impossible.
        """
        if plain.get("version") != VERSION or list(plain.get("kinds", [])) != [kind.value for kind in EventKind]:
            raise ModelFileError("the memory of the model was written by another version of this program; train anew")
        try:
            memory = cls(plain["width"], from_plain(MemoryConfig, plain["config"]))
            outcomes = EventOutcomes(*(plain[name].numpy().copy() for name in EventOutcomes._fields))
            memory.store_many(plain["keys"].numpy(), outcomes)
            complete_from = int(plain["complete_from"])
        except (KeyError, AttributeError, ConfigError, DataError) as error:
            raise ModelFileError(f"the memory of the model is broken ({error}); train anew") from error
        memory.commit(looked_up_from=_START_OF_TIME)
        memory._complete_from = complete_from
        return memory

    def _hold(self, keys: FloatKeys, outcomes: EventOutcomes) -> None:
        # Keys are kept as stored; the search is given the shrunk ones.
        self._keys, self._outcomes = keys, outcomes
        self._nearest = NearestKeys(keys * np.float32(self.config.recurrence), self.config.exact_events)

    def _checked_keys(self, keys: FloatKeys, verb: str) -> FloatKeys:
        keys = np.asarray(keys, dtype=np.float32)
        if keys.ndim != 2 or keys.shape[1] != self.width:
            raise DataError(f"embeddings {verb} must have {self.width} dimensions each, got shape {keys.shape}")
        bad = ~np.isfinite(keys).all(axis=1)
        if bad.any():
            raise DataError(
                f"{int(bad.sum())} embedding(s) to be {verb} hold a value that is not finite, first at row"
                f" {int(np.argmax(bad))}; leave warm-up rows out"
            )
        return keys

    def _recalled(self, rows: NDArray[np.int64], squared: FloatArray, times: TimeArray) -> Recall:
        is_event = rows >= 0
        similarity = np.exp(-squared / (2.0 * self.config.bandwidth**2))
        if len(self) == 0:
            empty = np.zeros(rows.shape, dtype=np.int64)
            return Recall(
                similarity, similarity, EventOutcomes(empty + NO_EVENT, np.zeros(rows.shape), empty, empty), empty
            )
        kind, *rest = self._outcomes.take(rows)
        outcome = EventOutcomes(np.where(is_event, kind, NO_EVENT), *(np.where(is_event, column, 0) for column in rest))
        age = np.where(is_event, times[:, None] - outcome.ended_at, 0)
        half_life = self.config.half_life_days
        fading = 1.0 if half_life is None else 0.5 ** (age / (half_life * _DAY_MS))
        return Recall(similarity, similarity * fading, outcome, age)


def _first_of_equals(keys: FloatKeys, outcomes: EventOutcomes) -> NDArray[np.intp]:
    # Rows in order, without those that repeat an earlier one to the last bit.
    if len(keys) == 0:
        return np.zeros(0, dtype=np.intp)
    columns = [np.ascontiguousarray(column).view(np.uint8).reshape(len(keys), -1) for column in (keys, *outcomes)]
    packed = np.ascontiguousarray(np.concatenate(columns, axis=1))
    whole = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    return np.sort(np.unique(whole, return_index=True)[1])
