"""`Messenger`: the thread in which a bot is commanded from Telegram. Whatever happens to it, trading goes on.

A message counts once, even if the bot is killed: its commands have keys made of its number, and Telegram is told that
it arrived only after they are in the journal.
"""

import logging
import threading

from src.brokerage.redaction import redact
from src.config.live import TelegramConfig
from src.errors import ConfigError, TransientError
from src.live.operator.chat import Chat, Request
from src.live.operator.telegram import Message, PauseAsked, TelegramApi

logger = logging.getLogger(__name__)

WAIT_S = 25  # for messages, while no answer is to be given
WAIT_SOON_S = 1
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0


def open_telegram(config: TelegramConfig, token: str) -> TelegramApi | None:
    """Return the way to Telegram; None where nobody is to command the bot from there.

    Raises:
        ConfigError: only one of token and users is given, or one of them is none.
    """
    if not token and not config.users:
        return None
    if not token:
        raise ConfigError("telegram.users needs SUPERTRADER_TELEGRAM_TOKEN, which @BotFather gives; or empty the list")
    if not config.users:
        raise ConfigError(
            "SUPERTRADER_TELEGRAM_TOKEN needs telegram.users, the numbers of people who may command; or unset it"
        )
    return TelegramApi(token, config.base_url)


class Messenger:
    """Listens and answers until it is closed.

    Args:
        api: used by this thread alone.
    """

    def __init__(self, api: TelegramApi, chat: Chat) -> None:
        self._api, self._chat = api, chat
        self._stop = threading.Event()
        self._offset = self._failures = 0
        threading.Thread(target=self._work, name="messenger", daemon=True).start()

    def close(self) -> None:
        """Listen no more; a request on its way is not waited for."""
        self._stop.set()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
                self._failures = 0
            except Exception as error:  # whatever a side service does, trading goes on
                self._rest(error)

    def _listen(self) -> None:
        messages, acknowledged = self._api.messages(self._offset, WAIT_SOON_S if self._chat.is_waiting else WAIT_S)
        if self._stop.is_set():  # what is not acknowledged is delivered to the next bot
            return
        for message in messages:
            if reply := self._answer(message):
                self._say(message.user, reply)
        self._offset = acknowledged
        for user, text in self._chat.answers():
            self._say(user, text)

    def _answer(self, message: Message) -> str:
        try:
            return self._chat.answer(self._request(message))
        except Exception as error:  # or it would be delivered, and fail, for ever
            logger.error("a message of user %d was not understood: %s", message.user, redact(repr(error)))
            return "that cannot be understood"

    def _request(self, message: Message) -> Request:
        # Numbers of messages begin anew after a week without any, so a number alone would not do for ever.
        key = f"telegram {self._api.bot_id} {message.update_id} {message.sent_at // 1000}"
        return Request(key, message.user, message.sent_at, message.text)

    def _say(self, user: int, text: str) -> None:
        try:
            self._api.send(user, text)
        except TransientError as error:  # what it is about is done, and in the journal
            logger.warning("an answer was not sent: %s", redact(error))

    def _rest(self, error: Exception) -> None:
        if self._stop.is_set():
            return
        self._failures += 1
        if self._failures == 1:
            logger.warning("the bot cannot be commanded from Telegram for now: %s", redact(error))
        wait_s = min(FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10), LONGEST_RETRY_S)
        self._stop.wait(max(wait_s, error.seconds) if isinstance(error, PauseAsked) else wait_s)
