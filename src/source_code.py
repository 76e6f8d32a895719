"""Which source some code rests on: what makes two runs, or a model and a plug-in, the same code.

Files are read, never run: nothing is imported that was not imported before.
"""

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec, resolve_name
from pathlib import Path


def code_of(modules: Iterable[str], is_own: Callable[[Path], bool]) -> dict[str, ast.Module]:
    """Return, by module name, what modules say and what all they import say, at any depth and in any function.

    Comments and docstrings are left out, and so is what is imported for the sake of types alone.

    Args:
        is_own: says of a file whether it counts; what it imports is followed only if so.
    """
    found: dict[str, ast.Module] = {}
    waiting = [*modules]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is not None and is_own(path):
            found[name] = ast.parse(path.read_bytes())
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            new = set(_imported_by(found[name], package)) - seen
            seen |= new
            waiting.extend(new)
    return found


def hash_of(code: Mapping[str, ast.Module]) -> str:
    """Return the sha256 of modules, of their names and what they say."""
    digest = hashlib.sha256()
    for name, tree in sorted(code.items()):
        digest.update(f"{name} {ast.dump(tree, annotate_fields=False)}\n".encode())
    return digest.hexdigest()


def _file_of(module: str) -> Path | None:
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # a module without a spec, such as the one Python was started with
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin).resolve() if spec.origin is not None and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *rest)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file.resolve()
    return None


def _imported_by(tree: ast.Module, package: str) -> Iterator[str]:
    # All that may be a module: of `from a.b import c` a, a.b and a.b.c.
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            base = resolve_name(base, package) if node.level else base
            for alias in node.names:
                yield from _with_packages(f"{base}.{alias.name}")


def _with_packages(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    # Of a module, class, function or block, at any depth, taking docstrings and what is there for types alone out of
    # it on the way. Expressions hold no imports and are not looked into.
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        inner = getattr(node, block, None)
        if isinstance(inner, list):
            inner[:] = [statement for statement in inner if not _says_nothing(statement)]
            for statement in inner:
                yield statement
                yield from _statements(statement)


def _says_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
