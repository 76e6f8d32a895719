"""`SingleSession`: one account of floats on one series, a bar in a microsecond or two.

What a bar does is written in `Session` alone. Here it is traced once under the rules in force, and the compiled
function runs every bar on which nothing unusual happens; a margin call, an account in ruins, or a position that a
station holds, is stepped by a `Session` of floats. Both give the same numbers, bit for bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.execution import scalar
from src.execution.ledger import Accounts
from src.execution.tape import Tape
from src.execution.tracing import Symbol, Trace
from src.trading.account_inputs import account_inputs
from src.trading.records import CALL_FIELDS
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, Session


class SingleSession:
    """A `Session` of one account; broker simulated.

    Attributes:
        calls: what margin calls and protective stops filled since `open`, named as in `StepRecord`, by the row of the
            bar.
    """

    def __init__(self, rules: TradingRules, tape: Tape) -> None:
        self._tape = tape
        self._session = Session(rules, scalar)
        bar = TracedBar(rules)
        values = bar.trace.label({"decision": bar.decision, **_split(bar.outcome)[0]})
        self._usual = bar.compile(tape, bar.trace.pack(bar.state, values, bar.inputs))

    @property
    def accounts(self) -> Accounts:
        """The account at the last close, of Python floats."""
        return Accounts(*self._state)

    def open(self, accounts: Accounts) -> None:
        """Start with this account, marked at its last close."""
        self._state: tuple[Any, ...] = tuple(accounts)
        self.calls: dict[int, dict[str, float]] = {}

    def account_inputs(self) -> NDArray[np.float32]:
        """Return what a policy may see of the account, (C,)."""
        inputs: NDArray[np.float32] = account_inputs(scalar, self.accounts, self._session.rules)
        return inputs

    def decide(self, target: float, hold: bool = False) -> float:
        """Return the exposure that would be in force; the account is left as it is."""
        self._session.open(self.accounts)
        decision: float = self._session.decide(target, hold)
        return decision

    def step(self, target: float, row: int, hold: bool = False) -> tuple[dict[str, Any], NDArray[np.float32]]:
        """Decide at the last close and process bar `row`, the one after it.

        Args:
            target, hold: as in `Session.decide`.
            row: of the bar.

        Returns:
            What happened, named as in `StepRecord`, except that `decision` is the exposure decided before the bar and
            that the fields of a call are in `calls`; and the account inputs at its close, (C,).
        """
        outcome = None if hold else self._usual(self._state, target, row)
        if outcome is None:
            return self._step_unusual(target, row, hold)
        self._state, values, inputs = outcome
        return values, inputs

    def _step_unusual(self, target: float, row: int, hold: bool) -> tuple[dict[str, Any], NDArray[np.float32]]:
        session = self._session
        session.open(self.accounts)
        decision = session.decide(target, hold)
        outcome = session.advance(self._tape.bar(row))
        self._state = session.accounts
        values, call = _split(outcome)
        if outcome.terminated or outcome.call_units != 0:
            self.calls[row] = call
        return {"decision": decision, **values}, session.account_inputs()


class TracedBar:
    """One bar of one account as symbols: the decision at its prior close, and what `Session` makes of it."""

    def __init__(self, rules: TradingRules) -> None:
        self.trace = Trace()
        session = Session(rules, self.trace)
        session.open(Accounts(*[self.trace.apply(f"state[{index}]") for index in range(len(Accounts._fields))]))
        self.decision = session.decide(self.trace.apply("target"))
        self.outcome = session.advance(Tape(*[self.trace.apply(f"tape_{name}[row]") for name in Tape._fields]))
        self.state = self.trace.pack(*session.accounts)
        self.inputs = session.account_inputs()

    def compile(self, tape: Tape, outputs: Symbol) -> Callable[[tuple[Any, ...], float, int], Any]:
        """Return a function (state, target, row) of the outputs, or of None on a bar that is not usual."""
        columns = {f"tape_{name}": column.data for name, column in tape._asdict().items()}
        return self.trace.compile("state, target, row", outputs, **columns)


def _split(outcome: BarOutcome) -> tuple[dict[str, Any], dict[str, Any]]:
    # What every bar has, and what belongs to a margin call or a stop: a bar with one is not usual.
    values = outcome._asdict()
    call = {name: values.pop(name) for name in CALL_FIELDS}
    return values, call
