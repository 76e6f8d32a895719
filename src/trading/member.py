"""`Member`: whoever decides over a portfolio. One path leads from its decision to an order, whatever it is.

A member is to a `Panel` what an `Agent` is to a series. Whatever depends on the bars alone is computed in `prepare`; it
must be causal: what `act` uses for row t may depend on rows <= t only.
"""

import hashlib
import json
from typing import Any, Protocol, runtime_checkable

from src.market.bars import FloatArray
from src.market.panel import Panel
from src.trading.records import Decision, MarketState


@runtime_checkable
class Member(Protocol):
    """Turns a closed bar of a panel into target exposures of its S symbols.

    Attributes:
        member_id: the same for members that decide the same, see `member_id`.
        name: for people.
    """

    member_id: str
    name: str

    @property
    def warmup_bars(self) -> int:
        """Rows of history before the first on which `act` may be called."""
        ...

    def prepare(self, panel: Panel) -> None:
        """See the panel that `MarketState.row` will refer to."""
        ...

    def act(self, market_state: MarketState) -> Decision:
        """Decide for each account: target and confidence, (N, S).

        A confidence of 0 is no opinion: the position stays as it is.
        """
        ...


@runtime_checkable
class KnowsPanelTargets(Member, Protocol):
    """A member that never looks at its account and is always sure: its targets (T, S) are known once it is prepared."""

    targets: FloatArray


def member_id(kind: str, spec: dict[str, Any]) -> str:
    """Return the identity of a member: `m-` and twelve hexadecimal digits of the hash of its kind and plain spec."""
    plain = json.dumps([kind, spec], sort_keys=True)
    return f"m-{hashlib.sha256(plain.encode()).hexdigest()[:12]}"
