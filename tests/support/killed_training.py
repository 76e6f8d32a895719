"""`run_training.py` in a process of its own that ends in sudden death at a chosen point.

ended = train([*TINY, *places], death="no model file", ray_address=ray_session)
assert ended.code == -signal.SIGKILL

The processes are forked from one that has imported everything, which spares each of them most of what a run of a test
takes.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.training.rllib.environment_variables import set_environment_variables

set_environment_variables()

import torch._inductor  # noqa: E402, F401  what rllib imports the first time that it sets a seed

import run_training  # noqa: E402
from src.runs import run_folder  # noqa: E402
from src.runs.run_folder import StageFolder  # noqa: E402
from src.training import autonomous_trainer, pipeline, rolling, stage_run, stage_trainer  # noqa: E402, F401
from tests.support.local_workers import LocalWorkers  # noqa: E402
from tests.support.waiting import PATIENCE_S  # noqa: E402

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Ended:
    """What is left of a process: `code` is negative where a signal ended it."""

    code: int
    out: str
    err: str


def train(
    arguments: Sequence[str], death: str | None = None, ray_address: str | None = None, has_workers: bool = True
) -> Ended:
    """Run the command line.

    Args:
        death: where the process dies, one of `DEATHS`.
        ray_address: of the Ray session that is used; None starts one, as for a user.
        has_workers: members of populations are trained by processes of their own.
    """
    with tempfile.TemporaryDirectory() as name:
        out, err = Path(name) / "out", Path(name) / "err"
        process = _FORKS.Process(target=_run, args=(list(arguments), death, ray_address, has_workers, out, err))
        process.start()
        process.join(PATIENCE_S)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"the run did not end: {err.read_text()}")
        return Ended(process.exitcode, out.read_text(), err.read_text())


def _run(
    arguments: list[str], death: str | None, ray_address: str | None, has_workers: bool, out: Path, err: Path
) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    if ray_address is not None:
        import ray

        ray.init(address=ray_address, log_to_driver=False, logging_level="ERROR")
    if not has_workers:
        autonomous_trainer.Workers = LocalWorkers  # type: ignore[misc, assignment]
    if death is not None:
        DEATHS[death]()
    sys.exit(run_training.main(arguments))


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_instead_of(owner: Any, name: str) -> Callable[[], None]:
    return lambda: setattr(owner, name, _die)


def _die_removing_a_state() -> None:
    remove = shutil.rmtree

    def remove_or_die(path: Any, *args: Any, **kwargs: Any) -> None:
        if Path(path).name.startswith("state_") and Path(path).exists():
            _die()
        remove(path, *args, **kwargs)

    run_folder.shutil.rmtree = remove_or_die  # type: ignore[assignment]


def _die_at_the_second_member() -> None:
    write, written = autonomous_trainer._write, []

    def write_or_die(path: Path, member: Any) -> None:
        written.append(member)
        if len(written) == 2:
            _die()
        write(path, member)

    autonomous_trainer._write = write_or_die


def _die_once_a_second_stage_is_saved() -> None:
    save, saved = StageFolder.save_state, set()

    def save_and_die(self: StageFolder, iteration: int, write: Callable[[Path], None]) -> None:
        save(self, iteration, write)
        saved.add(self.path)
        if len(saved) == 2:
            _die()

    StageFolder.save_state = save_and_die  # type: ignore[method-assign]


# By where a run dies: what is done to that end before it begins.
DEATHS: dict[str, Callable[[], None]] = {
    "state half written": _die_instead_of(stage_trainer.torch, "save"),
    "state not in place": _die_instead_of(Path, "rename"),
    "old state beside the new one": _die_removing_a_state,
    "no model file": _die_instead_of(stage_trainer, "save_model"),
    "model not published": _die_instead_of(stage_run, "_publish"),
    "completion not recorded": _die_instead_of(StageFolder, "complete"),
    "second member not written": _die_at_the_second_member,
    "population not saved": _die_instead_of(autonomous_trainer.AutonomousStage, "_save"),
    "no champion": _die_instead_of(autonomous_trainer, "save_model"),
    "second step begun": _die_once_a_second_stage_is_saved,
}
