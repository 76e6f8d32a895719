"""Signatures beside files: those of the standard, of several keys, and all that is none."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from src.signing.signature import public_text, sign, signature_path, signers

ONE, TWO = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2))


def model(folder: Path, data: bytes = b"a model") -> Path:
    path = folder / "A_autonomous_final.pth"
    path.write_bytes(data)
    return path


def test_it_is_the_signature_of_the_standard(tmp_path: Path) -> None:
    # RFC 8032, section 7.1, test 3.
    secret = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    path = model(tmp_path, bytes.fromhex("af82"))
    sign(path, path.read_bytes(), Ed25519PrivateKey.from_private_bytes(secret))
    known, signed = (base64.b64encode(part).decode() for part in (public, signature))
    assert signature_path(path).read_text() == f"ed25519 {known} {signed}\n"
    assert signers(path, b"\xaf\x82") == {known}
    assert path.read_bytes() == b"\xaf\x82"


@pytest.mark.parametrize("is_written", [False, True])
def test_a_pipe_in_its_place_is_not_waited_for(is_written: bool, tmp_path: Path) -> None:
    path = model(tmp_path)
    os.mkfifo(signature_path(path))
    end = os.open(signature_path(path), os.O_RDWR) if is_written else None
    try:
        assert signers(path, b"a model") == set()
    finally:
        if end is not None:
            os.close(end)


def test_several_may_vouch_and_what_fits_nothing_is_dropped(tmp_path: Path) -> None:
    path = model(tmp_path)
    sign(path, b"a model", ONE)
    sign(path, b"a model", TWO)
    assert signers(path, b"a model") == {public_text(ONE), public_text(TWO)}
    path.write_bytes(b"another")
    sign(path, b"another", ONE)
    assert signers(path, b"another") == {public_text(ONE)}
    assert signature_path(path).read_text().count("\n") == 1


def test_before_a_file_takes_its_place_both_it_and_the_one_in_place_are_signed(tmp_path: Path) -> None:
    path = model(tmp_path, b"old")
    sign(path, b"old", ONE)
    sign(path, b"new", ONE)
    assert signers(path, b"old") == signers(path, b"new") == {public_text(ONE)}


NONE = {
    "missing": None,
    "empty": b"",
    "cut short": lambda text: text[:-10],
    "cut to no signature": lambda text: text[:60],
    "another kind": lambda text: text.replace(b"ed25519", b"ed448"),
    "a flipped bit": lambda text: text[:-6] + bytes([text[-6] ^ 1]) + text[-5:],
    "a stranger's name on it": lambda text: text.replace(public_text(ONE).encode(), public_text(TWO).encode()),
    "no base64": lambda text: text.replace(b" ", b" *"),
    "binary": bytes(range(256)) * 10,
    "buried below much else": lambda text: b"ed25519 a b\n" * 1000 + text,
    "too many words": lambda text: text.replace(b"\n", b" x\n"),
}


@pytest.mark.parametrize("content", NONE.values(), ids=list(NONE))
def test_what_is_no_signature_says_nothing(tmp_path: Path, content: object) -> None:
    path = model(tmp_path)
    sign(path, b"a model", ONE)
    beside = signature_path(path)
    if content is None:
        beside.unlink()
    else:
        beside.write_bytes(content(beside.read_bytes()) if callable(content) else content)
    assert signers(path, b"a model") == frozenset()


def test_a_signature_is_of_all_bytes_and_of_one_file(tmp_path: Path) -> None:
    path = model(tmp_path)
    sign(path, b"a model", ONE)
    for other in (b"a mode", b"a modem", b"a model ", b"", b"\0a model"):
        assert signers(path, other) == frozenset()
    elsewhere = tmp_path / "B_autonomous_final.pth"
    elsewhere.write_bytes(b"a model of B")
    signature_path(elsewhere).write_bytes(signature_path(path).read_bytes())
    assert signers(elsewhere, elsewhere.read_bytes()) == frozenset()
