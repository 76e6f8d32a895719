"""The rules of `risk/guard.py` as stations, which say why; the session applies the same ones in every mode."""

from collections.abc import Iterator
from typing import Any

from src.config.trading import RiskConfig
from src.execution.assets import each
from src.risk.guard import FOR_GOOD, UNTIL_NEXT_DAY, clip_exposure
from src.risk.stations.station import Review, ReviewContext, Station


def guard_rules(risk: RiskConfig) -> Iterator[Station]:
    """Yield a station for each rule that is on."""
    if risk.max_exposure is not None:
        yield ExposureRule(risk.max_exposure)
    if risk.max_daily_loss_frac is not None:
        yield LossRule(
            "daily loss", UNTIL_NEXT_DAY, f"max_daily_loss_frac={risk.max_daily_loss_frac:g} is lost in this UTC day"
        )
    if risk.max_drawdown_frac is not None:
        yield LossRule("drawdown", FOR_GOOD, f"max_drawdown_frac={risk.max_drawdown_frac:g} of the peak is lost")
    yield MarginCall()


class ExposureRule:
    """Clips targets to an exposure."""

    name = "exposure rule"

    def __init__(self, max_exposure: float) -> None:
        self._max_exposure = max_exposure

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets within ±max_exposure."""
        clipped = clip_exposure(context.xp, target, self._max_exposure)
        return Review(clipped, f"max_exposure={self._max_exposure:g} allows less")


class LossRule:
    """Keeps accounts flat that the guard has halted.

    Args:
        name: of the rule.
        until: value of `Accounts.halt` it stands for.
        reason: what was lost.
    """

    def __init__(self, name: str, until: float, reason: str) -> None:
        self.name, self._until, self._reason = name, until, reason

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return flat targets for accounts that are halted, the others as they are."""
        is_halted = each(context.xp, context.accounts.halt == self._until)
        return Review(context.xp.where(is_halted, 0.0, target), self._reason)


class MarginCall:
    """Keeps accounts flat that were closed out."""

    name = "margin call"

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return flat targets for ruined accounts, the others as they are."""
        is_ruined = each(context.xp, context.accounts.ruined)
        return Review(context.xp.where(is_ruined, 0.0, target), "the account was closed out")
