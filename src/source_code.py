"""Which source files some code rests on: what makes two runs, or a model and a plug-in, the same code.

Files are read, never run: nothing is imported that was not imported before.
"""

import ast
import hashlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path


def sources_of(module: str, is_own: Callable[[Path], bool]) -> dict[str, Path]:
    """Return, by module name, the file of a module and those of all it imports, at any depth and in any function.

    Args:
        is_own: says of a file whether it counts; what it imports is followed only if so.
    """
    found: dict[str, Path] = {}
    seen, waiting = {module}, [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is not None and is_own(path):
            found[name] = path
            new = set(_imported_by(name, path)) - seen
            seen |= new
            waiting.extend(new)
    return found


def hash_of(sources: dict[str, Path]) -> str:
    """Return the sha256 of modules, names and text."""
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        text = path.read_bytes()
        digest.update(f"{name} {len(text)}\n".encode() + text)
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


def _imported_by(module: str, path: Path) -> Iterator[str]:
    # All that may be a module: of `from a.b import c` a, a.b and a.b.c.
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _statements(ast.parse(path.read_bytes())):
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


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    # Of a module, class, function or block, at any depth; expressions hold no imports and are left out.
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for inner in getattr(node, block, ()):
            yield inner
            yield from _statements(inner)
