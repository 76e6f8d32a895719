"""A run is another one if what it learns may differ: not for a comment, nor for what only reports, or trades, it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src.runs.run_folder import code_version, run_id
from tests.support.plugin_modules import write_plugin

ROOT = Path(__file__).resolve().parents[3]

# Edits copies of files, one after the other, and prints the version of the code that each makes.
SCRIPT = """
import ast, json, sys
from pathlib import Path
from src.runs.run_folder import code_version

def other_number(text):
    constants = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    numbers = [node for node in constants if type(node.value) in (int, float)]
    first = min(numbers, key=lambda node: (node.lineno, node.col_offset))
    lines = text.splitlines(keepends=True)
    line = lines[first.lineno - 1].encode()
    lines[first.lineno - 1] = (line[:first.col_offset] + b"987" + line[first.end_col_offset:]).decode()
    return "".join(lines)

def other_docstring(text):
    tree = ast.parse(text)
    first = tree.body[0]
    return "'''Something else.'''\\n" + "".join(text.splitlines(keepends=True)[first.end_lineno:])

edits = {"comment": lambda text: text + "\\n# a comment\\n", "docstring": other_docstring, "number": other_number}
versions = {"as it is": code_version()}
for edit, name in json.loads(sys.argv[1]):
    path = Path("src", name)
    text = path.read_text()
    path.write_text(edits[edit](text))
    assert path.read_text() != text
    versions[f"{edit} {name}"] = code_version.__wrapped__()
    path.write_text(text)
print(json.dumps(versions))
"""

SAME = (
    ("comment", "models/core_transformer.py"),
    ("docstring", "trading/session.py"),
    ("number", "live/trader.py"),
    ("number", "reporting/html/canvas.py"),
    ("number", "reporting/terminal/progress.py"),
)
OTHER = (
    ("number", "models/core_transformer.py"),
    ("number", "trading/rules.py"),
    ("number", "config/stages/learning.py"),
    ("number", "training/population/member_trainer.py"),
)


def versions(folder: Path, edits: list[tuple[str, str]], seed: int) -> dict[str, str]:
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", SCRIPT, json.dumps(edits)]
    output = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(output.stdout)
    return found


def test_only_what_training_computes_makes_another_run(tmp_path: Path) -> None:
    found = versions(tmp_path, [*SAME, *OTHER], seed=1)
    here = found.pop("as it is")
    assert {edit: version == here for edit, version in found.items()} == {
        **{" ".join(edit): True for edit in SAME},
        **{" ".join(edit): False for edit in OTHER},
    }
    assert here == code_version()  # in another process, with another seed of hashes, in another folder


def test_a_plug_in_is_part_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(text: str) -> str:
        code_version.cache_clear()
        return run_id("a", "b", [write_plugin(tmp_path, monkeypatch, "mine", text)])

    one = identity("FACTOR = 1\n")
    assert one != run_id("a", "b")
    assert identity("FACTOR = 1  # a comment\n") == one
    assert identity("FACTOR = 2\n") != one
