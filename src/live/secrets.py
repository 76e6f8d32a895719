"""Keys and tokens: from the environment, or from a file only its owner can read. They are never settings.

    SUPERTRADER_API_KEY, SUPERTRADER_API_SECRET, SUPERTRADER_API_PASSWORD, SUPERTRADER_NOTIFY_URLS,
    SUPERTRADER_TELEGRAM_TOKEN

The file holds the same as `api_key = ...`, `api_secret = ...`, `api_password = ...`, `notify_urls = ...` and
`telegram_token = ...`, one a line; the environment wins. Several notification URLs are separated by spaces.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from src.brokerage.broker_account import Keys
from src.brokerage.redaction import learn_secret
from src.config.fields import did_you_mean, or_valid
from src.errors import ConfigError
from src.storage import read_private

NAMES = ("api_key", "api_secret", "api_password", "notify_urls", "telegram_token")
PREFIX = "SUPERTRADER_"
_SHORTEST_TOKEN = 8
_TOKEN = re.compile(r"\d.*[A-Za-z_-]|[A-Za-z_-].*\d")


@dataclass(frozen=True, repr=False)
class Secrets:
    """What was found; empty where nothing was."""

    keys: Keys
    notify_urls: tuple[str, ...]
    telegram_token: str = ""


def read_secrets(path: Path | None, environment: Mapping[str, str]) -> Secrets:
    """Return the secrets, and keep them out of every text from now on.

    Raises:
        ConfigError: the file is missing, not private (`read_private`), or holds a name nobody asked for.
    """
    found = dict.fromkeys(NAMES, "") | (_from_file(path) if path is not None else {})
    found |= {name: value for name in NAMES if (value := environment.get(PREFIX + name.upper(), "")).strip()}
    urls = tuple(found["notify_urls"].split())
    for secret in (*urls, *_tokens(urls), *(found[name].strip() for name in NAMES[:3])):
        learn_secret(secret)
    keys, token = Keys(*(found[name].strip() for name in NAMES[:3])), found["telegram_token"].strip()
    learn_secret(token)
    return Secrets(keys, urls, token)


def keep_password_secret(url: str) -> None:
    """Keep the password in a database's URL out of every text from now on, percent-encoded and as it is."""
    with suppress(ValueError):  # what is no URL is refused where it is used
        password = urlsplit(url).password or ""
        learn_secret(password)
        learn_secret(unquote(password))


def _tokens(urls: Iterable[str]) -> Iterator[str]:
    # What services may quote of a URL: its parts that look like neither words nor addresses.
    for url in urls:
        parts = re.split(r"[/:@?&=,]+", url)
        yield from (part for part in parts if len(part) >= _SHORTEST_TOKEN and _TOKEN.search(part))


def _from_file(path: Path) -> dict[str, str]:
    lines = read_private(path, "secrets file", "check secrets_file").splitlines()
    found = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, value = line.partition("=")
            name = name.strip()
            if name not in NAMES:
                raise ConfigError(
                    f"line {number} of {path} holds no secret this program asks for{did_you_mean(name, NAMES)}"
                    f"{or_valid(NAMES)}"
                )
            found[name] = value.strip()
    return found
