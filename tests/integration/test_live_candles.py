"""Faults of candles: whatever the exchange sends, each closed candle is decided on once, or not at all."""

from pathlib import Path

import pytest

from src.market.bars import Bar
from tests.support.fakes.exchange_server import Fault, rows
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import HOUR_MS, SYMBOL, bars_of


def with_last(change: object) -> Fault:
    """Send the newest candle that has closed otherwise."""
    return rows(lambda found: [*found[:-2], change(found[-2]), *found[-1:]] if len(found) > 1 else found)  # type: ignore[operator]


def set_price(place: int, value: object) -> Fault:
    return with_last(lambda row: [*row[:place], value, *row[place + 1 :]])


FAULTS: dict[str, Fault] = {
    "19 duplicates": rows(lambda found: [each for row in found for each in (row, row)]),
    "19 out of order": rows(lambda found: found[::-1]),
    "22 NaN": set_price(4, "NaN"),
    "22 None": set_price(2, None),
    "22 zero": set_price(1, "0"),
    "22 negative": set_price(3, "-1"),
    "22 negative volume": set_price(5, "-1"),
    "22 infinite": set_price(2, "inf"),
    "22 impossible": set_price(2, "1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_once_is_asked_for_again(tmp_path: Path, name: str) -> None:
    with Stage(tmp_path, [1.0, 0.0, 1.0, 0.0]) as stage:
        for _ in range(4):
            stage.server.faults["klines"] = [FAULTS[name]]
            stage.play(1)
        stage.check()
        assert [step.status for step in stage.steps()] == ["decided"] * 5
        assert all(_sound(bar) for bar in stage.services.journal.bars(SYMBOL, stage.server.now_ms, 10_000, HOUR_MS))


@pytest.mark.parametrize("name", [name for name in FAULTS if "22" in name])
def test_what_stays_wrong_is_never_decided_on(tmp_path: Path, name: str) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.server.faults["klines"] = [FAULTS[name]] * 100
        stage.play(2)
        assert len(stage.steps()) == 1
        assert stage.server.posts == []
        assert stage.trader.view.trouble
        stage.server.faults["klines"] = []
        stage.play(1)
        assert [step.status for step in stage.steps()] == ["decided", "late", "late", "decided"]
        assert stage.trader.view.trouble == ""
        stage.check()


def test_17_without_new_candles_nothing_is_decided(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        known = int(stage.server.bars[stage.candle][0])
        stage.server.faults["klines"] = [rows(lambda found: [row for row in found if row[0] <= known])] * 1000
        stage.play(3, looks=2)
        assert len(stage.steps()) == 1
        assert stage.server.posts == []


def test_18_a_candle_that_is_late_at_the_exchange_is_waited_for(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 1.0, 0.0]) as stage:
        missing = int(stage.server.bars[FIRST + 1][0])
        without = rows(lambda found: [row for row in found if row[0] != missing])
        stage.play(1)
        stage.server.faults["klines"] = [without]
        stage.at_candle(FIRST + 2)
        stage.worker.once()
        stage.check()
        assert [step.status for step in stage.steps()] == ["decided", "decided", "late", "decided"]


def test_18_a_candle_that_never_comes_is_noted_as_missing(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 1.0, 0.0]) as stage:
        stage.play(1)
        del stage.server.bars[FIRST + 1]
        stage.play(2)
        times = [step.close_time for step in stage.steps()]
        assert times == [int(row[0]) + HOUR_MS for row in stage.server.bars[FIRST - 1 : FIRST + 3]]
        assert any("missing" in text for _, _, text in stage.services.journal.events(SYMBOL, 0, stage.server.now_ms))


def test_20_a_candle_still_forming_is_not_looked_at(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 0.0]) as stage:
        stage.at_candle(stage.candle + 1, after_ms=-1)
        stage.worker.once()
        assert len(stage.steps()) == 1
        stage.server.now_ms += 1
        stage.worker.once()
        assert len(stage.steps()) == 2
        closed = [bar.close_time for bar in stage.services.journal.bars(SYMBOL, stage.server.now_ms, 10_000, HOUR_MS)]
        assert max(closed) == stage.server.now_ms


def test_21_a_candle_that_is_revised_later_changes_no_decision(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 1.0, 0.0]) as stage:
        stage.play(1)
        before = stage.steps()
        row = list(stage.server.bars[stage.candle])
        stage.server.bars[stage.candle] = (row[0], row[1], row[2] * 2, row[3], row[4] * 1.5, row[5])
        stage.play(2)
        assert stage.steps()[:2] == before
        events = stage.services.journal.events(SYMBOL, 0, stage.server.now_ms)
        assert any("revised" in text for _, _, text in events)
        stage.restart()
        known = stage.services.journal.bars(SYMBOL, stage.server.now_ms, 10_000, HOUR_MS)
        assert [bar for bar in known if bar.open_time == row[0]] == bars_of([tuple(row)])
        stage.check()


def _sound(bar: Bar) -> bool:
    is_positive = all(value > 0 for value in (bar.open, bar.high, bar.low, bar.close))
    return is_positive and bar.high >= max(bar.open, bar.close) and bar.low <= min(bar.open, bar.close)
