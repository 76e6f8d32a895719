"""RLlib would make a folder in the user's home for each training."""

from pathlib import Path

import pytest
from ray.rllib.algorithms.ppo import PPO
from ray.tune.trainable import trainable

from src.training.rllib.algorithm import GroupPPO
from src.training.rllib.reference import ReferencePPO


@pytest.mark.parametrize(("algorithm", "makes_one"), [(PPO, True), (GroupPPO, False), (ReferencePPO, False)])
def test_nothing_is_made_in_the_home_of_whoever_trains(
    algorithm: type[PPO], makes_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "ray_results"
    monkeypatch.setattr(trainable, "DEFAULT_STORAGE_PATH", str(home))
    made = algorithm.__new__(algorithm)
    made._storage = None
    made._setup_logdir()
    assert home.exists() == makes_one
    assert Path(made.logdir).is_dir()
