"""What the pages tell a reader to type or to open exists: modules, programs with their options, settings, files."""

import re
import shlex
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from src.config.load import load_training_config
from tests.support.documented_code import ROOT, TO_FILL_IN, documented_code

FOLDERS = ("src", "tests", "docs", "config", "benchmarks", "deploy", "examples")
CODE = documented_code()


def commands(program: str) -> list[list[str]]:
    """Return the arguments of every call of a program in the pages."""
    found = {}
    for _, code in CODE:
        match = re.search(rf"python {program}(?:\s|$)(.*)$", code)
        if match and not TO_FILL_IN.search(match[1]):
            found[match[1]] = shlex.split(match[1], comments=True)
    return list(found.values())


def program(name: str) -> ModuleType:
    """Load a program of the root."""
    spec = spec_from_file_location(name, ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_module_that_is_to_be_run_exists() -> None:
    named = {name for _, code in CODE for name in re.findall(r"python -m ([\w.]+)", code)}
    assert len(named) > 20
    assert [name for name in named if find_spec(name) is None] == []


def test_every_program_exists() -> None:
    named = {name for _, code in CODE for name in re.findall(r"python ([\w./]+\.py)", code)}
    assert {"run_training.py", "run_backtest.py", "run_live_bot.py"} <= named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_training_command_is_accepted() -> None:
    given = commands(r"run_training\.py")
    assert len(given) > 10
    for arguments in given:
        options = program("run_training")._parser().parse_intermixed_args(arguments)
        if options.config is None:
            load_training_config(options.overrides)


@pytest.mark.parametrize("name", ["run_backtest", "run_live_bot"])
def test_every_other_command_is_accepted(name: str) -> None:
    given = commands(rf"{name}\.py")
    assert len(given) > 3
    for arguments in given:
        if arguments[:1] != ["inspect"]:
            program(name)._parser().parse_intermixed_args(arguments)


def test_every_file_that_is_named_exists() -> None:
    named = [
        (page, path)
        for page, code in CODE
        for path in re.findall(rf"(?<![\w./*-])(?:{'|'.join(FOLDERS)})/[\w./*-]*\w", code)
    ]
    assert len(named) > 50
    missing = [(page.name, path) for page, path in named if not any(ROOT.glob(path))]
    assert missing == []


def test_a_file_that_is_not_there_would_be_noticed() -> None:
    assert not any(ROOT.glob("src/no_such_file.py"))
    assert any(ROOT.glob("tests/integration/test_live_*.py"))
