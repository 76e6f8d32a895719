"""Champions whose seal is right and whose content is not: one sentence, and a running bot keeps the old one."""

import io
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from src.agents import model_file
from src.agents.model_file import ModelFile
from src.config.risk import RiskLimits
from src.errors import ModelFileError
from src.live.live_model import ChampionWatch, LiveModel, load_champion
from tests.support.live_champion import champion, save_champion
from tests.support.live_setup import SYMBOL

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
