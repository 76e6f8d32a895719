"""Loading bars."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from src.config.base import require, require_known
from src.config.data import Adjust, DataConfig, DataSource, SyntheticConfig
from src.market import sources
from src.market.bars import BarSeries
from src.market.reading.frames import cut_by_date


def load_bars(
    symbol: str = "SP500",
    data: pd.DataFrame | str | Path | None = None,
    *,
    source: str | None = None,
    timeframe: str | None = None,
    start: str | None = None,
    end: str | None = None,
    columns: Mapping[str, str] | None = None,
    timezone: str | None = None,
    time_format: str | None = None,
    session: str | None = None,
    adjust: str = "auto",
    decimal: str | None = None,
    drop_defective: bool = False,
    length: int = 12_000,
    seed: int = 0,
) -> BarSeries:
    """Return closed candles of a market, checked as training checks them.

    Args:
        symbol: what the bars are called; without `data` also which of them: `SP500` or `NASDAQ` come with the
            installation.
        data: a table or a file (CSV, parquet, feather, JSON) of bars with time, open, high, low, close and volume.
        source: where bars come from without `data`: `embedded`, `synthetic` (markets `A`, `A4`, `B` and others, whose
            optimum is known) or `ccxt` (downloaded before, `timeframe` given).
        timeframe: length of a bar such as `1h`; inferred unless given.
        start, end: ISO dates in UTC; the first bar to use, and the first no longer used.
        columns: our column names to those of `data`, such as `{"open_time": "Date"}`; usual names are recognised.
        timezone: of times that name none, such as `America/New_York` or `+02:00`.
        time_format: how times are written, such as `%d/%m/%Y %H:%M`; guessed unless given.
        session: exchange of the bars, such as `NYSE`, or `24x7`.
        adjust: `auto`, `none` or `all`: whether adjusted prices are taken where `data` has them.
        decimal: sign between whole and fraction in text, `.` or `,`; decided by `data` unless given.
        drop_defective: leave out rows without a usable price instead of refusing them; nothing is filled.
        length: bars of a synthetic market.
        seed: of a synthetic market.

    Raises:
        DataError: the market is unknown, or the data cannot be used as it is; the message says why.
        ConfigError: an argument is unknown or impossible.

    Example:
        >>> bars = load_bars("SP500", start="2010-01-01")
        >>> bars = load_bars("BTC/USDT", "data/BTCUSDT_1h.parquet")
        >>> bars = load_bars("MINE", frame)  # a DataFrame
        >>> bars.to_frame()["close"].plot()
    """
    require(data is None or source is None, f"source={source} and data were both given; give one of them")
    is_table = isinstance(data, pd.DataFrame)
    name = source or ("embedded" if data is None or is_table else "files")
    require_known("source", [name], ["embedded", "synthetic", "ccxt", "files"])
    require_known("adjust", [adjust], [choice.value for choice in Adjust])
    config = DataConfig(
        source=DataSource(name),
        path=None if data is None or is_table else str(data),
        timeframe=timeframe,
        columns=dict(columns or {}),
        timezone=timezone,
        time_format=time_format,
        session=session,
        adjust=Adjust(adjust),
        decimal=decimal,
        drop_defective=drop_defective,
        start=start,
        end=end,
        synthetic=SyntheticConfig(bars=length),
    )
    if isinstance(data, pd.DataFrame):
        return cut_by_date(sources.read_table(data, symbol, config), start, end)
    return sources.load_bars(symbol, config, seed)
