"""`pause`, `resume`, `close` and `status` from the command line, beside a bot that runs in a process of its own."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from src.live.operator import ask
from tests.support.fakes.exchange_server import status
from tests.support.fakes.telegram_server import TOKEN, USER, TelegramServer
from tests.support.live_champion import RealTimeServer
from tests.support.live_command import ACKNOWLEDGED, KEYS, ROOT, run, start, wait_for_steps, write_settings
from tests.support.waiting import PATIENCE_S, wait_until

SYMBOL = ("--symbol", "BTC/USDT")


@pytest.fixture
def bot(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    process = start(folder)
    try:
        wait_for_steps(folder, 1, process)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "Traceback" not in err


def test_a_running_bot_is_commanded_and_says_so(
    bot: "subprocess.Popen[str]", capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "pause", *SYMBOL)
    assert (code, out) == (0, "BTC/USDT: PAUSED; nothing is opened until `resume`, and what is held may be sold\n")
    code, out, _ = run(capsys, "status", "--symbol", "BTCUSDT")
    lines = out.splitlines()
    assert (code, lines[0], lines[-1]) == (0, "BTC/USDT: PAUSED (paused by hand)", "a bot is running")
    assert any("command: pause from command line: BTC/USDT: PAUSED" in line for line in lines)
    assert run(capsys, "resume", *SYMBOL)[:2] == (0, "BTC/USDT: ACTIVE; was PAUSED (paused by hand)\n")
    code, out, _ = run(capsys, "close", *SYMBOL)
    assert code == 0
    assert "HALTED; the paper position is closed" in out
    for command in ("close", "pause", "resume"):
        code, out, err = run(capsys, command, "--symbol", "BTC/USD")
        assert (code, out) == (2, "")
        assert err == "error: the bot that runs trades BTC/USDT, and not 'BTC/USD'; did you mean 'BTC/USDT'?\n"
    assert (
        "BTC/USD: no candle was processed yet; did you mean 'BTC/USDT'?"
        in run(capsys, "status", "--symbol", "BTC/USD")[1]
    )
    assert run(capsys, "close", "--symbol", "SOL/EUR")[2].endswith("and not 'SOL/EUR'; stop it, then close SOL/EUR\n")


def test_96_a_bot_that_does_not_answer_does_nothing_later(
    folder: Path, bot: "subprocess.Popen[str]", capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, "resume", *SYMBOL)[0] == 0  # it writes nothing now, so that it holds up no other writer
    bot.send_signal(signal.SIGSTOP)
    with monkeypatch.context() as impatient:
        impatient.setattr(ask, "PATIENCE_MS", 1_000)
        code, out, _ = run(capsys, "close", *SYMBOL)
    assert (code, out) == (1, "BTC/USDT: no answer within 1 s, and nothing was done; say it again\n")
    with asking(folder) as asker:
        wait_until(lambda: states(folder)[-1] == "asked", otherwise="nothing was asked")
        asker.send_signal(signal.SIGINT)
        assert asker.wait(PATIENCE_S) == 130
    bot.send_signal(signal.SIGCONT)
    assert run(capsys, "pause", *SYMBOL)[0] == 0, "it is awake again"
    assert states(folder) == ["done", "failed", "failed", "done"]
    assert run(capsys, "status", *SYMBOL)[1].startswith("BTC/USDT: PAUSED")


def test_95_close_reaches_a_bot_with_real_orders_and_needs_no_key(
    folder: Path, server: RealTimeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_settings(folder, real_orders=True)
    process = start(folder, "--live", **ACKNOWLEDGED, **KEYS)
    wait_for_steps(folder, 1, process)
    code, out, err = run(capsys, "close", *SYMBOL)
    assert (code, out.split(";")[0], err) == (0, "BTC/USDT: HALTED", "")
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    assert server.account.balances["BTC"] == pytest.approx(Decimal(0), abs=Decimal("1e-5"))
    assert len({post["newClientOrderId"] for post in server.posts}) == len(server.posts)
    assert "`close` from command line: BTC/USDT: HALTED" in log


def asking(folder: Path) -> "subprocess.Popen[str]":
    """Ask for `close` from a process of its own."""
    command = [sys.executable, str(ROOT / "run_live_bot.py"), "close", *SYMBOL]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def states(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "state/journal.db")) as connection:
        return [row[0] for row in connection.execute("select state from commands order by id")]


def test_96_a_bot_that_ends_leaves_nothing_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = start(folder)
    wait_for_steps(folder, 1, process)
    assert run(capsys, "resume", *SYMBOL)[0] == 0
    process.send_signal(signal.SIGSTOP)
    with asking(folder) as asker:
        wait_until(lambda: states(folder)[-1] == "asked", otherwise="nothing was asked")
        process.kill()
        process.communicate()
        out, _ = asker.communicate(timeout=PATIENCE_S)
    assert (asker.returncode, out) == (1, "BTC/USDT: the bot has ended, and nothing was done; say it again\n")
    code, out, _ = run(capsys, "pause", *SYMBOL)
    assert (code, out.split(";")[0]) == (0, "BTC/USDT: PAUSED"), "now the command line does it itself"
    assert run(capsys, "status", *SYMBOL)[1].endswith("no bot is seen to run on this machine\n")
    assert run(capsys, "close", "--symbol", "BTC/USD")[2].startswith("error: symbol 'BTC/USD' is unknown; did you mean")


def test_97_a_bot_is_commanded_from_a_messenger_and_killed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TelegramServer() as telegram:
        write_settings(folder, telegram={"users": [USER], "base_url": telegram.url})
        token = {"SUPERTRADER_TELEGRAM_TOKEN": TOKEN}
        telegram.write(USER, "/status")
        process = start(folder, **token)
        wait_until(lambda: telegram.sent or process.poll() is not None)
        telegram.write(USER, "/pause")
        wait_until(lambda: len(telegram.sent) == 2)
        process.kill()
        _, first_log = process.communicate()
        telegram.write(USER, "/resume BTC/USDT 123456", age_s=3600)
        process = start(folder, **token)
        wait_until(lambda: len(telegram.sent) == 3)
        assert telegram.sent[1][1].startswith("BTC/USDT: PAUSED")
        assert telegram.sent[2][1].startswith("that was written 60 minutes ago")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    assert run(capsys, "status", *SYMBOL)[1].startswith("BTC/USDT: PAUSED")
    files = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert TOKEN not in first_log + log
    assert TOKEN.encode() not in files


def test_the_doctor_asks_the_messenger_for_its_name(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> str:
        lines = run(capsys, "doctor", *SYMBOL)[1].splitlines()
        return next(line for line in lines if line.split()[1] == "messenger")

    assert said().startswith("ok  messenger      none; set SUPERTRADER_TELEGRAM_TOKEN")
    with TelegramServer() as telegram:
        write_settings(folder, telegram={"users": [USER], "base_url": telegram.url})
        assert said().startswith("NO  messenger      telegram.users needs SUPERTRADER_TELEGRAM_TOKEN")
        monkeypatch.setenv("SUPERTRADER_TELEGRAM_TOKEN", TOKEN)
        assert said() == "ok  messenger      tester_bot at Telegram obeys 1 users"
        telegram.faults["getMe"] = [status(401)]
        assert said() == "NO  messenger      Telegram refuses getMe (401, None)"


def test_a_symbol_without_a_champion_is_refused_before_anything_heavy_is_loaded(folder: Path) -> None:
    script = """
import sys
import run_live_bot
assert run_live_bot.main(["--symbol", "XXX/USDT"]) == 2
heavy = {"pandas", "torch", "hydra", "ccxt", "sqlalchemy"} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "XXXUSDT_autonomous_final.pth does not exist" in done.stderr
