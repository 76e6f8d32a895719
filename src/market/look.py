"""Show what a price file is taken for, before anything is trained on it: `python -m src.market.look FILE`.

What is shown is what `run_training.py` would read with the same settings. Exit codes: 0 the bars can be used, 2 the
file is refused or there is none.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import Parser, exit_code

_EXAMPLES = """examples:
  python -m src.market.look prices.csv
  python -m src.market.look prices.csv data.timezone=America/New_York
  python -m src.market.look prices.csv "data.columns={close: Settle}" --out prices.png
  python -m src.market.look all.csv symbol=AAA "data.columns={symbol: Ticker}"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return exit_code(lambda: _run(_parser().parse_args(arguments)))


def _run(options: argparse.Namespace) -> int:
    from src.market.file_look import look_at

    return look_at(options.file.expanduser(), options.settings, options.out)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m src.market.look",
        description="Show what a price file is taken for, and what is wrong with it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, parquet, feather or JSON")
    parser.add_argument("settings", nargs="*", metavar="data.KEY=VALUE", help="how to read it, where a guess is wrong")
    parser.add_argument(
        "--out", type=Path, metavar="PNG", help="where the picture goes; by default NAME_look.png, here"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
