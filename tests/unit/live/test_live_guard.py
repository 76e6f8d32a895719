"""The live guard: what each state lets through, going flat always passes, states outlive restarts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.risk import RiskLimits
from src.journal.journal import Journal
from src.live.live_guard import LiveGuard, RiskState, limits_hash
from tests.support.station_cases import context_of, holding

LIMITS = RiskLimits()


def guard_in(state: RiskState, url: str = "sqlite://") -> LiveGuard:
    guard = LiveGuard("BTC/USDT", LIMITS, Journal(url))
    guard.escalate(state, "as the test says", 1)
    return guard


@pytest.fixture(scope="module")
def guards() -> dict[RiskState, LiveGuard]:
    return {state: guard_in(state) for state in RiskState}


@given(state=st.sampled_from(RiskState), exposure=st.floats(-5, 5), held=st.floats(-5, 5), wanted=st.floats(-5, 5))
def test_no_target_leads_further_than_the_state_allows(
    guards: dict[RiskState, LiveGuard], state: RiskState, exposure: float, held: float, wanted: float
) -> None:
    context = context_of(holding(exposure, held), rebalance_band=0.05)
    target, _, hold = guards[state].review(wanted, context)
    if state is RiskState.ACTIVE:
        assert (target, hold) == (wanted, False)
        return
    assert abs(target) <= abs(held)
    assert target * held >= 0
    ordered = 0.0 if hold else context.order(target)
    if state is RiskState.HALTED:
        assert target == (0.0 if wanted == 0 else held)
        assert ordered == 0 or target == 0
    assert abs(context.accounts.units + ordered) <= abs(context.accounts.units), "something was opened"
    if wanted == 0:
        assert (target, hold) == (0.0, False)


@pytest.mark.parametrize(
    ("state", "held", "wanted", "allowed"),
    [
        (RiskState.ACTIVE, 0.0, 0.5, 0.5),
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
    assert guard_in(state).review(wanted, context_of(holding(held))).target == allowed


@pytest.mark.parametrize("state", RiskState)
def test_a_person_can_ask_for_flat_in_every_state(state: RiskState, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    guard = guard_in(state, url)
    LiveGuard("BTC/USDT", LIMITS, Journal(url)).keep_flat(True)
    review = guard.review(1.0, context_of(holding(0.4)))
    assert (review.target, review.hold) == (0.0, False)
    assert "a person asked" in review.reason


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
