"""What `run_backtest.py` shows and leaves behind: progress, the line above its tables, and the folder of a report."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from src.errors import ConfigError

if TYPE_CHECKING:  # what is heavy is imported where it is used: refusals answer at once
    from src.reporting.terminal.progress import RunProgress


@contextmanager
def progress_of(options: argparse.Namespace) -> "Iterator[RunProgress]":
    """Say what is under way, where there is a terminal or it is asked for."""
    from src.reporting.terminal.log_lines import set_up_logging, terminal
    from src.reporting.terminal.progress import RunProgress

    if options.progress:
        set_up_logging()
    with RunProgress(options.progress or terminal().is_terminal) as progress:
        progress.step("loading libraries")
        yield progress


def headline(what: str, options: argparse.Namespace, bars: int, period: tuple[str, str]) -> str:
    """Say what was traded, on which bars."""
    return f"{what}, {options.split} split of {options.symbol}: {bars} bars, {period[0]} to {period[1]}"


class Written(NamedTuple):
    """Where a report is, and where one of something else that had its folder is now."""

    folder: Path
    earlier: Path | None

    def say(self, page: str) -> None:
        """Print both."""
        from src.reporting.terminal.plain_output import say

        say(f"report: {self.folder / page}")
        if self.earlier is not None:
            say(f"the report of something else that was there: {self.earlier / page}")


def write_report_folder(
    options: argparse.Namespace,
    label: str,
    write_folder: Callable[[Path], object],
    write_json: Callable[[Path], object],
) -> Written:
    """Write the folder of a report, and the summary where `--json` wants it; an error leaves nothing half-written.

    Raises:
        ConfigError: it cannot be written there.
    """
    from src.market.bars import symbol_id
    from src.reporting.earlier_report import keep_earlier
    from src.storage import draft_folder

    folder: Path = options.report or Path("reports") / f"{symbol_id(options.symbol)}_{label}_{options.split}"
    try:
        with draft_folder(folder) as draft:
            write_folder(draft)
            if options.json is not None:
                write_json(options.json)
            kept = keep_earlier(folder, draft) if options.report is None else None
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {folder} ({error}); name another with --report") from error
    return Written(folder, kept)
