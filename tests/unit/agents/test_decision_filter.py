"""Patience: unsure or hasty wishes are not followed, going flat always is."""

from collections.abc import Sequence

import numpy as np

from src.agents.decision_filter import PatientAgent
from src.agents.streaming_agent import StreamingAgent
from src.live.candle_feed import series_of
from src.trading.records import Decision, MarketState
from tests.support.live_setup import HISTORY, SYMBOL, Chooser, random_rows


def followed(
    wishes: Sequence[tuple[float, float]], min_confidence: float = 0.0, cool_down_bars: int = 0
) -> list[float]:
    agent = PatientAgent(Chooser(), min_confidence, cool_down_bars)
    return [agent.follow(Decision(np.array([target]), np.array([sure]))).item() for target, sure in wishes]


def test_without_patience_every_wish_is_followed() -> None:
    assert followed([(1.0, 0.0), (0.5, 0.1), (0.0, 0.0), (1.0, 1.0)]) == [1.0, 0.5, 0.0, 1.0]


def test_unsure_wishes_are_not_followed_but_going_flat_is() -> None:
    wishes = [(1.0, 0.4), (1.0, 0.6), (0.5, 0.4), (0.0, 0.1)]
    assert followed(wishes, min_confidence=0.5) == [0.0, 1.0, 1.0, 0.0]


def test_a_target_is_kept_for_the_cool_down_but_going_flat_is_not_kept_waiting() -> None:
    wishes = [(1.0, 1.0), (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), (0.0, 1.0), (1.0, 1.0)]
    assert followed(wishes, cool_down_bars=3) == [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]


def test_it_goes_on_where_its_state_was_saved() -> None:
    wishes = [(1.0, 1.0), (0.5, 1.0), (0.5, 1.0), (0.5, 1.0)]
    first = PatientAgent(Chooser(), 0.0, 3)
    for target, sure in wishes[:2]:
        first.follow(Decision(np.array([target]), np.array([sure])))
    second = PatientAgent(Chooser(), 0.0, 3)
    second.load_state_dict(first.state_dict())
    rest = [second.follow(Decision(np.array([target]), np.array([sure]))).item() for target, sure in wishes[2:]]
    assert rest == followed(wishes, cool_down_bars=3)[2:]


def test_a_streaming_decision_depends_on_its_window_alone() -> None:
    rows = random_rows(60)
    whole, tail = StreamingAgent(Chooser()), StreamingAgent(Chooser())
    whole.prepare(series_of(SYMBOL, "1h", rows))
    tail.prepare(series_of(SYMBOL, "1h", rows[40 - HISTORY :]))
    account = np.zeros((1, 4), np.float32)
    for row in range(40, 60):
        early = whole.act(MarketState(row, 0, account))
        late = tail.act(MarketState(row - 40 + HISTORY, 0, account))
        assert early == late
    assert whole.warmup_bars == HISTORY - 1
