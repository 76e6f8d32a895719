"""Run folders: what makes two runs the same, who may work on one, and how an interrupted one is picked up.

    runs/{SYMBOL}_{run id}/
        config.yaml            the resolved configuration
        data.json              which bars are traded: fingerprint, timeframe, count, first and last closing time
        {stage}/metrics.jsonl  every metric logged
        {stage}/market/        the training bars
        {stage}/state_{n}/     the training state after iteration n, complete; the next one replaces it
        {stage}/model.pth      the trained model, copied to checkpoints/
        {stage}/result.json    written when the stage is complete

The run id is a hash of the resolved configuration, the data, the code that training reaches and the plug-ins: the same
command finds the same folder, whatever was said in a comment or changed about reports and bots meanwhile.
A state folder is written beside its final name and renamed, so a kill leaves the old one or the new one, never half.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from src import storage
from src.plugins import is_users_own
from src.source_code import code_of, hash_of

_TRAINS = "src.training.pipeline"
_PROGRAM = Path(__file__).resolve().parents[1]
_SHOWS = _PROGRAM / "reporting"  # says how results are shown, never what they are
CONFIG_FILE, DATA_FILE = "config.yaml", "data.json"
_FULL_BYTES = 2**20  # a disk with less left is taken for full
_MODEL_FILE, _RESULT_FILE = "model.pth", "result.json"


@cache
def code_version(plugins: tuple[str, ...] = ()) -> str:
    """Return a hash of the code that training and plug-ins reach, reports left out: other code makes another run."""
    return hash_of(code_of([_TRAINS, *plugins], _may_change_results))


def run_id(config_hash: str, data_fingerprint: str, plugins: Iterable[str] = ()) -> str:
    """Return the identity of a run, twelve hexadecimal digits.

    Args:
        plugins: modules, whose source counts too.
    """
    version = code_version(tuple(plugins))
    return hashlib.sha256(f"{config_hash}|{data_fingerprint}|{version}".encode()).hexdigest()[:12]


def _may_change_results(path: Path) -> bool:
    return is_users_own(path) or (path.is_relative_to(_PROGRAM) and not path.is_relative_to(_SHOWS))


def locked(folder: Path) -> AbstractContextManager[None]:
    """Hold the run folder; the lock ends with the process.

    Raises:
        RunLocked: another process holds it.
    """
    busy = f"another process is training in {folder}; wait for it, or change the seed or any other setting"
    return storage.locked(lock_file(folder), busy)


def lock_file(folder: Path) -> Path:
    """Return the file that is locked while a process works on a run."""
    return folder.parent / f".{folder.name}.lock"


def write_json(path: Path, content: Any) -> None:
    """Write plain data atomically."""
    storage.write_atomic(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False).encode())


@dataclass(frozen=True)
class StageResult:
    """What a completed stage reports: the summary shows it and `result.json` holds it."""

    model_path: Path
    iterations: int
    evaluations: int
    env_steps: int
    train_seconds: float
    validation: dict[str, Any]

    def to_plain(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "model_path": str(self.model_path)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "StageResult":
        """Rebuild from `to_plain`."""
        return cls(**{**plain, "model_path": Path(plain["model_path"])})


class StageFolder:
    """Where one stage keeps its training state and its result; looking at it makes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # RLlib takes absolute paths only

    @property
    def market(self) -> Path:
        """Folder of the training bars."""
        return self.path / "market"

    @property
    def model(self) -> Path:
        """Where the trained model is kept."""
        return self.path / _MODEL_FILE

    def model_of(self, stage: str) -> Path:
        """Return where another stage of the same run keeps its model."""
        return self.path.parent / stage / _MODEL_FILE

    @property
    def state(self) -> Path | None:
        """Folder of the last complete training state, or None before the first."""
        names = sorted(self.path.glob("state_*"))
        return names[-1] if names else None

    def save_state(self, iteration: int, write: Callable[[Path], None]) -> None:
        """Let `write` fill a draft folder, then put it in the place of the last state.

        Raises:
            OSError: the disk is full.
        """
        draft = self.path / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            write(draft)
        except RuntimeError as error:  # what torch makes of a full disk
            if shutil.disk_usage(draft).free > _FULL_BYTES:
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(draft)) from error
        final = self.path / f"state_{iteration:08d}"
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
        for older in sorted(self.path.glob("state_*"))[:-1]:
            shutil.rmtree(older)

    @property
    def result(self) -> StageResult | None:
        """What the completed stage reported, or None while it is incomplete."""
        path = self.path / _RESULT_FILE
        return StageResult.from_plain(json.loads(path.read_text())) if path.exists() else None

    def complete(self, result: StageResult) -> None:
        """Record the stage as complete; its training state is no longer needed."""
        write_json(self.path / _RESULT_FILE, result.to_plain())
        for state in self.path.glob("state_*"):
            shutil.rmtree(state)
