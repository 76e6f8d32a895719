"""`TrainedRuns`: tiny runs that are trained once for the whole suite, by whichever process of it asks first.

run = trained_runs(maml_settings, "seed=1")      # a fixture of tests/conftest.py
load_model(run.model("stage_3_maml"))

A test may read what such a run has left and run it again, which is to find it complete; one that must train for itself,
or that writes to a run, gives a folder of its own to the same settings.
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

from src.config.load import load_training_config
from src.config.training import TrainingConfig
from src.runs.run_folder import StageResult
from src.storage import locked_in_turn
from tests.support.tiny_training import Settings


@dataclass(frozen=True)
class TrainedRun:
    """A complete run: its settings, by which it can be run again, and the results of its stages by name."""

    config: TrainingConfig
    results: dict[str, StageResult]

    def model(self, stage: str) -> Path:
        """Return the published model file of a stage."""
        return self.results[stage].model_path

    @property
    def folder(self) -> Path:
        """The run's folder."""
        (found,) = (path for path in Path(self.config.run.runs_dir).iterdir() if path.is_dir())
        return found


class TrainedRuns:
    """Trains below `folder`, each run in a folder of its own, so that none publishes over another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, settings: Settings, *overrides: str) -> TrainedRun:
        """Return the complete run of `settings(folder, *overrides)`."""
        from src.training.pipeline import run_sequence

        key = hashlib.sha256("\n".join(overrides).encode()).hexdigest()[:12]
        folder = self._folder / f"{settings.__name__}_{key}"
        with locked_in_turn(folder.with_suffix(".lock")), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = load_training_config(settings(folder, *overrides))
            return TrainedRun(config, run_sequence(config))
