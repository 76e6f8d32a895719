"""Whose champion trades with real orders: one that the pinned key signed, of which every byte is as it was signed."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.agents import model_file
from src.agents.model_file import load_model, save_model
from src.errors import ConfigError, ModelFileError
from src.evaluation.promotion import Verdict
from src.live.assembly import require_allowed, require_vouched
from src.live.live_model import ChampionWatch, LiveModel, load_champion, require_signed
from src.live.trader import Trader
from src.signing.signature import public_text, sign, signature_path
from tests.support.live_champion import KEY, STRANGERS_KEY, VERIFICATION_KEY, champion, save_champion
from tests.support.live_scene import Stage
from tests.support.live_setup import LIMITS, SYMBOL


def load(folder: Path) -> LiveModel:
    return load_champion(SYMBOL, folder / "checkpoints", LIMITS, 1000.0)


def options(is_live: bool = True, unpromoted: bool = False, key: str | None = VERIFICATION_KEY) -> Any:
    return SimpleNamespace(is_live=is_live, unpromoted=unpromoted, config=SimpleNamespace(verification_key=key))


def forge_promotion(path: Path) -> None:
    """Write a sealed file that says it was promoted, as anybody can."""
    save_model(path, replace(load_model(path), verdict=Verdict.promoted.value))


def sign_as_stranger(path: Path) -> None:
    signature_path(path).unlink()
    sign(path, path.read_bytes(), STRANGERS_KEY)


def cut_signature(path: Path) -> None:
    beside = signature_path(path)
    beside.write_bytes(beside.read_bytes()[:-8])


def borrow_signature(path: Path) -> None:
    text = signature_path(path).read_bytes()
    save_champion(path.parents[1], champion(seed=5))
    signature_path(path).write_bytes(text)


FORGERIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a forged promotion": (forge_promotion, "is not signed by verification_key"),
    "a stranger's key": (sign_as_stranger, f"is signed by {public_text(STRANGERS_KEY)} and not by verification_key"),
    "a signature cut short": (cut_signature, "is not signed"),
    "the signature of another champion": (borrow_signature, "is not signed"),
    "no signature": (lambda path: signature_path(path).unlink(), "is not signed"),
}
LUCK = champion(verdict=Verdict.luck.value)


@pytest.mark.parametrize(("forge", "words"), FORGERIES.values(), ids=list(FORGERIES))
def test_77_a_champion_that_the_pinned_key_did_not_sign_trades_on_paper_only(
    tmp_path: Path, forge: Callable[[Path], None], words: str
) -> None:
    path = save_champion(tmp_path, LUCK)
    forge(path)
    model = load(tmp_path)
    require_allowed(model, options(is_live=False))
    for unpromoted in (False, True):  # who knows better about a verdict vouches for no file
        with pytest.raises(ModelFileError) as refusal:
            require_allowed(model, options(unpromoted=unpromoted))
        assert words in str(refusal.value)
        assert "on paper only" in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_77_a_signed_champion_needs_its_promotion_all_the_same(tmp_path: Path) -> None:
    save_champion(tmp_path, LUCK)
    with pytest.raises(ModelFileError, match="was not promoted"):
        require_allowed(load(tmp_path), options())
    require_allowed(load(tmp_path), options(unpromoted=True))
    save_champion(tmp_path)
    require_allowed(load(tmp_path), options())
    with pytest.raises(ConfigError, match="need verification_key"):
        require_allowed(load(tmp_path), options(key=None))


def test_77_what_is_loaded_is_what_was_signed_though_the_file_is_exchanged_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_champion(tmp_path)
    whole, reads = path.read_bytes(), []
    save_model(path, champion(seed=9))
    other = path.read_bytes()

    def exchanged(read: Path) -> bytes:
        # Whoever reads twice gets the signed file once, and another one then.
        if read.suffix != ".pth":
            return real(read)
        reads.append(read)
        return whole if len(reads) == 1 else other

    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", exchanged)
    monkeypatch.setattr(model_file, "open_at_once", lambda path: io.BytesIO(exchanged(path)))
    model = load(tmp_path)
    assert len(reads) == 1
    require_signed(model.symbol, model.signers, VERIFICATION_KEY)


def test_77_nothing_that_an_unsigned_champion_names_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_champion(tmp_path)
    (tmp_path / "brought_along.py").write_text("raise SystemExit('this runs where the keys are')\n")
    monkeypatch.syspath_prepend(tmp_path)
    save_model(path, replace(load_model(path), plugins={"brought_along": "0" * 64}))
    checkpoints = tmp_path / "checkpoints"
    with pytest.raises(ModelFileError, match="is not signed by verification_key"):
        load_champion(SYMBOL, checkpoints, LIMITS, 1000.0, require_vouched(options(), SYMBOL))
    sign(path, path.read_bytes(), KEY)
    with pytest.raises(ModelFileError, match="this runs where the keys are"):
        load_champion(SYMBOL, checkpoints, LIMITS, 1000.0, require_vouched(options(), SYMBOL))


def watched(folder: Path, path: Path, trader: Trader, told: Callable[[str], None]) -> None:
    def checked() -> LiveModel:
        model = load(folder)
        require_allowed(model, options())
        return model

    trader._next_model = ChampionWatch(path, checked, told).newer


def test_77_a_bot_with_real_orders_keeps_its_champion_until_a_newer_one_is_signed(tmp_path: Path) -> None:
    path = save_champion(tmp_path, champion(timeframe="1h"))
    with Stage(tmp_path / "bot", [1.0, 0.0, 1.0, 0.0], first=700) as stage:
        watched(tmp_path, path, stage.trader, stage.messages.error)
        stage.play(1)
        save_model(path, champion(seed=3, timeframe="1h"))
        stage.play(2)
        assert {step.model for step in stage.steps()} == {"a" * 64}
        (said,) = stage.messages.errors
        assert "a new champion was not taken up: the champion of BTC/USDT is not signed" in said
        stage.check()
        sign(path, path.read_bytes(), KEY)
        stage.play(1)
        assert stage.steps()[-1].model == load(tmp_path).sha256
        assert len(stage.messages.errors) == 1
        stage.check()
