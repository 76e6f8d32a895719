"""How fast are price files read?

Two million bars of a minute as CSV, made for the run and deleted after it, one thread. Every line is bars per second of
processor time and the ratio to `pandas.read_csv` of the same file, which reads text and numbers and nothing else: no
layout, columns, zone nor adjustments to find out, and no bars to check. The best of three rounds counts.
"""

import resource
import tempfile
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import best_rates, command_line, counted, print_rates, run_benchmark
from src.config.data import DataConfig
from src.market.reading.price_file import understand_file
from src.market.sources import read_file
from src.seeding import generator

TAKES = "1 min"

BARS, ROUNDS = 2_000_000, 3


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print one line per way to read, and the most memory that any of them took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "minutes.csv"
        write_minutes(path)
        runs = {
            "pandas.read_csv": counted(lambda: pd.read_csv(path), BARS),
            "raw frame, layout and columns found": counted(lambda: understand_file(path, DataConfig()), BARS),
            "bars, every row judged": counted(lambda: read_file(path, "X"), BARS),
        }
        print_rates(best_rates(runs, ROUNDS), "bars/s")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def write_minutes(path: Path) -> None:
    """Write candles of a random walk with ISO times."""
    rng = generator(0, "benchmark")
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, BARS)))
    opened = np.concatenate([[100.0], close[:-1]])
    wicks = 1.0 + np.abs(rng.normal(0.0, 2e-4, (2, BARS)))
    table = {
        "open_time": pd.date_range("2020-01-01", periods=BARS, freq="1min"),
        "open": opened,
        "high": np.maximum(opened, close) * wicks[0],
        "low": np.minimum(opened, close) / wicks[1],
        "close": close,
        "volume": rng.uniform(0.0, 100.0, BARS),
    }
    pd.DataFrame(table).to_csv(path, index=False, float_format="%.4f")


if __name__ == "__main__":
    run_benchmark(parser(), main)
