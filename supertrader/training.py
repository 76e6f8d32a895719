"""Training, and what a training run left."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from src.config.base import require_known
from src.config.load import load_training_config
from src.config.training import TrainingConfig
from src.reporting.tracking.metrics_file import METRICS_FILE, read_metrics
from src.runs.catalog import read_run
from src.runs.entries import RunEntry
from supertrader.models import Model
from supertrader.settings import Settings, overrides

_FIGURES = ("total_return", "sharpe", "max_drawdown", "turnover_per_bar", "exposure")


@dataclass(frozen=True, repr=False)
class Run:
    """A training run, finished or not.

    Attributes:
        entry: what its folder says.
    """

    entry: RunEntry

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.entry.folder

    @property
    def state(self) -> str:
        """`complete`, `running`, `interrupted` or `damaged`."""
        return self.entry.state.value

    @property
    def models(self) -> dict[str, Model]:
        """The model of each finished stage, by stage: the run's own copies, which later runs leave alone."""
        return {stage: Model(model) for stage, model in self.entry.models.items()}

    @property
    def verdict(self) -> str | None:
        """Of the promotion gate on its champion; None without one."""
        return None if self.entry.champion is None else self.entry.champion.verdict

    def metrics(self) -> pd.DataFrame:
        """Return one row for each finished stage: what it reached on the validation split, and what that took."""
        rows = {
            stage.name: {
                **{name: stage.result.validation.get(name) for name in _FIGURES},
                "env_steps": stage.result.env_steps,
                "train_seconds": stage.result.train_seconds,
                "published": stage.result.model_path,
            }
            for stage in self.entry.stages
            if stage.result is not None
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def curves(self, stage: str) -> pd.DataFrame:
        """Return everything a stage logged: one row an iteration (a generation of a population), one column a metric.

        Raises:
            ConfigError: the run has no such stage.

        Example:
            >>> run.curves("stage_1_ppo")["validation/sharpe"].dropna().plot()
        """
        require_known("stage", [stage], [one.name for one in self.entry.stages])
        lines = read_metrics(self.folder / stage / METRICS_FILE)
        return pd.DataFrame(lines).set_index("step") if lines else pd.DataFrame()

    def __repr__(self) -> str:
        entry = self.entry
        stages = ", ".join(f"{stage.name} {stage.state.value}" for stage in entry.stages)
        return f"<Run {entry.name} of {entry.symbol}, {self.state}: {stages}>"


def train(
    settings: Settings = (),
    *,
    experiment: str | None = None,
    config: str | Path | None = None,
    progress: bool = True,
) -> Run:
    """Train a sequence of stages, or go on with one that was interrupted; returns at its end.

    The same settings, data and code are the same run: what is complete is not trained again. Models are published in
    `checkpoints/`, where `load_model` and the commands find them; those of an experiment, or of a run with a name
    (`run.name`), in the folder of that name.

    Args:
        settings: what differs from the file, by dotted name; None as the value of a stage leaves it out.
        experiment: one of `config/experiment/`, such as `smoke`; `settings` come on top.
        config: a sequence file of your own instead of `config/training_sequence.yaml`.
        progress: tell how far it is, through `logging`; the root logger is set up for it where nobody did.

    Raises:
        ConfigError: a setting is unknown or impossible, or an installation without ray cannot train.
        DataError: the bars cannot be used.
        RunLocked: another process is working on this run.

    Example:
        >>> run = train({"symbol": "NASDAQ", "sequence.stage_1_ppo.iterations": 20})
        >>> run = train({"data.source": "files", "data.path": "mine.parquet", "symbol": "MINE"}, experiment="smoke")
        >>> run.metrics()["sharpe"]
    """
    chosen = [*overrides(settings, experiment), *([] if progress else ["tracking.progress=false"])]
    resolved = load_training_config(chosen, config_file=None if config is None else Path(config))
    _prepare_process(resolved, progress)
    from src.training.pipeline import run_sequence
    from src.training.stage_run import run_folder
    from src.training.training_data import prepare_data

    data = prepare_data(resolved)
    run_sequence(resolved, data)
    return Run(read_run(run_folder(resolved, data)))


def _prepare_process(config: TrainingConfig, progress: bool) -> None:
    # Before ray is imported.
    from src.training.requirements.run import check_run
    from src.training.rllib.environment_variables import set_environment_variables

    check_run(config)
    set_environment_variables()
    logging.getLogger("ray.widgets").setLevel(logging.WARNING)  # a notebook does without them
    if progress and not logging.getLogger().handlers:
        from src.reporting.terminal.log_lines import set_up_logging

        set_up_logging()


def load_run(folder: str | Path) -> Run:
    """Return a training run, which may be going on.

    Args:
        folder: as `list_runs` names it under `path`.

    Raises:
        DataError: the folder holds no run, or it is damaged.

    Example:
        >>> load_run(list_runs()["path"][0]).metrics()
    """
    return Run(read_run(Path(folder)))
