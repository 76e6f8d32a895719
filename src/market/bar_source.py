"""`BarSource`: where closed bars come from as time goes by: an exchange, a broker, a recording."""

from typing import Protocol

import pandas as pd


class BarSource(Protocol):
    """Bars of one market, a page at a time; `market.history.exchange_bars.ExchangeBars` in earnest."""

    symbol: str
    timeframe: str
    step_ms: int

    def now(self) -> int:
        """Return the source's time in UTC milliseconds, by which bars close.

        Raises:
            DataError: it does not answer.
        """
        ...

    def page(self, since: int) -> pd.DataFrame:
        """Return the next bars that open at or after `since`, judged and in order; empty if there are none.

        The last may be still forming: leave out what has not closed by `now`.

        Raises:
            DataError: it does not answer, or keeps sending what cannot be bars.
        """
        ...
