"""`Member`: whoever decides over a portfolio. One path leads from its decision to an order, whatever it is.

A member is to a `Panel` what an `Agent` is to a series. Whatever depends on the bars alone is computed in `prepare`; it
must be causal: what `act` uses for row t may depend on rows <= t only.
"""

import hashlib
import json
from typing import Any, Protocol, runtime_checkable

import numpy as np

from src.errors import DataError
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


def require_sound(name: str, decision: Decision, panel: Panel, row: int) -> None:
    """Refuse what is no decision.

    Raises:
        DataError: a target is not finite, or a confidence does not lie in [0, 1].
    """
    is_sound = np.isfinite(decision.target) & (decision.confidence >= 0) & (decision.confidence <= 1)
    if not is_sound.all():
        account, column = np.argwhere(~is_sound)[0]
        raise DataError(
            f"{name} decides {decision.target[account, column]:g} for {panel.symbols[column]} at row {row} of "
            f"{panel.name}, with a confidence of {decision.confidence[account, column]:g}; targets must be finite, and "
            "confidences lie in [0, 1]"
        )


def member_id(kind: str, spec: dict[str, Any]) -> str:
    """Return the identity of a member: `m-` and twelve hexadecimal digits of the hash of its kind and plain spec."""
    plain = json.dumps([kind, spec], sort_keys=True)
    return f"m-{hashlib.sha256(plain.encode()).hexdigest()[:12]}"
