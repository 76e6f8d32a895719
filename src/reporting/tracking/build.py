"""The tracker that the settings ask for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from src.config.runtime import TrackingConfig
from src.reporting.tracking.metrics_file import MetricsFile
from src.reporting.tracking.tensorboard import TensorBoardTracker
from src.reporting.tracking.tracker import CompositeTracker, Tracker
from src.reporting.tracking.weights_and_biases import RunLabels, WandbTracker


def build_tracker(
    config: TrackingConfig,
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    kind: str = "",
    tags: tuple[str, ...] = (),
) -> Tracker:
    """Return the tracker of a stage.

    Args:
        config: what is switched on.
        folder: of the stage, in that of its run; all files lie in it.
        settings: resolved configuration, shown beside the curves.
        kind: the stage's algorithm.
        tags: what Weights & Biases filters by.

    Raises:
        ConfigError: a tracker is switched on but its package is not installed.
    """
    settings = settings or {}
    trackers: list[Tracker] = [MetricsFile(folder)]
    if config.tensorboard:
        trackers.append(TensorBoardTracker(folder, yaml.safe_dump(dict(settings), sort_keys=False)))
    if config.wandb:
        run, stage = folder.parent.name, folder.name
        labels = RunLabels(config.wandb_project, f"{run}/{stage}", config.wandb_mode, group=run, kind=kind, tags=tags)
        trackers.append(WandbTracker(folder, labels, settings))
    return CompositeTracker(trackers)
