"""Tests of `src.command_line`: how every command ends."""

import os
import subprocess
import sys

import pytest

from src.command_line import Parser, exit_code
from src.errors import ConfigError, DataError


def failing(error: BaseException) -> int:
    raise error


def test_the_code_of_the_work_is_passed_on() -> None:
    assert exit_code(lambda: 7) == 7


def test_an_error_is_one_sentence_and_has_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: failing(ConfigError("no such key"))) == ConfigError.exit_code
    assert capsys.readouterr().err == "error: no such key\n"
    assert exit_code(lambda: failing(DataError("a gap")), shown=lambda error: f"<{error}>") == DataError.exit_code
    assert capsys.readouterr().err == "error: <a gap>\n"


def test_an_interrupt_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: failing(KeyboardInterrupt()), "stopped; run it again") == 130
    assert capsys.readouterr().err == "stopped; run it again\n"


def test_what_is_no_error_of_ours_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 // 0)


def test_a_misspelt_option_is_refused_like_everything_else() -> None:
    with pytest.raises(ConfigError, match="--smybol; see prog --help"):
        Parser(prog="prog").parse_args(["--smybol"])


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    program = "import sys; from src.command_line import exit_code; sys.exit(exit_code(lambda: print('a' * 9) or 0))"
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
