"""`RefusalWatch`: what is wanted and does not come about. People are told of the third time in a row, and of the end.

A candle that is seen too late, a market that does not trade, an amount below the minimum, a balance that is unknown, an
order that is refused: each may happen once. What goes on is something a person should see.
"""

from src.journal.schema import JournaledStep
from src.live.trader_view import TraderView
from src.live.watching.notify import Notifier

REPEATED = 3  # times in a row are told to people
NO_ORDER = "no order: "  # how a step says that what was wanted could not be asked for


def is_filled(outcome: str) -> bool:
    """Say whether an order traded whole."""
    return outcome == "paper" or outcome.startswith("filled")


class RefusalWatch:
    """Counts the refusals of one symbol, for its view."""

    def __init__(self, symbol: str, view: TraderView, notifier: Notifier) -> None:
        self._view = view
        self._decisions, self._orders = _Streak(symbol, notifier, "decisions"), _Streak(symbol, notifier, "orders")

    def add(self, step: JournaledStep, outcome: str | None) -> None:
        """Count a candle.

        Args:
            outcome: what became of its order; None if it had none.
        """
        no_order = next((sentence for sentence in step.changed if sentence.startswith(NO_ORDER)), None)
        self._decisions.add("" if step.status == "decided" else step.changed[0])
        self._orders.add(no_order if outcome is None else "" if is_filled(outcome) else outcome)
        self._view.refused += bool(self._decisions.last or self._orders.last)
        complaints = [streak.complaint for streak in (self._decisions, self._orders) if streak.complaint]
        self._view.refusal = "; ".join(complaints)


class _Streak:
    # Times in a row that something did not come about. A candle on which it was not wanted changes no count.
    def __init__(self, symbol: str, notifier: Notifier, what: str) -> None:
        self._symbol, self._notifier, self._what = symbol, notifier, what
        self._times, self.last = 0, ""

    @property
    def complaint(self) -> str:
        return f"{self._times} times in a row: {self.last}" if self.last and self._times >= REPEATED else ""

    def add(self, refusal: str | None) -> None:
        self.last = refusal or ""
        if refusal:
            self._times += 1
            if self._times == REPEATED:
                self._notifier.error(f"{self._symbol}: {self.complaint}")
        elif refusal is not None:
            if self._times >= REPEATED:
                self._notifier.info(f"{self._symbol}: {self._what} come about again")
            self._times = 0
