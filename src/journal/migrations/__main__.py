"""Bring a database back to an older version: `python -m src.journal.migrations state/journal.db 9`."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from src.command_line import Parser, exit_code
from src.errors import ConfigError

_EXAMPLES = """\
examples:
  python -m src.journal.migrations state/journal.db 9       for an older program; this one undoes it when it starts
  python -m src.journal.migrations runs/trials.db 9"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _run(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m src.journal.migrations",
        description="Bring a journal or a database of trials back to an older version, if nothing is lost by it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="SQLite file")
    parser.add_argument("version", type=int, help="the schema version which the older program says it keeps")
    return parser


def _run(options: argparse.Namespace) -> int:
    from src.journal.database import Database
    from src.journal.schema import SCHEMA_VERSION
    from src.storage import locked

    path, version = options.file.resolve(), options.version
    if not path.exists():
        raise ConfigError(f"there is no database {path}; name a file, such as state/journal.db")
    if not 0 < version < SCHEMA_VERSION:
        raise ConfigError(
            f"the version must be in 1..{SCHEMA_VERSION - 1}, which are older than this program's, was {version}"
        )
    lock = locked(path.with_name(f"{path.name}.lock"), f"another process is working on {path}; stop it first")
    with lock, closing(Database(f"sqlite:///{path}")) as database:
        database.bring_back(version)
    print(f"{path} has schema version {version} now")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
