"""Members are brought up by processes that may die, on nodes that may vanish: what they were doing is done anew."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from src.config.stages.autonomous import AutonomousStageConfig
from src.training.population.member import Member, MemberSpec
from src.training.population.population import Population, start_genome
from src.training.population.shared_market import SharedMarket, build_shared_market
from src.training.population.workers import Workers
from src.training.rllib.environment_variables import set_environment_variables
from src.training.rllib.ray_runtime import ray_session
from src.training.training_data import prepare_data
from tests.support.autonomous_setup import autonomous_config

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedMarket:
    config = autonomous_config(tmp_path_factory.mktemp("shared"))
    stage = config.sequence["stage_4_autonomous"]
    assert isinstance(stage, AutonomousStageConfig)
    return build_shared_market(config, stage, prepare_data(config))


@pytest.fixture(scope="module")
def ray(shared: SharedMarket) -> Iterator[None]:
    set_environment_variables()
    with ray_session(shared.config.runtime, processes=2):
        yield


def tasks_of(shared: SharedMarket) -> list[MemberSpec]:
    start = start_genome(shared.stage, shared.config.model.core)
    return Population(shared.stage, start, seed=1).specs(())


def trained(shared: SharedMarket, specs: list[MemberSpec], kill: bool = False) -> dict[str, Member]:
    workers, born = Workers(shared, count=1, threads=1, gpus=0.0), {}

    def note(member: Member) -> None:
        born[member.name] = member
        if kill and len(born) == 1:
            os.kill(worker_process(), signal.SIGKILL)

    workers.train(specs, note)
    return born


def worker_process() -> int:
    """Return the process of the one worker that lives and was started by this test: others may run beside it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_worker = (folder / "cmdline").read_bytes().startswith(b"ray::MemberTrainer")
                if is_worker and os.getpid() in ancestors(int(folder.name)):
                    return int(folder.name)
            except OSError:
                continue
        time.sleep(0.05)
    raise AssertionError("no worker found")


def ancestors(process: int) -> list[int]:
    found: list[int] = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(process)
    return found


def test_a_lost_worker_costs_its_current_work_only(shared: SharedMarket, ray: Any) -> None:
    specs = tasks_of(shared)
    whole, disturbed = trained(shared, specs), trained(shared, specs, kill=True)
    assert whole.keys() == disturbed.keys() == {spec.name for spec in specs}
    for name, member in whole.items():
        assert member.fitness == disturbed[name].fitness
        assert all(torch.equal(weight, disturbed[name].weights[part]) for part, weight in member.weights.items())
