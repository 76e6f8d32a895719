"""`OtherCosts`: costs to charge instead of those a model was trained under, or a baseline's settings name."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from src.config.base import require_known
from src.config.trading import CostsConfig
from src.errors import ConfigError


@dataclass(frozen=True)
class OtherCosts:
    """Some of the costs by name; what is not named stays as it is."""

    values: tuple[tuple[str, float], ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "OtherCosts":
        """Read `commission_bps=10` and the like.

        Raises:
            ConfigError: a name is unknown, with the nearest there is, or a value is no number.
        """
        return cls(tuple(_parsed(text) for text in texts))

    def in_place_of(self, costs: CostsConfig) -> CostsConfig:
        """Return costs with these in their place.

        Raises:
            ConfigError: a value is impossible.
        """
        return replace(costs, **dict(self.values))

    @property
    def label(self) -> str:
        """What is added to the name of whoever is charged: ` at commission_bps=10`; empty without other costs."""
        return f" at {', '.join(f'{name}={value:g}' for name, value in self.values)}" if self.values else ""


AS_SET = OtherCosts()  # what the model or the settings say


def _parsed(text: str) -> tuple[str, float]:
    name, _, value = text.removeprefix("costs.").partition("=")
    require_known("--costs", [name], [field.name for field in fields(CostsConfig)])
    try:
        return name, float(value)
    except ValueError as error:
        raise ConfigError(f"--costs {name} must be a number, was '{value}'; write {name}=5") from error
