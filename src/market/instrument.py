"""`Instrument`: what is traded, as whoever trades it defines it; and the one place where a symbol is taken apart."""

from dataclasses import dataclass
from decimal import Decimal

ROUND_THE_CLOCK = "24/7"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market.

    Attributes:
        symbol: as its broker or exchange spells it, `BTC/USDT`.
        base: what is bought and sold.
        quote: what it is paid in.
        calendar: when it trades: `24/7`, or the code of an exchange with sessions, `XNYS`.
        step: amounts are multiples of it.
        tick: prices are multiples of it.
    """

    symbol: str
    base: str
    quote: str
    calendar: str
    step: Decimal
    tick: Decimal


def base_and_quote(symbol: str) -> tuple[str, str]:
    """Return the two coins of a symbol: `BTC` and `USDT` of `BTC/USDT`; quote is empty where none is named."""
    base, _, quote = symbol.split(":")[0].partition("/")
    return base, quote
