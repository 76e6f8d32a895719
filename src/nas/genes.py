"""Genes: one setting of a genome each, with the values it may take."""

from collections.abc import Sequence
from math import exp, log
from typing import Protocol

import numpy as np

from src.errors import ConfigError

Value = int | float | str | bool

_STEP = 0.15  # of a range's width: the deviation of a mutation, and the distance to a neighbour
_DIGITS = 4  # significant; a learning rate is no more precise than that, and reads better


class Gene(Protocol):
    """What a search needs to know of one setting."""

    @property
    def name(self) -> str:
        """Key in a genome."""

    @property
    def count(self) -> int | None:
        """How many values there are; None for a continuum."""

    def sample(self, rng: np.random.Generator) -> Value:
        """Draw any value."""

    def spread(self, n: int, rng: np.random.Generator) -> list[Value]:
        """Draw n values that cover all there are as evenly as n can, in random order."""

    def at(self, place: float) -> Value:
        """Return the value at a place in [0, 1], where all values lie side by side with equal room."""

    def place(self, value: Value) -> float:
        """Return a place at which `at` finds a value."""

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        """Draw a value other than this one, if there is one."""

    def neighbours(self, value: Value) -> list[Value]:
        """Return the values a local search tries next."""

    def check(self, value: Value) -> None:
        """Raise `ConfigError` for a value the gene cannot take."""


class Choice:
    """One of several values without an order."""

    def __init__(self, name: str, values: Sequence[Value]) -> None:
        if not values or len(set(values)) != len(values):
            raise ConfigError(f"gene '{name}' needs distinct values, had {list(values)}")
        self.name, self.values = name, tuple(values)

    @property
    def count(self) -> int:
        return len(self.values)

    def sample(self, rng: np.random.Generator) -> Value:
        return self.values[rng.integers(len(self.values))]

    def spread(self, n: int, rng: np.random.Generator) -> list[Value]:
        rounds = [rng.permutation(len(self.values)) for _ in range(-(-n // len(self.values)))]
        chosen = np.concatenate(rounds)[:n] if rounds else np.zeros(0, dtype=np.int64)
        return [self.values[place] for place in rng.permutation(chosen)]

    def at(self, place: float) -> Value:
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]

    def place(self, value: Value) -> float:
        return (self.values.index(value) + 0.5) / len(self.values)

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        others = self.neighbours(value)
        return others[rng.integers(len(others))] if others else value

    def neighbours(self, value: Value) -> list[Value]:
        return [other for other in self.values if other != value]

    def check(self, value: Value) -> None:
        if value not in self.values:
            raise ConfigError(f"gene '{self.name}' takes {', '.join(map(repr, self.values))}, was {value!r}")


class Range:
    """A number between two bounds, both included, measured on a linear or a logarithmic scale.

    A mutation is a normal step on that scale, reflected at the bounds.
    """

    def __init__(self, name: str, low: float, high: float, is_log: bool = False) -> None:
        if not low < high or (is_log and low <= 0):
            raise ConfigError(
                f"gene '{name}' needs low < high{', both > 0' if is_log else ''}, had {low:g} and {high:g}"
            )
        self.name, self.low, self.high, self.is_log = name, low, high, is_log
        self._start, self._stop = self._to_scale(low), self._to_scale(high)

    @property
    def count(self) -> None:
        return None

    def sample(self, rng: np.random.Generator) -> Value:
        return self._from_scale(rng.uniform(self._start, self._stop))

    def spread(self, n: int, rng: np.random.Generator) -> list[Value]:
        width = (self._stop - self._start) / max(n, 1)
        return [self._from_scale(self._start + width * (place + rng.random())) for place in rng.permutation(n)]

    def at(self, place: float) -> Value:
        return self._from_scale(self._start + place * (self._stop - self._start))

    def place(self, value: Value) -> float:
        return (self._to_scale(float(value)) - self._start) / (self._stop - self._start)

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        width = self._stop - self._start
        moved = self._to_scale(float(value)) + rng.normal(0.0, _STEP * width)
        from_start = abs(moved - self._start) % (2.0 * width)
        return self._from_scale(self._start + min(from_start, 2.0 * width - from_start))

    def neighbours(self, value: Value) -> list[Value]:
        here, step = self._to_scale(float(value)), _STEP * (self._stop - self._start)
        found = [self._from_scale(here - step), self._from_scale(here + step)]
        return [other for other in found if other != value]

    def check(self, value: Value) -> None:
        if isinstance(value, str | bool) or not self.low <= value <= self.high:
            raise ConfigError(f"gene '{self.name}' lies in [{self.low:g}, {self.high:g}], was {value!r}")

    def _to_scale(self, value: float) -> float:
        return log(value) if self.is_log else value

    def _from_scale(self, place: float) -> float:
        value = exp(place) if self.is_log else place
        return min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high)
