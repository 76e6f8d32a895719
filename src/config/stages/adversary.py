"""Settings of the adversary: which stress it may choose, and how it searches. Rules as in `base.py`."""

from dataclasses import dataclass, field

from src.config.base import Schema, require, require_at_least, require_between, require_known

# Fields of `StressConfig`, and the factor on what trading costs.
KNOBS = ("volatility_factor", "tilt", "gaps_per_thousand_bars", "cost_factor")


def _box() -> dict[str, list[float]]:
    return {
        "volatility_factor": [0.7, 1.5],
        "tilt": [-0.05, 0.05],
        "gaps_per_thousand_bars": [0.0, 10.0],
        "cost_factor": [1.0, 2.0],
    }


@dataclass
class AdversaryConfig(Schema):
    """A search for the stress under which a policy does worst.

    Attributes:
        box: the knobs it turns, and [low, high] of each.
        proposals: markets proposed at a time.
        elite_frac: share of them, the worst for the policy, that the next proposals are drawn around.
        smoothing: weight of the newest elite against what was learned before.
        least_spread: the proposals never vary by less than this share of a knob's range, so search never ends.
        most_implausible: proposals whose implausibility exceeds this are never among the elite while others are.
    """

    box: dict[str, list[float]] = field(default_factory=_box)
    proposals: int = 16
    elite_frac: float = 0.25
    smoothing: float = 0.7
    least_spread: float = 0.1
    most_implausible: float = 0.05

    def check(self) -> None:
        require(len(self.box) > 0, "box must hold at least one knob")
        require_known("box", self.box, KNOBS)
        for name, bounds in self.box.items():
            claim = len(bounds) == 2 and bounds[0] < bounds[1]
            require(claim, f"box.{name} must be [low, high], low < high, was {bounds}")
        require_at_least("proposals", self.proposals, 2)
        require_between("elite_frac", self.elite_frac, 0.01, 0.9)
        require_between("smoothing", self.smoothing, 0.01, 1.0)
        require_between("least_spread", self.least_spread, 0.0, 0.5)
        require_between("most_implausible", self.most_implausible, 0.0, 1.0)
