"""What a text must not carry out of the process: secrets, and characters that command a terminal.

ccxt logs the API key at DEBUG level, and its network errors quote the signed URL. So each text passes `redact`: errors
where they are raised, log lines in the formatter, whatever wrote them. Secrets are learned once, at start.
"""

import logging
import re
from urllib.parse import quote

from src.printable import escape

HIDDEN = "***"
_SHORTEST = 6  # a shorter secret would blank out ordinary words

_secrets: set[str] = set()
# Signatures and keys as exchanges put them into URLs and headers, even those this process was not told about.
_PATTERNS = re.compile(
    r"""((?:signature|sign|api[-_]?key|secret|X-MBX-APIKEY|API-Key|API-Sign)["']?\s*[=:]\s*["']?)[^\s&"',}]+""",
    re.IGNORECASE,
)


def learn_secret(secret: str) -> None:
    """Never let this text out again, in plain or URL-quoted form."""
    if len(secret) >= _SHORTEST:
        _secrets.update({secret, quote(secret, safe="")})


def redact(text: object) -> str:
    """Return a text without secrets, each of its lines escaped (`printable`)."""
    plain = str(text)
    for secret in _secrets:
        plain = plain.replace(secret, HIDDEN)
    return "\n".join(map(escape, _PATTERNS.sub(rf"\1{HIDDEN}", plain).split("\n")))


class RedactingFormatter(logging.Formatter):
    """Redacts what another formatter made of a record, tracebacks included."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return redact(self._inner.format(record))


def redact_logs() -> None:
    """Put a `RedactingFormatter` around the formatter of every handler of the root logger."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(handler.formatter))
