"""`Workers`: long-lived Ray actors that train the members of a population, on one machine or on a cluster.

A worker that is lost, with its node or alone, costs the work it was doing: its member is trained anew by another, and
comes out the same.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError, WorkerCrashedError

from src.errors import TraderError, TransientError
from src.training.member import Member, Task
from src.training.member_trainer import MemberTrainer
from src.training.shared_market import SharedMarket

_LOG = logging.getLogger(__name__)
_LOST = (RayActorError, WorkerCrashedError)
_ATTEMPTS = 3


class Workers:
    """Trains members side by side. Needs a Ray session.

    Args:
        shared: goes to the object store once; every worker, on whatever node, reads it there.
        count: members trained at the same time.
        threads: of torch in each worker.
        gpus: of each worker, a fraction where several share one.
    """

    def __init__(self, shared: SharedMarket, count: int, threads: int, gpus: float) -> None:
        self._shared = ray.put(shared)
        self._threads, self._gpus = threads, gpus
        self._idle = [self._hire() for _ in range(count)]

    def train(self, tasks: Sequence[Task], on_born: Callable[[Member], None]) -> None:
        """Train every task; `on_born` is told of each member as it comes, in any order.

        Raises:
            TraderError: a task cannot be done by anyone, or every worker it was given to was lost.
        """
        waiting = [(task, 1) for task in tasks]
        working: dict[Any, tuple[Any, Task, int]] = {}
        while waiting or working:
            while waiting and self._idle:
                (task, attempt), worker = waiting.pop(0), self._idle.pop(0)
                working[worker.train.remote(task)] = (worker, task, attempt)
            (ready,), _ = ray.wait(list(working), num_returns=1)
            worker, task, attempt = working.pop(ready)
            member = self._result(ready)
            if member is None:
                _LOG.warning("the worker that trained %s was lost; another one takes over", task.name)
                if attempt == _ATTEMPTS:
                    raise TransientError(
                        f"{_ATTEMPTS} workers in a row were lost while training {task.name}, perhaps for want of "
                        "memory; lower workers or the sizes in search, and run the same command to go on"
                    )
                waiting.insert(0, (task, attempt + 1))
                worker = self._hire()
            self._idle.append(worker)
            if member is not None:
                on_born(member)

    def train_one(self, task: Task) -> Member:
        """Train one member.

        Raises:
            TraderError: as `train`.
        """
        born: list[Member] = []
        self.train([task], born.append)
        return born[0]

    def _hire(self) -> Any:
        hired = ray.remote(MemberTrainer).options(num_cpus=1, num_gpus=self._gpus, max_restarts=0)
        return hired.remote(self._shared, self._threads)

    @staticmethod
    def _result(ready: Any) -> Member | None:
        try:
            member: Member = ray.get(ready)
        except _LOST:
            return None
        except RayTaskError as error:
            if isinstance(error.cause, TraderError):
                raise error.cause from error
            raise
        return member
