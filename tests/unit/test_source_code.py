"""Code is what it says: comments, docstrings and types aside, and whatever it imports of one's own."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from src.source_code import code_of, hash_of

Write = Callable[..., str]

ENTRY = '''
"""What this is."""
from typing import TYPE_CHECKING

from .helper import price
if TYPE_CHECKING:
    from .types_only import Name

class Trade:
    """A trade."""

    size: int = 1
    """How large."""

def later(name: "Name") -> float:
    """Return it."""
    import OTHER.deep as deep  # at any depth
    return price() + deep.COST
'''


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.syspath_prepend(tmp_path)
    package, other = (tmp_path / f"{name}_{tmp_path.name}" for name in ("package", "other"))

    def write(**changed: str) -> str:
        texts = {
            package / "__init__.py": "",
            package / "entry.py": changed.get("entry", ENTRY).replace("OTHER", other.name),
            package / "helper.py": changed.get("helper", "import json\ndef price():\n    return 2\n"),
            package / "types_only.py": changed.get("types_only", "Name = str\n"),
            package / "aside.py": changed.get("aside", "x = 1\n"),
            other / "__init__.py": "",
            other / "deep.py": changed.get("deep", "COST = 3\n"),
        }
        for path, text in texts.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return f"{package.name}.entry"

    return write


def hash_at(module: str, folder: Path) -> str:
    return hash_of(code_of([module], lambda path: path.is_relative_to(folder)))


def test_what_is_reached_is_found_in_packages_functions_and_by_relative_names(write: Write, tmp_path: Path) -> None:
    found = code_of([write()], lambda path: path.is_relative_to(tmp_path))
    names = {name.replace(f"_{tmp_path.name}", "") for name in found}
    assert names == {"package.entry", "package", "package.helper", "other", "other.deep"}


@pytest.mark.parametrize(
    "change",
    [
        {"entry": ENTRY.replace("What this is", "What that was")},
        {"entry": ENTRY.replace("A trade", "One trade").replace("How large", "Its size").replace("Return it", "...")},
        {"entry": ENTRY.replace("at any depth", "deeper")},
        {"entry": ENTRY.replace("price() +", "(price()\n            +").replace("deep.COST", "deep.COST)")},
        {"helper": "import json\n\n\ndef price():\n    '''Two.'''\n    return 2  # as ever\n"},
        {"aside": "x = 2\n"},
        {"types_only": "Name = int\n"},
    ],
)
def test_what_changes_no_meaning_changes_no_hash(change: dict[str, str], write: Write, tmp_path: Path) -> None:
    before = hash_at(write(), tmp_path)
    assert hash_at(write(**change), tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        {"entry": ENTRY.replace("size: int = 1", "size: int = 2")},
        {"helper": "import json\ndef price():\n    return 2.0\n"},
        {"helper": "import json\ndef price():\n    return '''2'''\n"},
        {"deep": "COST = 4\n"},
        {"deep": "COST = 3\nif COST:\n    COST = -3\n"},
    ],
)
def test_another_meaning_is_another_hash(change: dict[str, str], write: Write, tmp_path: Path) -> None:
    before = hash_at(write(), tmp_path)
    assert hash_at(write(**change), tmp_path) != before


def test_a_branch_that_runs_without_types_counts() -> None:
    code = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    x = 1\nelse:\n    x = 2\n"
    assert hash_of({"a": ast.parse(code)}) != hash_of({"a": ast.parse(code.replace("2", "3"))})
