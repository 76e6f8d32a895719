"""The key that signs champions: private, made once for each user, and never on the machine that trades.

In `SUPERTRADER_SIGNING_KEY`, as text (PEM, as `openssl genpkey -algorithm ed25519` makes it) or as the name of a file;
without it in the user's own `signing_key.pem`, which is made when it is first needed. No message quotes it.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from src.errors import ConfigError
from src.storage import read_private

VARIABLE = "SUPERTRADER_SIGNING_KEY"


def default_key_path(environment: Mapping[str, str]) -> Path:
    """Return where a user's key lies that `SUPERTRADER_SIGNING_KEY` does not name.

    Raises:
        ConfigError: the user has no home folder.
    """
    folder = Path(environment.get("XDG_CONFIG_HOME", ""))
    if not folder.is_absolute():  # which is no folder of the user's, says the standard that names the variable
        try:
            folder = Path.home() / ".config"
        except RuntimeError as error:
            raise ConfigError(f"there is no home folder for the signing key; set HOME, or {VARIABLE}") from error
    return folder / "supertrader" / "signing_key.pem"


def read_key(environment: Mapping[str, str]) -> Ed25519PrivateKey | None:
    """Return the key of the user; None where there is none yet.

    Raises:
        ConfigError: it cannot be read, others can read it, or it is no such key.
    """
    given = environment.get(VARIABLE, "").strip()
    if "PRIVATE KEY" in given:
        return _parsed(given, VARIABLE)
    if given and not os.path.exists(given):  # it may be a key with its first line missing, and is not quoted
        raise ConfigError(f"{VARIABLE} is neither a key in PEM nor the name of a file; unset it, or name one")
    path = Path(given) if given else default_key_path(environment)
    if not os.path.exists(path):  # unlike `Path.exists`, also where the folder may not be looked into
        return None
    return _parsed(read_private(path, "signing key", "name another"), str(path))


def own_key(environment: Mapping[str, str]) -> Ed25519PrivateKey:
    """Return the key of the user, made if there is none yet.

    Raises:
        ConfigError: as `read_key`, or it cannot be made.
    """
    return read_key(environment) or make_key(default_key_path(environment))


def make_key(path: Path) -> Ed25519PrivateKey:
    """Make a key in a new file that its owner alone can read; another process may have made it meanwhile.

    Raises:
        ConfigError: the file cannot be written, or what lies there is no such key.
    """
    key = Ed25519PrivateKey.generate()
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(path, key.private_bytes(encoding, form, serialization.NoEncryption()))
    except FileExistsError:
        return _parsed(read_private(path, "signing key", "name another"), str(path))
    except OSError as error:
        raise ConfigError(f"the signing key {path} cannot be made ({error.strerror}); set {VARIABLE}") from error
    return key


def _write_new(path: Path, data: bytes) -> None:
    # Whole or not at all, and never over another: a link is made only where nothing is.
    handle, name = tempfile.mkstemp(dir=path.parent)  # which its owner alone can read
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    finally:
        os.unlink(name)


def _parsed(text: str, where: str) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"{where} holds no Ed25519 key in PEM without a password; give it one, as made by: "
            "openssl genpkey -algorithm ed25519"
        )
    return key
