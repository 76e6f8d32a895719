"""Everything that is looked at before a run begins."""

from src.config.training import TrainingConfig
from src.training.requirements.cluster import check_cluster
from src.training.requirements.machine import check_machine
from src.training.requirements.names import check_names
from src.training.requirements.tracking import check_tracking
from src.training.requirements.trainer import require_trainer


def check_run(config: TrainingConfig) -> None:
    """Refuse a run that would fail for want of something outside of it.

    Raises:
        ConfigError: a package, name, folder, disk, key or cluster is missing or cannot be used.
        DataError: there is no such symbol, or no file of it.
    """
    require_trainer()
    check_names(config)
    check_machine(config)
    check_tracking(config.tracking)
    check_cluster(config.runtime.ray_address)
