"""`CostFeature`: what trading costs, as a column that a policy reads.

A policy that trades at several costs and cannot see which one holds must compromise between them. Where the cost
decides whether a trade is good, it then does badly at all of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from src.config.trading import CostsConfig
from src.execution.costs import BPS, trading_cost_frac

# A column that is the same at every bar of a series has to be loud: learning sees few values of it, and it bears on a
# decision only together with the position held. In trials on one seed a policy at 2 hardly heeded it, one at 8 did.
_PER_DOUBLING, _REACH = 8.0, 16.0
_MIN_COST = 0.01 * BPS  # keeps the ratio of free trading finite


@dataclass(frozen=True)
class CostFeature:
    """What trading costs now, and what it costs as a rule, as fractions of the traded notional."""

    usual_frac: float
    frac: float

    @classmethod
    def from_costs(cls, costs: CostsConfig) -> "CostFeature":
        """Return the feature of an agent whose usual costs these are."""
        frac = trading_cost_frac(costs)
        return cls(frac, frac)

    def with_costs(self, costs: CostsConfig) -> "CostFeature":
        """Return the feature where trading costs something else."""
        return replace(self, frac=trading_cost_frac(costs))

    @property
    def value(self) -> float:
        """The column: 0 at the usual costs, 8 more for each doubling, between -16 and 16."""
        level = _PER_DOUBLING * math.log2((self.frac + _MIN_COST) / (self.usual_frac + _MIN_COST))
        return min(max(level, -_REACH), _REACH)

    def to_plain(self) -> dict[str, float]:
        """Return the two fractions."""
        return {"usual_frac": self.usual_frac, "frac": self.frac}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "CostFeature":
        """Rebuild from `to_plain`."""
        return cls(float(plain["usual_frac"]), float(plain["frac"]))
