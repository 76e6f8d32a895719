"""Servers that tests put in the place of an exchange or a messenger: on this machine, and nowhere else."""

from urllib.parse import urlsplit

from src.errors import ConfigError

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def require_local(base_url: str) -> None:
    """Refuse another server than one on this machine.

    Raises:
        ConfigError: it is elsewhere.
    """
    if urlsplit(base_url).hostname not in _LOCAL_HOSTS:
        raise ConfigError(f"base URL must be on this machine (127.0.0.1 or localhost), was '{base_url}'")
