"""Models, seeds and baselines side by side on the bars they have in common."""

from collections.abc import Mapping
from itertools import combinations

from src.commands.backtest import backtest, seen_in_training, unadjusted_splits
from src.commands.job import Job
from src.config.risk import RiskLimits
from src.errors import DataError
from src.reporting.comparison import Comparison, make_comparison
from src.seeding import generator


def compare(
    jobs: Mapping[str, Job], split: str, limits: RiskLimits | None = None, protective_stop: float | None = None
) -> Comparison:
    """Trade every job over the rows they have in common; reports are called as the jobs are.

    Where models split the same bars differently, the rows are those that lie in `split` for all of them. The `limits`
    and the `protective_stop` bind all of them.

    Raises:
        DataError: they trade different bars, or have too few in common.
    """
    rows = _common_rows(jobs, split)
    reports = [backtest(job, split, rows, name, limits, protective_stop) for name, job in jobs.items()]
    return make_comparison(reports, generator(0, "comparison", "bootstrap"), _remarks(jobs, split, rows))


def _common_rows(jobs: Mapping[str, Job], split: str) -> range:
    (first, job), *others = jobs.items()
    for name, other in others:
        if other.bars.fingerprint != job.bars.fingerprint:
            raise DataError(
                f"{first} and {name} were made for different bars, so they cannot be compared on their own; name the"
                " bars for all with --data"
            )
    parts = [each.rows(split) for each in jobs.values()]
    rows = range(max(part.start for part in parts), min(part.stop for part in parts))
    if len(rows) < 2:
        raise DataError(f"the {split} splits of {', '.join(jobs)} share {len(rows)} bars; choose another split")
    return rows


def _remarks(jobs: Mapping[str, Job], split: str, rows: range) -> list[str]:
    # What keeps the comparison from being fair, or from meaning anything.
    (first, job), *others = jobs.items()
    times = job.bars.close_time[rows.start : rows.stop]
    remarks = [f"{name}: {seen}" for name, each in jobs.items() if (seen := seen_in_training(each.trained, times))]
    files = [(each.sha256, name) for name, each in jobs.items() if each.sha256]
    remarks += [f"{one} and {two} are one model" for (a, one), (b, two) in combinations(files, 2) if a == b]
    remarks += [said for said in [unadjusted_splits(job.bars, rows)] if said]
    if dear := [name for name, other in others if other.rules.costs != job.rules.costs]:
        remarks.append(f"other costs than those of {first} are charged to {', '.join(dear)}, as in their training")
    if any(each.rows(split) != rows for each in jobs.values()):
        remarks.append(f"the {split} splits differ; compared are the {len(rows)} bars they share")
    return remarks
