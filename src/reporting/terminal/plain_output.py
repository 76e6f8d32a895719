"""Standard output for people: how wide it is, and labelled lines on it. Light, for what must answer at once."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.reporting.model_contents import Section

_PLAIN_WIDTH = 160  # where no terminal says how wide it is, nothing is cut off


def standard_output() -> Console:
    """Return a console on standard output for wide tables."""
    return Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def say(line: str) -> None:
    """Print a line on standard output as it is, however long."""
    standard_output().print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_sections(sections: Iterable[Section], console: Console | None = None) -> None:
    """Print labelled lines under their headings on standard output, labels aligned throughout."""
    out, found = console or standard_output(), list(sections)
    width = max((len(label) for section in found for label, _ in section.rows), default=0)
    for section in found:
        table = Table(title=section.title, title_justify="left", title_style="bold", show_header=False, box=None)
        table.add_column(min_width=width, no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in section.rows:
            table.add_row(Text(label), Text(text))
        out.print(table)
        out.print()
