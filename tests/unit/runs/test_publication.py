"""A model is never replaced by surprise: publishing spares what was judged better, and experiments have own folders."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from src.agents.model_file import load_model, save_model
from src.config.load import load_training_config
from src.errors import ConfigError
from src.evaluation.promotion import Verdict
from src.runs.publication import publish
from src.signing.signature import public_text, signature_path, signers
from src.storage import write_atomic
from tests.support.model_files import EXAMPLE

PROMOTED, LUCK = Verdict.promoted.value, Verdict.luck.value


def saved(path: Path, verdict: str, seed: int = 0) -> Path:
    save_model(path, replace(EXAMPLE, verdict=verdict, config={"seed": seed}))
    return path


@pytest.mark.parametrize(
    ("held", "found", "is_replaced"),
    [
        (PROMOTED, LUCK, False),
        (PROMOTED, "not judged", False),
        (PROMOTED, PROMOTED, True),
        (LUCK, LUCK, True),
        (LUCK, PROMOTED, True),
        ("not judged", LUCK, True),
    ],
)
def test_only_a_stronger_verdict_is_spared(held: str, found: str, is_replaced: bool, tmp_path: Path) -> None:
    target, model = saved(tmp_path / "published.pth", held, seed=1), saved(tmp_path / "run.pth", found, seed=2)
    publication = publish(model, target)
    assert publication.path == (target if is_replaced else model)
    assert load_model(target).config["seed"] == (2 if is_replaced else 1)
    assert (publication.refusal == "") == is_replaced
    assert publish(model, target, replace=True).path == target
    assert load_model(target).config["seed"] == 2


def test_what_is_missing_or_damaged_is_nothing_that_could_be_lost(tmp_path: Path) -> None:
    model, target = saved(tmp_path / "run.pth", LUCK), tmp_path / "deep" / "published.pth"
    assert publish(model, target).path == target
    target.write_bytes(b"torn")
    assert publish(model, target).path == target
    assert target.read_bytes() == model.read_bytes()


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ([], "checkpoints"),
        (["+experiment=smoke"], "checkpoints/smoke"),
        (["experiment=[crypto_hourly,smoke]"], "checkpoints/crypto_hourly+smoke"),
        (["run.name=mine"], "checkpoints/mine"),
        (["+experiment=smoke", "run.name=mine"], "checkpoints/mine"),
        (["run.name=mine", "+experiment=smoke"], "checkpoints/mine"),
        (["+experiment=smoke", "run.name=null"], "checkpoints"),
        (["+experiment=smoke", "run.checkpoints_dir=/models"], "/models/smoke"),
    ],
)
def test_an_experiment_publishes_under_its_own_name(settings: list[str], folder: str) -> None:
    assert load_training_config(settings).run.models_dir == Path(folder)


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "reasoning", "''"])
def test_a_name_is_that_of_a_folder(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a folder of models"):
        load_training_config([f"run.name={name}"])


# Signatures.

KEY = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))


def is_signed(path: Path) -> bool:
    return signers(path, path.read_bytes()) == {public_text(KEY)}


def test_what_is_published_is_signed_and_keeps_its_bytes(tmp_path: Path) -> None:
    model, target = saved(tmp_path / "run.pth", LUCK), tmp_path / "published.pth"
    publish(model, target, key=KEY)
    assert is_signed(target)
    assert target.read_bytes() == model.read_bytes()
    assert not signature_path(model).exists()
    # The same again changes nothing; what keeps its place keeps its signature.
    before = signature_path(target).stat().st_mtime_ns
    publish(model, target, key=KEY)
    assert signature_path(target).stat().st_mtime_ns == before
    publish(saved(tmp_path / "other.pth", PROMOTED, seed=1), target, key=KEY)
    assert publish(model, target, key=KEY).refusal
    assert is_signed(target)


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_whatever_ends_a_publication_no_model_lies_there_with_a_signature_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    older, newer = saved(tmp_path / "older.pth", LUCK), saved(tmp_path / "newer.pth", LUCK, seed=1)
    target, written = tmp_path / "published.pth", []
    publish(older, target, key=KEY)

    def write(path: Path, data: bytes) -> Path:
        written.append(path)
        if len(written) == fails_at:
            raise KeyboardInterrupt
        return write_atomic(path, data)

    for module in ("src.runs.publication", "src.signing.signature"):
        monkeypatch.setattr(f"{module}.write_atomic", write)
    with suppress(KeyboardInterrupt):
        publish(newer, target, key=KEY)
    assert target.read_bytes() == (older if fails_at <= 2 else newer).read_bytes()
    assert is_signed(target)
    assert len(written) == min(fails_at, 2)
