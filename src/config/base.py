"""`Schema`, the base of all settings, and the checks they are made of.

Settings are dataclasses that are sealed once built: code below the runners reads them and never changes them. They are
the only place with defaults. Plain Python only: importing them loads no torch, ray, hydra or pandas.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from src.errors import ConfigError


@dataclass
class Schema:
    """Base of all settings: validates in `check`, then refuses assignment.

    Sealing is done by hand because frozen dataclasses break omegaconf as soon as YAML overrides one of their fields.
    """

    def __post_init__(self) -> None:
        self.check()
        object.__setattr__(self, "_sealed", True)

    def check(self) -> None:
        """Raise `ConfigError` if a value is out of bounds."""

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_sealed", False):
            raise ConfigError(f"{type(self).__name__}.{name} is sealed; build a new one with dataclasses.replace")
        object.__setattr__(self, name, value)


@dataclass(frozen=True)
class OneOf:
    """Marks a setting, `Annotated[str, OneOf(...)]`, that names a thing of a kind: a built-in one, or a plug-in's."""

    kind: str
    built_in: tuple[str, ...]


def require(claim: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless `claim` holds."""
    if not claim:
        raise ConfigError(message)


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse values outside [low, high], NaN included."""
    require(low <= value <= high, f"{name} must lie in [{low:g}, {high:g}], was {value:g}")


def require_at_least(name: str, value: float, low: float) -> None:
    """Refuse values below `low`, NaN included."""
    require(value >= low, f"{name} must be >= {low:g}, was {value:g}")


def require_currencies(name: str, amounts: Mapping[str, float]) -> None:
    """Refuse amounts that are not above zero, and currencies that no exchange would spell so."""
    for currency, amount in amounts.items():
        require(amount > 0, f"{name}.{currency} must be > 0, was {amount:g}")
        require(currency.isalnum() and currency == currency.upper(), f"{name}.{currency} must be spelled as USDT is")


def require_known(name: str, values: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are not in `known`, with the nearest valid one."""
    from difflib import get_close_matches

    valid = sorted(known)
    for value in values:
        if value not in valid:
            near = get_close_matches(value, valid, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "."
            raise ConfigError(f"{name} '{value}' is unknown{hint} Valid: {', '.join(valid)}")
