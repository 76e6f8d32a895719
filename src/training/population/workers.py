"""`Workers`: long-lived Ray actors that train the members of a population, on one machine or on a cluster.

When a worker is lost, with its node or alone, only its current work is lost: another worker trains the member anew,
with the same result. Only workers that have answered get work: the replacement of a lost one joins once there is room
for it, and until then the others do its share.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, RayTaskError, WorkerCrashedError

from src.errors import TraderError, TransientError
from src.training.population.member import Member, MemberSpec
from src.training.population.member_trainer import MemberTrainer
from src.training.population.shared_market import SharedMarket

logger = logging.getLogger(__name__)
# What a member was may be lost with the node it came about on, after its training as well as during it.
_LOST = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError)
_ATTEMPTS = 3
_REMEDY = "perhaps for want of memory; lower workers or the sizes in search, and run the same command to go on"


class Workers:
    """Trains members side by side. Needs a Ray session.

    Args:
        shared: goes to the object store once; every worker, on whatever node, reads it there.
        count: members trained at the same time, where there is room for so many workers.
        threads: of torch in each worker.
        gpus: of each worker, a fraction where several share one.
    """

    def __init__(self, shared: SharedMarket, count: int, threads: int, gpus: float) -> None:
        self._shared = ray.put(shared)
        self._threads, self._gpus, self._count = threads, gpus, count
        self._idle: list[Any] = []
        self._called: dict[Any, Any] = {}  # workers that have yet to answer, by their answer
        self._silent = 0  # how many did not, since a member was born
        for _ in range(count):
            self._hire()

    def wait(self) -> None:
        """Wait until one of them can be given work.

        Raises:
            TraderError: none can be started.
        """
        while not self._idle:
            (ready,), _ = ray.wait([*self._called], num_returns=1)
            self._answered(ready)

    def train(self, specs: Sequence[MemberSpec], on_trained: Callable[[Member], None]) -> None:
        """Train every spec; `on_trained` is told of each member as it comes, in any order.

        Raises:
            TraderError: a spec cannot be trained by anyone, or every worker it was given to was lost.
        """
        waiting = [(spec, 1) for spec in specs]
        working: dict[Any, tuple[Any, MemberSpec, int]] = {}
        while waiting or working:
            while waiting and self._idle:
                (spec, attempt), worker = waiting.pop(0), self._idle.pop(0)
                working[worker.train.remote(spec)] = (worker, spec, attempt)
            (ready,), _ = ray.wait([*working, *self._called], num_returns=1)
            if ready in self._called:
                self._answered(ready)
                continue
            worker, spec, attempt = working.pop(ready)
            member = self._result(ready)
            if member is None:
                waiting.insert(0, (spec, self._next_attempt(spec, attempt)))
                self._replace_lost()
                continue
            self._idle.append(worker)
            self._silent = 0
            on_trained(member)

    def train_one(self, spec: MemberSpec) -> Member:
        """Train one member.

        Raises:
            TraderError: as `train`.
        """
        born: list[Member] = []
        self.train([spec], born.append)
        return born[0]

    def _hire(self) -> None:
        hired = ray.remote(MemberTrainer).options(num_cpus=1, num_gpus=self._gpus, max_restarts=0)
        self._call(hired.remote(self._shared, self._threads))

    def _call(self, worker: Any) -> None:
        self._called[worker.__ray_ready__.remote()] = worker

    def _answered(self, ready: Any) -> None:
        worker = self._called.pop(ready)
        try:
            ray.get(ready)
        except _LOST as error:
            self._silent += 1
            if self._silent > _ATTEMPTS * self._count:
                raise TransientError(f"{self._silent} workers in a row could not be started, {_REMEDY}") from error
            self._hire()
        else:
            self._idle.append(worker)

    def _replace_lost(self) -> None:
        # A node seldom takes one worker only: the idle ones must answer before they are given work again.
        idle, self._idle = self._idle, []
        for worker in idle:
            self._call(worker)
        self._hire()

    @staticmethod
    def _next_attempt(spec: MemberSpec, attempt: int) -> int:
        logger.warning("the worker that trained %s was lost; another one takes over", spec.name)
        if attempt == _ATTEMPTS:
            raise TransientError(f"{_ATTEMPTS} workers in a row were lost while training {spec.name}, {_REMEDY}")
        return attempt + 1

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
