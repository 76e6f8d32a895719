"""`Chat`: what a person writes in a messenger becomes a command or an answer. It knows no messenger.

Anybody but those who may command is ignored, and told of once in the log. `pause` is done at once; `resume` and
`close` ask for a code to be sent back, which holds for a minute, once, for one person. What was written long ago and
is delivered only now is refused.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from src.brokerage.clock import Clock
from src.brokerage.redaction import redact
from src.config.base import require_known
from src.errors import TraderError
from src.journal.commands import Commands
from src.live.operator.carry_out import VERBS
from src.market.bars import symbol_id

logger = logging.getLogger(__name__)

CONFIRM_WITHIN_MS = 60_000
LATE_MS = 120_000
ANSWER_WITHIN_MS = 60_000
CONFIRMED = ("resume", "close")
MOST_STRANGERS = 100  # that the log names
HELP = "/status, /pause, /resume, /close: of all symbols, or of those you name, as in /close BTC/USDT"


class Request(NamedTuple):
    """What a person wrote. `key` tells it from all others, however often it is delivered."""

    key: str
    user: int
    sent_at: int
    text: str


class _Wanted(NamedTuple):
    verb: str
    symbols: tuple[str, ...]


class _Unconfirmed(NamedTuple):
    wanted: _Wanted
    code: str
    until: int


class Chat:
    """Conversations with those who may command.

    Args:
        name: of the messenger, for the journal.
        users: who may command, by the messenger's numbers.
        symbols: that the bot trades.
        status: returns where a symbol stands.
        draw_code: returns a code nobody can guess.
    """

    def __init__(
        self,
        name: str,
        users: Collection[int],
        symbols: Sequence[str],
        commands: Commands,
        status: Callable[[str], Sequence[str]],
        clock: Clock,
        draw_code: Callable[[], str] = lambda: f"{secrets.randbelow(10**6):06d}",
    ) -> None:
        self._name, self._users, self._commands = name, users, commands
        self._known = {symbol_id(symbol): symbol for symbol in symbols}
        self._status, self._clock, self._draw_code = status, clock, draw_code
        self._unconfirmed: dict[int, _Unconfirmed] = {}
        self._unanswered: dict[str, tuple[int, int]] = {}  # user, and until when, by the key of a command
        self._strangers: set[int] = set()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is to be expected soon."""
        return bool(self._unanswered)

    def answer(self, request: Request) -> str:
        """Do what a person asks for; return what to say at once, empty for nothing."""
        if request.user not in self._users:
            self._note_stranger(request.user)
            return ""
        try:
            return redact(self._answer(request))
        except TraderError as error:
            return redact(error)

    def answers(self) -> Iterator[tuple[int, str]]:
        """Yield users and what has come of their commands since the last time."""
        now_ms = self._clock.now_ms()
        for command in self._commands.with_keys(list(self._unanswered)):
            user, until = self._unanswered[command.key]
            late = "no answer in time"
            if not command.is_open:
                yield user, command.result
            elif now_ms <= until:
                continue
            elif self._commands.withdraw(command.key, late, now_ms):
                yield user, f"{command.symbol}: {late}, and nothing was done; say it again"
            else:
                yield user, f"{command.symbol}: still at it, see /status ({command.result})"
            del self._unanswered[command.key]

    def _note_stranger(self, user: int) -> None:
        if user not in self._strangers and len(self._strangers) < MOST_STRANGERS:
            self._strangers.add(user)
            logger.warning("%s: user %d, who may not command this bot, is ignored", self._name, user)

    def _answer(self, request: Request) -> str:
        first, *words = request.text.split() or [""]
        verb = first.partition("@")[0].removeprefix("/").lower()
        if not first.startswith("/") or verb not in ("status", *VERBS):
            return HELP
        codes = [word for word in words if word.isdecimal() and symbol_id(word) not in self._known]
        wanted = _Wanted(verb, tuple(self._named([word for word in words if word not in codes])))
        if verb == "status":
            return "\n".join(line for symbol in wanted.symbols for line in self._status(symbol))
        return self._commanded(request, wanted, codes)

    def _commanded(self, request: Request, wanted: _Wanted, codes: Sequence[str]) -> str:
        now_ms = self._clock.now_ms()
        if self._commands.with_keys([f"{request.key} 0"]):  # delivered before
            return self._ask(request, wanted)
        if now_ms - request.sent_at > LATE_MS:
            return f"that was written {(now_ms - request.sent_at) / 60_000:.0f} minutes ago, by my clock; say it again"
        if wanted.verb not in CONFIRMED:
            return self._ask(request, wanted)
        if not codes:
            return self._ask_for_code(request, wanted)
        known = self._unconfirmed.pop(request.user, None)
        if known is None or known.wanted != wanted or codes != [known.code] or now_ms > known.until:
            return f"that code does not hold; ask again with /{wanted.verb} {' '.join(wanted.symbols)}"
        return self._ask(request, wanted)

    def _named(self, names: Sequence[str]) -> Iterator[str]:
        known = self._known
        require_known("symbol", [name for name in names if symbol_id(name) not in known], known.values())
        yield from dict.fromkeys(known[symbol_id(name)] for name in names) if names else known.values()

    def _ask_for_code(self, request: Request, wanted: _Wanted) -> str:
        code = self._draw_code()
        self._unconfirmed[request.user] = _Unconfirmed(wanted, code, self._clock.now_ms() + CONFIRM_WITHIN_MS)
        seconds = CONFIRM_WITHIN_MS // 1000
        return f"to confirm, send within {seconds} s: /{wanted.verb} {' '.join(wanted.symbols)} {code}"

    def _ask(self, request: Request, wanted: _Wanted) -> str:
        now_ms = self._clock.now_ms()
        for place, symbol in enumerate(wanted.symbols):
            key = f"{request.key} {place}"
            self._commands.append(key, symbol, wanted.verb, f"{self._name} {request.user}", now_ms)
            self._unanswered[key] = (request.user, now_ms + ANSWER_WITHIN_MS)
        return ""
