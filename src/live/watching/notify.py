"""`Notifier`: messages to people, through apprise. It never delays or stops trading.

A thread of its own sends what lies in a bounded queue, errors before everything else; what does not fit is counted and
the count is told later. A service that hangs holds up nothing but its own messages.
"""

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from src.brokerage.redaction import redact
from src.errors import ConfigError

logger = logging.getLogger(__name__)

LONGEST_QUEUE = 200
_ERROR, _INFO, _END = 0, 1, 2


class Notifier:
    """Sends texts.

    Args:
        send: sends a title and a body; may hang or raise.
    """

    def __init__(self, send: Callable[[str, str], object] | None = None) -> None:
        self._send = send
        self._queue: queue.PriorityQueue[tuple[int, int, str]] = queue.PriorityQueue(LONGEST_QUEUE)
        self._order = itertools.count()
        self._lost = 0
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        if send is not None:
            self._thread.start()

    def error(self, text: str) -> None:
        """Say what a person should look at."""
        logger.error("%s", redact(text))
        self._put(_ERROR, text)

    def info(self, text: str) -> None:
        """Say what is good to know."""
        logger.info("%s", redact(text))
        self._put(_INFO, text)

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what is left, but wait no longer than this."""
        if self._send is not None:
            self._put(_END, "")
            self._thread.join(timeout_s)

    def _put(self, kind: int, text: str) -> None:
        if self._send is None:
            return
        try:
            self._queue.put_nowait((kind, next(self._order), redact(text)))
        except queue.Full:
            self._lost += 1

    def _work(self) -> None:
        assert self._send is not None
        while True:
            kind, _, text = self._queue.get()
            if kind == _END:
                return
            lost, self._lost = self._lost, 0
            body = f"{text}\n({lost} messages before this one were lost)" if lost else text
            try:
                if self._send("error" if kind == _ERROR else "SuperTrader", body) is False:
                    logger.warning("a notification was not sent: a service did not take it")
            except Exception as error:  # whatever a side service does, trading goes on
                logger.warning("a notification was not sent: %s", redact(error))


def apprise_sender(urls: Sequence[str]) -> Callable[[str, str], object] | None:
    """Return what sends to these apprise URLs, and says whether all took it; None for none. Redirects are refused.

    Raises:
        ConfigError: one is not understood. It is not quoted: such URLs hold tokens.
    """
    if not urls:
        return None
    import apprise

    services = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False))
    for place, url in enumerate(urls, start=1):
        with _in_silence("apprise"):  # it would log the URL, or the part of it that is mistyped
            is_known = services.add(url)
        if not is_known:
            raise ConfigError(f"notification URL number {place} is not understood; see apprise's documentation")
    for service in services:
        service.redirects = False  # also where its URL asks for them
    # As plain text: what an exchange wrote is no markup, and a service that takes markup refuses a stray `<`.
    plain = apprise.NotifyFormat.TEXT
    return lambda title, body: bool(services.notify(title=title, body=body, body_format=plain))


@contextmanager
def _in_silence(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    log.disabled = True
    try:
        yield
    finally:
        log.disabled = False
