"""`look_at`: what a price file is taken for, as `python -m src.market.look` shows it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from src.config.data import DataConfig, DataSource
from src.errors import ConfigError, DataError
from src.market.file_summary import LABEL, Line, lines_of_judgement, lines_of_reading, lines_of_table, print_lines
from src.market.quality.judging import judge_reading
from src.market.quality.verdict import Usability
from src.market.reading.files.raw_table import require_file, table_of_file
from src.market.reading.frames import bars_from_frame
from src.market.reading.price_file import understand_file


def look_at(path: Path, settings: Sequence[str], picture: Path | None) -> int:
    """Print what a price file is taken for and draw it; returns the exit code.

    Args:
        path: of the file.
        settings: overrides of `data`, and perhaps `symbol=`.
        picture: where to draw it; by default `NAME_look.png`, here.

    Raises:
        ConfigError: a setting is unknown or impossible, or the picture has no folder.
        DataError: there is no such file.
    """
    symbol, data = _settings(settings, path)
    out = _picture_of(path, picture)
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
    print_lines([Line("next", (f"{'next':{LABEL}s}{_next_command(path, settings)}",), is_verbatim=True)])
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
    from src.config.load import load_training_config  # loads hydra

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
