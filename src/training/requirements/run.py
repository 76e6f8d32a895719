"""Everything that is looked at before a run begins."""

import os

from src.config.training import TrainingConfig
from src.signing.signing_key import read_key
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
    read_key(os.environ)  # one that cannot be used would be found out when a champion is to be signed
    check_cluster(config.runtime.ray_address)
