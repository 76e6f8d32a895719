"""Settings of the world model; like `base.py`, plain Python only."""

from dataclasses import dataclass, field

from src.config.base import Schema, require, require_between


@dataclass
class WorldConfig(Schema):
    """What a world model foresees.

    Attributes:
        horizons: bars ahead whose cumulative log-return has a density, ascending.
        components: Student-t laws a density is mixed of.
        degrees: their degrees of freedom; even, so that the distribution function has a closed form.
        hidden_dim: width of the layer between the trunk and all predictions.
        dropout: on that layer, in train mode.
        imagination: whether the heads of policy and value read what each target is imagined to be worth.
        shape_weight: of the candle's shape in the loss, in which the returns' densities have 1.
        regime_weight: of the regime ahead.
    """

    horizons: list[int] = field(default_factory=lambda: [1, 5, 20])
    components: int = 3
    degrees: int = 8
    hidden_dim: int = 16
    dropout: float = 0.1
    imagination: bool = True
    shape_weight: float = 0.05
    regime_weight: float = 0.05

    def check(self) -> None:
        require(len(self.horizons) > 0, "world.horizons must name at least one horizon")
        require(
            self.horizons == sorted(set(self.horizons)) and self.horizons[0] >= 1,
            f"world.horizons must be ascending bars >= 1, was {self.horizons}",
        )
        for name in ("components", "hidden_dim"):
            require_between(f"world.{name}", getattr(self, name), 1, 4096)
        require(
            self.degrees >= 4 and self.degrees % 2 == 0,
            f"world.degrees must be even and >= 4, so that a variance exists, was {self.degrees}",
        )
        require_between("world.dropout", self.dropout, 0.0, 0.9)
        for name in ("shape_weight", "regime_weight"):
            require_between(f"world.{name}", getattr(self, name), 0.0, 100.0)
