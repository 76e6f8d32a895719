"""The model file: round trip and refusals."""

import io
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from src.agents import model_file
from src.agents.model_file import (
    FORMAT_VERSION,
    load_model,
    model_path,
    require_match,
    save_model,
)
from src.errors import ModelFileError
from tests.support.model_files import EXAMPLE


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = model_path("BTC/USDT", "stage_1_ppo", tmp_path)
    save_model(path, EXAMPLE)
    return path


def sentence(path: Path) -> str:
    """Load a file that must be refused; its one-line message."""
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_everything_comes_back(saved: Path) -> None:
    loaded = load_model(saved)
    assert saved.name == "BTCUSDT_stage_1_ppo.pth"
    for name, tensor in EXAMPLE.weights.items():
        torch.testing.assert_close(loaded.weights[name], tensor, rtol=0, atol=0)
    assert replace(loaded, weights={}) == replace(EXAMPLE, weights={})


def test_plain_torch_reads_the_file(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    assert content["symbol"] == "BTC/USDT"


def test_any_flipped_byte_is_noticed(saved: Path) -> None:
    data = saved.read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, 1, len(data) - 1, *rng.integers(0, len(data), 200)]:
        broken = bytearray(data)
        broken[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(broken)
        sentence(saved)


@pytest.mark.parametrize("keep", [1, 10, 22, 95, 500, -1])
def test_truncation_is_noticed(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    assert "damaged" in sentence(saved) or keep == 1


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "X_stage_1_ppo.pth"
    assert "does not exist" in sentence(path)
    os.mkfifo(path)
    assert "empty" in sentence(path)  # a pipe is not waited for
    path.unlink()
    path.write_bytes(b"")
    assert "empty" in sentence(path)
    path.write_bytes(np.random.default_rng(0).bytes(5_000))
    assert "not a model file" in sentence(path)
    torch.save({"a": torch.zeros(2)}, path)
    assert "damaged" in sentence(path)
    path.unlink()
    path.mkdir()
    assert "cannot be read" in sentence(path)


class Malicious:
    """Runs code when a careless reader unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_malicious_content_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, "weights": Malicious()}, buffer)
    path.write_bytes(model_file._sealed(buffer.getvalue()))  # even with a right checksum
    assert "tensors and plain data" in sentence(path)
    path.write_bytes(pickle.dumps(Malicious()))
    assert "not a model file" in sentence(path)
    assert not Path("owned").exists()


@pytest.mark.parametrize("version", [FORMAT_VERSION - 1, FORMAT_VERSION + 1])
def test_another_format_is_refused_with_the_command_that_makes_a_new_one(saved: Path, version: int) -> None:
    save_model(saved, replace(EXAMPLE, format_version=version))
    assert f"format {version}, this one reads {FORMAT_VERSION}" in sentence(saved)
    assert f"python run_training.py symbol={EXAMPLE.symbol}" in sentence(saved)


def test_missing_parts_are_named(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    del content["lineage"]
    buffer = io.BytesIO()
    torch.save(content, buffer)
    saved.write_bytes(model_file._sealed(buffer.getvalue()))
    assert "lineage" in sentence(saved)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": {"a": {"b": object()}}}, "config.a.b"),
        ({"weights": {"w": torch.tensor([1.0, np.nan])}}, "weights.w"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_the_old_file_stays(saved: Path, change: dict, named: str) -> None:
    before = saved.read_bytes()
    with pytest.raises(ModelFileError, match=named):
        save_model(saved, replace(EXAMPLE, **change))
    assert saved.read_bytes() == before


def test_a_failed_write_leaves_the_old_file_and_no_litter(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ModelFileError, match="No space left"):
        save_model(saved, EXAMPLE)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert saved.read_bytes() == before


def test_views_do_not_drag_their_storage_along(tmp_path: Path) -> None:
    path = tmp_path / "view.pth"
    save_model(path, replace(EXAMPLE, weights={"w": torch.zeros(1_000_000)[:3]}))
    assert path.stat().st_size < 50_000


def test_numpy_numbers_become_plain(tmp_path: Path) -> None:
    path = tmp_path / "numbers.pth"
    save_model(path, replace(EXAMPLE, validation={"sharpe": np.float64(0.5)}, evaluations=np.int64(3)))
    loaded = load_model(path)
    assert type(loaded.validation["sharpe"]) is float
    assert type(loaded.evaluations) is int


def test_a_model_of_something_else_is_refused() -> None:
    require_match(EXAMPLE, "btc-usdt", "1h", ["returns", "rsi"])
    with pytest.raises(ModelFileError, match="trained for BTC/USDT, not ETH/USDT"):
        require_match(EXAMPLE, "ETH/USDT", "1h")
    with pytest.raises(ModelFileError, match="1h bars, not 1d"):
        require_match(EXAMPLE, "BTC/USDT", "1d")
    with pytest.raises(ModelFileError, match="features"):
        require_match(EXAMPLE, "BTC/USDT", "1h", ["rsi", "returns"])
