"""The chain of stations: only ever closer to flat or what is held, one account as one of many, each change told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.risk import RiskLimits
from src.config.trading import ActionConfig, ActionKind, RiskConfig
from src.risk.guard import FOR_GOOD, FREE, UNTIL_NEXT_DAY
from src.risk.stations.caps import Caps
from src.risk.stations.chain import StationChain, make_chain
from src.risk.stations.order_limits import OrdersPerHour, PriceBand
from src.risk.stations.station import Review, ReviewContext
from tests.support.station_cases import arrays, context_of, holding

ACTION = ActionConfig(kind=ActionKind.continuous, max_leverage=5.0)
OFF = RiskLimits(
    max_leverage=100.0, max_position=1e12, max_daily_loss_frac=None, max_drawdown_frac=None,
    max_orders_per_hour=1000, price_band_frac=10.0,
)  # fmt: skip
RISK = RiskConfig(max_exposure=2.0, max_daily_loss_frac=0.05, max_drawdown_frac=0.2)


@st.composite
def contexts(draw: st.DrawFn) -> ReviewContext:
    accounts = holding(draw(st.floats(-3, 3)), draw(st.floats(-3, 3)), draw(st.floats(1.0, 1e6)))
    accounts = accounts._replace(
        halt=draw(st.sampled_from([FREE, FREE, UNTIL_NEXT_DAY, FOR_GOOD])), ruined=draw(st.booleans())
    )
    return context_of(
        accounts,
        draw(st.floats(0, 1)),
        draw(st.floats(80, 120)),
        draw(st.integers(0, 3)),
        draw(st.sampled_from([None, 0.1])),
    )


LIMITS = st.builds(
    RiskLimits,
    max_leverage=st.floats(0.0, 5.0),
    max_position=st.floats(0.0, 1e6),
    max_orders_per_hour=st.integers(0, 3),
    price_band_frac=st.floats(0.01, 0.3),
    min_confidence=st.floats(0, 1),
    cool_down_bars=st.integers(0, 3),
)


@given(limits=LIMITS, context=contexts(), wanted=st.floats(-5, 5))
def test_targets_come_closer_to_flat_or_are_what_is_held(
    limits: RiskLimits, context: ReviewContext, wanted: float
) -> None:
    target, hold, changes = make_chain(limits, ACTION, RISK).review(wanted, context)
    held, exposure = context.accounts.target, context.accounts.units * 100.0 / context.accounts.equity
    for change in changes:
        assert change.after == change.before or change.after in (0.0, held) or abs(change.after) < abs(change.before)
        assert change.before * change.after >= 0 or change.after == held
    assert target == wanted or changes, "a change without a reason"
    if wanted == 0 or context.accounts.halt != FREE or context.accounts.ruined:
        assert (target, hold) == (0.0, False)
    if context.orders_last_hour >= limits.max_orders_per_hour and not hold:
        after = context.accounts.units + context.order(target)
        assert abs(after) <= abs(context.accounts.units), "something was opened"
        assert after * exposure >= 0


@given(cases=st.lists(contexts(), min_size=3, max_size=3), limits=LIMITS, wanted=st.lists(st.floats(-5, 5), min_size=3))
def test_many_accounts_are_reviewed_as_each_alone(
    cases: list[ReviewContext], limits: RiskLimits, wanted: list[float]
) -> None:
    cases = [case._replace(rebalance_band=cases[0].rebalance_band) for case in cases]
    together = make_chain(limits, ACTION, RISK).review(np.array(wanted[:3]), arrays(cases))
    alone = [make_chain(limits, ACTION, RISK).review(one, case) for one, case in zip(wanted, cases, strict=False)]
    assert together.target.tolist() == [review.target for review in alone]
    assert np.broadcast_to(together.hold, 3).tolist() == [review.hold for review in alone]
    assert {change.station for change in together.changes} == {
        change.station for review in alone for change in review.changes
    }


@pytest.mark.parametrize("wanted", [float("nan"), float("inf"), 5.1])
def test_what_is_no_decision_keeps_the_target_in_force(wanted: float) -> None:
    reviewed = make_chain(OFF, ACTION, RiskConfig()).review(wanted, context_of(holding(0.5)))
    assert reviewed.target == 0.5
    assert [change.station for change in reviewed.changes] == ["sound decision"]
    unsure = make_chain(OFF, ACTION, RiskConfig()).review(1.0, context_of(holding(0.5), float("nan")))
    assert unsure.target == 0.5


@pytest.mark.parametrize(
    ("exposure", "wanted", "passes"),
    [(0.0, 0.5, 0.5), (0.0, 3.0, 0.5), (0.0, -3.0, -0.5), (0.4, 0.0, 0.0), (0.4, 1.0, 0.5), (-0.48, 1.0, 0.5)],
)
def test_exposure_and_value_are_capped_on_both_sides(exposure: float, wanted: float, passes: float) -> None:
    # 500 of an equity of 1000 is an exposure of a half.
    assert Caps(1.0, 500.0).review(wanted, context_of(holding(exposure))).target == passes
    assert Caps(0.5, 1e9).review(wanted, context_of(holding(exposure))).target == passes


def test_a_position_close_to_its_cap_is_not_adjusted_at_every_bar() -> None:
    def passed(exposure: float) -> float:
        return Caps(1.0, 500.0).review(1.0, context_of(holding(exposure, 0.49))).target

    assert [passed(exposure) for exposure in (0.40, 0.46, 0.50, 0.51)] == [0.5, 0.49, 0.49, 0.5]


@pytest.mark.parametrize("equity", [0.0, -10.0])
def test_an_account_without_equity_may_only_be_flat(equity: float) -> None:
    assert Caps(1.0, 500.0).review(1.0, context_of(holding(0.5)._replace(equity=equity))).target == 0.0


JUMP = 130.0  # to 100: more than a fifth


@pytest.mark.parametrize(
    ("held", "wanted", "passes", "hold"),
    [
        (0.0, 1.0, 0.0, True),
        (0.5, 1.0, 0.5, True),
        (-0.5, -1.0, -0.5, True),
        (0.5, 0.2, 0.2, False),
        (0.5, 0.0, 0.0, False),
        (0.5, -1.0, 0.0, False),  # closed, not turned around
        (0.5, -0.2, 0.0, False),
        (0.5, 0.5, 0.5, False),
    ],
)
def test_after_a_jump_or_too_many_orders_nothing_is_opened(
    held: float, wanted: float, passes: float, hold: bool
) -> None:
    jumped = PriceBand(0.2).review(wanted, context_of(holding(held), prior_close=JUMP))
    assert (jumped.target, jumped.hold) == (passes, hold)
    assert PriceBand(0.25).review(wanted, context_of(holding(held), prior_close=JUMP)).target == wanted
    used_up = OrdersPerHour(3).review(wanted, context_of(holding(held), orders_last_hour=3))
    assert (used_up.target, used_up.hold) == (passes, hold)
    assert OrdersPerHour(4).review(wanted, context_of(holding(held), orders_last_hour=3)).target == wanted


def test_an_order_that_would_restore_an_unchanged_target_opens_nothing_either() -> None:
    # 0.4 of a target of 0.5 is left, and a band of 0.05 would buy the rest.
    context = context_of(holding(0.4, 0.5), prior_close=JUMP, rebalance_band=0.05)
    assert context.order(0.5) > 0
    reviewed = make_chain(replace(OFF, price_band_frac=0.2), ACTION, RiskConfig()).review(0.5, context)
    assert (reviewed.target, reviewed.hold) == (0.5, True)
    assert [change.sentence for change in reviewed.changes] == [
        "price band: the close moved by more than price_band_frac=0.2; nothing is opened; no order is placed"
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"halt": UNTIL_NEXT_DAY}, "daily loss: max_daily_loss_frac=0.05"),
        ({"halt": FOR_GOOD}, "drawdown: max_drawdown_frac=0.2"),
        ({"ruined": True}, "margin call: "),
    ],
)
def test_an_account_the_guard_halted_is_flat_and_says_why(change: dict, word: str) -> None:
    context = context_of(holding(0.5)._replace(**change))
    reviewed = make_chain(OFF, ACTION, RISK).review(0.5, context)
    assert reviewed.target == 0.0
    assert [each.sentence.startswith(word) for each in reviewed.changes] == [True]
    assert reviewed.changes[0].sentence.endswith("; 0.5 became 0")


def test_a_target_that_a_later_station_makes_flat_is_not_held_back() -> None:
    class Holds:
        name = "holds"

        def review(self, target: float, context: ReviewContext) -> Review:
            return Review(target, "", True)

    class Flat:
        name = "flat"

        def review(self, target: float, context: ReviewContext) -> Review:
            return Review(0.0, "")

    context = context_of(holding(0.5))
    assert StationChain([Holds()]).review(0.5, context).hold
    assert not StationChain([Holds(), Flat()]).review(0.5, context).hold


def test_where_nothing_is_changed_nothing_is_said() -> None:
    reviewed = make_chain(OFF, ACTION, RISK).review(0.7, context_of(holding(0.5)))
    assert reviewed == (0.7, False, ())
