"""Tests of `src.command_line`: how every command ends."""

import errno
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from src.command_line import Parser, exit_code, found_file, not_installed
from src.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[2]


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


def test_sigterm_ends_as_ctrl_c_does_and_says_so_by_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    tidied = []

    def work() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            tidied.append("up")
        return 0

    assert exit_code(work, "stopped; run it again") == 128 + 15
    assert capsys.readouterr().err == "stopped; run it again\n"
    assert tidied == ["up"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_library_that_makes_a_ctrl_c_of_sigterm_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None
        return 0

    assert exit_code(work) == 143


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EFBIG])
def test_what_the_machine_refuses_is_one_sentence(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: failing(OSError(number, os.strerror(number), "/data/runs"))) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: /data/runs cannot be used ({os.strerror(number)}); ")
    assert said.count("\n") == 1


def test_other_system_errors_are_no_sentence() -> None:
    with pytest.raises(ConnectionResetError):
        exit_code(lambda: failing(ConnectionResetError(errno.ECONNRESET, "reset")))


@pytest.mark.parametrize(
    "program", ["run_training.py", "run_backtest.py --symbol SP500", "run_live_bot.py --symbol A/B"]
)
def test_without_an_installation_a_program_says_which_python_to_use(program: str, tmp_path: Path) -> None:
    name, *arguments = program.split()
    command = [sys.executable, "-E", "-S", str(ROOT / name), *arguments]  # -S: without what is installed
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "is not installed for" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "module",
    [
        "src.runs",
        "src.market.look prices.csv",
        "src.market.download --exchange binance --symbol BTC/USDT --timeframe 1h --start 2020-01-01",
    ],
)
def test_without_an_installation_a_module_says_which_python_to_use(module: str) -> None:
    command = [sys.executable, "-E", "-S", "-m", *module.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "is not installed for" in done.stderr
    assert done.stderr.count("\n") == 1


def test_each_module_of_an_extra_is_installed_with_it() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in ("train", "live"):
        for requirement in extras[extra]:
            module = re.split(r"[\[=>]", requirement)[0].replace("-", "_")
            said = not_installed(module)
            assert said.startswith(
                f"{module} is not installed for {sys.executable}; run: {sys.executable} -m pip install"
            )
            assert said.endswith(f" -e '{ROOT}[{extra}]'")
    assert not_installed("numpy").endswith(f" -e {ROOT}")


def test_a_file_of_the_project_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    risk = Path("config/risk.yaml")
    assert found_file(risk) == ROOT / risk
    assert capsys.readouterr().err == f"{risk} is not in this folder; taking {ROOT / risk}\n"
    risk.parent.mkdir()
    risk.touch()
    for path in (risk, Path("config/rsk.yaml"), ROOT / risk):  # this folder's own, nobody's, and one named in full
        assert found_file(path) == path
    assert capsys.readouterr().err == ""


def test_a_module_of_ours_that_is_missing_is_a_fault_of_the_program() -> None:
    with pytest.raises(ModuleNotFoundError):
        exit_code(lambda: failing(ModuleNotFoundError("No module named 'src.no'", name="src.no")))


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
