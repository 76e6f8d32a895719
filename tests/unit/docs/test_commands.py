"""What the pages tell a reader to type or to open exists: modules, programs with their options, settings, files."""

import argparse
import re
import shlex
from importlib.util import find_spec, module_from_spec, spec_from_file_location

import pytest

from src.command_line import Parser
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


class _Understood(Exception):
    """A program has read its command line; it need not do what it says."""


def understood(monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str]) -> argparse.Namespace:
    """Give a program a command line, and return the options it reads."""
    spec = spec_from_file_location(name, ROOT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for way in ("parse_args", "parse_intermixed_args"):

        def parse(parser: Parser, given: list[str], way: str = way) -> None:
            raise _Understood(getattr(argparse.ArgumentParser, way)(parser, given))

        monkeypatch.setattr(Parser, way, parse, raising=False)
    with pytest.raises(_Understood) as read:
        module.main(arguments)
    options: argparse.Namespace = read.value.args[0]
    return options


def test_every_module_that_is_to_be_run_exists() -> None:
    named = {name for _, code in CODE for name in re.findall(r"python -m ([\w.]+)", code)}
    assert len(named) > 20
    assert [name for name in named if find_spec(name) is None] == []


def test_every_program_exists() -> None:
    named = {name for _, code in CODE for name in re.findall(r"python ([\w./]+\.py)", code)}
    assert {"run_training.py", "run_backtest.py", "run_live_bot.py"} <= named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_training_command_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    given = commands(r"run_training\.py")
    assert len(given) > 10
    settings = {}  # by their keys, since a composition takes its time
    for arguments in given:
        options = understood(monkeypatch, "run_training", arguments)
        if options.config is None:
            keys = [text if text.startswith("+") else text.partition("=")[0] for text in options.overrides]
            settings[frozenset(keys)] = options.overrides
    assert len(settings) > 8
    for overrides in settings.values():
        load_training_config(overrides)


@pytest.mark.parametrize("name", ["run_backtest", "run_live_bot"])
def test_every_other_command_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = commands(rf"{name}\.py")
    assert len(given) > 3
    for arguments in given:
        understood(monkeypatch, name, arguments)


def test_an_option_that_does_not_exist_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(pytest.fail.Exception):
        understood(monkeypatch, "run_backtest", ["--symbol", "SP500", "--no-such-option"])
    assert "--no-such-option" in capsys.readouterr().err


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
