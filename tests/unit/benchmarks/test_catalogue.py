"""Every benchmark is listed, says what it shows and how long it takes, and has a command line that explains itself."""

import importlib
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.catalogue import ROOT, catalogue
from tests.support.documented_code import TO_FILL_IN, documented_code

NAMES = [one.module for one in catalogue()]


def test_whatever_can_be_run_is_listed() -> None:
    runnable = {path for path in ROOT.glob("*/**/*.py") if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    assert runnable == {ROOT.parent / Path(*name.split(".")).with_suffix(".py") for name in NAMES}
    assert len(NAMES) >= 25


def test_each_asks_a_question_and_says_how_long_the_answer_takes() -> None:
    for one in catalogue():
        assert one.shows.endswith("?"), f"the first line of {one.module} says {one.shows!r}"
        assert re.match(r"\d+ (s|min)\b", one.takes), f"{one.module} takes {one.takes!r}"


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(name)
    with pytest.raises(SystemExit) as stopped:
        module.parser().parse_args(["--help"])
    said = capsys.readouterr().out
    assert stopped.value.code == 0
    assert said.startswith(f"usage: python -m {name} ")
    assert module.__doc__.splitlines()[0] in said


@pytest.mark.parametrize("name", NAMES)
def test_each_takes_what_its_command_line_gives(name: str) -> None:
    module = importlib.import_module(name)
    needed = [action for action in module.parser()._actions if not action.option_strings]
    options = module.parser().parse_args([next(iter(action.choices or ["A4"])) for action in needed])
    assert set(vars(options)) == set(inspect.signature(module.main).parameters)


def test_the_pages_call_them_with_what_they_take() -> None:
    calls = [re.search(r"python -m (benchmarks\.\w+\.\w+)(.*)$", code) for _, code in documented_code()]
    complete = [call for call in calls if call and not TO_FILL_IN.search(call[2])]
    assert len(complete) > 20
    for call in complete:
        importlib.import_module(call[1]).parser().parse_args(shlex.split(call[2], comments=True))


def test_the_list_needs_no_heavy_library() -> None:
    code = "from benchmarks.__main__ import main; main(); import sys; print(*{'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    *lines, loaded = done.stdout.splitlines()
    assert loaded == ""
    for one in catalogue():
        assert any(one.module in line and one.shows in line and one.takes in line for line in lines)
