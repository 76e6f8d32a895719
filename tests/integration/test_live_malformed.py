"""Champions whose seal is right and whose content is not: one sentence, and a running bot keeps the old one."""

import io
import resource
import zipfile
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.agents import model_file
from src.agents.model_file import ModelFile
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.risk import RiskLimits
from src.config.stages.learning import AdaptationConfig
from src.errors import ModelFileError
from src.live.live_guard import RiskState
from src.live.live_model import ChampionWatch, LiveModel, load_champion
from src.models.maml_model import MAMLModel
from src.models.moe.mixture import MixtureConfig
from src.models.moe_model import MoEModel
from src.models.ppo_model import build_model
from src.trading.records import Decision, MarketState
from tests.support.live_autonomous import autonomous_champion
from tests.support.live_champion import champion, save_champion
from tests.support.live_scene import Stage
from tests.support.live_setup import SYMBOL, Chooser, model_of

WRONG: dict[str, Any] = {
    "weights a list": {"weights": [1.0]},
    "a weight that is text": {"weights": {"a": "b"}},
    "a weight without numbers": {"weights": {"a": torch.zeros(3, device="meta")}},
    "a weight that repeats one number": {"weights": {"a": torch.zeros(1).expand(10**12)}},
    "a weight that is NaN": {"weights": {"a": torch.tensor([float("nan")])}},
    "features none": {"features": None},
    "features of numbers": {"features": {"names": 3}},
    "rules a list": {"rules": []},
    "validation text": {"validation": "good"},
    "model empty": {"model": {}},
    "timeframe a number": {"timeframe": 60},
    "kind a list": {"kind": ["ppo"]},
    "verdict none": {"verdict": None},
    "plugins a list": {"plugins": ["os"]},
    "keys of numbers": {"config": {1: 2}},
    "a set among settings": {"config": {"a": {1, 2}}},
}


def seal(path: Path, archive: bytes) -> None:
    path.write_bytes(model_file._sealed(archive))


def malformed(path: Path, changes: dict[str, Any]) -> None:
    """Write a sealed champion with some parts replaced, as a person with torch and this program could."""
    file, buffer = champion(), io.BytesIO()
    content = {part.name: getattr(file, part.name) for part in fields(ModelFile)}
    torch.save({name: model_file._storable(value, name) for name, value in content.items()} | changes, buffer)
    seal(path, buffer.getvalue())


def bomb(path: Path) -> None:
    """Write a sealed archive that would unpack to much more than it is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as entry:
        for _ in range(64):
            entry.write(bytes(2**20))
    seal(path, buffer.getvalue())


def load(folder: Path) -> LiveModel:
    return load_champion(SYMBOL, folder / "checkpoints", RiskLimits(), 1000.0)


@pytest.mark.parametrize("changes", WRONG.values(), ids=list(WRONG))
def test_67_a_sealed_champion_of_the_wrong_kind_is_refused_and_the_old_one_stays(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path, told = save_champion(tmp_path), list[str]()
    current = load(tmp_path)
    watch = ChampionWatch(path, lambda: load(tmp_path), told.append)
    malformed(path, changes)
    assert watch.newer(current) is None
    assert len(told) == 1
    assert "train anew" in told[0]
    assert "\n" not in told[0]


def test_67_an_archive_that_unpacks_to_more_than_it_is_is_not_unpacked(tmp_path: Path) -> None:
    bomb(save_champion(tmp_path))
    with pytest.raises(ModelFileError, match=r"would unpack to 67,108,864"):
        load(tmp_path)


def test_67_lists_within_lists_are_counted_and_not_walked_for_ever(tmp_path: Path) -> None:
    lists: list[Any] = [0]
    for _ in range(40):
        lists = [lists, lists]
    malformed(save_champion(tmp_path), {"lineage": lists})
    with pytest.raises(ModelFileError, match="more than 1,000,000 values"):
        load(tmp_path)


# What a description asks for is held against what the file brings along, before memory is taken.

ROOM_BYTES = 400 * 2**20
SMALL = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=2, ff_dim=8, window=8)
# Numbers of the parts that are fitted beside the network, of which nothing is made when a file is loaded.
HARMLESS = ("capacity", "exact_events", "move_bars", "decisions_before_rare", "outcome_bars", "complete_from")


def whole_numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where whole numbers stand within plain data; of lists, the first two places."""
    parts = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, part in parts:
        yield from whole_numbers(part, (*path, name))
    if type(value) is int:
        yield path


def with_number(value: Any, path: Sequence[Any], number: int) -> Any:
    changed = deepcopy(value)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = number
    return changed


def changed(file: ModelFile, part: str, path: Sequence[Any]) -> ModelFile:
    return replace(file, **{part: with_number(getattr(file, part), path, 10**9)})


def outcome(folder: Path, file: ModelFile) -> str:
    save_champion(folder, file)
    try:
        load(folder)
    except ModelFileError as error:
        return str(error)
    return "loaded"


def mixture_champion() -> ModelFile:
    network = MixtureConfig(experts=2, top_k=1, gate_dim=4, gate_window=4)
    model = build_model(MoEModel, 0, ModelConfig(core=SMALL), 6, 4, 3, mixture=network)
    return replace(champion(), kind="moe", model=model.describe(), weights=model.state_dict())


def adapting_champion() -> ModelFile:
    model = build_model(MAMLModel, 0, ModelConfig(core=SMALL), 6, 4, 3, adaptation=AdaptationConfig())
    return replace(champion(), kind="maml", model=model.describe(), weights=model.state_dict())


KINDS: dict[str, Callable[[Path], ModelFile]] = {
    "ppo": lambda _: champion(),
    "moe": lambda _: mixture_champion(),
    "maml": lambda _: adapting_champion(),
    "autonomous": lambda folder: autonomous_champion(folder, "1m"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_78_absurd_sizes_are_refused_before_memory_is_taken(tmp_path: Path, kind: str) -> None:
    file = KINDS[kind](tmp_path)
    places = [(part, path) for part in ("model", "features") for path in whole_numbers(getattr(file, part))]
    assert len(places) >= 8
    save_champion(tmp_path, file)
    load(tmp_path)
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ROOM_BYTES
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        outcomes = {(part, path): outcome(tmp_path, changed(file, part, path)) for part, path in places}
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert [where for where, said in outcomes.items() if "alloc" in said or "\n" in said] == []
    assert [where for where, said in outcomes.items() if said == "loaded" and where[1][-1] not in HARMLESS] == []


def test_78_weights_that_share_their_numbers_are_not_given_their_own(tmp_path: Path) -> None:
    shared = torch.zeros(1000)
    malformed(save_champion(tmp_path), {"weights": {f"w{number}": shared for number in range(100)}})
    with pytest.raises(ModelFileError, match="its weights are larger than the file"):
        load(tmp_path)


def test_78_weights_of_another_network_are_named(tmp_path: Path) -> None:
    file = champion()
    name = next(iter(file.weights))
    save_champion(tmp_path, replace(file, weights={**file.weights, name: file.weights[name][:-1]}))
    with pytest.raises(ModelFileError, match=rf"weight '{name}' should have the shape \(8, 6\) and has \(7, 6\)"):
        load(tmp_path)


# Champions that load and cannot decide.


class Failing(Chooser):
    """Loads well, and fails or wants nonsense at its first decision."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def act(self, market_state: MarketState) -> Decision:
        if self.how == "fails":
            raise RuntimeError("mat1 and mat2 shapes\ncannot be multiplied")
        wanted = float("nan") if self.how == "wants no number" else 0.5
        return Decision(np.full(1, wanted), np.full(1, float("inf") if self.how == "is no sure" else 0.9))

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        if self.how == "cannot explain":
            raise KeyError("features")
        return super().explain(market_state)


@pytest.mark.parametrize("how", ["fails", "wants no number", "is no sure", "cannot explain"])
def test_78_a_champion_that_cannot_decide_never_takes_over(tmp_path: Path, how: str) -> None:
    bad = model_of(Failing(how), sha256="b" * 64)
    with Stage(tmp_path / "bot", [1.0, 0.0, 1.0]) as stage:
        waiting = [bad]
        stage.trader._next_model = lambda current: waiting.pop() if waiting else None
        stage.play(3)
        assert {step.model for step in stage.steps()} == {"a" * 64}
        (said,) = stage.messages.errors
        assert "a new champion was not taken up: the champion of BTC/USDT" in said
        assert "at a first decision" in said
        assert "\n" not in said
        assert stage.state is RiskState.ACTIVE
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL", "BUY"]
        stage.check()
        stage.agent = bad.agent._agent
        with pytest.raises(ModelFileError, match="at a first decision"):
            stage.build()
