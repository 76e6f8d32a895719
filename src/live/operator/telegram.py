"""`TelegramApi`: the three methods of Telegram's Bot API that a bot needs to be commanded, by long polling.

Covered: answers that drip, have no end, are no JSON, or ask for a pause; redirects, which are not followed. What
Telegram delivers and nobody acknowledged, it delivers again. The token is part of each URL, so no error quotes one.
"""

import json
import re
from typing import Any, NamedTuple

import requests

from src.brokerage.redaction import learn_secret, redact
from src.errors import ConfigError, TransientError
from src.market.history.bounded_answers import bound_answers
from src.market.history.local_servers import require_local

URL = "https://api.telegram.org"
ANSWER_WITHIN_S = 10.0  # besides what is waited for messages
LONGEST_PAUSE_S = 600.0
LONGEST_TEXT = 4_000  # characters; a message may have 4,096


class Message(NamedTuple):
    """A text that a person sent to the bot alone, not in a group."""

    update_id: int
    user: int
    sent_at: int
    text: str


class PauseAsked(TransientError):
    """No request before so many seconds are over."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class TelegramApi:
    """Not to be shared between threads.

    Args:
        token: as @BotFather gives it.
        base_url: another server for tests, on this machine only.

    Raises:
        ConfigError: that is no token, or `base_url` is not local.
    """

    def __init__(self, token: str, base_url: str | None = None) -> None:
        learn_secret(token)
        if not re.fullmatch(r"\d+:[\w-]{10,}", token):
            raise ConfigError("SUPERTRADER_TELEGRAM_TOKEN is no token of a bot; copy it as @BotFather gives it")
        if base_url is not None:
            require_local(base_url)
        self.bot_id = token.partition(":")[0]
        self._url = f"{(base_url or URL).rstrip('/')}/bot{token}"
        self._session = requests.Session()
        bound_answers(self._session)

    def name(self) -> str:
        """Ask for the bot's own name.

        Raises:
            TransientError: there is no answer, or the token is not accepted.
        """
        return str(_dict(self._call("getMe")).get("username"))

    def messages(self, offset: int, wait_s: int) -> tuple[list[Message], int]:
        """Return what people wrote, waiting for it, and the offset that acknowledges it at the next call.

        Raises:
            TransientError: there is no answer that can be read.
        """
        parameters = {"offset": offset, "timeout": wait_s, "allowed_updates": json.dumps(["message"])}
        updates = self._call("getUpdates", wait_s, **parameters)
        if not isinstance(updates, list):
            raise TransientError("Telegram sent for getUpdates what cannot be read")
        numbers = [number for each in updates if isinstance(number := _dict(each).get("update_id"), int)]
        return [message for each in updates if (message := _message(each))], max([offset, *(n + 1 for n in numbers)])

    def send(self, user: int, text: str) -> None:
        """Send a text, cut off where it is too long, as it is: nothing in it is markup.

        Raises:
            TransientError: it was perhaps not taken.
        """
        self._call("sendMessage", chat_id=user, text=text[:LONGEST_TEXT])

    def _call(self, method: str, wait_s: float = 0.0, **parameters: Any) -> Any:
        try:
            response = self._session.post(
                f"{self._url}/{method}", data=parameters, timeout=ANSWER_WITHIN_S + wait_s, allow_redirects=False
            )
            answer = _dict(response.json())
        except (requests.RequestException, TransientError, ValueError, RecursionError) as error:
            raise TransientError(f"Telegram did not answer {method}: {type(error).__name__}") from None
        if response.status_code != 200 or answer.get("ok") is not True:
            said = redact(answer.get("description"))[:200]
            text, pause_s = f"Telegram refuses {method} ({response.status_code}, {said})", _pause_s(answer)
            raise PauseAsked(text, pause_s) if pause_s else TransientError(text)
        return answer.get("result")


def _message(update: Any) -> Message | None:
    # None for what is no text of a person who writes to the bot alone.
    message = _dict(_dict(update).get("message"))
    sender, chat = _dict(message.get("from")), _dict(message.get("chat"))
    number, user, date, text = (
        _dict(update).get("update_id"),
        sender.get("id"),
        message.get("date"),
        message.get("text"),
    )
    if not (isinstance(number, int) and isinstance(user, int) and isinstance(date, int) and isinstance(text, str)):
        return None
    is_private = chat.get("type") == "private" and chat.get("id") == user
    return Message(number, user, date * 1000, text) if is_private else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _pause_s(answer: dict[str, Any]) -> float:
    asked = _dict(answer.get("parameters")).get("retry_after")
    return float(min(asked, LONGEST_PAUSE_S)) if type(asked) is int and asked > 0 else 0.0
