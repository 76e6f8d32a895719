"""`LiveGuard`: the station that only a bot has, for money that is real.

    ACTIVE     targets pass
    REDUCING   targets pass as far as they bring the account closer to flat
    HALTED     the position stays as it is until it is closed

States get worse by themselves and better by a person (`resume`); they are kept in the journal and so outlive restarts.
Going flat passes in every state, and a person can ask for it.

Covered: states, a kill switch file, closing by hand. The limits of the risk file are stations of every mode
(`risk/stations`), slippage is the limit price of orders. Not covered: limits across symbols other than the number of
orders.
"""

import hashlib
import json
from enum import IntEnum
from pathlib import Path
from typing import Any

from src.config.plain import to_plain
from src.config.risk import RiskLimits
from src.journal.journal import Journal
from src.risk.stations.order_limits import without_opening
from src.risk.stations.station import Review, ReviewContext


class RiskState(IntEnum):
    """How free the bot is; larger is worse."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


def limits_hash(limits: RiskLimits) -> str:
    """Return the sha256 of the limits in force."""
    return hashlib.sha256(json.dumps(to_plain(limits), sort_keys=True).encode()).hexdigest()


class LiveGuard:
    """The guard of one symbol, a `Station`.

    Args:
        symbol: whose state it is.
        limits: as read at start.
        journal: keeps the state.
    """

    name = "live guard"

    def __init__(self, symbol: str, limits: RiskLimits, journal: Journal) -> None:
        self.symbol, self.limits, self._journal = symbol, limits, journal
        state, reason = journal.risk_state(symbol) or ("ACTIVE", "")
        self.state, self.reason = RiskState[state], reason

    def escalate(self, state: RiskState, reason: str, now_ms: int) -> bool:
        """Go to a state unless a worse one holds already; return whether anything changed.

        In memory it holds even where the journal can no longer be written.
        """
        if state <= self.state:
            return False
        self.state, self.reason = state, reason
        self._keep(now_ms)
        return True

    def resume(self, now_ms: int) -> None:
        """Return to ACTIVE: a person has looked."""
        self.state, self.reason = RiskState.ACTIVE, ""
        self._keep(now_ms)

    def _keep(self, now_ms: int) -> None:
        self._journal.set_risk_state(self.symbol, self.state.name, self.reason, now_ms)
        self._journal.note(now_ms, self.symbol, "risk", f"{self.state.name} {self.reason}".strip())

    def check_kill_switch(self, now_ms: int) -> bool:
        """Halt if the kill switch file exists; return whether that is new."""
        path = Path(self.limits.kill_switch_file)
        return path.exists() and self.escalate(RiskState.HALTED, f"the kill switch file {path} exists", now_ms)

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets that the state lets through; flat ones where a person asked for it."""
        if self._journal.pinned(closing_key(self.symbol)):
            return Review(target * 0.0, "a person asked for the position to be closed")
        xp, held = context.xp, context.accounts.target
        if self.state is RiskState.ACTIVE:
            return Review(target, "")
        if self.state is RiskState.HALTED:
            kept = xp.where(target == 0, target, held)
            return Review(kept, "HALTED", hold=(kept != 0) & (context.order(kept) != 0))
        long, short = xp.minimum(xp.maximum(target, 0.0), held), xp.maximum(xp.minimum(target, 0.0), held)
        return without_opening(xp.where(held >= 0, long, short), context, True, "REDUCING")


def closing_key(symbol: str) -> str:
    """Return the key under which the journal keeps a person's order to stay flat."""
    return f"close {symbol}"
