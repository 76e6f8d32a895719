"""Every public function of `src` that takes or returns arrays says which shapes they have.

A shape stands in the docstring, or in a comment beside the signature: `(T,)`, `(B, T, F)`, `(...)`, `(N, window)`.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARRAYS = {"NDArray", "ndarray", "Tensor"}

_TERM = r"(?:\d+ )?(?:\d+|[A-Z]|[a-z_][a-z_.]*)"  # 2, T, rows, 2 Q
_SIZE = rf"(?:\.\.\.|\*shape|{_TERM}(?: ?[-+·*/] ?{_TERM})*)"
_SHAPE = re.compile(rf"\(({_SIZE}(?:, {_SIZE})*),\)|\(({_SIZE}(?:, {_SIZE})+)\)|\((\.\.\.)\)|(?<= )\(\)")
_LETTER = re.compile(r"\b[A-Z]\b|\b[a-z]\b|\d|\.\.\.")


def names_shape(text: str) -> bool:
    """A tuple of words alone is no shape: one size at least is a letter, a number or `...`."""
    return any(
        found[2] is None or _LETTER.search(found[2]) is not None for found in _SHAPE.finditer(" ".join(text.split()))
    )


def array_names(tree: ast.Module, known: dict[str, set[str]]) -> set[str]:
    """Names under which a module knows arrays: those of numpy and torch, and its own and others' aliases of them."""
    names = set(ARRAYS)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in known:
            names |= {alias.name for alias in node.names} & known[node.module]
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and holds(node.value, names):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def holds(annotation: ast.expr, names: set[str]) -> bool:
    words = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]
    quoted = [node.value for node in ast.walk(annotation) if isinstance(node, ast.Constant)]
    words += [word for text in quoted if isinstance(text, str) for word in re.findall(r"\w+", text)]
    return not names.isdisjoint(words)


def public_functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{node.name}.")
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__call__"):
            yield prefix + node.name, node


def takes_or_returns(function: ast.FunctionDef, names: set[str]) -> bool:
    own = function.args
    arguments = [*own.posonlyargs, *own.args, *own.kwonlyargs, *([own.vararg] if own.vararg else [])]
    annotations = [argument.annotation for argument in arguments] + [function.returns]
    is_array_function = any(argument.arg == "xp" for argument in arguments)  # of any array library
    return is_array_function or any(annotation and holds(annotation, names) for annotation in annotations)


def documentation(function: ast.FunctionDef, lines: list[str]) -> str:
    signature = lines[function.lineno - 1 : function.body[0].lineno - 1]
    comments = [line.partition("#")[2] for line in signature]
    return "\n".join([ast.get_docstring(function) or "", *comments])


def without_shapes(source: str, known: dict[str, set[str]]) -> list[str]:
    tree, lines = ast.parse(source), source.splitlines()
    names = array_names(tree, known)
    return [
        name
        for name, function in public_functions(tree.body)
        if takes_or_returns(function, names) and not names_shape(documentation(function, lines))
    ]


@cache
def aliases() -> dict[str, set[str]]:
    """Array aliases of every module by its name; those made of an imported alias are found in the second round."""
    trees = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
        for path in ROOT.glob("src/**/*.py")
    }
    known: dict[str, set[str]] = {}
    for _ in range(2):
        known = {module: array_names(tree, known) - ARRAYS for module, tree in trees.items()}
    return known


@pytest.mark.parametrize("package", sorted(path.name for path in (ROOT / "src").iterdir() if path.is_dir()))
def test_every_public_array_function_names_its_shapes(package: str) -> None:
    known = aliases()
    files = sorted((ROOT / "src" / package).glob("**/*.py"))
    missing = {str(path.relative_to(ROOT)): without_shapes(path.read_text(), known) for path in files}
    assert {path: names for path, names in missing.items() if names} == {}


@pytest.mark.parametrize(
    "text",
    ["closes (T,)", "(B, T, F) -> (B, T - context, D)", "(...) of any", "a scalar, ()", "(rows, k)", "(N, S·H)"],
)
def test_shapes_are_recognised(text: str) -> None:
    assert names_shape(text)


@pytest.mark.parametrize("text", ["", "(T - 1)", "after Wilder (1978)", "(Wilder, 1978)", "(up, down)", "f()"])
def test_other_parentheses_are_no_shapes(text: str) -> None:
    assert not names_shape(text)


SNIPPET = '''
from src.market.bars import FloatArray
Weights = dict[str, Tensor]

def silent(close: FloatArray) -> float:
    """Return the mean."""

def told(close: FloatArray) -> float:
    """Return the mean of closes (T,)."""

def commented(
    close: FloatArray,  # (T,)
) -> float: ...

def of_an_alias(weights: Weights) -> None: ...

def of_any_library(xp: ModuleType, target: Any) -> Any: ...

def of_no_array(bars: int) -> int: ...

def _private(close: FloatArray) -> None: ...

class Head:
    def forward(self, x: "Tensor") -> None: ...
'''


def test_functions_without_shapes_are_found() -> None:
    found = without_shapes(SNIPPET, {"src.market.bars": {"FloatArray"}})
    assert found == ["silent", "of_an_alias", "of_any_library", "Head.forward"]
