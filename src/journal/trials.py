"""`TrialLog`: every evaluation that could have chosen something, and every look at sealed bars.

Both are counted over runs, seeds and settings, because each is one more chance to be lucky, and kept in one database by
URL. Rows are only ever added; SQLite itself refuses to change or delete them. A strategy registry shares the table.
Returns a bar are kept as float32, packed by zlib.

What a run counts is fixed at the moment it first looks: a run that is resumed or repeated finds its own look, with the
numbers of then, and counts nothing twice.
"""

import json
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, and_, distinct, func, insert, make_url, or_, select
from sqlalchemy.exc import ArgumentError

from src.config.data import DataSource
from src.config.runtime import RunConfig
from src.errors import DataError
from src.journal.database import Database, Purpose
from src.journal.schema import LOOKS, TRIALS
from src.market.bars import BarSeries, symbol_id
from src.storage import locked_in_turn

TRIAL_LOG = Purpose("the database of trials", "run.database", DataError, examined=("meta", "looks"))
LEDGER = "sealed_looks.json"  # of earlier versions, in the folder of runs; taken over once


class Stretch(NamedTuple):
    """Bars of a market, by their first and last closing time in UTC milliseconds."""

    market: str
    first_time: int
    last_time: int
    fingerprint: str


class Look(NamedTuple):
    """A look at sealed bars: its number, from 1 on, and the trials others had made on the selection data by then."""

    number: int
    trials: int


@dataclass(frozen=True)
class Trial:
    """One candidate that was evaluated, of a stage of a run.

    Attributes:
        name: unique in its stage.
        spec: hash of what was tried.
        folds: its figures on each stretch it was evaluated on.
        metrics: its figures as a whole.
        returns: (R,) simple returns a bar over all folds; none where they were not kept.
        evaluations: how many evaluations the row stands for.
    """

    name: str
    spec: str
    folds: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    returns: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    evaluations: int = 1


@dataclass(frozen=True)
class TrialSource:
    """Where trials come from: a stage of a run, and the data they were evaluated on.

    Attributes:
        selection: the bars of the folds.
        data_fingerprint: of the whole series.
        settings: hash of everything that could change the results.
    """

    run: str
    stage: str
    selection: Stretch
    timeframe: str
    data_fingerprint: str
    seed: int
    settings: str


def stretch_of(bars: BarSeries, rows: range, source: DataSource) -> Stretch:
    """Return rows of bars as a stretch of their market.

    However it is split and whatever its timeframe, a market is one. A generated path is a market by itself: those of
    two seeds share a name and nothing else.
    """
    market = symbol_id(bars.symbol)
    if source is DataSource.synthetic:
        market = f"{market} {bars.fingerprint[:16]}"
    times = bars.close_time
    part = bars[rows.start : rows.stop]
    return Stretch(market, int(times[rows.start]), int(times[rows.stop - 1]), part.fingerprint)


def open_trials(run: RunConfig) -> "TrialLog":
    """Open the database of the settings; a ledger of an earlier version in the folder of runs is taken over.

    Raises:
        ConfigError: it cannot be opened or written.
        DataError: the ledger cannot be read.
    """
    log = TrialLog(run.database or f"sqlite:///{Path(run.runs_dir) / 'trials.db'}")
    log.take_over(Path(run.runs_dir) / LEDGER)
    return log


class TrialLog:
    """Trials and looks in one database. Processes that write at once wait for each other.

    Args:
        url: SQLAlchemy's, such as `sqlite:///runs/trials.db`.

    Raises:
        ConfigError: it cannot be opened or written, is damaged, or has a schema this program does not know.
    """

    def __init__(self, url: str) -> None:
        _make_folder(url)
        self._database = Database(url, TRIAL_LOG)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def __enter__(self) -> "TrialLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, source: TrialSource, trials: Iterable[Trial]) -> None:
        """Enter trials; one that is known, because its run was resumed, stays as it was.

        Raises:
            DataError: it cannot be written.
        """
        with self._database.writing() as connection:
            _take_turn(connection)
            ours = (TRIALS.c.run == source.run) & (TRIALS.c.stage == source.stage)
            known = set(connection.execute(select(TRIALS.c.name).where(ours)).scalars())
            if rows := [_row(source, trial) for trial in trials if trial.name not in known]:
                connection.execute(insert(TRIALS), rows)

    def look(
        self, at: Stretch, candidate: str, kind: str, source: TrialSource | None = None, parts: Collection[str] = ()
    ) -> Look:
        """Enter a candidate's look at sealed bars; who looks at them again finds the look it had.

        Looks at bars that overlap in time are looks at the same bars.

        Args:
            candidate: who is judged, such as a run.
            kind: what judges: `gate`, `rolling`, `backtest`.
            source: the trials it was chosen among; those of others on overlapping bars are counted with the look.
            parts: candidates that are parts of this one and no others.

        Raises:
            DataError: it cannot be written.
        """
        with self._database.writing() as connection:
            _take_turn(connection)
            ours, same_bars = LOOKS.c.candidate == candidate, _same_bars(at)
            known = select(LOOKS.c.id).where(ours, LOOKS.c.fingerprint == at.fingerprint)
            if connection.execute(known).first() is None:
                before = 0 if source is None else connection.execute(_evaluations_of_others(source)).scalar_one()
                connection.execute(insert(LOOKS), _look_row(at, candidate, kind, int(before)))
            mine = select(LOOKS.c.id, LOOKS.c.trials).where(ours, same_bars).order_by(LOOKS.c.id)
            first = connection.execute(mine).first()
            assert first is not None, "it was entered just now, or before"
            earlier = LOOKS.c.id < first.id, LOOKS.c.candidate.not_in([candidate, *parts])
            others = select(func.count(distinct(LOOKS.c.candidate))).where(same_bars, *earlier)
            return Look(int(connection.execute(others).scalar_one()) + 1, int(first.trials))

    def take_over(self, ledger: Path) -> None:
        """Enter the looks that an earlier version kept in a file, once: the file is renamed.

        Its looks have no times: they count for exactly the same bars.

        Raises:
            DataError: the file cannot be read.
        """
        if not ledger.exists():
            return
        with locked_in_turn(ledger.parent / f".{ledger.name}.lock"):
            if not ledger.exists():  # another process was first
                return
            looks = _read_ledger(ledger)
            with self._database.writing() as connection:
                _take_turn(connection)
                known = set(map(tuple, connection.execute(select(LOOKS.c.candidate, LOOKS.c.fingerprint))))
                rows = [
                    {"candidate": run, "kind": "ledger", "fingerprint": fingerprint, "trials": 0}
                    for fingerprint, runs in looks.items()
                    for run in runs
                    if (run, fingerprint) not in known
                ]
                if rows:
                    connection.execute(insert(LOOKS), rows)
            ledger.rename(ledger.with_name(f"{ledger.name}.taken_over"))


def _row(source: TrialSource, trial: Trial) -> dict[str, Any]:
    market, first_time, last_time, _ = source.selection
    return {
        "run": source.run,
        "stage": source.stage,
        "name": trial.name,
        "spec": trial.spec,
        "symbol": market,
        "timeframe": source.timeframe,
        "data_fingerprint": source.data_fingerprint,
        "first_time": first_time,
        "last_time": last_time,
        "folds": trial.folds,
        "metrics": trial.metrics,
        "returns": zlib.compress(trial.returns.astype(np.float32).tobytes()),
        "evaluations": trial.evaluations,
        "seed": source.seed,
        "settings": source.settings,
    }


def _look_row(at: Stretch, candidate: str, kind: str, trials: int) -> dict[str, Any]:
    market, first_time, last_time, fingerprint = at
    times = {"first_time": first_time, "last_time": last_time}
    return {
        "candidate": candidate,
        "kind": kind,
        "symbol": market,
        "fingerprint": fingerprint,
        "trials": trials,
        **times,
    }


def _evaluations_of_others(source: TrialSource) -> Select[Any]:
    # On bars that overlap in time, of the same market or, under whatever name, of the same data.
    at, trials = source.selection, TRIALS.c
    overlaps = and_(trials.first_time <= at.last_time, trials.last_time >= at.first_time)
    alike = or_(trials.symbol == at.market, trials.data_fingerprint == source.data_fingerprint)
    ours = and_(trials.run == source.run, trials.stage == source.stage)
    return select(func.coalesce(func.sum(trials.evaluations), 0)).where(overlaps, alike, ~ours)


def _same_bars(at: Stretch) -> Any:
    overlaps = and_(LOOKS.c.first_time <= at.last_time, LOOKS.c.last_time >= at.first_time)
    return or_(LOOKS.c.fingerprint == at.fingerprint, and_(LOOKS.c.symbol == at.market, overlaps))


def _take_turn(connection: Connection) -> None:
    # What is read in a transaction that writes must still hold when it writes.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_folder(url: str) -> None:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    except (ArgumentError, OSError):  # opening it says what is wrong
        return


def _read_ledger(path: Path) -> dict[str, list[str]]:
    try:
        looks = json.loads(path.read_bytes())
    except ValueError:
        looks = None
    if not isinstance(looks, dict) or not all(isinstance(runs, list) for runs in looks.values()):
        raise DataError(f"{path} is not a ledger of looks; restore it, or delete it and lose the count of looks")
    return looks
