"""Daily prices that installed packages bring along: two indices and five shares, which make the panel `US5`.

A bar opens at 00:00 UTC of its day and counts as closed a day later, after the exchange has closed.

Indices, 1999 to 2018, from `arch`. Known quirks: the S&P 500 opens exactly at the prior close on 95 to 98 % of days
from 1999 to 2005 (43 % in 2006, few later), so an overnight gap is invisible there; the Nasdaq has two days of zero
volume.

Shares, March 2000 to March 2013, from `bokeh_sampledata` (public domain, Quandl's WIKI prices): AAPL, IBM and MSFT;
GOOG from August 2004, FB from May 2012. Prices are adjusted for splits and dividends by the ratio of the source's
adjusted to its raw close, volumes so that a day's turnover in dollars stays what it was. No candle is impossible.
"""

from typing import TYPE_CHECKING

import numpy as np

from src.command_line import not_installed
from src.errors import ConfigError, DataError
from src.market.bars import PRICE_COLUMNS, BarSeries, symbol_id
from src.market.panel import Panel, SymbolFacts
from src.market.quality.bar_lengths import common_step
from src.market.reading.frames import require_timeframe

if TYPE_CHECKING:
    import pandas as pd

INDICES = {"SP500": "sp500", "SPX": "sp500", "GSPC": "sp500", "NASDAQ": "nasdaq", "IXIC": "nasdaq", "COMP": "nasdaq"}
US5 = "US5"
SECTORS = {  # as the Global Industry Classification Standard has put them since 2018
    "AAPL": "Information Technology",
    "FB": "Communication Services",
    "GOOG": "Communication Services",
    "IBM": "Information Technology",
    "MSFT": "Information Technology",
}


def embedded_symbols() -> list[str]:
    """Return what can be loaded, panels apart."""
    return [*INDICES, *SECTORS]


def load_embedded(symbol: str, timeframe: str | None) -> BarSeries:
    """Return the daily bars of an index or a share, under the symbol as it was asked for.

    Args:
        timeframe: `1d`, or None for the same.

    Raises:
        DataError: the bars are of another length.
        ConfigError: it is a share, and the package with its prices is not installed.
    """
    name = symbol_id(symbol)
    columns = _share(name) if name in SECTORS else _index(name)
    bars = BarSeries(symbol, timeframe or "1d", *columns)
    require_timeframe(bars, common_step(bars.open_time))
    return bars


def load_embedded_panel(name: str, timeframe: str | None) -> Panel:
    """Return the panel of an embedded name; there is one, `US5`.

    Raises:
        DataError, ConfigError: as for its symbols, or there is no such panel.
    """
    if symbol_id(name) != US5:
        raise DataError(f"there is no embedded panel '{name}'. Valid: {US5}")
    facts = {symbol: embedded_facts(symbol) for symbol in SECTORS}
    return Panel.of(name, [load_embedded(symbol, timeframe) for symbol in SECTORS], facts)


def embedded_facts(symbol: str) -> SymbolFacts:
    """Return what is known of an index or a share; indices have no sector."""
    return SymbolFacts(SECTORS.get(symbol_id(symbol), ""), "USD", "XNYS")


def _index(name: str) -> "list[np.ndarray]":
    from arch.data import nasdaq, sp500

    frame = {"sp500": sp500, "nasdaq": nasdaq}[INDICES[name]].load()
    times = frame.index.to_numpy().astype("datetime64[ms]").astype(np.int64)
    return [times, *(frame[column].to_numpy(np.float64) for column in ("Open", "High", "Low", "Close", "Volume"))]


def _share(name: str) -> "list[np.ndarray]":
    frame = _shares()
    rows = frame[frame["ticker"] == name]
    times = rows["date"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    factor = (rows["adj_close"] / rows["close"]).to_numpy(np.float64)
    prices = [rows[column].to_numpy(np.float64) * factor for column in PRICE_COLUMNS]
    return [times, *prices, rows["volume"].to_numpy(np.float64) / factor]


def _shares() -> "pd.DataFrame":
    try:
        from bokeh_sampledata import stocks
    except ImportError as error:
        raise ConfigError(f"the shares of {US5} lie in a package: {not_installed('bokeh_sampledata')}") from error
    frame: pd.DataFrame = stocks.data
    return frame
