"""List runs, models and reports, or show one: `python -m src.runs`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import Parser, exit_code

_EXAMPLES = """\
examples:
  python -m src.runs                          every run, model and report
  python -m src.runs --symbol BTC/USDT        those of one market
  python -m src.runs SP500_0123456789ab       one run, stage by stage; or the name of a model file or a report"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _run(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m src.runs",
        description="List what was trained and tested, also while a run is going on.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="show this run, model file or report")
    parser.add_argument("--symbol", help="only what belongs to this market")
    parser.add_argument("--runs", type=Path, metavar="DIR", default=Path("runs"), help="where runs are")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", default=Path("checkpoints"), help="where models are")
    parser.add_argument("--reports", type=Path, metavar="DIR", default=Path("reports"), help="where reports are")
    return parser


def _run(options: argparse.Namespace) -> int:
    from src.runs.listing import Places, show, show_one

    places = Places(options.runs, options.checkpoints, options.reports)
    if options.name is not None:
        show_one(options.name, places)
    else:
        show(places, options.symbol)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
