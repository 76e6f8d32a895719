"""`check_lookahead`: whether anything of a job sees the future, each part of it by itself and then its decisions."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from src.backtesting.causality import without_look_ahead
from src.backtesting.engine import run_backtest
from src.commands.job import Job
from src.errors import LookaheadError
from src.market.lookahead import require_causal
from src.trading.agent import ReadsParts
from src.trading.past_only import PastOnly

CHECKED_BARS = 10_000  # each part is computed again on series of at most so many
ROUNDING = 1e-6  # networks round otherwise on series of another length
PROVED_ROWS = 16  # before which an agent that prepares ahead is shown other futures


class Checked(NamedTuple):
    """One thing that was checked; `culprit` says what was found, and is empty if nothing was."""

    what: str
    culprit: str


def check_lookahead(job: Job, rows: range) -> Iterator[Checked]:
    """Compute what an agent reads of each bar without the later ones, and decide before other futures.

    Yields:
        Each feature, each part of a mind (memory, regimes, patterns), and the decisions on `rows`.

    Raises:
        DataError: a part gives what is not finite, or the agent cannot trade the rows.
    """
    agent, bars = job.agent, job.bars[max(0, rows.stop - CHECKED_BARS) : rows.stop]
    for name, compute in agent.parts.items() if isinstance(agent, ReadsParts) else ():
        yield _checked(name, partial(require_causal, name, compute, bars, agent.warmup_bars, rounding=ROUNDING))
    yield _checked("decisions", lambda: _decide(job, rows))


def _checked(what: str, check: Callable[[], object]) -> Checked:
    try:
        check()
    except LookaheadError as error:
        return Checked(what, str(error))
    return Checked(what, "")


def _decide(job: Job, rows: range) -> None:
    agent = without_look_ahead(job.agent, job.bars, rows, len(job.rules.account_inputs), PROVED_ROWS)
    if isinstance(agent, PastOnly):  # it is found out while it trades
        run_backtest(agent, job.bars, job.rules, rows, prove=False)
