"""Settings of a run that do not change what is learned: hardware, processes, metrics, folders."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from src.config.base import Schema, require, require_between, require_known

_TAKEN = ("reasoning",)  # holds networks that several models share


class Device(Enum):
    """Where torch computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@dataclass
class TrackingConfig(Schema):
    """Where metrics go."""

    tensorboard: bool = True
    wandb: bool = False
    wandb_project: str = "supertrader"
    wandb_mode: str = "online"
    progress: bool = True

    def check(self) -> None:
        require_known("tracking.wandb_mode", [self.wandb_mode], ["online", "offline", "disabled"])


@dataclass
class RuntimeConfig(Schema):
    """Hardware and processes. Zero env runners means sampling in the driver, the bit-reproducible way."""

    device: Device = Device.auto
    num_env_runners: int = 0
    torch_threads: int = 2
    ray_address: str | None = None

    def check(self) -> None:
        require_between("runtime.num_env_runners", self.num_env_runners, 0, 1024)
        require_between("runtime.torch_threads", self.torch_threads, 1, 1024)


@dataclass
class RunConfig(Schema):
    """What a run is called, where its results live, and whether an existing run is continued.

    A run with a name publishes its models below it, so that an experiment never replaces what is traded.
    """

    name: str | None = None
    note: str = ""
    fresh: bool = False
    publish: bool = False
    runs_dir: str = "runs"
    checkpoints_dir: str = "checkpoints"
    database: str | None = None

    def check(self) -> None:
        if self.name is not None:
            require(
                re.fullmatch(r"\w[\w.+-]*", self.name) is not None and self.name not in _TAKEN,
                f"run.name='{self.name}' cannot be the name of a folder of models; use letters, digits and . _ + -",
            )

    @property
    def models_dir(self) -> Path:
        """Where models are published: `checkpoints_dir`, or the folder in it that has the name of the run."""
        return Path(self.checkpoints_dir, self.name or "")
