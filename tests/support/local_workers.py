"""`LocalWorkers`: members are trained in the process of the test, one after the other.

A process of its own takes longer to start than the tests' members take to train. `tests/integration/test_workers.py`
shows that it makes no difference to what comes out.
"""

from collections.abc import Callable, Sequence

from src.training.population.member import Member, MemberSpec
from src.training.population.member_trainer import MemberTrainer
from src.training.population.shared_market import SharedMarket


class LocalWorkers:
    """Stands in for `Workers`."""

    def __init__(self, shared: SharedMarket, count: int, threads: int, gpus: float) -> None:
        self._trainer = MemberTrainer(shared, threads)

    def wait(self) -> None:
        """There is nobody to wait for."""

    def train(self, specs: Sequence[MemberSpec], on_trained: Callable[[Member], None]) -> None:
        for spec in specs:
            on_trained(self._trainer.train(spec))

    def train_one(self, spec: MemberSpec) -> Member:
        return self._trainer.train(spec)
