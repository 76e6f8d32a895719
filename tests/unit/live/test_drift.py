"""The drift alarm, against cases whose numbers are known."""

import math

import numpy as np

from src.config.live import DriftConfig
from src.journal.schema import JournaledStep
from src.live.live_guard import RiskState
from src.live.watching.drift import DriftWatch

CONFIG = DriftConfig(window_bars=100, input_deviations=2.0, result_deviations=3.0)
# 0.001 a bar with a deviation of 0.01 a bar, in the annual figures a model file holds.
BARS = 8760.0
VALIDATION = {"sharpe": 0.1 * math.sqrt(BARS), "annual_volatility": 0.01 * math.sqrt(BARS), "bars_per_year": BARS}


def step(equity: float, feature: float = 0.0) -> JournaledStep:
    return JournaledStep("BTC/USDT", 0, 0, "decided", {"equity": equity}, {}, {"features": {"rsi": feature}}, [], "")


def alarms(
    growth: float, feature: float, bars: int, validation: dict | None = None
) -> list[tuple[int, RiskState, str]]:
    watch, found = DriftWatch(CONFIG, VALIDATION if validation is None else validation), []
    for bar in range(bars):
        found += [(bar, *each) for each in watch.add(step(1000 * math.exp(growth * bar), feature))]
    return found


def test_results_alarm_at_three_standard_errors_and_not_before() -> None:
    # The standard error over 100 bars is 0.001; the expectation is 0.001 a bar.
    assert alarms(0.001 - 2.9 * 0.001, 0.0, 130) == []
    (first, *rest) = alarms(0.001 - 3.1 * 0.001, 0.0, 130)
    assert (first[0], first[1]) == (100, RiskState.ACTIVE)
    assert "below" in first[2]
    assert [(bar, state) for bar, state, _ in rest] == [(125, RiskState.REDUCING)]
    assert alarms(0.5, 0.0, 130) == []  # better than expected is no alarm


def test_inputs_alarm_when_the_market_has_moved_from_that_of_the_training() -> None:
    assert alarms(0.001, 1.9, 130) == []
    (first, second) = alarms(0.001, -2.1, 130)
    assert (first[0], first[1], second[0], second[1]) == (99, RiskState.ACTIVE, 124, RiskState.REDUCING)
    assert "'rsi'" in first[2]


def test_an_alarm_that_passes_leads_to_nothing_and_may_come_again() -> None:
    watch, found = DriftWatch(CONFIG, {}), []
    for bar, feature in enumerate([2.1] * 102 + [0.0] * 200 + [2.1] * 102):
        found += [(bar, state) for state, _ in watch.add(step(1000.0, feature))]
    assert [state for _, state in found] == [RiskState.ACTIVE, RiskState.ACTIVE]


def test_without_an_expectation_results_are_not_judged() -> None:
    assert alarms(-0.01, 0.0, 130, validation={"sharpe": None}) == []
    assert alarms(-0.01, 0.0, 130, validation={"other": 1}) == []


def test_ordinary_bars_of_the_expected_kind_alarm_rarely() -> None:
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(20):
        watch = DriftWatch(CONFIG, VALIDATION)
        equity = 1000 * np.exp(np.cumsum(rng.normal(0.001, 0.01, 300)))
        count += sum(bool(watch.add(step(float(value), float(rng.normal())))) for value in equity)
    assert count <= 1


def test_columns_a_new_model_brings_count_as_usual_before_it() -> None:
    # 60 bars of a model that knew rsi alone, 40 of one that knows macd too: 40 % of 6 deviations, and all of 0.5.
    watch, found = DriftWatch(CONFIG, {}), []
    for bar in range(100):
        seen = {"rsi": 0.5} if bar < 60 else {"macd": 6.0, "rsi": 0.5}
        found = watch.add(
            JournaledStep("BTC/USDT", 0, 0, "decided", {"equity": 1000.0}, {}, {"features": seen}, [], "")
        )
        assert bar == 99 or not found
    ((state, sentence),) = found
    assert state is RiskState.ACTIVE
    assert "'macd' over 100 bars lies +2.4" in sentence
