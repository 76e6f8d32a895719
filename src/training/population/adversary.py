"""`Adversary`: looks for plausible markets on which a policy does worst, for it to learn from.

Cross-entropy method (Rubinstein, "The Cross-Entropy Method for Combinatorial and Continuous Optimization", 1999):
propose markets around a mean, see how the policy does on each, move the mean and the spread to those where it did
worst. It needs no gradient of the market or of the policy, and follows a policy that learns, since its spread never
vanishes. Ours apart from the paper: proposals that leave the box are put on its border, and implausible ones rank
behind all plausible ones, the least implausible first, so that a start outside of what is plausible finds its way in.

Not here: drawing the markets (`src/market/synthetic/stressed_market.py`), how plausible they are
(`src/evaluation/plausibility.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from src.config.stages.adversary import AdversaryConfig
from src.config.stages.stress import StressConfig
from src.errors import DataError
from src.market.bars import FloatArray

Knobs = dict[str, float]

_START_SPREAD = 1.0  # of a knob's range: most first proposals lie at its ends, where the worst markets mostly are
COST_FACTOR = "cost_factor"


class Adversary:
    """The search, by scores only: `propose`, let the policy trade, `learn`.

    Attributes:
        rounds: times it has learned.
    """

    def __init__(self, config: AdversaryConfig) -> None:
        self._config = config
        self._low, self._high = np.array(list(config.box.values())).T  # (K,) each
        self._mean, self._spread = np.full(len(config.box), 0.5), np.full(len(config.box), _START_SPREAD)
        self.rounds = 0

    def propose(self, rng: np.random.Generator, count: int | None = None) -> list[Knobs]:
        """Draw markets to try, as values of the knobs within the box; as many as configured unless told."""
        rows = self._config.proposals if count is None else count
        drawn = rng.normal(self._mean, self._spread, (rows, len(self._mean)))
        return [self._knobs(place) for place in np.clip(drawn, 0.0, 1.0)]

    def learn(self, proposals: Sequence[Knobs], scores: Sequence[float], implausible: Sequence[float]) -> None:
        """Move to where the policy did worst among what is plausible.

        Args:
            proposals: as proposed, of this round or others.
            scores: of the policy on each, higher is better.
            implausible: 0 for a market that cannot be told from the real one; see `discriminative_score`.

        Raises:
            DataError: the lists differ in length or are empty, or a figure is not finite.
        """
        figures = np.array([scores, implausible], dtype=np.float64) if len(scores) == len(implausible) else np.empty(0)
        if figures.shape != (2, len(proposals)) or not len(proposals) or not np.isfinite(figures).all():
            raise DataError(
                f"{len(proposals)} proposals need as many finite scores and implausibilities, "
                f"had {len(scores)} and {len(implausible)}"
            )
        excess = np.maximum(figures[1] - self._config.most_implausible, 0.0)
        order = np.lexsort((figures[0], excess))  # plausible ones first, among them the worst for the policy
        elite = order[: max(1, round(self._config.elite_frac * len(order)))]
        places = np.array([self._place(proposals[one]) for one in elite])
        weight = self._config.smoothing
        self._mean = weight * places.mean(axis=0) + (1 - weight) * self._mean
        spread = weight * places.std(axis=0) + (1 - weight) * self._spread
        self._spread = np.maximum(spread, self._config.least_spread)
        self.rounds += 1

    @property
    def centre(self) -> Knobs:
        """The worst market it has found, as values of the knobs."""
        return self._knobs(self._mean)

    def figures(self) -> dict[str, float]:
        """Return the centre and the spread of each knob, as a share of its range, for a tracker."""
        centre = {f"adversary/{name}": value for name, value in self.centre.items()}
        spreads = zip(self._config.box, self._spread, strict=True)
        return centre | {f"adversary/spread/{name}": float(value) for name, value in spreads}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {"mean": self._mean.tolist(), "spread": self._spread.tolist(), "rounds": self.rounds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of an adversary with the same box.

        Raises:
            DataError: the box has another number of knobs.
        """
        if len(state["mean"]) != len(self._mean):
            raise DataError(
                f"the adversary has {len(self._mean)} knobs, its saved state {len(state['mean'])}; start anew"
            )
        self._mean, self._spread = np.array(state["mean"]), np.array(state["spread"])
        self.rounds = state["rounds"]

    def _knobs(self, place: FloatArray) -> Knobs:
        values = self._low + place * (self._high - self._low)
        return dict(zip(self._config.box, values.tolist(), strict=True))

    def _place(self, knobs: Knobs) -> FloatArray:
        values = np.array([knobs[name] for name in self._config.box])
        place: FloatArray = (values - self._low) / (self._high - self._low)
        return place


def stress_of(knobs: Knobs, base: StressConfig) -> tuple[StressConfig, float]:
    """Return the stress settings of knobs, and their factor on the costs of trading."""
    stress: dict[str, Any] = {name: value for name, value in knobs.items() if name != COST_FACTOR}
    return replace(base, **stress), knobs.get(COST_FACTOR, 1.0)
