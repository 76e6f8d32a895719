"""A memory as columns: right by hand, blind to the future, neutral where it has nothing to say."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.agent.memory import KeyConfig, MemoryConfig, SignificanceConfig
from src.errors import ModelFileError
from src.market.bars import BarSeries
from src.memory.event_detection import regime_shifts
from src.memory.memory_module import MemoryModule
from src.memory.outcomes import EventKind
from tests.support.random_bars import NASTY_MARKETS, bars_from_steps, concatenate, random_bars

CONFIG = MemoryConfig(
    bandwidth=1.0,
    recurrence=1.0,
    recalled=4,
    key=KeyConfig(window_bars=3, volatility_span_bars=20),
    significance=SignificanceConfig(move_bars=1, move_sigmas=3.0),
)
CUE = (0.02, -0.015, 0.018)


def cued(count: int = 400, every: int = 50, seed: int = 0) -> BarSeries:
    """A quiet walk in which the same three bars come back and are followed by a fall of 8 %."""
    steps = np.random.default_rng(seed).normal(0.0, 0.01, count)
    for start in range(40, count - 4, every):
        steps[start : start + 4] = (*CUE, -0.08)
    return bars_from_steps(steps[:, None], np.ones(count))


def fitted(bars: BarSeries, stop: int | None = None) -> MemoryModule:
    return MemoryModule.fit(CONFIG, [(bars, range(stop or len(bars)), None)])


def test_the_cue_recalls_the_fall_once_it_was_lived_through() -> None:
    bars = cued()
    said = fitted(bars).transform(bars)
    cue_ends = np.arange(42, 396, 50)[1:]  # the first cue comes before keys are warm enough to be kept or was new
    assert (said[cue_ends[2:], 0] < -2).all()  # a fall of many volatilities is foreseen
    assert (said[cue_ends[2:], 2] > 0.5).all()
    assert (said[cue_ends[2:], 3] == 1.0).all()


def test_what_is_said_of_a_bar_ignores_everything_after_it() -> None:
    bars = cued()
    changed = concatenate([bars[:300], replace(cued(seed=9)[300:])])
    np.testing.assert_array_equal(fitted(bars).transform(bars)[:300], fitted(bars).transform(changed)[:300])
    # Nor does fitting on a longer past change what was said before: an event is seen once it has ended.
    np.testing.assert_array_equal(fitted(bars, 300).transform(bars)[:300], fitted(bars).transform(bars)[:300])


def test_a_window_says_what_the_whole_series_says() -> None:
    bars = cued()
    memory = fitted(bars, 200)
    whole = memory.transform(bars)
    for row in (250, 341, 399):
        window = bars[row + 1 - memory.history_bars : row + 1]
        np.testing.assert_allclose(memory.transform(window)[-1], whole[row], atol=1e-6)


@pytest.mark.parametrize("market", sorted(NASTY_MARKETS))
def test_any_market_has_finite_columns(market: str) -> None:
    bars = NASTY_MARKETS[market](200)
    said = fitted(bars).transform(bars)
    assert np.isfinite(said).all()
    assert (said[:20] == 0).all()


def test_nothing_to_recall_says_nothing() -> None:
    bars = random_bars(100)
    empty = MemoryModule.fit(CONFIG, [(bars[:15], range(15), None)])
    assert len(empty.memory) == 0
    assert not empty.transform(bars).any()
    assert not fitted(cued()).transform(bars[:10]).any()  # shorter than a key's warm-up
    assert empty.recalled(bars, 99) == []


def test_a_smaller_memory_sees_the_last_events_only() -> None:
    bars = cued()
    memory = fitted(bars)
    small = memory.with_capacity(1)
    assert small.memory.config.capacity == 1
    recalled = small.recalled(bars, 341)
    ended = [event["ended_at"] for event in memory.recalled(bars, 341)]
    assert len(recalled) == 1
    assert len(ended) > 1
    assert recalled[0]["ended_at"] >= max(ended)


def test_own_trades_are_remembered_beside_the_rest() -> None:
    bars = cued()
    memory = fitted(bars)
    labels = np.repeat([0, 1], 200)
    grown = memory.with_events(bars, [regime_shifts(bars, labels, CONFIG.significance)])
    assert len(grown.memory) == len(memory.memory) + 1
    kinds = grown.memory.to_plain()["kinds"]
    assert kinds[int(grown.memory.to_plain()["kind"][-1])] in {kind.value for kind in EventKind}


def test_it_survives_being_saved() -> None:
    bars = cued()
    memory = fitted(bars)
    again = MemoryModule.from_plain(memory.to_plain())
    np.testing.assert_array_equal(again.transform(bars), memory.transform(bars))
    with pytest.raises(ModelFileError, match="memory of the model"):
        MemoryModule.from_plain({"name": "memory"})
