"""Which benchmarks there are. Their files are read, not imported, so that a list takes no time."""

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent


class Benchmark(NamedTuple):
    """What a benchmark says of itself."""

    module: str  # what `python -m` runs
    shows: str  # the first line of its docstring: the question that it answers
    takes: str  # its TAKES: how long, on one core


def catalogue() -> list[Benchmark]:
    """Return every module below this folder that declares what it TAKES, folder by folder."""
    found = []
    for path in sorted(ROOT.glob("*/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id="TAKES")], value=ast.Constant(value=str(takes))):
                    shows = (ast.get_docstring(tree) or "").partition("\n")[0]
                    found.append(Benchmark(f"{ROOT.name}.{path.parent.name}.{path.stem}", shows, takes))
    return found
