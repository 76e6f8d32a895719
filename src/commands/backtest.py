"""A job traded over its rows, as a report."""

from src.backtesting.engine import run_backtest
from src.commands.job import Job
from src.commands.looks import sealed_look
from src.commands.optimum import optimum_of
from src.config.plain import to_plain
from src.config.risk import RiskLimits
from src.market.bars import BarSeries, TimeArray
from src.market.quality.split_jumps import split_like_jumps
from src.reporting.summary import Description, Report, make_report
from src.seeding import generator


def backtest(
    job: Job,
    split: str,
    rows: range,
    label: str = "",
    limits: RiskLimits | None = None,
    protective_stop: float | None = None,
) -> Report:
    """Trade `rows`, which lie in `split`, and measure the account; on sealed bars that is a look, and counted.

    Args:
        job: who trades what.
        split: name of a part of the data.
        rows: in that part.
        label: replaces the job's own.
        limits: of a risk file that every decision has to pass.
        protective_stop: multiple of the wider loss limit at which stops are modelled.
    """
    result = run_backtest(job.agent, job.bars, job.rules, rows, limits, protective_stop=protective_stop)
    description = Description(
        model=label or job.label,
        symbol=job.bars.symbol,
        timeframe=job.bars.timeframe,
        split=split,
        note=job.note,
        cautions=tuple(cautions(job, rows)),
        data_fingerprint=job.bars.fingerprint,
        model_sha256=job.sha256,
        costs=job.rules.to_plain()["costs"],
        config=job.config,
        limits={} if limits is None else to_plain(limits),
        protective_stop=protective_stop,
        look=sealed_look(job, rows),
    )
    rng = generator(0, "backtest", "bootstrap")
    gates = None if job.mixture is None else job.mixture.gates[rows.start : rows.stop]
    return make_report(
        description,
        result.records,
        result.traded_bars,
        result.bars_per_year,
        result.initial_equity,
        rng,
        gates,
        insights=None if job.mind is None else job.mind.insights(rows),
        provenance=job.provenance,
        reviews=result.reviews,
        optimum=optimum_of(job.bars, rows, job.rules, result.records.target),
    )


def cautions(job: Job, rows: range) -> list[str]:
    """Say what a reader should know before believing a result on these rows, one sentence each."""
    times = job.bars.close_time[rows.start : rows.stop]
    return [said for said in (seen_in_training(job.trained, times), unadjusted_splits(job.bars, rows)) if said]


def seen_in_training(trained: tuple[int, int] | None, times: TimeArray) -> str:
    """Say how many of the rows the model learned from, or from what came after them; empty if none, or if it is none.

    What followed a bar is known to a model that learned from later ones, so bars before its training are no test of it.

    Args:
        trained: first and last closing time the model learned from; None if there is no model.
        times: closing times of the rows, (T,).
    """
    if trained is None:
        return ""
    first, last = trained
    within, before = int(((times >= first) & (times <= last)).sum()), int((times < first).sum())
    said = [f"{within} of {len(times)} bars lie in the period the model was trained on"] if within else []
    if before:
        said.append(
            f"{before} of {len(times)} bars lie before the period the model was trained on: it knows what followed"
        )
    return "; ".join(said)


def unadjusted_splits(bars: BarSeries, rows: range) -> str:
    """Say which jumps between two of the rows look like splits of shares; empty where none does."""
    jumps = "; ".join(map(str, split_like_jumps(bars, rows)))
    return f"the price {jumps}: a profit or loss that nobody made, unless prices are adjusted" if jumps else ""
