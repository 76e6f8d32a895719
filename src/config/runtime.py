"""Settings of a run that do not change what is learned: hardware, processes, metrics, folders."""

from dataclasses import dataclass
from enum import Enum

from src.config.base import Schema, require_between, require_known


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
    """Where results live and whether an existing run is continued."""

    fresh: bool = False
    runs_dir: str = "runs"
    checkpoints_dir: str = "checkpoints"
    database: str | None = None
