"""What all symbols of a bot are worth together: only amounts of one currency are added."""

from collections.abc import Iterable

from src.live.trader import Trader
from src.market.instrument import base_and_quote


def equity_by_currency(traders: Iterable[Trader]) -> dict[str, float]:
    """Return the summed equity of those that have processed a candle, by the currency they are quoted in."""
    totals: dict[str, float] = {}
    for trader in traders:
        if trader.view.last_close:
            currency = base_and_quote(trader.symbol)[1]
            totals[currency] = totals.get(currency, 0.0) + trader.view.equity
    return totals
