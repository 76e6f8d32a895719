"""One accounting, whatever drives it: environment, vector environment and backtest give equal records, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

from src.agents.baselines import BASELINES, make_baseline, scripted
from src.backtesting.engine import run_backtest
from src.backtesting.environment import TradingEnv, TradingVectorEnv
from src.config.trading import (
    ActionConfig,
    ActionKind,
    CostsConfig,
    EnvironmentConfig,
    RewardConfig,
    RiskConfig,
)
from src.errors import DataError
from src.execution.tape import build_tape
from src.market.bars import BarSeries
from src.trading.prepared_market import PreparedMarket
from src.trading.records import CALL_FIELDS, StepRecord
from src.trading.rules import TradingRules, make_rules
from tests.support.random_bars import concatenate, random_bars

COSTS = CostsConfig(slippage_volatility=0.1, impact=0.1)
PLAIN = make_rules(EnvironmentConfig(), COSTS, RiskConfig(), 0.02)
RULES = {
    "plain": PLAIN,
    "linear reward": replace(PLAIN, reward=RewardConfig(kind="linear", drawdown_penalty=0.1)),
    "leveraged": replace(PLAIN, action=ActionConfig(kind=ActionKind.continuous, max_leverage=3.0, rebalance_band=0.1)),
    "stopped": replace(PLAIN, stop_loss_frac=0.03),
    "guarded": replace(PLAIN, risk=RiskConfig(max_drawdown_frac=0.2, max_daily_loss_frac=0.03)),
}
ROWS = range(70, 380)


def script(rules: TradingRules, count: int, seed: int = 0) -> np.ndarray:
    """Targets that hold for a while and jump."""
    rng = np.random.default_rng(seed)
    jumps = np.repeat(rng.uniform(-1, 1, count // 5 + 1), 5)[:count] * rules.action.max_leverage
    if rules.action.kind is ActionKind.continuous:
        return jumps.astype(np.float32).astype(np.float64)  # what a Box action can carry
    grid = np.array(rules.action.targets)
    return grid[np.abs(jumps[:, None] - grid).argmin(1)]


def actions_of(rules: TradingRules, targets: np.ndarray) -> np.ndarray:
    """The actions that mean these targets."""
    if rules.action.kind is ActionKind.continuous:
        return targets.astype(np.float32)[:, None]
    return np.searchsorted(rules.action.targets, targets)


def records_of(infos: list[dict], rewards: list[float]) -> StepRecord:
    """Assemble step records: the decision of a bar is reported by the step that follows it."""
    columns = {name: np.array([info[name] for info in infos]) for name in infos[0]}
    columns |= {name: np.array([info.get(name, 0.0) for info in infos]) for name in CALL_FIELDS}
    target = np.append(columns["decision"][1:], np.nan)
    columns["reward"] = np.array([0.0, *rewards])
    return StepRecord(**{name: columns[name] for name in StepRecord._fields if name != "target"}, target=target)


def played_single(bars: BarSeries, rules: TradingRules, targets: np.ndarray) -> StepRecord:
    market = PreparedMarket(bars, np.zeros((len(bars), 1), np.float32), build_tape(bars, rules.costs), ROWS)
    env = TradingEnv(market, rules, 4, 10_000, random_start=False)
    infos, rewards = [env.reset()[1]], []
    for action in actions_of(rules, targets[ROWS.start : ROWS.stop - 1]):
        _, reward, terminated, _, info = env.step(action)
        infos.append(info)
        rewards.append(reward)
        if terminated:
            break
    return records_of(infos, rewards)


def played_vector(bars: BarSeries, rules: TradingRules, targets: np.ndarray) -> StepRecord:
    market = PreparedMarket(bars, np.zeros((len(bars), 1), np.float32), build_tape(bars, rules.costs), ROWS)
    env = TradingVectorEnv(market, rules, 4, 10_000, num_envs=3, random_start=False)
    first = lambda info: {name: value[1] for name, value in info.items() if name[0] != "_"}  # noqa: E731
    infos, rewards = [first(env.reset()[1])], []
    for action in actions_of(rules, targets[ROWS.start : ROWS.stop - 1]):
        _, reward, terminated, _, info = env.step(np.stack([action] * 3))
        infos.append(first(info))
        rewards.append(reward[1])
        if terminated[1]:
            break
    return records_of(infos, rewards)


def assert_same(got: StepRecord, expected: StepRecord, count: int) -> None:
    """Every column equal, bit for bit, over the first `count` bars; the last of them has no decision to compare."""
    for name in StepRecord._fields:
        upto = count - 1 if name == "target" else count
        np.testing.assert_array_equal(getattr(got, name)[:upto], getattr(expected, name)[:upto], err_msg=name)


@pytest.mark.parametrize("sigma", [0.01, 0.2], ids=["calm", "wild"])
@pytest.mark.parametrize("name", RULES)
def test_environments_and_backtest_agree_bit_for_bit(name: str, sigma: float) -> None:
    rules, bars = RULES[name], random_bars(400, seed=3, sigma=sigma)
    targets = script(rules, len(bars))
    expected = run_backtest(scripted(rules, targets), bars, rules, ROWS).records
    single, vector = played_single(bars, rules, targets), played_vector(bars, rules, targets)
    assert np.count_nonzero(expected.fill_units) > 3
    assert len(single.equity) == len(vector.equity)
    assert len(single.equity) == len(ROWS) or bool(single.terminated[-1])
    assert_same(single, expected, len(single.equity))
    assert_same(vector, expected, len(vector.equity))


def test_the_wild_market_does_call_margins() -> None:
    rules, bars = RULES["leveraged"], random_bars(400, seed=3, sigma=0.2)
    records = run_backtest(scripted(rules, script(rules, len(bars))), bars, rules, ROWS).records
    ruin = int(np.argmax(records.terminated))
    assert records.terminated.sum() == 1
    np.testing.assert_array_equal(records.call_units != 0, records.terminated)
    np.testing.assert_array_equal(records.units[ruin:], 0.0)
    assert (records.equity[ruin:] <= records.equity[ruin]).all()  # interest on a debt is all that can happen
    np.testing.assert_array_equal(records.target[ruin:], 0.0)


def test_the_first_decision_fills_at_the_next_open() -> None:
    free = replace(PLAIN, costs=CostsConfig(0, 0, 0, borrow_bps_per_year=0, financing_bps_per_year=0))
    bars = random_bars(100, seed=1)
    result = run_backtest(make_baseline("buy_and_hold", free), bars, free, range(50, 90))
    units = free.initial_equity / bars.close[50]
    np.testing.assert_array_equal(result.records.fill_units, [0.0, units] + [0.0] * 38)
    assert result.records.fill_price[1] == pytest.approx(bars.open[51], rel=1e-15)
    # Held to the end and marked, not sold.
    expected = free.initial_equity + units * (bars.close[89] - bars.open[51])
    assert result.records.equity[-1] == pytest.approx(expected, rel=1e-14)
    np.testing.assert_array_equal(result.closes, bars.close[50:90])
    np.testing.assert_array_equal(result.records.close_time, bars.close_time[50:90])


@pytest.mark.parametrize("name", [*BASELINES, "scripted"])
def test_changing_bars_after_t_changes_no_record_up_to_t(name: str) -> None:
    bars, cut = random_bars(400, seed=3, sigma=0.02), 250
    other = random_bars(400, seed=8, sigma=0.05, first_price=float(bars.close[cut - 1]))
    changed = concatenate([bars[:cut], _at(other[cut:], bars.open_time[cut:])])

    def play(series: BarSeries) -> StepRecord:
        agent = scripted(PLAIN, script(PLAIN, 400)) if name == "scripted" else make_baseline(name, PLAIN)
        return run_backtest(agent, series, PLAIN, ROWS).records

    before, after = play(bars), play(changed)
    known = cut - ROWS.start
    for column in StepRecord._fields:
        np.testing.assert_array_equal(getattr(before, column)[:known], getattr(after, column)[:known], err_msg=column)
    if name != "flat":
        assert (before.equity[known:] != after.equity[known:]).any()


def _at(bars: BarSeries, times: np.ndarray) -> BarSeries:
    return BarSeries(bars.symbol, bars.timeframe, times, bars.open, bars.high, bars.low, bars.close, bars.volume)


@pytest.mark.parametrize("rows", [range(10, 10), range(10, 11), range(10, 500), range(0, 50, 2)])
def test_rows_that_are_no_stretch_of_the_series_are_refused(rows: range) -> None:
    with pytest.raises(DataError, match="not a stretch"):
        run_backtest(make_baseline("flat", PLAIN), random_bars(100), PLAIN, rows)


def test_rows_before_the_warm_up_are_refused() -> None:
    with pytest.raises(DataError, match="needs 50 bars"):
        run_backtest(make_baseline("ma_cross", PLAIN), random_bars(100), PLAIN, range(49, 90))
