"""Champions in a running bot: a newer one is taken up at a candle if it passes, a bad one never; and recorded days."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.agents.model_file import model_path, save_model
from src.config.risk import RiskLimits
from src.errors import DataError, ModelFileError
from src.execution.tape import DAY_MS
from src.live.day_replay import replay_day
from src.live.live_model import ChampionWatch, LiveModel, load_champion
from src.live.trader import TAPE_BARS, Trader
from src.live.venues.venue import OrderKind
from src.market.bars import symbol_id
from tests.support.live_champion import champion, save_champion
from tests.support.live_scene import Stage
from tests.support.live_setup import (
    CONFIG,
    HOUR_MS,
    LIMITS,
    SYMBOL,
    Chooser,
    Recording,
    model_of,
    paper_trader,
    random_rows,
)

DAYS = 3


def recorded(folder: Path, rows: list, model: LiveModel | None = None) -> Trader:
    source = Recording(rows)
    source.now_ms = int(rows[TAPE_BARS][0]) + HOUR_MS + 1000
    trader = paper_trader(folder, source, model)
    trader.start()
    for row in rows[TAPE_BARS + 1 :]:
        source.now_ms = int(row[0]) + HOUR_MS + 1000
        trader.tick()
    return trader


def test_a_recorded_day_comes_out_the_same_again(tmp_path: Path) -> None:
    rows = random_rows(TAPE_BARS + 24 * DAYS, sigma=0.01)
    trader = recorded(tmp_path, rows)
    day = int(rows[TAPE_BARS + 30][0]) // DAY_MS * DAY_MS
    journal = trader._services.journal
    count, differences = replay_day(journal, model_of(), CONFIG, LIMITS, day, OrderKind.PAPER)
    assert (count, differences) == (24, [])
    # Another agent under the same name does not.
    count, differences = replay_day(journal, model_of(Chooser((0.0, 1.0))), CONFIG, LIMITS, day, OrderKind.PAPER)
    assert any("target" in line for line in differences)
    with pytest.raises(DataError, match="put the former back"):
        replay_day(journal, model_of(sha256="b" * 64), CONFIG, LIMITS, day, OrderKind.PAPER)
    with pytest.raises(DataError, match="holds no step"):
        replay_day(journal, model_of(), CONFIG, LIMITS, day - 10 * DAY_MS, OrderKind.PAPER)


def test_a_recorded_day_of_real_orders_comes_out_the_same_again(tmp_path: Path) -> None:
    with Stage(tmp_path, agent=Chooser(), rows=random_rows(TAPE_BARS + 60, sigma=1e-4)) as stage:
        stage.server.fates = ["ok", "lost", "cut after accept", "-2010"]
        stage.server.fill_plan = [1.0, 1.0, 0.4]
        stage.play(30)
        stage.check()
        steps = stage.steps()
        day = steps[-1].close_time // DAY_MS * DAY_MS
        count, differences = replay_day(
            stage.services.journal, model_of(), CONFIG, LIMITS, day - DAY_MS, OrderKind.REAL
        )
        again, more = replay_day(stage.services.journal, model_of(), CONFIG, LIMITS, day, OrderKind.REAL)
        assert (differences, more) == ([], [])
        assert count + again == len(steps) - 1


def test_a_newer_champion_takes_over_at_a_candle_and_keeps_the_books(tmp_path: Path) -> None:
    rows = random_rows(TAPE_BARS + 20)
    source = Recording(rows)
    source.now_ms = int(rows[TAPE_BARS][0]) + HOUR_MS + 1000
    waiting: list[LiveModel] = []
    trader = paper_trader(tmp_path, source, model_of(Chooser((1.0,))))
    trader._next_model = lambda current: waiting.pop() if waiting else None
    trader.start()
    source.now_ms += HOUR_MS
    trader.tick()
    held = trader.view.units
    assert held > 0
    waiting.append(model_of(Chooser((0.5,), history_bars=30), sha256="b" * 64))
    source.now_ms += HOUR_MS
    trader.tick()
    assert trader.view.units == held
    steps = trader._services.journal.steps(SYMBOL, 0, source.now_ms)
    assert [step.model[0] for step in steps] == ["a", "a", "b"]
    assert [step.record["target"] for step in steps] == [1.0, 1.0, 0.5]
    assert any(
        "gave way" in text
        for _, kind, text in trader._services.journal.events(SYMBOL, 0, source.now_ms)
        if kind == "model"
    )


def test_only_a_file_that_changed_and_passes_is_taken_up(tmp_path: Path) -> None:
    path = save_champion(tmp_path)
    told: list[str] = []

    def load() -> LiveModel:
        return load_champion(SYMBOL, tmp_path / "checkpoints", RiskLimits(), 1000.0)

    current, watch = load(), ChampionWatch(path, load, told.append)
    assert watch.newer(current) is None
    path.write_bytes(path.read_bytes()[:-1])
    assert watch.newer(current) is None
    assert watch.newer(current) is None
    assert len(told) == 1
    assert "damaged" in told[0]
    path.unlink()
    assert watch.newer(current) is None
    save_champion(tmp_path, champion(timeframe="5m"))
    assert watch.newer(current) is None
    assert "1m" in told[-1]
    save_champion(tmp_path, champion(seed=1))
    newer = watch.newer(current)
    assert newer is not None
    assert newer.sha256 != current.sha256
    assert watch.newer(newer) is None


def test_the_stricter_of_model_and_limits_applies() -> None:
    own = replace(LIMITS, max_drawdown_frac=0.5, max_daily_loss_frac=0.1, max_leverage=0.8)
    risk = model_of(limits=own).rules.risk
    assert (risk.max_exposure, risk.max_drawdown_frac, risk.max_daily_loss_frac) == (0.8, 0.5, 0.1)


def test_a_champion_of_another_symbol_is_refused(tmp_path: Path) -> None:
    save_champion(tmp_path, champion(symbol="ETH/USDT"))
    with pytest.raises(ModelFileError, match="trained for ETH/USDT"):
        load_champion(SYMBOL, tmp_path / "checkpoints", RiskLimits(), 1000.0)


@pytest.mark.parametrize(("asked", "there"), [("BTC/USDT:USDT", "BTC/USDT"), ("BTC/USDT", "BTC/USDT:USDT")])
def test_a_champion_of_the_spot_market_does_not_trade_the_swap_nor_the_other_way_round(
    tmp_path: Path, asked: str, there: str
) -> None:
    file = champion(symbol=there)
    path = model_path(there, "autonomous_final", tmp_path)
    save_model(path, file)
    with pytest.raises(ModelFileError, match=rf"there are models of {symbol_id(there)}, but {asked} is another market"):
        load_champion(asked, tmp_path, RiskLimits(), 1000.0)
    path.rename(model_path(asked, "autonomous_final", tmp_path))
    with pytest.raises(ModelFileError, match=rf"was trained for {there}, not {asked}"):
        load_champion(asked, tmp_path, RiskLimits(), 1000.0)
