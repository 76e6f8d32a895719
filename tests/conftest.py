"""What the whole suite shares: one Ray session a process, and runs that are trained once for all who read them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.config.runtime import RuntimeConfig
from tests.support.trained_runs import TrainedRuns

os.environ.setdefault("RAY_worker_niceness", "0")  # else workers wait for everything else that a busy machine does


@pytest.fixture(scope="session")
def ray_session() -> Iterator[str]:
    """Ray with room for three processes, up until the end of the suite; gives its address."""
    from src.training.rllib import ray_runtime
    from src.training.rllib.environment_variables import set_environment_variables

    set_environment_variables()
    import ray

    with ray_runtime.ray_session(RuntimeConfig(torch_threads=1), processes=3):
        yield str(ray.get_runtime_context().gcs_address)


@pytest.fixture(scope="session")
def trained_runs(shared_folder: Path, ray_session: str) -> TrainedRuns:
    """Runs to be read, not written to; see `tests/support/trained_runs.py`."""
    return TrainedRuns(shared_folder / "runs")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes among which xdist deals out the tests have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent / "shared" if "PYTEST_XDIST_WORKER" in os.environ else own / "shared"
