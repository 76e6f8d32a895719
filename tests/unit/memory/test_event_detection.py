"""What is worth remembering: each criterion by hand, and none that looks ahead."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from src.config.agent.memory import SignificanceConfig
from src.errors import DataError
from src.evaluation.trades import Trades
from src.market.bars import BarSeries
from src.memory.event_detection import Events, large_trades, rare_actions, regime_shifts, sharp_moves
from src.memory.key_encoder import exponential_volatility
from src.memory.outcomes import KINDS, EventKind
from tests.support.random_bars import HOUR_MS, NASTY_MARKETS, bars_from_steps, random_bars

CONFIG = SignificanceConfig(
    move_bars=2, move_sigmas=3.0, trade_sigmas=2.0, rare_frac=0.1, decisions_before_rare=5, outcome_bars=2
)
QUIET = 0.01  # volatility of a bar in the hand-made cases


def walk(*returns: float) -> BarSeries:
    """Bars with these log-returns; a bar closes one hour after it opens."""
    return bars_from_steps(np.array(returns)[:, None], np.ones(len(returns)))


def kinds(events: Events) -> list[EventKind]:
    return [KINDS[kind] for kind in events.outcomes.kind]


def check(events: Events, *expected: tuple[EventKind, int, int, float]) -> None:
    """Compare with (kind, row met, row known, value)."""
    assert kinds(events) == [kind for kind, *_ in expected]
    np.testing.assert_array_equal(events.row, [row for _, row, _, _ in expected])
    np.testing.assert_array_equal(events.outcomes.started_at, [(row + 1) * HOUR_MS for _, row, _, _ in expected])
    np.testing.assert_array_equal(events.outcomes.ended_at, [(known + 1) * HOUR_MS for _, _, known, _ in expected])
    np.testing.assert_allclose(events.outcomes.value, [value for *_, value in expected], atol=1e-12)


def test_a_flash_crash_moves_three_volatilities_of_its_length() -> None:
    # Three volatilities of two bars are .0424: the crash of .05 counts, the move of .04 does not.
    bars = walk(0, 0, 0, -0.025, -0.025, 0, 0, 0.02, 0.02, 0, 0, 0.045, 0)
    events = sharp_moves(bars, np.full(13, QUIET), CONFIG)
    crash, rally = EventKind.flash_crash, EventKind.flash_rally
    check(events, (crash, 2, 4, -0.05), (rally, 9, 11, 0.045), (rally, 10, 12, 0.045))
    check(events.since(9), (rally, 9, 11, 0.045), (rally, 10, 12, 0.045))


def test_a_market_that_stands_still_has_no_sharp_moves_and_its_first_move_is_one() -> None:
    still = NASTY_MARKETS["constant"](100)
    assert len(sharp_moves(still, exponential_volatility(still, 10), CONFIG).row) == 0
    awake = walk(0, 0, 0, 1e-6)
    assert kinds(sharp_moves(awake, np.zeros(4), CONFIG)) == [EventKind.flash_rally]


def test_a_large_win_or_loss_returns_two_volatilities_of_its_length() -> None:
    # Four bars held: .04 is large. Records begin at row 10 of the bars; the fifth trade is still open.
    trades = Trades(
        entry_row=np.array([0, 5, 10, 15, 20]),
        exit_row=np.array([4, 9, 14, 19, 24]),
        side=np.array([1, -1, 1, 1, 1]),
        units=np.full(5, 2.0),
        entry_price=np.full(5, 50.0),
        exit_price=np.full(5, 50.0),
        profit=np.array([4.1, -4.1, 3.9, -0.1, 9.0]),  # of a value of 100
        costs=np.zeros(5),
        is_closed=np.array([True, True, True, True, False]),
        is_margin_call=np.zeros(5, dtype=bool),
        is_stop=np.zeros(5, dtype=bool),
    )
    events = large_trades(walk(*[0.0] * 40), trades, 10, np.full(40, QUIET), CONFIG)
    check(events, (EventKind.large_win, 9, 14, 0.041), (EventKind.large_loss, 14, 19, -0.041))
    assert len(large_trades(walk(*[0.0] * 40), trades, 0, np.full(40, QUIET), CONFIG).row) == 1  # no close before row 0


def test_a_regime_shift_is_remembered_with_what_followed() -> None:
    bars = walk(0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06)
    events = regime_shifts(bars, np.array([0, 0, 2, 2, 1, 1, 0]), CONFIG)  # nothing follows the last shift
    check(events, (EventKind.regime_shift, 2, 4, 0.07), (EventKind.regime_shift, 4, 6, 0.11))


def test_a_rare_action_is_a_new_target_seldom_taken_before() -> None:
    targets = np.array([0, 1, 0, 0, 1, 0, -1, -1, 0, 1, 0, 0])
    equity = np.exp(np.arange(12) * 0.01)
    # Row 6: -1 had not been taken. Row 9: 1 had been taken by two of nine, more than a tenth. Row 7 is not new.
    check(rare_actions(walk(*[0.0] * 12), targets, equity, CONFIG), (EventKind.rare_action, 6, 8, 0.02))


@pytest.mark.parametrize(
    "find",
    [
        lambda bars, _: sharp_moves(bars, exponential_volatility(bars, 20), replace(CONFIG, move_sigmas=1.5)),
        lambda bars, rng: regime_shifts(bars, rng.integers(0, 3, 600)[: len(bars)], CONFIG),
        lambda bars, rng: rare_actions(
            bars, rng.choice([-1.0, 0.0, 1.0], 600, p=[0.05, 0.9, 0.05])[: len(bars)], bars.close, CONFIG
        ),
    ],
    ids=["sharp moves", "regime shifts", "rare actions"],
)
def test_what_had_ended_by_a_bar_is_what_is_found_when_the_series_ends_there(
    find: Callable[[BarSeries, np.random.Generator], Events],
) -> None:
    bars = random_bars(600, seed=4)
    whole = find(bars, np.random.default_rng(0))
    for stop in (150, 333, 480):
        part = find(bars[:stop], np.random.default_rng(0))
        ended = whole.outcomes.ended_at <= bars.close_time[stop - 1]
        assert 0 < ended.sum() < len(ended)
        np.testing.assert_array_equal(part.row, whole.row[ended])
        for column, other in zip(part.outcomes, whole.outcomes.take(ended), strict=True):
            np.testing.assert_array_equal(column, other)


def test_columns_of_another_length_are_refused() -> None:
    bars = walk(*[0.0] * 12)
    with pytest.raises(DataError, match="TEST: regimes must have one value for each of 12 bars, got"):
        regime_shifts(bars, np.zeros(11, dtype=np.int64), CONFIG)
    with pytest.raises(DataError, match="equity must have one value"):
        rare_actions(bars, np.zeros(12), np.ones(13), CONFIG)
