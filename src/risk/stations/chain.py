"""`StationChain`: every station a decision passes on its way to an order, and what they made of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from src.config.risk import RiskLimits
from src.config.trading import ActionConfig, RiskConfig
from src.risk.stations.caps import Caps
from src.risk.stations.decision_filter import DecisionFilter
from src.risk.stations.guard_rules import guard_rules
from src.risk.stations.order_limits import OrdersPerHour, PriceBand
from src.risk.stations.sound_decision import SoundDecision
from src.risk.stations.station import Remembers, ReviewContext, Station


class Change(NamedTuple):
    """What one station made of a target."""

    station: str
    before: Any
    after: Any
    reason: str

    @property
    def sentence(self) -> str:
        """The change of a single account in words."""
        became = "no order is placed" if self.before == self.after else f"{self.before:.4g} became {self.after:.4g}"
        return f"{self.station}: {self.reason}; {became}"


class Reviewed(NamedTuple):
    """What the whole chain made of a decision."""

    target: Any
    hold: Any  # where no order may be placed
    changes: tuple[Change, ...]  # in order; of stations that changed something


class StationChain:
    """Stations in order.

    Args:
        stations: with names that differ.
    """

    def __init__(self, stations: Sequence[Station]) -> None:
        self._stations = tuple(stations)
        self._remembering = {station.name: station for station in stations if isinstance(station, Remembers)}

    def review(self, target: Any, context: ReviewContext) -> Reviewed:
        """Pass targets through all stations. They are finite afterwards, whatever came in."""
        changes: list[Change] = []
        hold: Any = False
        for station in self._stations:
            review = station.review(target, context)
            if context.xp.any((review.target != target) | review.hold):
                changes.append(Change(station.name, target, review.target, review.reason))
            target, hold = review.target, hold | review.hold
        return Reviewed(target, hold & (target != 0), tuple(changes))

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Return what the stations remember, by name."""
        return {name: station.state_dict() for name, station in self._remembering.items()}

    def load_state_dict(self, state: Mapping[str, dict[str, Any]]) -> None:
        """Go on from `state_dict`."""
        for name, station in self._remembering.items():
            station.load_state_dict(state[name])


def make_chain(
    limits: RiskLimits, action: ActionConfig, risk: RiskConfig, supervisors: Sequence[Station] = ()
) -> StationChain:
    """Return the chain in force under a risk file.

    Args:
        limits: of the file.
        action: what an agent may want.
        risk: rules of the session, which apply the limits already.
        supervisors: stations that only a bot has.
    """
    return StationChain(
        [
            SoundDecision(action),
            DecisionFilter(limits.min_confidence, limits.cool_down_bars),
            Caps(limits.max_leverage, limits.max_position),
            *supervisors,
            *guard_rules(risk),
            PriceBand(limits.price_band_frac),
            OrdersPerHour(limits.max_orders_per_hour),
        ]
    )
