"""Show what a price file is taken for, before anything is trained on it: `python -m src.market.look FILE`.

What is shown is what `run_training.py` would read with the same settings. Exit codes: 0 the bars can be used, 2 the
file is refused or there is none.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import Parser, exit_code
from src.config.data import DataConfig, DataSource
from src.config.load import load_training_config
from src.errors import ConfigError, DataError
from src.market.file_summary import LABEL, Line, lines_of_judgement, lines_of_reading, lines_of_table, print_lines
from src.market.quality.judging import judge_reading
from src.market.quality.verdict import Usability
from src.market.reading.files.raw_table import require_file, table_of_file
from src.market.reading.frames import bars_from_frame
from src.market.reading.price_file import understand_file

_EXAMPLES = """examples:
  python -m src.market.look prices.csv
  python -m src.market.look prices.csv data.timezone=America/New_York
  python -m src.market.look prices.csv "data.columns={close: Settle}" --out prices.png
  python -m src.market.look all.csv symbol=AAA "data.columns={symbol: Ticker}"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return exit_code(lambda: _look(_parser().parse_args(arguments)))


def _look(options: argparse.Namespace) -> int:
    path: Path = options.file.expanduser()
    symbol, data = _settings(options.settings, path)
    out = _picture_of(path, options.out)
    require_file(path)
    try:
        reading = understand_file(path, data)
    except DataError as error:
        return _refused(_as_it_stands(path), error, path)
    lines = lines_of_reading(reading)
    try:
        judged = judge_reading(reading, symbol, data)
        if judged.verdict.outcome is not Usability.refused:
            bars_from_frame(judged.frame, symbol, data.timeframe)
    except DataError as error:
        return _refused(lines, error, path)
    print_lines([*lines, *lines_of_judgement(judged)])
    from src.market.file_picture import draw_picture  # loads matplotlib

    draw_picture(judged, path.name, out)
    print_lines([Line("picture", (str(out),))])
    if judged.verdict.outcome is Usability.refused:
        return DataError.exit_code
    print_lines([Line("next", (f"{'next':{LABEL}s}{_next_command(path, options.settings)}",), is_verbatim=True)])
    return 0


def _as_it_stands(path: Path) -> list[Line]:
    try:
        return lines_of_table(table_of_file(path), path.name)
    except DataError:  # it is no table, as the refusal says
        return [Line("file", (path.name,))]


def _refused(lines: list[Line], error: DataError, path: Path) -> int:
    reasons = str(error).removeprefix(f"{path.name}: ").split(" | ")
    print_lines([*lines, Line("refused", tuple(reasons))])
    return error.exit_code


def _picture_of(path: Path, out: Path | None) -> Path:
    if out and not out.parent.is_dir():
        raise ConfigError(f"--out names the folder {out.parent}, which is not there; make it, or name another")
    return out or Path(f"{_stem(path)}_look.png")


def _settings(overrides: Sequence[str], path: Path) -> tuple[str, DataConfig]:
    # Without a symbol, the file's name stands for one.
    others = [one for one in overrides if not one.startswith(("data.", "symbol="))]
    if others:
        raise ConfigError(f"'{others[0]}' does not say how a file is read; name settings of data, or symbol=")
    config = load_training_config(overrides)
    return config.symbol if _names_symbol(overrides) else _stem(path), config.data


def _names_symbol(overrides: Sequence[str]) -> bool:
    return any(one.startswith("symbol=") for one in overrides)


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _next_command(path: Path, settings: Sequence[str]) -> str:
    symbol = [] if _names_symbol(settings) else [f"symbol={_stem(path)}"]
    source = f"data.source={DataSource.files.value}"
    return shlex.join(["python", "run_training.py", *symbol, source, f"data.path={path}", *settings, "--dry-run"])


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
