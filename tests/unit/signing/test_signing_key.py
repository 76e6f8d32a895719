"""The private key: made once, for its owner alone, and quoted in no message."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from src.errors import ConfigError
from src.signing.__main__ import main
from src.signing.signature import public_text, signers
from src.signing.signing_key import VARIABLE, default_key_path, make_key, own_key, read_key

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    locked = serialization.BestAvailableEncryption(password) if password else PLAIN
    return key.private_bytes(PEM, PKCS8, locked).decode()


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert read_key(environment) is None
    made = own_key(environment)
    path = default_key_path(environment)
    assert path == tmp_path / "supertrader" / "signing_key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert public_text(own_key(environment)) == public_text(make_key(path)) == public_text(made)


def test_it_lies_among_the_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert str(default_key_path({})) == "/home/ada/.config/supertrader/signing_key.pem"


def test_a_folder_that_is_relative_is_none_of_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_key_path({"XDG_CONFIG_HOME": "config"}) == default_key_path({})


def test_a_home_that_cannot_be_looked_into_holds_no_key_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"XDG_CONFIG_HOME": "/" + 300 * "x"}  # any error but that nothing is there
    assert read_key(environment) is None
    with pytest.raises(ConfigError, match=f"cannot be made .*; set {VARIABLE}"):
        own_key(environment)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(ConfigError, match=f"set HOME, or {VARIABLE}"):
        read_key({})


def test_the_environment_holds_it_or_names_its_file(tmp_path: Path) -> None:
    key, path = Ed25519PrivateKey.generate(), tmp_path / "key.pem"
    path.write_text(pem(key))
    path.chmod(0o600)
    for value in (pem(key), str(path)):
        found = read_key({VARIABLE: value, "XDG_CONFIG_HOME": str(tmp_path / "none")})
        assert found is not None
        assert public_text(found) == public_text(key)
    assert not (tmp_path / "none").exists()


BODY = pem(Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))).splitlines()[1]
BAD = {
    "a key without its first line": (BODY, "neither a key in PEM nor the name of a file"),
    "half a key": (f"-----BEGIN PRIVATE KEY-----\n{BODY[:20]}\n-----END PRIVATE KEY-----", "no Ed25519 key"),
    "a key of another kind": (pem(ec.generate_private_key(ec.SECP256R1())), "no Ed25519 key"),
    "a key with a password": (pem(Ed25519PrivateKey.generate(), b"secret-word"), "without a password"),
    "a very long text": ("x" * 100_000, "neither a key in PEM"),
}


@pytest.mark.parametrize(("value", "words"), BAD.values(), ids=list(BAD))
def test_what_is_no_key_is_one_sentence_that_does_not_quote_it(value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refusal:
        own_key({VARIABLE: value})
    said = str(refusal.value)
    assert "\n" not in said
    assert not any(line in said for line in value.splitlines() if "-----" not in line)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    path.write_text(pem(Ed25519PrivateKey.generate()))
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"can be read by others .*; run: chmod 600 {path}"):
        own_key({VARIABLE: str(path)})
    path.chmod(0o600)
    assert own_key({VARIABLE: str(path)})


def test_where_none_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"cannot be made .*; set {VARIABLE}"):
        own_key({"XDG_CONFIG_HOME": str(tmp_path / "file")})


def test_the_command_shows_the_public_part_and_signs_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key, model = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32)), tmp_path / "A_autonomous_final.pth"
    monkeypatch.setenv(VARIABLE, pem(key))
    model.write_bytes(b"a model")
    assert main([str(model)]) == 0
    out = capsys.readouterr().out
    assert f'verification_key: "{public_text(key)}"' in out.splitlines()
    assert BODY not in out
    assert signers(model, b"a model") == {public_text(key)}
    for none in (tmp_path / "B.pth", tmp_path):
        assert main([str(none)]) == 2
        assert f"{none} cannot be signed" in capsys.readouterr().err


def test_two_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "src.signing"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0] for process in both}
    assert len(said) == 1
    assert "verification_key" in said.pop()
