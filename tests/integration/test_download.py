"""Downloading from an exchange that misbehaves: what is stored is what the exchange has, or nothing is claimed."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config.data import DataConfig, DataSource
from src.errors import ConfigError, DataError, RunLocked
from src.market.download import main
from src.market.history.bar_store import BarStore, TimeRange
from src.market.history.exchange_bars import LONGEST_WAIT_S, ExchangeBars
from src.market.history.exchange_pause import ExchangePause
from src.market.history.filling import closed_range, fill
from src.market.quality.verdict import DROP
from src.market.sources import load_bars
from tests.support.fakes.exchange_server import (
    ExchangeServer,
    Fault,
    Reply,
    Row,
    body,
    cut_connection,
    rows,
    status,
    truncated,
)
from tests.support.waiting import PATIENCE_S

pytest.importorskip("ccxt")

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
BARS = 2_500  # three Binance pages
NOW = START + BARS * HOUR - HOUR // 2  # the last bar is still forming
WANTED = TimeRange(START, START + (BARS - 1) * HOUR)


def walk() -> list[Row]:
    rng = np.random.default_rng(3)
    close = np.round(40_000 * np.exp(np.cumsum(rng.normal(0, 0.005, BARS))), 2)
    opened = np.append(40_000.0, close[:-1])
    high, low = np.maximum(opened, close) + 5, np.minimum(opened, close) - 5
    columns = (START + HOUR * np.arange(BARS), opened, high, low, close, np.round(rng.uniform(1, 9, BARS), 4))
    return [(int(t), *map(float, values)) for t, *values in zip(*columns, strict=True)]


BARS_OF_THE_EXCHANGE = walk()
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer(BARS_OF_THE_EXCHANGE, NOW) as running:
        yield running


class Naps(list[float]):
    """Records waits instead of waiting; a clock that waits move."""

    def __call__(self, seconds: float) -> None:
        if seconds > 0:
            self.append(seconds)

    def now_ms(self) -> int:
        return round(1000 * sum(self))


def source_of(
    server: ExchangeServer, name: str = "binance", sleep: Naps | None = None, **options: object
) -> ExchangeBars:
    naps = Naps() if sleep is None else sleep
    asked = {"sleep": naps, "pause": ExchangePause(naps.now_ms), **options}
    source = ExchangeBars(name, "BTC/USDT", "1h", base_url=server.url, **asked)  # type: ignore[arg-type]
    source.connect()
    return source


def store_in(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path, "binance", "BTC/USDT", "1h")


def nothing_wrong(_reply: Reply) -> None:
    pass


def silently(_at: int) -> None:
    pass


def assert_holds(store: BarStore, expected: list[Row]) -> None:
    bars = store.read()
    stored = np.column_stack([bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume])
    np.testing.assert_array_equal(stored, np.array(expected))


def command(server: ExchangeServer, out: Path, *more: str, exchange: str = "binance") -> list[str]:
    place = ["--exchange", exchange, "--symbol", "BTC/USDT", "--timeframe", "1h", "--start", "2024-01-01"]
    return [*place, "--out", str(out), "--base-url", server.url, *more]


def test_history_is_paged_and_the_forming_bar_is_left_out(server: ExchangeServer, tmp_path: Path) -> None:
    fill(store_in(tmp_path), source_of(server), WANTED, silently)
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])
    assert server.asked("klines") == 3
    assert store_in(tmp_path).coverage().complete == (WANTED,)


def test_kraken_gives_its_last_720_bars_and_is_not_asked_for_more(server: ExchangeServer, tmp_path: Path) -> None:
    store = BarStore(tmp_path, "kraken", "BTC/USDT", "1h")
    fill(store, source_of(server, "kraken"), WANTED, silently)
    assert_holds(store, BARS_OF_THE_EXCHANGE[-720:-1])
    assert server.asked("OHLC") == 3  # once, and twice for the hole before


PASSING = {
    "throttled": status(429, Retry_After="7"),
    "server error": status(500),
    "bad gateway": status(502),
    "maintenance": status(503),
    "cut": cut_connection,
    "half a body": truncated,
    "html": body(b"<html>maintenance</html>"),
    "object": body(b"{}"),
    "null": body(b"null"),
    "nothing": body(b""),
    "number": body(b"7"),
    "missing price": rows(lambda found: [*found[:5], [*found[5][:4], None, *found[5][5:]], *found[6:]]),
    "price is text": rows(lambda found: [*found[:5], [*found[5][:4], "NaN", *found[5][5:]], *found[6:]]),
    "negative price": rows(lambda found: [*found[:5], [*found[5][:3], "-1", *found[5][4:]], *found[6:]]),
    "row too short": rows(lambda found: [*found[:5], found[5][:3], *found[6:]]),
    "off the grid": rows(lambda found: [[row[0] + 60_000, *row[1:]] for row in found]),
    "contradiction": rows(lambda found: [*found[:5], [found[5][0], *found[6][1:]], *found[5:]]),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_passing_faults_are_waited_out_and_nothing_wrong_is_stored(
    server: ExchangeServer, tmp_path: Path, fault: Fault
) -> None:
    naps = Naps()
    source = source_of(server, sleep=naps)
    server.faults["klines"] = [fault, fault]
    fill(store_in(tmp_path), source, WANTED, silently)
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])
    assert naps == ([7.0, 7.0] if fault is PASSING["throttled"] else [1.0, 2.0])


HARMLESS = {
    "doubled rows": rows(lambda found: [row for row in found for _ in range(2)]),
    "newest first": rows(lambda found: found[::-1]),
    "short page": rows(lambda found: found[:10]),
}


@pytest.mark.parametrize("fault", HARMLESS.values(), ids=HARMLESS.keys())
def test_harmless_answers_are_put_in_order(server: ExchangeServer, tmp_path: Path, fault: Fault) -> None:
    server.faults["klines"] = [fault]
    fill(store_in(tmp_path), source_of(server), WANTED, silently)
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])


@pytest.mark.parametrize(
    "fault",
    [
        rows(lambda found: []),
        rows(lambda found: found[:40] + found[90:]),
        rows(lambda found: [*found[:5], "oops", *found[6:]]),  # type: ignore[list-item]
    ],
    ids=["empty page", "rows left out", "no row"],
)
def test_what_a_page_left_out_is_asked_for_again(server: ExchangeServer, tmp_path: Path, fault: Fault) -> None:
    server.faults["klines"] = [fault]
    fill(store_in(tmp_path), source_of(server), WANTED, silently)
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])


def test_holes_of_the_exchange_are_asked_for_twice_and_then_believed(server: ExchangeServer, tmp_path: Path) -> None:
    server.bars = BARS_OF_THE_EXCHANGE[:300] + BARS_OF_THE_EXCHANGE[303:700] + BARS_OF_THE_EXCHANGE[701:]
    fill(store_in(tmp_path), source_of(server), WANTED, silently)
    holes = (TimeRange(START + 300 * HOUR, START + 303 * HOUR), TimeRange(START + 700 * HOUR, START + 701 * HOUR))
    assert store_in(tmp_path).coverage().hole_requests == ((holes[0], 2), (holes[1], 2))
    assert server.asked("klines") == 3 + 2  # one page answers both
    fill(store_in(tmp_path), source_of(server), WANTED, silently)
    assert server.asked("klines") == 5
    assert_holds(store_in(tmp_path), [bar for bar in server.bars if bar[0] < WANTED.stop])


def test_a_lasting_fault_ends_in_one_sentence_and_the_same_command_resumes(
    server: ExchangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    naps = Naps()
    server.faults["klines"] = [nothing_wrong, *[status(500)] * 6]
    assert main(command(server, tmp_path), naps) == 2
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("download failed: binance was asked 6 times for bars of BTC/USDT in vain")
    assert "500" in last
    assert naps == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert len(store_in(tmp_path).read()) == 1_000

    assert main(command(server, tmp_path), naps) == 0
    assert server.asked("klines") == 1 + 6 + 2
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])
    assert "2,499 bars from 2024-01-01 00:00" in capsys.readouterr().out


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("moment", ["add", "save_coverage"])
def test_a_kill_anywhere_leaves_a_store_that_resumes(
    server: ExchangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int, moment: str
) -> None:
    store, calls = store_in(tmp_path), 0
    untouched = getattr(store, moment)

    def dies(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == page:
            raise KeyboardInterrupt
        untouched(*arguments)

    monkeypatch.setattr(store, moment, dies)
    with pytest.raises(KeyboardInterrupt):
        fill(store, source_of(server), WANTED, silently)
    fill(store_in(tmp_path), source_of(server), WANTED, silently)
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])


def test_a_process_killed_between_two_pages_is_resumed_by_the_same_command(
    server: ExchangeServer, tmp_path: Path
) -> None:
    processes: list[subprocess.Popen[bytes]] = []
    has_started = threading.Event()

    def kill(_reply: Reply) -> None:
        has_started.wait(PATIENCE_S)
        processes[0].kill()

    server.faults["klines"] = [nothing_wrong, kill]
    arguments = command(server, tmp_path)
    processes.append(subprocess.Popen([sys.executable, "-m", "src.market.download", *arguments], cwd=PROJECT))
    has_started.set()
    assert processes[0].wait(PATIENCE_S) == -signal.SIGKILL
    assert len(store_in(tmp_path).read()) == 1_000
    assert main(arguments, Naps()) == 0
    assert server.asked("klines") == 2 + 2
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])


def test_a_finished_download_grows_with_time(server: ExchangeServer, tmp_path: Path) -> None:
    server.now_ms = START + 100 * HOUR + 1
    assert main(command(server, tmp_path), Naps()) == 0
    assert len(store_in(tmp_path).read()) == 100
    server.now_ms = NOW
    assert main(command(server, tmp_path), Naps()) == 0
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:-1])


def test_an_interrupted_command_says_so(
    server: ExchangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def impatient(_seconds: float) -> None:
        raise KeyboardInterrupt

    server.faults["klines"] = [status(500)]
    assert main(command(server, tmp_path), impatient) == 130
    assert "the same command resumes" in capsys.readouterr().err


def test_bars_that_stay_impossible_are_refused_unless_dropping_them_is_allowed(
    server: ExchangeServer, tmp_path: Path
) -> None:
    bad = list(BARS_OF_THE_EXCHANGE)
    time, opened, _, low, close, volume = bad[50]
    bad[50] = (time, opened, low - 1, low, close, volume)
    server.bars = bad
    with pytest.raises(DataError, match="impossible candle: 1"):
        fill(store_in(tmp_path), source_of(server), WANTED, silently)
    assert store_in(tmp_path).coverage().complete == ()
    fill(store_in(tmp_path), source_of(server, policy=DROP), WANTED, silently)
    assert_holds(store_in(tmp_path), BARS_OF_THE_EXCHANGE[:50] + BARS_OF_THE_EXCHANGE[51:-1])


def test_long_bans_are_reported_rather_than_slept_through(server: ExchangeServer) -> None:
    naps = Naps()
    source = source_of(server, sleep=naps)
    server.faults["klines"] = [status(418, Retry_After="7200")]
    with pytest.raises(DataError, match="asks for a pause of 7200 s"):
        source.page(START)
    assert naps == []
    assert LONGEST_WAIT_S < 7200


REFUSED = {
    "unknown exchange": (["--exchange", "binanse"], "did you mean 'binance'"),
    "unknown symbol": (["--symbol", "BTC/EUR"], "binance has no market 'BTC/EUR'; it has BTC/USDT"),
    "unknown timeframe": (["--timeframe", "7h"], "binance has no 7h bars; it has"),
    "no timeframe": (["--timeframe", "hour"], "timeframe 'hour' is not understood"),
    "start in the future": (["--start", "2031-01-01"], "has closed yet"),
    "no date": (["--start", "yesterday"], "--start must be an ISO date"),
    "foreign server": (["--base-url", "https://example.org"], "must be on this machine"),
}


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_impossible_wishes_are_refused_with_the_remedy(
    server: ExchangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], sentence: str
) -> None:
    assert main([*command(server, tmp_path), *change], Naps()) == 2
    assert sentence in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.parquet"))


def test_two_downloads_do_not_share_a_store(server: ExchangeServer, tmp_path: Path) -> None:
    with store_in(tmp_path).locked(), pytest.raises(RunLocked, match="another process"):
        fill(store_in(tmp_path), source_of(server), WANTED, silently)


def test_symbols_are_recognised_in_any_spelling(server: ExchangeServer) -> None:
    for spelling in ("BTCUSDT", "btc-usdt", "BTC/USDT"):
        source = ExchangeBars("binance", spelling, "1h", base_url=server.url)
        source.connect()
        assert source.symbol == "BTC/USDT"


def test_only_closed_bars_on_the_grid_are_wanted() -> None:
    half = HOUR // 2
    assert closed_range(START + 1, None, START + 5 * HOUR + half, HOUR) == TimeRange(START + HOUR, START + 5 * HOUR)
    assert closed_range(START, START + 2 * HOUR, NOW, HOUR) == TimeRange(START, START + 2 * HOUR)
    week = 7 * 24 * HOUR
    assert closed_range(START, None, START + 2 * week - 1, week) == TimeRange(START, START + week)  # a Monday
    with pytest.raises(DataError, match="has closed yet"):
        closed_range(START, None, START + HOUR - 1, HOUR)


def test_progress_is_a_few_plain_lines_without_a_terminal(
    server: ExchangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(server, tmp_path), Naps()) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(",")[0] for line in lines[:-1]] == [
        "binance BTC/USDT 1h: 40%",
        "binance BTC/USDT 1h: 80%",
        "binance BTC/USDT 1h: 100%",
    ]


def test_downloaded_bars_load_like_any_others(server: ExchangeServer, tmp_path: Path) -> None:
    data = DataConfig(source=DataSource.ccxt, path=str(tmp_path), timeframe="1h", start="2024-01-02")
    with pytest.raises(DataError, match=r"python -m src\.market\.download --exchange binance --symbol BTC/USDT"):
        load_bars("BTC/USDT", data)
    assert main(command(server, tmp_path), Naps()) == 0
    bars = load_bars("BTCUSDT", data)
    assert len(bars) == 2_499 - 24
    assert pd.Timestamp(int(bars.open_time[0]), unit="ms") == pd.Timestamp("2024-01-02")
    with pytest.raises(ConfigError, match=r"data\.timeframe"):
        DataConfig(source=DataSource.ccxt, path=str(tmp_path))
