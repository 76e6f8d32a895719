"""A backtest of a model on sealed bars is a look at them: counted with those of the promotion gate, and said.

Whoever could be chosen by it counts: models, and rules of the user's own. The project's baselines are what others are
measured by, and a champion traded over the bars its gate judged it on shows nothing new.
"""

from src.commands.job import Job
from src.config.data import DataSource
from src.journal.trials import open_trials, stretch_of


def sealed_look(job: Job, rows: range) -> int | None:
    """Enter the look at the sealed bars among these rows; return its number, from 1 on, or None where none is counted.

    Raises:
        ConfigError: the database of looks cannot be used.
        DataError: it cannot be written.
    """
    test = job.splits.test
    sealed = range(max(rows.start, test.start), min(rows.stop, test.stop))
    if job.candidate is None or not sealed:
        return None
    source = DataSource(job.config["data"]["source"])
    with open_trials(job.candidate.run) as log:
        return log.look(stretch_of(job.bars, sealed, source), job.candidate.name, "backtest").number
