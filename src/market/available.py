"""`available_data`: which bars there are to trade, without reading any of them."""

import json
from pathlib import Path

from src.config.data import DataSource
from src.market.sources import built_in_symbols

_FILES = (".csv", ".parquet", ".json")


def available_data(folder: Path) -> dict[str, list[str]]:
    """Return symbols, or files, by the setting that leads to them.

    Args:
        folder: of downloads and price files; it need not exist.
    """
    found = {f"data.source={source.value}": built_in_symbols(source) for source in DataSource}
    found[f"data.source={DataSource.ccxt.value}"] = [
        _download(path) for path in sorted(folder.glob("*/*/coverage.json"))
    ]
    found["--data FILE"] = [str(path) for path in sorted(folder.glob("*")) if path.suffix in _FILES]
    return found


def _download(coverage: Path) -> str:
    # Its symbol, timeframe and exchange; the folder where the file does not say so.
    exchange = coverage.parent.parent.name
    try:
        plain = json.loads(coverage.read_bytes())
        return f"{plain['symbol']} {plain['timeframe']} ({exchange})"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{coverage.parent.name} ({exchange})"
