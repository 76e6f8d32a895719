"""`run_live_bot.py` from the command line: starting, asking, stopping, and everything it refuses in one sentence."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch

from tests.support.fakes.exchange_server import Reply
from tests.support.fakes.stream_server import StreamServer
from tests.support.live_champion import RealTimeServer, champion, minutes_until_now, save_champion, short_champion
from tests.support.live_command import (
    ACKNOWLEDGED,
    KEYS,
    ROOT,
    free_port,
    health,
    run,
    start,
    wait_for_steps,
    write_settings,
)
from tests.support.live_setup import random_rows
from tests.support.waiting import PATIENCE_S, wait_until


def test_33_44_a_paper_bot_trades_answers_and_stops(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    write_settings(folder, http_port=port)
    process = start(folder)
    try:
        wait_for_steps(folder, 1, process)
        wait_until(lambda: health(port)[0] == 200, otherwise="it never was well")
        assert health(port)[1]["status"] == "ok"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as metrics:
            assert b'supertrader_equity{symbol="BTC/USDT"} 1000.0' in metrics.read()
        # Two bots on one journal.
        code, out, err = run(capsys, "--symbol", "BTC/USDT")
        assert (code, out) == (2, "")
        assert "another process" in err
    finally:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "stopped" in err.splitlines()[-1]
    code, out, _ = run(capsys, "status", "--symbol", "BTCUSDT")
    assert code == 0
    assert out.startswith("BTC/USDT: ACTIVE")
    code, out, _ = run(capsys, "explain", "2100-01-01", "--symbol", "BTC/USDT")
    assert code == 0
    for word in ("features", "outputs", "wanted", "decided", "sent"):
        assert f"  {word}" in out


class RealTimeStream(RealTimeServer, StreamServer):
    """Tells the real time, and streams."""


def test_94_a_bot_that_listens_to_a_stream_trades_and_stops(folder: Path) -> None:
    with RealTimeStream(minutes_until_now(random_rows(760, sigma=1e-4))) as server:
        write_settings(folder, base_url=server.url, candles="stream")
        process = start(folder)
        try:
            wait_for_steps(folder, 1, process)
            wait_until(lambda: server.open_streams == 1, otherwise="nobody subscribed")
            assert server.subscriptions == ["btcusdt@kline_1m"]
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        assert "stopped" in err.splitlines()[-1]
        assert "stream" not in err


def test_47_real_orders_need_three_opt_ins(
    folder: Path, server: RealTimeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("--symbol", "BTC/USDT", "--live")
    assert "real_orders" in run(capsys, *command)[2]
    write_settings(folder, real_orders=True)
    assert "SUPERTRADER_REAL_ORDERS" in run(capsys, *command)[2]
    monkeypatch.setenv("SUPERTRADER_REAL_ORDERS", "yes")
    code, _, err = run(capsys, *command)
    assert code == 2
    assert "SUPERTRADER_REAL_ORDERS" in err
    for name, value in ACKNOWLEDGED.items():
        monkeypatch.setenv(name, value)
    assert "API key" in run(capsys, *command)[2]
    assert server.posts == []


def test_32_33_46_a_live_bot_trades_is_killed_recovers_and_drains(
    folder: Path, server: RealTimeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_settings(folder, real_orders=True)
    environment = {**ACKNOWLEDGED, **KEYS}
    process = start(folder, "--live", **environment)
    wait_for_steps(folder, 1, process)
    process.kill()
    process.communicate()
    again = start(folder, "--live", **environment)
    try:
        assert again.stderr is not None
        while "REAL ORDERS: trading" not in again.stderr.readline():
            assert again.poll() is None
    finally:
        again.send_signal(signal.SIGINT)
        _, err = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, err
    assert run(capsys, "status", "--symbol", "BTC/USDT")[0] == 0, "to look needs no opt-in"
    assert len(server.posts) <= 2
    assert len({post["newClientOrderId"] for post in server.posts}) == len(server.posts)
    everything = err.encode() + b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for secret in KEYS.values():
        assert secret.encode() not in everything


def drips_for_ever(reply: Reply) -> None:
    reply.drip_s = 3.0


@pytest.mark.parametrize("endpoint", ["klines", "account"], ids=["while starting", "while trading"])
def test_71_a_bot_ends_while_the_exchange_sends_a_byte_every_few_seconds(
    folder: Path, server: RealTimeServer, endpoint: str
) -> None:
    write_settings(folder, real_orders=True)
    server.faults[endpoint] = [drips_for_ever] * 1_000
    process = start(folder, "--live", **ACKNOWLEDGED, **KEYS)
    wait_until(lambda: len(server.faults[endpoint]) < 1_000, otherwise="it was not asked")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=40)
    assert process.returncode == 0, err


def test_doctor_says_what_is_well_and_what_to_do(
    folder: Path, server: RealTimeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, "doctor", "--symbol", "BTC/USDT")
    assert code == 0, out
    assert {line[:2] for line in out.splitlines()} == {"ok"}
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server.offset_ms = 5_000
    server.key_is_revoked = True
    (folder / "state/KILL").touch()
    code, out, _ = run(capsys, "doctor", "--symbol", "BTC/USDT")
    assert code == 1
    bad = {line.split()[1]: line for line in out.splitlines() if line.startswith("NO")}
    assert set(bad) == {"kill", "clock", "keys"}
    assert "synchronise" in bad["clock"]
    assert "resume" in bad["kill"]


def test_two_spellings_of_a_market_are_one_and_its_swap_is_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "doctor", "--symbol", "BTC/USDT", "btcusdt", "BTC-USDT")
    assert [line.split()[:2] for line in out.splitlines()].count(["ok", "model"]) == 1
    code, out, _ = run(capsys, "doctor", "--symbol", "BTC/USDT:USDT")
    assert code == 1
    said = next(line for line in out.splitlines() if line.split()[1] == "model")
    assert "there are models of BTCUSDT, but BTC/USDT:USDT is another market" in said


def test_close_and_resume_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = start(folder)
    wait_for_steps(folder, 1, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    code, out, _ = run(capsys, "close", "--symbol", "BTC/USDT")
    assert code == 0
    assert "HALTED" in out
    assert "HALTED (closed by hand)" in run(capsys, "status", "--symbol", "BTC/USDT")[1]
    assert "ACTIVE; was HALTED" in run(capsys, "resume", "--symbol", "BTC/USDT")[1]
    (beside,) = (folder / "state").glob("halts_*/BTCUSDT.json")
    beside.write_text('["HALTED", "the disk was full"]')
    assert "HALTED: the disk was full (kept beside" in run(capsys, "status", "--symbol", "BTC/USDT")[1]
    assert "ACTIVE; was HALTED (the disk was full)" in run(capsys, "resume", "--symbol", "BTC/USDT")[1]
    assert run(capsys, "status", "--symbol", "BTC/USDT")[1].startswith("BTC/USDT: ACTIVE\n")


# Refusals: faults 36, 38, 41 to 43, 47.


class Malice:
    def __reduce__(self) -> tuple:
        return (os.system, ("touch pwned",))


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(data[:-100])
    elif how == "a flipped bit":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "garbage":
        path.write_bytes(b"\x80garbage")
    elif how == "malicious":
        torch.save(Malice(), path)
    elif how == "pickled":
        path.write_bytes(pickle.dumps(Malice()))


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "a flipped bit", "garbage", "malicious", "pickled"])
def test_41_42_43_a_champion_that_is_not_sound(folder: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    damage(folder / "checkpoints/BTCUSDT_autonomous_final.pth", how)
    code, out, err = run(capsys, "--symbol", "BTC/USDT")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert "BTCUSDT_autonomous_final.pth" in err.splitlines()[-1]
    assert not (folder / "pwned").exists()


MISFITS = {
    "another symbol": ({"symbol": "ETH/USDT"}, "trained for ETH/USDT"),
    "another timeframe": ({"timeframe": "7m"}, "no 7m bars"),
    "other features": ({"features": {**champion().features, "names": ["rsi"]}}, "feature"),
    "an unknown kind": ({"kind": "oracle"}, "kind 'oracle'"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_43_a_champion_of_something_else(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    changes, words = MISFITS[name]
    save_champion(folder, champion(**changes))
    code, out, err = run(capsys, "--symbol", "BTC/USDT")
    assert (code, out) == (2, "")
    assert words in err.splitlines()[-1]


def test_91_a_champion_that_goes_short_trades_on_paper_only(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_champion(folder, short_champion())
    assert run(capsys, "doctor", "--symbol", "BTC/USDT")[0] == 0
    process = start(folder)
    wait_for_steps(folder, 1, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    write_settings(folder, real_orders=True, journal="sqlite:///state/live.db")
    for name, value in {**ACKNOWLEDGED, **KEYS}.items():
        monkeypatch.setenv(name, value)
    code, _, err = run(capsys, "--symbol", "BTC/USDT", "--live")
    assert code == 2
    assert "goes short, and real orders are spot and long only; leave out --live" in err.splitlines()[-1]


def test_92_paper_as_at_an_exchange_needs_no_key_and_a_journal_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_settings(folder, paper={"fills": "exchange"})
    process = start(folder)
    wait_for_steps(folder, 1, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert run(capsys, "status", "--symbol", "BTC/USDT")[1].startswith("BTC/USDT: ACTIVE")
    write_settings(folder, paper={"fills": "backtest"})
    code, _, err = run(capsys, "--symbol", "BTC/USDT")
    assert code == 2
    assert "belongs to mode 'paper as at an exchange', not 'paper'; name another with `journal`" in err


def test_a_champion_that_was_not_promoted_trades_on_paper_only(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_champion(folder, champion(verdict="not better than buy and hold"))
    assert run(capsys, "doctor", "--symbol", "BTC/USDT")[0] == 0
    write_settings(folder, real_orders=True, journal="sqlite:///state/live.db")
    for name, value in {**ACKNOWLEDGED, **KEYS}.items():
        monkeypatch.setenv(name, value)
    code, _, err = run(capsys, "--symbol", "BTC/USDT", "--live")
    assert code == 2
    assert "not better than buy and hold" in err.splitlines()[-1]


def test_77_a_champion_that_nobody_signed_sends_no_order(
    folder: Path, server: RealTimeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*arguments: str) -> str:
        code, out, err = run(capsys, *arguments, "--symbol", "BTC/USDT", "--live", "--unpromoted")
        assert (code, out) == (2, "")
        return err.splitlines()[-1]

    write_settings(folder, real_orders=True, journal="sqlite:///state/live.db")
    for name, value in {**ACKNOWLEDGED, **KEYS}.items():
        monkeypatch.setenv(name, value)
    (folder / "checkpoints/BTCUSDT_autonomous_final.pth.sig").unlink()
    assert "the champion of BTC/USDT is not signed by verification_key" in said()
    assert (
        "NO  model          the champion of BTC/USDT is not signed"
        in run(capsys, "doctor", "--symbol", "BTC/USDT", "--live")[1]
    )
    assert "not signed, so on paper only" in run(capsys, "doctor", "--symbol", "BTC/USDT")[1]
    assert run(capsys, "close", "--symbol", "BTC/USDT", "--live")[0] == 0, "closing needs nobody's word"
    write_settings(folder, verification_key=None)
    assert "real orders need verification_key" in said()
    write_settings(folder, verification_key="nonsense")
    assert "verification_key must be what `python -m src.signing` prints" in said()
    assert server.posts == []


REFUSED = {
    "no symbol": ([], "--symbol"),
    "no such option": (["--symbol", "BTC/USDT", "--model=x.pth"], "--model"),
    "unknown command": (["dotor", "--symbol", "BTC/USDT"], "dotor"),
    "a command after the symbols": (["--symbol", "BTC/USDT", "doctor"], "before --symbol"),
    "explain without a time": (["explain", "--symbol", "BTC/USDT"], "needs a time"),
    "a time that is none": (
        ["explain", "yesterday", "--symbol", "BTC/USDT"],
        "'yesterday' is no time; write a day or a time in UTC",
    ),
    "a day without steps": (["replay", "2020-01-01", "--symbol", "BTC/USDT"], "holds no step"),
    "nothing to archive": (["archive", "--before", "2026-01-01", "--symbol", "BTC/USDT"], "holds no steps yet"),
    "no such file": (["--symbol", "BTC/USDT", "--config", "nowhere.yaml"], "nowhere.yaml"),
    "an unknown symbol": (["--symbol", "XXX/USDT"], "XXXUSDT_autonomous_final.pth"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_commands_are_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(capsys, "close", "--symbol", "BTC/USDT")[0] == 0  # makes the journal
    arguments, words = REFUSED[name]
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


TYPOS = {
    "settings": ("config/live.yaml", "exchnage: kraken\n", "did you mean 'exchange'"),
    "a number": ("config/live.yaml", "capital: plenty\n", "capital must be a number"),
    "limits": ("config/risk.yaml", "max_positon: 1\n", "did you mean 'max_position'"),
    "a limit": ("config/risk.yaml", "max_leverage: -1\n", "max_leverage"),
    "not YAML": ("config/risk.yaml", "a: [1\n", "not valid YAML"),
    "an exchange": ("config/live.yaml", "exchange: binanse\n", "did you mean 'binance'"),
    "another machine": ("config/live.yaml", "base_url: http://example.org\n", "on this machine"),
    "a reference": ("config/live.yaml", "account: ${oc.env:HOME}\n", "account must be written out"),
    "a reference in limits": ("config/risk.yaml", "max_leverage: ${oc.env:X}\n", "max_leverage must be written out"),
    "no URL": ("config/live.yaml", "journal: nonsense\n", "no database URL"),
}


@pytest.mark.parametrize("name", TYPOS)
def test_47_80_a_typo_in_the_settings(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path, text, words = TYPOS[name]
    (folder / path).write_text(text)
    code, out, err = run(capsys, "--symbol", "BTC/USDT")
    assert (code, out) == (2, "")
    assert words in err.splitlines()[-1]


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_secrets_others_can_read_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], mode: int) -> None:
    path = folder / "secrets"
    path.write_text("api_key = 0123456789\napi_secret = 9876543210\n")
    path.chmod(mode)
    write_settings(folder, secrets_file=str(path))
    code, _, err = run(capsys, "status", "--symbol", "BTC/USDT")
    assert code == 2
    assert "chmod 600" in err
    path.chmod(0o600)
    assert run(capsys, "close", "--symbol", "BTC/USDT")[0] == 0
    assert run(capsys, "status", "--symbol", "BTC/USDT")[0] == 0
    path.write_text("apikey = 0123456789\n")
    code, _, err = run(capsys, "status", "--symbol", "BTC/USDT")
    assert "did you mean 'api_key'" in err
    assert "0123456789" not in err


def test_36_38_a_journal_that_cannot_be_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = folder / "state/journal.db"
    code, _, err = run(capsys, "status", "--symbol", "BTC/USDT")
    assert (code, journal.exists()) == (2, False)
    assert "there is no journal" in err
    assert run(capsys, "close", "--symbol", "BTC/USDT")[0] == 0
    assert run(capsys, "status", "--symbol", "BTC/USDT")[0] == 0
    with sqlite3.connect(journal) as connection:
        connection.execute("update meta set value = '99' where key = 'schema_version'")
    for command in (["--symbol", "BTC/USDT"], ["status", "--symbol", "BTC/USDT"]):
        assert "schema version 99" in run(capsys, *command)[2]
    journal.write_bytes(b"garbage" * 1000)
    for extra in folder.glob("state/journal.db-*"):
        extra.unlink()
    code, _, err = run(capsys, "--symbol", "BTC/USDT")
    assert code == 2
    assert "journal" in err.splitlines()[-1]
    write_settings(folder, journal="sqlite:////proc/nowhere/journal.db")
    code, _, err = run(capsys, "--symbol", "BTC/USDT")
    assert code == 2
    assert "cannot be used" in err.splitlines()[-1]


def test_a_journal_belongs_to_one_account(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "close", "--symbol", "BTC/USDT")[0] == 0
    write_settings(folder, account="second")
    assert "belongs to account 'main'" in run(capsys, "close", "--symbol", "BTC/USDT")[2]


def test_help_loads_nothing_heavy_and_trading_needs_no_trainer() -> None:
    script = """
import contextlib, sys
import run_live_bot
with contextlib.suppress(SystemExit):
    run_live_bot.main(["--help"])
heavy = {"numpy", "pandas", "torch", "hydra", "ccxt", "sqlalchemy"} & set(sys.modules)
assert not heavy, heavy
import src.live.assembly, src.live.bot, src.live.day_replay, src.live.watching.doctor, src.live.watching.monitor
import src.live.operator.by_hand
trainer = {"gymnasium", "ray"} & set(sys.modules)
assert not trainer, trainer
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
