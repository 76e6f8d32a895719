"""Who is given work: nobody who has not answered, and everybody's share is done by whoever is left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ObjectLostError, RayActorError

from src.errors import TransientError
from src.training.population import workers
from src.training.population.workers import Workers


@dataclass(eq=False)
class Answer:
    actor: "Actor"
    value: Any = None

    @property
    def is_there(self) -> bool:
        return self.actor.fate != "waits for room"


@dataclass(eq=False)
class Actor:
    """Trains at once, unless its fate is another."""

    fate: str
    trained: int = 0

    def __getattr__(self, method: str) -> Any:
        def remote(spec: Any = None) -> Answer:
            self.trained += method == "train"
            return Answer(self, None if spec is None else SimpleNamespace(name=spec.name))

        return SimpleNamespace(remote=remote)


class Cluster:
    """As much of ray as workers use; a wait that could never end is an error."""

    def __init__(self, fates: list[str]) -> None:
        self._fates: Iterator[str] = iter(fates)
        self.hired: list[Actor] = []

    def put(self, content: Any) -> Any:
        return content

    def remote(self, kind: type) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._hire))

    def wait(self, answers: list[Answer], num_returns: int) -> tuple[list[Answer], list[Answer]]:
        there = [answer for answer in answers if answer.is_there]
        assert there, "waits for ever"
        return there[-1:], []  # answers before results

    def get(self, answer: Answer) -> Any:
        if answer.actor.fate == "is lost":
            raise RayActorError()
        if answer.actor.fate == "its results are lost" and answer.value is not None:
            raise ObjectLostError("", None, "")
        return answer.value

    def _hire(self, *_: Any) -> Actor:
        self.hired.append(Actor(next(self._fates)))
        return self.hired[-1]


@pytest.fixture
def hire(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Workers, Cluster]]:
    def start(count: int, *fates: str) -> tuple[Workers, Cluster]:
        cluster = Cluster(list(fates))
        monkeypatch.setattr(workers, "ray", cluster)
        return Workers(None, count, threads=1, gpus=0.0), cluster  # type: ignore[arg-type]

    return start


def train(crew: Workers, count: int, on_trained: Callable[[Any], None] = lambda member: None) -> list[str]:
    born: list[str] = []

    def note(member: Any) -> None:
        born.append(member.name)
        on_trained(member)

    crew.train([SimpleNamespace(name=f"m{place}") for place in range(count)], note)  # type: ignore[misc]
    return sorted(born)


def test_a_worker_there_is_no_room_for_is_given_nothing(hire: Any) -> None:
    crew, cluster = hire(2, "works", "waits for room")
    assert train(crew, 3) == ["m0", "m1", "m2"]
    assert [actor.trained for actor in cluster.hired] == [3, 0]


def test_the_work_of_a_lost_worker_is_done_by_who_is_left_while_its_successor_finds_no_room(hire: Any) -> None:
    crew, cluster = hire(2, "works", "works", "waits for room")

    def lose_the_second(_: Any) -> None:
        cluster.hired[1].fate = "is lost"

    assert train(crew, 4, lose_the_second) == ["m0", "m1", "m2", "m3"]
    assert cluster.hired[2].trained == 0
    cluster.hired[2].fate = "works"  # a node has joined
    assert train(crew, 4) == ["m0", "m1", "m2", "m3"]
    assert cluster.hired[2].trained > 0


def test_a_node_lost_with_all_its_idle_workers_costs_one_attempt(hire: Any) -> None:
    crew, cluster = hire(6, *["works"] * 12)
    train(crew, 6)
    for actor in cluster.hired[:5]:
        actor.fate = "is lost"
    assert train(crew, 1) == ["m0"], "five lost workers are more than the attempts of a task"


def test_a_result_lost_with_its_node_is_computed_anew(hire: Any) -> None:
    crew, cluster = hire(1, "its results are lost", "works")
    assert train(crew, 2) == ["m0", "m1"]
    assert [actor.trained for actor in cluster.hired] == [1, 2]


def test_a_task_that_loses_every_worker_ends_the_run(hire: Any) -> None:
    crew, _ = hire(1, *["its results are lost"] * 4)
    with pytest.raises(TransientError, match="3 workers in a row were lost while training m0"):
        train(crew, 1)


def test_workers_that_never_start_end_the_run(hire: Any) -> None:
    crew, _ = hire(2, *["is lost"] * 9)
    with pytest.raises(TransientError, match="7 workers in a row could not be started"):
        train(crew, 1)
