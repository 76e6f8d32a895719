"""What README and docs/ show as code: what a reader may type, or open."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TO_FILL_IN = re.compile(r"…|\.\.\.|FOLDER|NAME\b")  # marks a command that the reader has to complete

_FENCED = re.compile(r"^```\w*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def documented_code() -> list[tuple[Path, str]]:
    """Return every line of a block of code and every span of code, with its page."""
    return [(page, code) for page in PAGES for code in _code_of(page)]


def _code_of(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")  # a line that goes on in the next
    for block in _FENCED.findall(text):
        yield from block.splitlines()
    rest = _FENCED.sub("", text)
    yield from re.findall(r"^ {4}(\S.*)$", rest, flags=re.MULTILINE)
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", rest))
