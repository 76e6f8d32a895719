"""What stands between a closed candle and its order: nothing that the order does not need."""

from pathlib import Path
from typing import Any

import pytest

from src.brokerage import ccxt_account
from src.journal.inspection import decision_at
from src.journal.inspection_text import trace_lines
from src.live.day_replay import replay_day
from src.live.live_model import LiveModel
from src.trading.records import MarketState
from tests.support.live_scene import FromFirst, Stage
from tests.support.live_setup import CONFIG, LIMITS, SYMBOL, model_of

DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


class Killed(BaseException):
    """Ends a bot where it stands."""


class Explaining(FromFirst):
    """Tells the price and its account; remembers how many orders had been sent when it was asked."""

    stage: Stage

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        self.posts = len(self.stage.server.posts)
        account = market_state.account[0].tolist()
        return {"features": {"close": float(self._bars.close[market_state.row])}, "account": account}


def explaining(folder: Path, targets: list[float]) -> Stage:
    agent = Explaining(targets)
    agent.stage = Stage(folder, agent=agent)
    return agent.stage


def killed_while_sending(stage: Stage) -> None:
    def send(*_: object) -> str:
        raise Killed

    stage.trader.venue.send = send  # type: ignore[method-assign]
    with pytest.raises(Killed):
        stage.play(1)


def why(stage: Stage) -> list[str]:
    found = decision_at(stage.services.journal, SYMBOL, stage.server.now_ms)
    assert found is not None
    return [line for line in trace_lines(found) if line.startswith("  why")]


def test_an_order_leaves_before_its_decision_is_explained(tmp_path: Path) -> None:
    with explaining(tmp_path, [1.0, 0.0]) as stage:
        stage.play(1)
        assert len(stage.server.posts) == stage.agent.posts == 1
        step = stage.steps()[-1]
        assert step.saw["features"] == {"close": stage.server.bars[stage.candle][4]}
        assert step.saw["account"] == step.saw["inputs"]
        assert why(stage) == []


def test_a_kill_before_the_explanation_leaves_none_and_the_next_start_makes_up_for_it(tmp_path: Path) -> None:
    with explaining(tmp_path / "whole", [1.0, 0.5, 1.0]) as stage:
        stage.play(2)
        expected = [step.saw for step in stage.steps()]
    with explaining(tmp_path / "killed", [1.0, 0.5, 1.0]) as stage:
        stage.play(1)
        killed_while_sending(stage)
        assert [step.is_explained for step in stage.steps()] == [True, True, False]
        assert len(why(stage)) == 1
        stage.restart()
        assert [step.saw for step in stage.steps()] == expected
        assert why(stage) == []


def test_what_another_model_decided_stays_unexplained(tmp_path: Path) -> None:
    with explaining(tmp_path, [1.0, 0.5, 1.0]) as stage:
        killed_while_sending(stage)
        stage.trader = stage.build()
        stage.trader.model = _other(stage.trader.model)
        stage.trader.start()
        assert not stage.steps()[-1].is_explained


def _other(model: LiveModel) -> LiveModel:
    return model_of(model.agent, sha256="b" * 64)


def test_a_day_with_an_explanation_missing_is_replayed_without_a_difference(tmp_path: Path) -> None:
    with explaining(tmp_path, [1.0, 0.5, 1.0, 0.0]) as stage:
        stage.play(1)
        killed_while_sending(stage)
        stage.trader = stage.build()
        stage.trader.model = _other(stage.trader.model)
        stage.trader.start()
        stage.trader.model = model_of(stage.agent)
        stage.play(1)
        day = stage.steps()[0].close_time // DAY_MS * DAY_MS
        found = replay_day(stage.services.journal, model_of(stage.agent), CONFIG, LIMITS, day, is_live=True)
        assert found == (len(stage.steps()) - 1, [])
