"""`LiveGuard`: the station that only a bot has, for money that is real.

    ACTIVE     targets pass
    PAUSED     targets pass as far as they bring the account closer to flat, because a person said so
    REDUCING   the same, because something is not as it should be
    HALTED     the position stays as it is until it is closed

States get worse by themselves and better by a person (`resume`); they are kept in the journal and so outlive restarts.
What the journal cannot take is kept in a file beside, and nothing is traded until the journal has taken it.
Going flat passes in every state, and a person can ask for it.

Covered: states, a kill switch file, closing by hand. The limits of the risk file are stations of every mode
(`risk/stations`), slippage is the limit price of orders. Not covered: limits across symbols other than the number of
orders.
"""

import hashlib
import json
import logging
from enum import IntEnum
from pathlib import Path
from typing import Any

from src.config.plain import to_plain
from src.config.risk import RiskLimits
from src.errors import TradingHalted
from src.journal.journal import Journal
from src.live.halt_file import HaltFile
from src.risk.stations.order_limits import without_opening
from src.risk.stations.station import Review, ReviewContext

logger = logging.getLogger(__name__)


CLOSING = "a person asked for the position to be closed"


class RiskState(IntEnum):
    """How free the bot is; larger is worse."""

    ACTIVE = 0
    PAUSED = 1
    REDUCING = 2
    HALTED = 3


def limits_hash(limits: RiskLimits) -> str:
    """Return the sha256 of the limits in force."""
    said = {name: value for name, value in to_plain(limits).items() if value != {}}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class LiveGuard:
    """The guard of one symbol, a `Station`.

    Args:
        symbol: whose state it is.
        limits: as read at start.
        journal: keeps the state.
        second: keeps what the journal cannot take; without one, nothing does.
    """

    name = "live guard"

    def __init__(self, symbol: str, limits: RiskLimits, journal: Journal, second: HaltFile | None = None) -> None:
        self.symbol, self.limits, self._journal, self._second = symbol, limits, journal, second
        state, reason = journal.risk_state(symbol) or ("ACTIVE", "")
        self.state, self.reason = RiskState[state], reason
        found = second.read() if second is not None else None
        self._is_kept = found is None
        if second is not None:
            second.reserve()
        if found is not None and (beside := RiskState.__members__.get(found[0], RiskState.HALTED)) >= self.state:
            self.state, self.reason = beside, found[1]

    def escalate(self, state: RiskState, reason: str, now_ms: int) -> bool:
        """Go to a state unless a worse one holds already; return whether anything changed.

        In memory and in the second place it holds even where the journal can no longer be written.

        Raises:
            TradingHalted: the journal cannot be written.
        """
        if state <= self.state:
            return False
        self.state, self.reason, self._is_kept = state, reason, False
        self.settle(now_ms)
        return True

    def settle(self, now_ms: int) -> None:
        """See to it that the journal holds the state; nothing may be traded before.

        Raises:
            TradingHalted: the journal cannot be written.
        """
        if self._is_kept:
            return
        try:
            self._keep(now_ms)
        except TradingHalted:
            self._keep_beside()
            raise

    def resume(self, now_ms: int) -> None:
        """Return to ACTIVE: a person has looked.

        Raises:
            TradingHalted: the journal cannot be written.
        """
        self.state, self.reason = RiskState.ACTIVE, ""
        self._keep(now_ms)

    def _keep(self, now_ms: int) -> None:
        self._journal.set_risk_state(self.symbol, self.state.name, self.reason, now_ms)
        self._journal.note(now_ms, self.symbol, "risk", f"{self.state.name} {self.reason}".strip())
        self._is_kept = True
        if self._second is not None and self._second.read() is not None:
            try:
                self._second.clear()
            except OSError as error:  # what stays there makes the next start stricter
                logger.error("%s: the state kept beside the journal cannot be cleared (%s)", self.symbol, error)

    def _keep_beside(self) -> None:
        if self._second is None:
            return
        try:
            self._second.write(self.state.name, self.reason)
        except OSError as error:
            logger.error("%s is %s, and nothing on disk can keep that (%s)", self.symbol, self.state.name, error)

    def check_kill_switch(self, now_ms: int) -> bool:
        """Halt if the kill switch file exists; return whether that is new."""
        reason = f"the kill switch file {self.limits.kill_switch_file} exists"
        return self.is_switched_off() and self.escalate(RiskState.HALTED, reason, now_ms)

    def is_switched_off(self) -> bool:
        """Say whether the kill switch file exists."""
        return Path(self.limits.kill_switch_file).exists()

    def keep_flat(self, is_asked: bool) -> None:
        """Keep that a person wants the position closed, or no longer does.

        Raises:
            TradingHalted: the journal cannot be written.
        """
        self._journal.pin(closing_key(self.symbol), "yes" if is_asked else "")

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets that the state lets through; flat ones where a person asked for it."""
        if self._journal.pinned(closing_key(self.symbol)):
            return Review(target * 0.0, CLOSING)
        xp, held = context.xp, context.accounts.target
        if self.state is RiskState.ACTIVE:
            return Review(target, "")
        if self.state is RiskState.HALTED:
            kept = xp.where(target == 0, target, held)
            return Review(kept, "HALTED", hold=(kept != 0) & (context.order(kept) != 0))
        long, short = xp.minimum(xp.maximum(target, 0.0), held), xp.maximum(xp.minimum(target, 0.0), held)
        return without_opening(xp.where(held >= 0, long, short), context, True, self.state.name)


def closing_key(symbol: str) -> str:
    """Return the key under which the journal keeps a person's order to stay flat."""
    return f"close {symbol}"
