"""`TelegramServer`: Telegram's Bot API on this machine, as a bot that polls it; it misbehaves as exchanges here do.

    with TelegramServer() as telegram:
        telegram.write(USER, "/status")
        telegram.faults["getUpdates"] = [status(502)]
        ... wait_until(lambda: telegram.sent)

What is not acknowledged by the offset of a later request is delivered again.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from tests.support.fakes.exchange_server import ExchangeServer, Reply

TOKEN = "123456:fake-token-of-the-tests-0123456789"
USER = 4711


class TelegramServer(ExchangeServer):
    """One bot's.

    Args:
        now_s: tells when a message is written; the real time by default.

    Attributes:
        updates: not yet acknowledged.
        sent: user and text of every message of the bot.
    """

    def __init__(self, now_s: Callable[[], float] = lambda: time.time_ns() / 1e9) -> None:
        super().__init__([], 0)
        self._now_s = now_s
        self.updates: list[dict[str, Any]] = []
        self.sent: list[tuple[int, str]] = []
        self._last_id = 1_000

    def write(self, user: int, text: str, age_s: int = 0, **message: Any) -> None:
        """Let a person write to the bot."""
        self._last_id += 1
        written = {
            "message_id": self._last_id,
            "date": int(self._now_s()) - age_s,
            "from": {"id": user, "is_bot": False, "first_name": "A"},
            "chat": {"id": user, "type": "private"},
            "text": text,
            **message,
        }
        self.updates.append({"update_id": self._last_id, "message": written})

    def answer(self, method: str, path: str, query: dict[str, str]) -> Reply:
        """Return the right answer to one request."""
        if not path.startswith(f"/bot{TOKEN}/"):
            return Reply({"ok": False, "error_code": 401, "description": "Unauthorized"}, status=401)
        found = getattr(self, f"_{path.rsplit('/', 1)[-1]}")(query)
        return Reply({"ok": True, "result": found})

    def _getMe(self, query: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        return {"id": 123456, "is_bot": True, "username": "tester_bot"}

    def _getUpdates(self, query: dict[str, str]) -> list[dict[str, Any]]:  # noqa: N802
        assert json.loads(query["allowed_updates"]) == ["message"]
        self.updates = [each for each in self.updates if each["update_id"] >= int(query["offset"])]
        if not self.updates:
            time.sleep(0.05)  # instead of a long poll
        return list(self.updates)

    def _sendMessage(self, query: dict[str, str]) -> dict[str, Any]:  # noqa: N802
        self.sent.append((int(query["chat_id"]), query["text"]))
        return {"message_id": 1}
