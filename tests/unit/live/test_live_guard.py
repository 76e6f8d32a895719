"""The live guard: nothing a model wants exceeds the limits, going flat always passes, states outlive restarts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.risk import RiskLimits
from src.journal.journal import Journal
from src.live.live_guard import LiveGuard, RiskState, allowed_exposure, limits_hash

LIMITS = RiskLimits(max_leverage=1.0, max_position=500.0)
FINITE = st.floats(-1e9, 1e9)


@given(
    state=st.sampled_from(RiskState),
    leverage=st.floats(0.0, 5.0),
    position=st.floats(0.0, 1e6),
    equity=st.floats(-1e6, 1e9),
    held=st.floats(-5, 5),
    exposure=st.floats(-5, 5),
    wanted=FINITE,
)
def test_no_wish_leads_further_than_limits_or_what_is_held(
    state: RiskState, leverage: float, position: float, equity: float, held: float, exposure: float, wanted: float
) -> None:
    limits = RiskLimits(max_leverage=leverage, max_position=position)
    allowed = allowed_exposure(state, limits, equity, held, exposure, wanted)
    if allowed != held:
        assert abs(allowed) <= leverage
        assert abs(allowed) * max(equity, 0.0) <= position * (1 + 1e-12)
    if state is not RiskState.ACTIVE:
        assert abs(allowed) <= abs(held)
        assert allowed * held >= 0
    if wanted == 0:
        assert allowed == 0


@pytest.mark.parametrize(
    ("state", "held", "wanted", "allowed"),
    [
        (RiskState.ACTIVE, 0.0, 0.5, 0.5),
        (RiskState.ACTIVE, 0.0, 3.0, 0.5),
        (RiskState.ACTIVE, 0.0, -3.0, -0.5),
        (RiskState.REDUCING, 0.4, 0.2, 0.2),
        (RiskState.REDUCING, 0.2, 0.4, 0.2),
        (RiskState.REDUCING, 0.2, -0.4, 0.0),
        (RiskState.REDUCING, -0.2, -0.1, -0.1),
        (RiskState.REDUCING, 0.0, 0.4, 0.0),
        (RiskState.HALTED, 0.4, 0.2, 0.4),
        (RiskState.HALTED, 0.4, 0.0, 0.0),
    ],
)
def test_what_each_state_lets_through(state: RiskState, held: float, wanted: float, allowed: float) -> None:
    # 500 of an equity of 1000 is an exposure of a half.
    assert allowed_exposure(state, LIMITS, 1000.0, held, held, wanted) == allowed


def test_a_position_close_to_its_limit_is_not_adjusted_at_every_bar() -> None:
    def allowed(exposure: float) -> float:
        return allowed_exposure(RiskState.ACTIVE, LIMITS, 1000.0, 0.49, exposure, 1.0)

    assert [allowed(exposure) for exposure in (0.40, 0.46, 0.50, 0.51)] == [0.5, 0.49, 0.49, 0.5]


def test_a_state_gets_worse_by_itself_and_better_by_a_person(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    guard = LiveGuard("BTC/USDT", LIMITS, Journal(url))
    assert guard.escalate(RiskState.REDUCING, "strange", 1)
    assert not guard.escalate(RiskState.REDUCING, "again", 2)
    assert guard.escalate(RiskState.HALTED, "worse", 3)
    assert not guard.escalate(RiskState.REDUCING, "better?", 4)
    again = LiveGuard("BTC/USDT", LIMITS, Journal(url))
    assert (again.state, again.reason) == (RiskState.HALTED, "worse")
    assert LiveGuard("ETH/USDT", LIMITS, Journal(url)).state is RiskState.ACTIVE
    again.resume(5)
    assert LiveGuard("BTC/USDT", LIMITS, Journal(url)).state is RiskState.ACTIVE


def test_the_hash_of_the_limits_tells_any_change() -> None:
    assert limits_hash(RiskLimits()) == limits_hash(RiskLimits())
    assert limits_hash(RiskLimits()) != limits_hash(RiskLimits(max_orders_per_hour=7))
