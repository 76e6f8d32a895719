"""What the catalogue lists: runs with their stages, models and reports, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from src.runs.run_folder import StageResult

Entry = TypeVar("Entry")


class State(Enum):
    """How far a stage or a run is."""

    complete = "complete"
    running = "running"  # a process of this machine works on it
    interrupted = "interrupted"  # begun, and nobody seems to work on it; the same command goes on with it
    waiting = "waiting"  # its turn has not come
    damaged = "damaged"


@dataclass(frozen=True)
class Damaged:
    """Something that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Listing(Generic[Entry]):
    """What a folder holds, newest first, and what in it could not be read."""

    entries: tuple[Entry, ...] = ()
    damaged: tuple[Damaged, ...] = ()


@dataclass(frozen=True)
class ModelEntry:
    """A model file that passed its checks.

    Attributes:
        role: `champion`, `newest stage model` (which stands for its symbol while there is no champion) or
            `stage model`.
        trained: first and last day it learned from, as ISO dates; None if its file does not say.
        validation: statistics on the validation split.
        verdict: of the promotion gate, or why there is none.
        sha256: of the file, as reports of its backtests quote it.
    """

    path: Path
    role: str
    symbol: str
    timeframe: str
    kind: str
    stage: str
    trained: tuple[str, str] | None
    validation: Mapping[str, Any]
    evaluations: int
    verdict: str
    lineage: tuple[str, ...]
    data_fingerprint: str
    sha256: str
    written: datetime


@dataclass(frozen=True)
class StageEntry:
    """A stage of a run.

    Attributes:
        done: iterations, or generations of a population, by what was logged.
        planned: how many there are to be; None for a stage algorithm of the user's own, which counts as it likes.
        metrics: the latest value of everything logged.
        result: what it reported once complete.
        model: what it left once complete.
        problem: why it counts as damaged.
    """

    name: str
    algorithm: str
    state: State
    done: int
    planned: int | None
    metrics: Mapping[str, float]
    result: StageResult | None = None
    model: ModelEntry | None = None
    problem: str = ""


@dataclass(frozen=True)
class RunEntry:
    """A run of a training sequence.

    Attributes:
        settings: the resolved configuration, as plain data.
        timeframe, data_fingerprint: of the bars that are traded; empty for a run that did not say.
        changed: when anything in it was last written.
    """

    folder: Path
    symbol: str
    seed: int
    state: State
    stages: tuple[StageEntry, ...]
    timeframe: str
    data_fingerprint: str
    settings: Mapping[str, Any]
    changed: datetime

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def title(self) -> str:
        """What its settings call it; empty if nothing."""
        return str(self._run_settings.get("name") or "")

    @property
    def note(self) -> str:
        """What its settings say of it."""
        return str(self._run_settings.get("note") or "")

    @property
    def _run_settings(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.settings.get("run") or {}
        return found

    @property
    def models(self) -> dict[str, ModelEntry]:
        """The model of each stage that left one, by stage."""
        return {stage.name: stage.model for stage in self.stages if stage.model is not None}

    @property
    def finished(self) -> tuple[StageEntry, ...]:
        """Stages that are complete."""
        return tuple(stage for stage in self.stages if stage.state is State.complete)

    @property
    def problem(self) -> str:
        """Why it counts as damaged; empty if it does not."""
        return "; ".join(stage.problem for stage in self.stages if stage.problem)

    @property
    def reached(self) -> Mapping[str, Any]:
        """What the last finished stage reached on the validation split; empty before the first."""
        results = [stage.result for stage in self.finished if stage.result is not None]
        return results[-1].validation if results else {}

    @property
    def champion(self) -> ModelEntry | None:
        """The model a population was bred for, if it is complete."""
        return next((model for model in self.models.values() if model.role == "champion"), None)


@dataclass(frozen=True)
class ReportEntry:
    """A backtest, a comparison or a rolling retrain that was written down.

    Attributes:
        kind: `backtest`, `comparison` or `rolling`.
        figures: what each model reached, by its name: `total_return`, `sharpe`, `max_drawdown` and more.
        verdicts: a sentence each.
        models_sha256: of the model files behind it, as far as it names them.
    """

    folder: Path
    kind: str
    symbol: str
    timeframe: str
    split: str
    first_day: str
    last_day: str
    figures: Mapping[str, Mapping[str, Any]]
    verdicts: tuple[str, ...]
    data_fingerprint: str
    models_sha256: tuple[str, ...]
    written: datetime
