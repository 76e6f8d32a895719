"""Plug-ins: modules of the user's own that hold features, rewards, baselines and the like.

A module named under `plugins` in the settings is found by what it holds: the `Pluggable` values at its top level. There
is no list of what was loaded. Whoever looks a name up says in which modules, so two models in one process may each
have a feature of the same name, and a worker process needs no preparation.

Python and the error tree only: settings are checked before numpy is imported.
"""

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import ClassVar, TypeVar

from src.errors import ConfigError, ModelFileError
from src.source_code import code_of, hash_of

_PROGRAM = Path(__file__).resolve().parent
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))


@dataclass(frozen=True)
class Pluggable:
    """Base of the records that a module may hold, each of them one thing under one name.

    Attributes:
        kind: what such a record is called in messages, such as `feature`.
        name: what the user writes to choose it.
    """

    kind: ClassVar[str]

    name: str


T = TypeVar("T", bound=Pluggable)


def with_plugins(built_in: Mapping[str, T], record: type[T], modules: Iterable[str]) -> dict[str, T]:
    """Return the built-in records of a type and those that modules hold, by name.

    Raises:
        ConfigError: a module cannot be used, or two records share a name.
    """
    known = dict(built_in)
    for module in modules:
        for held in _records(import_plugin(module)):
            if isinstance(held, record) and known.setdefault(held.name, held) is not held:
                other = "the program has one" if held.name in built_in else "there is one already"
                raise ConfigError(
                    f"plugins: {module} holds a {held.kind} called '{held.name}', and {other}; give it another name"
                )
    return known


def plugged_in(kind: str, modules: Iterable[str]) -> dict[str, str]:
    """Return the names of a kind that modules hold, each with its module.

    Raises:
        ConfigError: a module cannot be used.
    """
    return {held.name: module for module in modules for held in _records(import_plugin(module)) if held.kind == kind}


def import_plugin(module: str) -> ModuleType:
    """Import a module that holds at least one record.

    Raises:
        ConfigError: it cannot be found or imported, or holds nothing that can be plugged in.
    """
    if module.endswith(".py") or not all(part.isidentifier() for part in module.split(".")):
        dotted = module.removesuffix(".py").strip("./").replace("/", ".") or "my_package.my_module"
        raise ConfigError(f"plugins: '{module}' must be written as Python imports it, such as {dotted}")
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"plugins: {_reason(module, error)}") from error
    if not _records(imported):
        raise ConfigError(
            f"plugins: {module} ({imported.__file__}) holds nothing that can be plugged in; give it a value such as "
            "Feature(...) or Baseline(...) at its top level, as the files in examples/ do"
        )
    source_hash(module)  # of the text that was just imported, should the file change while the program runs
    return imported


@cache
def source_hash(module: str) -> str:
    """Return a hash of what a plug-in says, and what else of the user's own it imports, as it was imported."""
    return hash_of(code_of([module], is_users_own))


def source_hashes(modules: Iterable[str]) -> dict[str, str]:
    """Return the `source_hash` of each module."""
    return {module: source_hash(module) for module in modules}


def require_sources(owner: str, hashes: Mapping[str, str]) -> None:
    """Import the plug-ins that a saved model rests on, and refuse others than those it was trained with.

    Args:
        owner: is called so in messages.
        hashes: `source_hashes` at the time of the training.

    Raises:
        ModelFileError: one cannot be used, or its source is another by now.
    """
    for module, trained_with in hashes.items():
        try:
            imported = import_plugin(module)
        except ConfigError as error:
            raise ModelFileError(
                f"{owner} was trained with the plug-in {module}, which cannot be used: {error}"
            ) from error
        if source_hash(module) != trained_with:
            raise ModelFileError(
                f"{owner} was trained with another source of the plug-in {module} than {imported.__file__} is now "
                f"(sha256 {trained_with[:12]}, now {source_hash(module)[:12]}); bring that source back, or train anew"
            )


def _records(module: ModuleType) -> list[Pluggable]:
    return [value for value in vars(module).values() if isinstance(value, Pluggable)]


def _reason(module: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return f"no module '{module}' in {', '.join(_search_path())}; add the folder that holds it to PYTHONPATH"
    what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{module} cannot be imported: {type(error).__name__}: {what} ({_place(module, error)})"


def _search_path() -> list[str]:
    # Where a module of the user's own may be: all of the path but what is installed.
    folders = (Path(entry).resolve() for entry in sys.path)
    return [str(folder) for folder in dict.fromkeys(folders) if folder.is_dir() and is_users_own(folder)]


def is_users_own(path: Path) -> bool:
    """Say whether a file or folder is neither installed nor part of this program."""
    return not any(path.is_relative_to(folder) for folder in (*_INSTALLED, _PROGRAM))


def _place(module: str, error: BaseException) -> str:
    # The last line of the user's own on the way to the error.
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    files = [frame for frame in frames if not frame.filename.startswith("<")]
    own = [frame for frame in files if is_users_own(Path(frame.filename).resolve())]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else module
