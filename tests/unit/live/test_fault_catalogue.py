"""Every fault in the table of docs/live.md has tests that carry its number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FILES = [
    *(ROOT / "tests/unit/live").glob("test_*.py"),
    *(ROOT / "tests/integration").glob("test_live_*.py"),
    *(ROOT / "tests/e2e" / name for name in ("test_run_live_bot.py", "test_server.py", "test_live_commands.py")),
    *(
        ROOT / "tests/unit" / name
        for name in (
            "execution/test_order_filters.py",
            "journal/test_journal.py",
            "journal/test_archive.py",
            "test_storage.py",
        )
    ),
    ROOT / "tests/integration/test_exchange.py",
    ROOT / "tests/support/live_scene.py",
]
FAULTS = {*range(1, 100)}


def numbers(tree: ast.AST) -> Iterator[int]:
    """Yield those of `def test_41_42_...` and of cases such as `"22 NaN": ...`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (found := re.match(r"test_((?:\d+_)+)", node.name)):
            yield from map(int, found[1].split("_")[:-1])
        if isinstance(node, ast.Dict):
            names = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            yield from (int(found[1]) for name in names if (found := re.match(r"(\d+) ", name)))


def test_the_table_holds_every_fault_once() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs/live.md").read_text(), flags=re.MULTILINE)
    assert [int(row) for row in rows] == sorted(FAULTS)


def test_every_fault_has_tests() -> None:
    tested = {number for path in FILES for number in numbers(ast.parse(path.read_text()))}
    assert FAULTS - tested == set()
