"""Signatures of a file, in a text file beside it: `NAME.pth.sig`. The file itself keeps its bytes.

A line is `ed25519 PUBLIC_KEY SIGNATURE`, both in base64, of the bytes of the whole file (Ed25519, RFC 8032, so that one
key signs the same bytes alike). There may be several lines, of several keys, and one of the file that is about to take
this one's place; lines that fit nothing say nothing.
"""

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from src.storage import open_at_once, write_atomic

_KIND = "ed25519"
_MOST_LINES, _LARGEST_BYTES = 16, 65_536  # a file that says more was not written here


def signature_path(path: Path) -> Path:
    """Return where the signatures of a file lie."""
    return path.with_name(f"{path.name}.sig")


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public part of a key as settings spell it: 44 characters of base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def signers(path: Path, data: bytes) -> frozenset[str]:
    """Return the public keys that signed these bytes of a file; none where no signature fits or can be read.

    Args:
        path: of the file, beside which the signatures lie.
        data: what was read from it, and is used: the file is not read again, so that it cannot be another by then.
    """
    return frozenset(key for key, _ in _fitting(path, data))


def sign(path: Path, data: bytes, key: Ed25519PrivateKey) -> None:
    """Sign the bytes that a file has, or is about to have; what fits those in place stays.

    Written before the file itself, so that at no time a file lies there without its signature.

    Raises:
        OSError: it cannot be written.
    """
    held = path.read_bytes() if path.exists() else data
    signature = base64.b64encode(key.sign(data)).decode()
    lines = {(public_text(key), signature), *_fitting(path, data), *_fitting(path, held)}
    text = "".join(f"{_KIND} {public} {signed}\n" for public, signed in sorted(lines))
    target = signature_path(path)
    if not target.exists() or target.read_bytes() != text.encode():
        write_atomic(target, text.encode())


def _fitting(path: Path, data: bytes) -> Iterator[tuple[str, str]]:
    for public, signed in _lines(signature_path(path)):
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
            key.verify(base64.b64decode(signed, validate=True), data)
        except (binascii.Error, ValueError, InvalidSignature):
            continue
        yield public, signed


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with open_at_once(path) as file:
            content = (file.read(_LARGEST_BYTES) or b"").decode("ascii", errors="replace")
    except OSError:
        return
    for line in content.splitlines()[:_MOST_LINES]:
        words = line.split(" ")
        if len(words) == 3 and words[0] == _KIND:
            yield words[1], words[2]
