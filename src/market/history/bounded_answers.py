"""Answers of servers, bounded in time as a whole and in size, packed or not.

Without them a server that sends a byte every few seconds, or a small body that unpacks to gigabytes, holds up a program
for as long as it likes.
"""

import io
import time
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from src.errors import TransientError

LONGEST_ANSWER_BYTES = 32 * 2**20  # the list of all markets of a large exchange has half of that
_PIECE_BYTES = 2**16


def bound_answers(session: requests.Session) -> None:
    """Let a session's answers take no longer than the time-out of their request, from the first byte to the last.

    One that takes longer raises what a server raises that says nothing; one that is too long raises `TransientError`.
    """
    for scheme in ("http://", "https://"):
        session.mount(scheme, _TimedAdapter())
    session.hooks["response"].append(_read_within_size)


class TimedBytes(io.RawIOBase):
    """Bytes of a socket, until a time that is as far away as its time-out was at first; then `TimeoutError`."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw, self._sock = raw, sock
        allowed = sock.gettimeout()
        self._until = float("inf") if allowed is None else time.monotonic() + allowed

    def readable(self) -> bool:
        """These bytes can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come, and wait for it no longer than there is time."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if left < float("inf"):
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket's end."""
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp: Any = io.BufferedReader(TimedBytes(self.fp.detach(), sock))


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedTlsConnection(HTTPSConnection):
    response_class = _TimedResponse


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


class _TimedAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        _use_timed_pools(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        _use_timed_pools(manager)
        return manager


def _use_timed_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTlsPool}


def _read_within_size(response: requests.Response, *_: object, **__: object) -> None:
    content = bytearray()
    for piece in response.iter_content(_PIECE_BYTES):
        content += piece
        if len(content) > LONGEST_ANSWER_BYTES:
            response.close()
            raise TransientError(f"the answer is longer than {LONGEST_ANSWER_BYTES // 2**20} MiB, and was not read")
    response._content = bytes(content)
