"""A backtest of a model on sealed bars is a look at them: counted with those of the promotion gate, and said.

Whoever could be chosen by it counts: models, and rules of the user's own. The project's baselines are what others are
measured by, and a champion traded over the bars its gate judged it on shows nothing new.
"""

import numpy as np

from src.commands.job import Candidate, Job
from src.config.data import DataSource
from src.journal.trials import open_trials, stretch_of
from src.market.panel import Panel


def sealed_look(job: Job, rows: range) -> int | None:
    """Enter the look at the sealed bars among these rows; return its number, from 1 on, or None where none is counted.

    Raises:
        ConfigError: the database of looks cannot be used.
        DataError: it cannot be written.
    """
    sealed = _within(rows, job.splits.test)
    if job.candidate is None or not sealed:
        return None
    source = DataSource(job.config["data"]["source"])
    with open_trials(job.candidate.run) as log:
        return log.look(stretch_of(job.bars, sealed, source), job.candidate.name, "backtest").number


def sealed_look_at_panel(
    panel: Panel, test: range, rows: range, candidate: Candidate, source: DataSource
) -> int | None:
    """Enter a look at the sealed bars of every symbol among these rows of a panel; return the highest number.

    A member that trades several symbols has seen the sealed bars of each.

    Raises:
        ConfigError, DataError: as `sealed_look`.
    """
    sealed = _within(rows, test)
    numbers = []
    with open_trials(candidate.run) as log:
        for number, symbol in enumerate(panel.symbols):
            own = np.flatnonzero(panel.has_bar[:, number])
            first, stop = np.searchsorted(own, [sealed.start, sealed.stop]).tolist()
            if sealed and stop > first:
                stretch = stretch_of(panel.series(symbol), range(first, stop), source)
                numbers.append(log.look(stretch, candidate.name, "backtest").number)
    return max(numbers, default=None)


def _within(rows: range, test: range) -> range:
    return range(max(rows.start, test.start), min(rows.stop, test.stop))
