"""A population bred on a cluster of two nodes, one of which dies while its member is in training."""

import logging
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray.cluster_utils import Cluster

from src.agents.model_file import CHAMPION_STAGE, ModelFile, load_model, model_path
from src.training.pipeline import run_sequence
from src.training.rllib.environment_variables import set_environment_variables
from tests.support.tiny_training import autonomous_config
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    set_environment_variables()
    # A folder of its own, else Ray would point every other program of this machine to this cluster; its sockets need
    # a short name.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


def raylet(node: Any) -> int:
    (process,) = node.all_processes["raylet"]
    return int(process.process.pid)


def trains(node: Any) -> bool:
    """Say whether a worker of this node is training a member just now."""
    for folder in Path("/proc").iterdir():
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == raylet(node) and (folder / "cmdline").read_bytes().startswith(
                b"ray::MemberTrainer.train"
            ):
                return True
        except (OSError, IndexError):
            continue
    return False


def bred(folder: Path, address: str) -> ModelFile:
    stage = "sequence.stage_4_autonomous"
    config = autonomous_config(
        folder, f"runtime.ray_address='{address}'", f"{stage}.workers=2", f"{stage}.members=3", f"{stage}.iterations=4"
    )
    run_sequence(config)
    return load_model(model_path(config.symbol, CHAMPION_STAGE, config.run.models_dir))


def test_a_node_that_dies_within_a_generation_changes_nothing(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = bred(tmp_path / "whole", cluster.address)
    (second,) = cluster.worker_nodes
    seen = []

    def kill_the_second_node() -> None:
        wait_until(lambda: trains(cluster.head_node) and trains(second))
        seen.append(second)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill_the_second_node)
    killer.start()
    with caplog.at_level(logging.WARNING):
        disturbed = bred(tmp_path / "disturbed", cluster.address)
    killer.join()
    assert seen, "members were never in training on both nodes at once"
    assert "was lost; another one takes over" in caplog.text
    assert whole.lineage == disturbed.lineage
    assert whole.evaluations == disturbed.evaluations
    assert whole.dossier["genome"] == disturbed.dossier["genome"]
    assert all(torch.equal(weight, disturbed.weights[name]) for name, weight in whole.weights.items())
