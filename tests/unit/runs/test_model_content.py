"""What a model file says of itself, read without torch."""

import io
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from src.agents import model_file
from src.agents.model_file import FORMAT_VERSION, load_model, save_model
from src.errors import ModelFileError
from src.runs.model_content import TensorShape, read_content
from tests.support.model_files import EXAMPLE

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.pth"
    save_model(path, EXAMPLE)
    return path


def test_it_agrees_with_the_loaded_file_but_for_the_numbers_in_tensors(saved: Path) -> None:
    content, loaded = read_content(saved), load_model(saved)
    assert content.keys() == {part.name for part in fields(loaded)}
    assert {name: value for name, value in content.items() if name != "weights"} == {
        name: value for name, value in vars(loaded).items() if name != "weights"
    }
    assert content["weights"] == {"head.weight": TensorShape((3, 4)), "head.bias": TensorShape((3,))}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_tensors_of_every_kind_are_measured(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "model.pth"
    save_model(path, replace(EXAMPLE, weights={"table": torch.zeros(2, 5, 3).to(dtype), "one": torch.tensor(1.0)}))
    weights = read_content(path)["weights"]
    assert weights == {"table": TensorShape((2, 5, 3)), "one": TensorShape(())}
    assert (weights["table"].numel, len(weights["table"]), weights["one"].numel) == (30, 2, 1)


def test_torch_is_not_loaded(saved: Path) -> None:
    check = f"""
import sys
from pathlib import Path
from src.runs.model_content import read_content
assert read_content(Path({str(saved)!r}))["kind"] == "ppo"
assert not {{"torch", "ray", "matplotlib"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


def test_a_flipped_byte_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1
    saved.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        read_content(saved)


class Malicious:
    """Runs code when a careless reader unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_malicious_content_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, "weights": Malicious()}, buffer)
    path = tmp_path / "evil.pth"
    path.write_bytes(model_file._sealed(buffer.getvalue()))  # even with a right checksum
    with pytest.raises(ModelFileError, match="tensors and plain data"):
        read_content(path)
    assert not Path("owned").exists()
