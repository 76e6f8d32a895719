"""What a person does by hand: pausing a bot, closing its position, and letting it go on."""

from collections.abc import Callable
from typing import NamedTuple

from src.brokerage.broker_account import BrokerAccount
from src.config.live import LiveConfig
from src.journal.journal import Journal
from src.live.live_guard import LiveGuard, RiskState
from src.live.operator.selling import sell_all
from src.live.venues.exchange import ExchangeVenue
from src.live.venues.reconcile import accept_account, books_differ, reconcile, traded_quantity
from src.market.instrument import Instrument


class Closing(NamedTuple):
    """What became of a `close`.

    Attributes:
        is_flat: nothing is left of what the bot's orders traded.
        doubts: where books, orders and account differ, one sentence each.
        is_final: False where trying again may sell what is left.
    """

    symbol: str
    text: str
    is_flat: bool
    doubts: tuple[str, ...] = ()
    is_final: bool = True

    @property
    def is_well(self) -> bool:
        """Whether nobody has to look any further."""
        return self.is_flat and not self.doubts

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.symbol}: HALTED; {self.text}", *(f"  look at this: {doubt}" for doubt in self.doubts)]
        )


def pause(guard: LiveGuard, now_ms: int) -> str:
    """Open nothing until `resume`; a state that lets less through stays."""
    is_new = guard.escalate(RiskState.PAUSED, "paused by hand", now_ms)
    if is_new or guard.state is RiskState.PAUSED:
        return f"{guard.symbol}: PAUSED; nothing is opened until `resume`, and what is held may be sold"
    return f"{guard.symbol}: stays {guard.state.name} ({guard.reason}), which lets no more through than a pause"


def close_on_paper(guard: LiveGuard, now_ms: int) -> str:
    """Halt a paper account and have its position closed at the next candle."""
    halt_to_close(guard, now_ms)
    return f"{guard.symbol}: HALTED; the paper position is closed when the bot sees its next candle"


def close_at_exchange(
    account: BrokerAccount, guard: LiveGuard, journal: Journal, config: LiveConfig, exchange_now: Callable[[], int]
) -> Closing:
    """Halt, and sell at market what the bot's own orders traded, whatever its books say.

    Raises:
        TransientError, TradingHalted: the account cannot be read, so nothing was sent.
    """
    now_ms = exchange_now()
    halt_to_close(guard, now_ms)
    filters = account.filters(guard.symbol)
    found = reconcile(account, journal, filters.instrument, now_ms)
    if not found.is_settled:
        text = "an earlier order is not accounted for yet, so try again in a minute"
        return Closing(guard.symbol, text, is_flat=False, is_final=False)
    doubts = tuple(found.foreign + found.other_bot + books_differ(journal, filters.instrument))
    venue = ExchangeVenue(account, journal, guard.symbol, config, guard.limits)
    said, is_final = sell_all(account, journal, venue, config.account, filters, exchange_now)
    is_flat = _is_flat(journal, filters.instrument)
    return Closing(guard.symbol, "; ".join(said), is_flat, doubts, is_flat or is_final)


def _is_flat(journal: Journal, instrument: Instrument) -> bool:
    return abs(traded_quantity(journal, instrument)) < instrument.step


def resume(guard: LiveGuard, journal: Journal, now_ms: int) -> str:
    """Go back to ACTIVE, taking the account as it is from now on."""
    was, reason = guard.state, guard.reason
    guard.resume(now_ms)
    accept_account(journal, guard.symbol, now_ms)
    guard.keep_flat(False)
    return f"{guard.symbol}: ACTIVE; was {was.name}{f' ({reason})' if reason else ''}"


def halt_to_close(guard: LiveGuard, now_ms: int) -> None:
    """Halt, and have what is held closed, at the next candle if it is not done before."""
    guard.escalate(RiskState.HALTED, "closed by hand", now_ms)
    guard.keep_flat(True)
