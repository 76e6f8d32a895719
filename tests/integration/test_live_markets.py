"""Which candles a bot trades: of the champion's length, of the spot market, as many as there are, each market once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import run_live_bot
from src.agents.model_file import model_path, save_model
from src.errors import DataError
from src.market.bars import BarSeries
from tests.support.live_champion import champion
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import HOUR_MS, Chooser, random_rows

TRADED = np.random.default_rng(0).random(720) < 0.1


class Watching(Chooser):
    """Remembers which candles it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[BarSeries] = []

    def prepare(self, bars: BarSeries) -> None:
        super().prepare(bars)
        self.shown.append(bars)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_60_a_champion_of_another_timeframe_decides_on_bars_of_its_own(tmp_path: Path, before: int, after: int) -> None:
    first = 2 * FIRST + 8
    stage = Stage(tmp_path, agent=Watching(), first=first)
    stage.timeframe = f"{before}h"
    with stage:
        stage.play(5)
        agent, stage.timeframe = stage.agent, f"{after}h"
        agent.shown.clear()
        known = stage.steps()
        stage.restart()
        stage.play(6)
        assert len(agent.shown) >= 2
        for bars in agent.shown:
            assert set(np.diff(bars.open_time)) == {after * HOUR_MS}
            assert bars.timeframe == f"{after}h"
        steps = stage.steps()
        assert steps[: len(known)] == known
        times = [step.close_time for step in steps]
        assert times == sorted(set(times))
        assert set(np.diff(times[len(known) :])) == {after * HOUR_MS}
        assert times[len(known)] - after * HOUR_MS >= times[len(known) - 1], "no bar that opened before the last close"
        assert all(step.decided_at >= step.close_time for step in steps)
        assert abs(stage.units() - float(stage.server.account.balances["BTC"])) < 1e-5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/live.yaml").write_text("http_port: 0\n")
    (tmp_path / "config/risk.yaml").write_text("max_position: 1000.0\n")
    return tmp_path


@pytest.mark.parametrize("trained_for", ["BTC/USDT", "BTC/USDT:USDT"])
@pytest.mark.parametrize("asked", ["BTC/USDT:USDT", "BTCUSDT--USDT", "BTC/USDT:USDT-261225"])
def test_61_a_contract_is_no_spot_market(
    folder: Path, capsys: pytest.CaptureFixture[str], trained_for: str, asked: str
) -> None:
    path = model_path(trained_for, "autonomous_final", folder / "checkpoints")
    save_model(path, champion(symbol=trained_for))
    assert run_live_bot.main(["--symbol", asked]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "spot" in error
    assert not (folder / "state/journal.db").exists()


def outage(place: int) -> bool:
    """Three candles are missing, some hours ago."""
    return not 690 <= place < 693


def thin(place: int) -> bool:
    """Of the candles before the last few, one in ten has trades."""
    return place >= 695 or bool(TRADED[place])


def long_outage(place: int) -> bool:
    """The exchange was away for longer than the model looks back."""
    return not 580 <= place < 690


@pytest.mark.parametrize("is_there", [outage, thin, long_outage])
def test_62_missing_candles_keep_no_bot_from_starting(tmp_path: Path, is_there: Callable[[int], bool]) -> None:
    rows = [row for place, row in enumerate(random_rows(720, sigma=1e-4)) if is_there(place)]
    with Stage(tmp_path, agent=Chooser(), rows=rows, first=len(rows) - 20) as stage:
        assert stage.trader.view.trouble == ""
        stage.play(2)
        stage.restart()
        stage.play(1)
        assert [step.status for step in stage.steps()] == ["decided"] * 4
        assert len(stage.trader._feed) >= FIRST
        stage.check()


def test_62_an_exchange_that_has_too_few_is_asked_for_them_and_then_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"needs {FIRST} closed candles and the exchange sent {FIRST - 1}"):
        Stage(tmp_path, first=FIRST - 1).__enter__()


def test_63_two_spellings_of_a_market_are_one_worker(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_live_bot.main(["close", "--symbol", "BTC/USDT", "BTCUSDT", "btc-usdt", "ETH/USDT"]) == 0
    symbols = [line.split(": HALTED")[0] for line in capsys.readouterr().out.splitlines()]
    assert len(symbols) == 2
