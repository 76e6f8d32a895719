"""Members are brought up by processes that may die, on nodes that may vanish: what they were doing is done anew."""

import os
import signal

import pytest
import ray
import torch

from src.config.stages.autonomous import AutonomousStageConfig
from src.training.population.member import Member, MemberSpec
from src.training.population.population import Population, start_genome
from src.training.population.shared_market import SharedMarket, build_shared_market
from src.training.population.workers import Workers
from src.training.training_data import prepare_data
from tests.support.local_workers import LocalWorkers
from tests.support.tiny_training import autonomous_config

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedMarket:
    config = autonomous_config(tmp_path_factory.mktemp("shared"))
    stage = config.sequence["stage_4_autonomous"]
    assert isinstance(stage, AutonomousStageConfig)
    return build_shared_market(config, stage, prepare_data(config))


def specs_of(shared: SharedMarket) -> list[MemberSpec]:
    start = start_genome(shared.stage, shared.config.model.core)
    return Population(shared.stage, start, seed=1).specs(())


def process_of(worker: object) -> int:
    return int(ray.get(worker.__ray_call__.remote(lambda _: os.getpid())))  # type: ignore[attr-defined]


def test_a_lost_worker_costs_its_current_work_only(shared: SharedMarket, caplog: pytest.LogCaptureFixture) -> None:
    specs = specs_of(shared)
    whole: dict[str, Member] = {}
    LocalWorkers(shared, count=1, threads=1, gpus=0.0).train(specs, lambda member: whole.update({member.name: member}))
    workers, disturbed = Workers(shared, count=1, threads=1, gpus=0.0), {}

    def kill_after_the_first(member: Member) -> None:
        disturbed[member.name] = member
        if len(disturbed) == 1:
            os.kill(process_of(workers._idle[0]), signal.SIGKILL)

    workers.train(specs, kill_after_the_first)
    assert f"the worker that trained {specs[1].name} was lost; another one takes over" in caplog.text
    assert whole.keys() == disturbed.keys() == {spec.name for spec in specs}
    for name, member in whole.items():
        assert member.fitness == disturbed[name].fitness
        assert all(torch.equal(weight, disturbed[name].weights[part]) for part, weight in member.weights.items())
