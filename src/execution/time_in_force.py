"""`TimeInForce`: how long an order stands, by the names exchanges and ccxt use."""

from enum import StrEnum


class TimeInForce(StrEnum):
    """What happens to the part of an order that does not trade at once."""

    IOC = "IOC"  # immediate or cancel: it lapses
    GTC = "GTC"  # good till cancelled: it rests in the book
    POST_ONLY = "PO"  # it rests, and the order is refused if any of it would trade at once

    @property
    def rests(self) -> bool:
        """Whether a part of it may be left in the book."""
        return self is not TimeInForce.IOC
