"""Download an exchange's history into the store: `python -m src.market.download --exchange binance --symbol BTC/USDT
--timeframe 1h --start 2024-01-01`.

The same command resumes after a kill, and extends a finished download later. Exit codes: 0 done, 2 refused or failed
with one sentence, 130 interrupted.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from src.command_line import exit_code
from src.errors import TraderError

DEFAULT_ROOT = Path("data")


def main(arguments: Sequence[str] | None = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _run(options, sleep), "download interrupted; the same command resumes it")


def _run(options: argparse.Namespace, sleep: Callable[[float], None]) -> int:
    from rich.console import Console

    from src.market.history.filling import download

    console = Console(highlight=False, soft_wrap=True)
    try:
        console.print(download(options, console, sleep), markup=False)
    except TraderError as error:
        console.print(f"download failed: {error}", markup=False)
        return 2
    except OSError as error:
        console.print(f"download failed: cannot write to {options.out} ({error}); free space or choose --out")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m src.market.download", description="Download bars of an exchange.")
    parser.add_argument("--exchange", required=True, help="as ccxt spells it: binance, kraken, ...")
    parser.add_argument("--symbol", required=True, help="BTC/USDT, or BTC/USDT:USDT for a swap")
    parser.add_argument("--timeframe", required=True, help="1m, 1h, 1d, ...")
    parser.add_argument("--start", required=True, help="first opening time, ISO, UTC without a zone")
    parser.add_argument("--end", help="opening time to stop before; by default all bars that have closed")
    parser.add_argument("--out", type=Path, default=DEFAULT_ROOT, help="root of the store (default: data)")
    parser.add_argument(
        "--drop-defective", action="store_true", help="leave out bars without a usable price instead of refusing them"
    )
    parser.add_argument("--base-url", help="another server on this machine, for tests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
