"""Where bars come from: a library, files, downloads, or a generated market. One call, `load_bars`.

Not here: file formats (`price_file.py`), what is defective (`market/quality`), timeframe and dates (`frames.py`),
generators (`known_markets.py`), downloading (`download.py`).
"""

import logging
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import pandas as pd

from src.config.data import DataConfig, DataSource
from src.errors import DataError
from src.market.bars import BarSeries, symbol_id
from src.market.embedded import embedded_symbols, load_embedded
from src.market.history.bar_store import BarStore
from src.market.quality.judging import judge_reading
from src.market.quality.verdict import Usability
from src.market.reading.files.raw_table import require_file
from src.market.reading.frames import bars_from_frame, cut_by_date
from src.market.reading.price_file import understand_file, understand_table
from src.market.reading.understanding import Reading
from src.market.synthetic.episodic_market import episodes_in_a_row
from src.market.synthetic.known_markets import SYNTHETIC_MARKETS, generate
from src.seeding import generator

logger = logging.getLogger(__name__)

_SYNTHETIC_TIMEFRAME = "1h"
_EPISODES = "D"
AS_FOUND = DataConfig()  # of a file: nothing is said about it


def load_bars(symbol: str, data: DataConfig, seed: int = 0) -> BarSeries:
    """Return the bars of a symbol, cut to [data.start, data.end). They carry the symbol as it was asked for.

    Args:
        seed: decides the path of a synthetic market; other sources ignore it.

    Raises:
        ConfigError: a date is not ISO.
        DataError: the symbol is unknown, or its data cannot be used as it is.
    """
    loaders = {
        DataSource.embedded: _embedded,
        DataSource.files: _from_file,
        DataSource.synthetic: _synthetic,
        DataSource.ccxt: _ccxt,
    }
    return cut_by_date(loaders[data.source](symbol, data, seed), data.start, data.end)


def require_source(symbol: str, data: DataConfig) -> None:
    """Refuse a symbol that `load_bars` finds nothing for, reading no bars.

    Raises:
        DataError: there is no such symbol, file or download.
    """
    if data.source is DataSource.embedded:
        _require_embedded(symbol)
    elif data.source is DataSource.synthetic:
        _synthetic_name(symbol)
    elif data.source is DataSource.ccxt:
        _downloads(symbol, data)
    else:
        require_file(_file_of(symbol, data))


def built_in_symbols(source: DataSource) -> list[str]:
    """Return the symbols that an installation brings with it; none where files are needed."""
    return {DataSource.embedded: embedded_symbols(), DataSource.synthetic: [*SYNTHETIC_MARKETS, _EPISODES]}.get(
        source, []
    )


def read_file(path: Path, symbol: str, data: DataConfig = AS_FOUND) -> BarSeries:
    """Read, judge and validate one price file; `price_file.understand_file` says which shapes are understood.

    What was guessed, and what the policy repairs or notes, is logged, once in a process.

    Args:
        data: how to read it; where it lies is not asked.

    Raises:
        DataError: the file is missing, unreadable, or holds data that cannot be used as it is.
    """
    return _judged(understand_file(path, data), symbol, data)


def read_table(table: pd.DataFrame, symbol: str, data: DataConfig = AS_FOUND) -> BarSeries:
    """Judge and validate a table of bars as `read_file` does a file.

    Raises:
        DataError: it holds data that cannot be used as it is.
    """
    return _judged(understand_table(table, f"table of {symbol}", data), symbol, data)


def _judged(reading: Reading, symbol: str, data: DataConfig) -> BarSeries:
    name = reading.understood.name
    try:
        judged = judge_reading(reading, symbol, data)
        if judged.verdict.outcome is Usability.refused:
            raise DataError(f"{symbol}: {' | '.join(judged.verdict.reasons)}")
        bars = bars_from_frame(judged.frame, symbol, data.timeframe)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    for remark in (*reading.understood.remarks, *judged.verdict.reasons, *judged.verdict.warnings):
        _remark(name, remark)
    return bars


@cache
def _remark(name: str, remark: str) -> None:
    # Several models are compared on one file, and say nothing new of it.
    logger.warning("%s: %s", name, remark)


def _from_file(symbol: str, data: DataConfig, _seed: int) -> BarSeries:
    return read_file(_file_of(symbol, data), symbol, data)


def _file_of(symbol: str, data: DataConfig) -> Path:
    assert data.path is not None, "DataConfig checks it"
    return Path(data.path.replace("{symbol}", symbol_id(symbol))).expanduser()


def _embedded(symbol: str, data: DataConfig, _seed: int) -> BarSeries:
    _require_embedded(symbol)
    return load_embedded(symbol, data.timeframe)


def _require_embedded(symbol: str) -> None:
    if symbol_id(symbol) not in embedded_symbols():
        raise DataError(_unknown(symbol, DataSource.embedded))


def _synthetic(symbol: str, data: DataConfig, seed: int) -> BarSeries:
    name = _synthetic_name(symbol)
    rng, timeframe = generator(seed, "market", name), data.timeframe or _SYNTHETIC_TIMEFRAME
    if name == _EPISODES:
        return episodes_in_a_row(data.synthetic.bars, rng, timeframe)
    return generate(name, data.synthetic.bars, rng, timeframe)


def _synthetic_name(symbol: str) -> str:
    name = symbol_id(symbol)
    if name not in built_in_symbols(DataSource.synthetic):
        raise DataError(_unknown(symbol, DataSource.synthetic))
    return name


def _ccxt(symbol: str, data: DataConfig, _seed: int) -> BarSeries:
    return _downloads(symbol, data).read()


def _downloads(symbol: str, data: DataConfig) -> BarStore:
    # What was downloaded before; training never waits for an exchange.
    assert data.timeframe is not None, "DataConfig checks it"
    store = BarStore(Path(data.path or "data").expanduser(), data.exchange, symbol, data.timeframe)
    if not store.coverage().complete:
        raise DataError(
            f"no downloaded bars of {symbol} in {store.folder}; download them with: python -m src.market.download"
            f" --exchange {data.exchange} --symbol {symbol} --timeframe {data.timeframe}"
            f" --start {data.start or '2020-01-01'}" + (f" --out {data.path}" if data.path else "")
        )
    return store


def _unknown(symbol: str, source: DataSource) -> str:
    valid = built_in_symbols(source)
    near = get_close_matches(symbol_id(symbol), valid, n=1, cutoff=0.4)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return f"symbol '{symbol}' is not in data.source={source.value}{hint} Valid: {', '.join(valid)}"
