"""`LiveGuard`: limits on top of the guard of every mode, for money that is real.

    ACTIVE     targets pass, within the limits
    REDUCING   targets pass as far as they bring the account closer to flat
    HALTED     the position stays as it is until it is closed

States get worse by themselves and better by a person (`resume`); they are kept in the journal and so outlive restarts.
Going flat passes in every state and through every limit.

Covered: exposure, position value, orders an hour, price jumps, slippage (as the limit price of orders), decisions that
are not numbers, a kill switch file. Daily loss and drawdown are the rules of `guard.py`. Not covered: limits across
symbols other than the number of orders.
"""

import hashlib
import json
import math
from enum import IntEnum
from pathlib import Path

from src.config.plain import to_plain
from src.config.risk import RiskLimits
from src.journal.journal import Journal

HOUR_MS = 3_600_000
CLOSE_ENOUGH_FRAC = 0.9  # a position that fills the limit by this much is not adjusted as prices move


class RiskState(IntEnum):
    """How free the bot is; larger is worse."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


def allowed_exposure(
    state: RiskState, limits: RiskLimits, equity: float, held: float, exposure: float, wanted: float
) -> float:
    """Return the target exposure that state and limits let through.

    Never further from flat than the limits, unless it is `held` itself; 0 for 0.

    Args:
        equity: of the account, at the close.
        held: target in force.
        exposure: what the position is worth as a fraction of equity, at the close.
        wanted: finite.
    """
    if wanted == 0 or equity <= 0:
        return 0.0
    if state is RiskState.HALTED:
        return held
    cap = min(limits.max_leverage, limits.max_position / equity)
    target = max(-cap, min(wanted, cap))
    if target != wanted and CLOSE_ENOUGH_FRAC * cap <= math.copysign(exposure, exposure * wanted) <= cap:
        return held
    if state is RiskState.REDUCING:
        return min(max(target, 0.0), held) if held >= 0 else max(min(target, 0.0), held)
    return target


def limits_hash(limits: RiskLimits) -> str:
    """Return the sha256 of the limits in force."""
    return hashlib.sha256(json.dumps(to_plain(limits), sort_keys=True).encode()).hexdigest()


class LiveGuard:
    """The guard of one symbol.

    Args:
        symbol: whose state it is.
        limits: as read at start.
        journal: keeps the state.
    """

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

    def objection(self, close: float, prior_close: float, now_ms: int) -> str:
        """Say why nothing may be opened or enlarged at this close; empty if nothing speaks against it."""
        jump = abs(close / prior_close - 1.0)
        if not jump <= self.limits.price_band_frac:
            return f"the close moved by {jump:.1%}, more than price_band_frac={self.limits.price_band_frac:g}"
        if self._journal.orders_since(now_ms - HOUR_MS + 1) >= self.limits.max_orders_per_hour:
            return f"max_orders_per_hour={self.limits.max_orders_per_hour} is used up"
        return ""
