"""What runs, models and reports there are, read from their folders while others write to them.

Nothing is locked, written or executed, and neither ray, torch nor matplotlib is loaded. What is damaged or half-written
is listed as such with the reason; it never keeps the rest from being listed.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml  # type: ignore[import-untyped]

from src.agents.model_file import CHAMPION_STAGE
from src.errors import DataError, ModelFileError, TraderError
from src.reporting.figures_file import COMPARISON_FILE, ROLLING_FILE, SUMMARY_FILE, read_figures
from src.reporting.tracking.metrics_file import METRICS_FILE, read_metrics
from src.runs.entries import Damaged, Listing, ModelEntry, ReportEntry, RunEntry, StageEntry, State
from src.runs.model_choice import default_choice
from src.runs.model_content import read_content
from src.runs.run_folder import CONFIG_FILE, DATA_FILE, StageFolder, lock_file
from src.storage import is_locked

Entry = TypeVar("Entry", ModelEntry, ReportEntry, RunEntry)

_ROLLING = "rolling_"  # how folders of rolling retrains are called
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def list_runs(runs_dir: Path) -> Listing[RunEntry]:
    """Read every run below a folder, newest first."""
    folders = [folder for folder in _folders(runs_dir) if not folder.name.startswith(_ROLLING)]
    return _listing(folders, read_run, lambda run: run.changed)


def list_models(checkpoints_dir: Path) -> Listing[ModelEntry]:
    """Read every model file of a folder, and of the folders of named runs in it, newest first."""
    return _listing(
        [*sorted(checkpoints_dir.glob("*.pth")), *sorted(checkpoints_dir.glob("*/*.pth"))],
        read_model,
        lambda model: model.written,
    )


def list_reports(reports_dir: Path, runs_dir: Path | None = None) -> Listing[ReportEntry]:
    """Read every report below a folder, and the rolling retrains among runs, newest first."""
    rolling = [] if runs_dir is None else [one for one in _folders(runs_dir) if one.name.startswith(_ROLLING)]
    return _listing([*_folders(reports_dir), *rolling], read_report, lambda report: report.written)


def read_run(folder: Path) -> RunEntry:
    """Read one run.

    Raises:
        DataError: the folder does not hold one, or it is damaged.
    """
    settings = _settings(folder / CONFIG_FILE)
    data = read_figures(folder / DATA_FILE) if (folder / DATA_FILE).exists() else {}
    is_held = is_locked(lock_file(folder))
    try:
        stages = tuple(_stage(folder / name, plain, is_held) for name, plain in settings["sequence"].items())
        return RunEntry(
            folder=folder,
            symbol=str(settings["symbol"]),
            seed=int(settings["seed"]),
            state=_state_of_run(stages, is_held),
            stages=stages,
            timeframe=str(data.get("timeframe", "")),
            data_fingerprint=str(data.get("fingerprint", "")),
            settings=settings,
            changed=_changed([folder / CONFIG_FILE, *folder.glob("*/*.json*")]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{folder} is damaged ({error!r}); delete it and train anew") from error


def read_model(path: Path) -> ModelEntry:
    """Read what a model file says of itself.

    Raises:
        ModelFileError: missing, damaged, not a model file, of another format version, or incomplete.
    """
    content = read_content(path)
    try:
        return ModelEntry(
            path=path,
            role=_role(path, content),
            symbol=str(content["symbol"]),
            timeframe=str(content["timeframe"]),
            kind=str(content["kind"]),
            stage=str(content["stage"]),
            trained=_days(content["split"].get("train", {}).get("time")),
            validation=dict(content["validation"]),
            evaluations=int(content["evaluations"]),
            verdict=str(content["verdict"]),
            lineage=tuple(map(str, content["lineage"])),
            data_fingerprint=str(content["data_fingerprint"]),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            written=_changed([path]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path} does not say what it is ({error!r}); train anew") from error


def read_report(folder: Path) -> ReportEntry:
    """Read one report.

    Raises:
        DataError: the folder does not hold one, or it is damaged.
    """
    path = next((folder / name for name in _REPORTS if (folder / name).exists()), None)
    if path is None:
        raise DataError(f"{folder} holds no report ({', '.join(_REPORTS)}); make it anew or delete the folder")
    figures = read_figures(path)
    try:
        return _REPORTS[path.name](folder, figures, _changed([path]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is no report of this program ({error!r}); make it anew") from error


def _listing(paths: Iterable[Path], read: Callable[[Path], Entry], when: Callable[[Entry], datetime]) -> Listing[Entry]:
    entries, damaged = [], []
    for path in paths:
        try:
            entries.append(read(path))
        except TraderError as error:
            damaged.append(Damaged(path, str(error)))
        except OSError as error:  # it went away, or may not be read
            damaged.append(Damaged(path, f"{path} cannot be read ({error.strerror}); look again, or check its rights"))
    return Listing(tuple(sorted(entries, key=when, reverse=True)), tuple(damaged))


def _folders(parent: Path) -> list[Path]:
    # Those whose name begins with a dot are drafts and locks.
    if not parent.is_dir():
        return []
    return sorted(folder for folder in parent.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def _settings(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"{path.parent} holds no {path.name}: no run, or one that was stopped at once; delete it")
    try:
        settings = yaml.load(path.read_bytes(), Loader=_YAML_LOADER)
    except yaml.YAMLError as error:
        raise DataError(f"{path} is damaged ({' '.join(str(error).split())}); delete the run and train anew") from error
    if not isinstance(settings, dict):
        raise DataError(f"{path} holds no settings; delete the run and train anew")
    return settings


def _stage(folder: Path, plain: Mapping[str, Any], is_held: bool) -> StageEntry:
    stage, lines = StageFolder(folder), read_metrics(folder / METRICS_FILE)
    metrics = {name: value for line in lines for name, value in line.items() if value is not None}
    done = int(metrics.pop("step", 0))
    metrics.pop("env_steps", None)
    planned = next((int(plain[unit]) for unit in ("generations", "iterations") if unit in plain), None)
    name, algorithm = folder.name, str(plain["algorithm"])
    try:
        result = stage.result
        model = None if result is None else read_model(stage.model)
    except (TraderError, KeyError, TypeError, ValueError) as error:
        problem = str(error) if isinstance(error, TraderError) else f"{folder} holds a damaged result ({error!r})"
        return StageEntry(name, algorithm, State.damaged, done, planned, metrics, problem=problem)
    if result is not None:
        return StageEntry(name, algorithm, State.complete, done, planned, metrics, result, model)
    begun = State.running if is_held else State.interrupted
    return StageEntry(name, algorithm, begun if folder.exists() else State.waiting, done, planned, metrics)


def _state_of_run(stages: tuple[StageEntry, ...], is_held: bool) -> State:
    states = {stage.state for stage in stages}
    if State.damaged in states:
        return State.damaged
    if states <= {State.complete}:
        return State.complete
    return State.running if is_held else State.interrupted


def _role(path: Path, content: Mapping[str, Any]) -> str:
    if content["stage"] == CHAMPION_STAGE:
        return "champion"
    try:
        choice = default_choice(str(content["symbol"]), path.parent)
    except ModelFileError:  # a file of another name than training gives
        return "stage model"
    return choice.role if choice.path == path else "stage model"


def _backtest(folder: Path, figures: dict[str, Any], written: datetime) -> ReportEntry:
    about = figures["description"]
    return ReportEntry(
        folder=folder,
        kind="backtest",
        symbol=about["symbol"],
        timeframe=about["timeframe"],
        split=about["split"],
        first_day=figures["first_day"],
        last_day=figures["last_day"],
        figures={about["model"]: figures["performance"]},
        verdicts=(figures["verdict"],),
        data_fingerprint=about["data_fingerprint"],
        models_sha256=_named(about["model_sha256"]),
        written=written,
    )


def _comparison(folder: Path, figures: dict[str, Any], written: datetime) -> ReportEntry:
    models = figures["models"]
    return ReportEntry(
        folder=folder,
        kind="comparison",
        symbol=figures["symbol"],
        timeframe=figures["timeframe"],
        split=figures["split"],
        first_day=figures["first_day"],
        last_day=figures["last_day"],
        figures={model["description"]["model"]: model["performance"] for model in models},
        verdicts=tuple(model["less_the_first"]["verdict"] for model in models if model["less_the_first"]),
        data_fingerprint=figures["data_fingerprint"],
        models_sha256=_named(*(model["description"]["model_sha256"] for model in models)),
        written=written,
    )


def _rolling(folder: Path, figures: dict[str, Any], written: datetime) -> ReportEntry:
    steps = [step["description"] for step in figures["steps"]]
    return ReportEntry(
        folder=folder,
        kind="rolling",
        symbol=figures["symbol"],
        timeframe=figures["timeframe"],
        split=f"{len(steps)} steps",
        first_day=figures["first_day"],
        last_day=figures["last_day"],
        figures={"stitched": figures["stitched"]},
        verdicts=(figures["verdict"],),
        data_fingerprint=steps[-1]["data_fingerprint"],
        models_sha256=_named(*(step["model_sha256"] for step in steps)),
        written=written,
    )


_REPORTS = {SUMMARY_FILE: _backtest, COMPARISON_FILE: _comparison, ROLLING_FILE: _rolling}


def _named(*hashes: str) -> tuple[str, ...]:
    return tuple(filter(None, hashes))


def _days(times: tuple[int, int] | None) -> tuple[str, str] | None:
    # A bar that closes at midnight belongs to the day it covers.
    if times is None:
        return None
    first, last = (str(np.datetime64(int(time) - 1, "ms").astype("datetime64[D]")) for time in times)
    return first, last


def _changed(paths: Iterable[Path]) -> datetime:
    return datetime.fromtimestamp(max(path.stat().st_mtime for path in paths), tz=UTC)
