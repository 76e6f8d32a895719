"""What the whole suite shares: one Ray session a process, and runs that are trained once for all who read them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # most tests need neither ray nor hydra
    from tests.support.trained_runs import TrainedRuns

# On a machine that is busy with much else, Ray's workers must not come last, and Ray may take long to start.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "600")


@pytest.fixture(scope="session", autouse=True)
def no_key_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Champions are signed by a key of the tests, never by that of whoever runs them, nor is one made for them."""
    os.environ.pop("SUPERTRADER_SIGNING_KEY", None)
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[str]:
    """Ray with room for three processes, up until the end of the suite; gives its address."""
    from src.config.runtime import RuntimeConfig
    from src.training.rllib.environment_variables import set_environment_variables

    set_environment_variables()
    import ray

    from src.training.rllib import ray_runtime

    with ray_runtime.ray_session(RuntimeConfig(torch_threads=1), processes=3):
        yield str(ray.get_runtime_context().gcs_address)


@pytest.fixture(scope="session")
def trained_runs(shared_folder: Path, ray_session: str) -> "TrainedRuns":
    """Runs to be read, not written to; see `tests/support/trained_runs.py`."""
    from tests.support.trained_runs import TrainedRuns

    return TrainedRuns(shared_folder / "runs")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes among which xdist deals out the tests have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent / "shared" if "PYTEST_XDIST_WORKER" in os.environ else own / "shared"
