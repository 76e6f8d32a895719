"""Returns that are the same in nearly all bars have no Sharpe ratio; others have the one they always had."""

import json
from pathlib import Path

import numpy as np
import pytest

from src.agents.baselines import scripted
from src.backtesting.engine import BacktestResult, run_backtest
from src.config.trading import CostsConfig
from src.evaluation.bootstrap import sharpe_interval
from src.evaluation.returns import sharpe
from src.evaluation.variation import why_no_sharpe
from src.reporting.report import write_result
from src.reporting.summary import Description, make_report
from tests.support.simulated_records import random_walk
from tests.support.trading_cases import DEAR, daily, flat_candles, rules_of

STILL = np.full(400, 100.0)
HELD, SHORT = np.ones(400), np.full(400, -0.5)
ONCE = np.repeat([0.0, 1.0, 0.0], [10, 5, 385])


def traded(closes: np.ndarray, targets: np.ndarray, costs: CostsConfig) -> BacktestResult:
    rules = rules_of(costs)
    bars = daily(flat_candles(*closes))
    return run_backtest(scripted(rules, targets), bars, rules, range(len(bars)), prove=False)


@pytest.mark.parametrize("costs", [CostsConfig(), DEAR], ids=["usual costs", "dear"])
@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (np.zeros(400), "nothing was earned or lost"),
        (HELD, "all but 1 of 400 returns are nearly equal"),  # one fee, and interest on what it left owing
        (SHORT, "all but 2 of 400 returns are nearly equal"),  # no interest before the fee, interest ever after
        (ONCE, "all but 2 of 400 returns are nearly equal"),
    ],
    ids=["idle", "held", "short", "one trade"],
)
def test_fees_and_interest_on_constant_prices_are_no_sharpe_ratio(
    targets: np.ndarray, reason: str, costs: CostsConfig, tmp_path: Path
) -> None:
    result = traded(STILL, targets, costs)
    assert why_no_sharpe(result.returns()) == reason
    rng = np.random.default_rng(0)
    about = Description("any", "X", "1d", "test")
    report = make_report(about, result.records, result.traded_bars, result.bars_per_year, 1_000.0, rng)
    assert (report.performance.sharpe, report.sharpe_interval) == (None, None)
    page = write_result(tmp_path, report).read_text()
    assert f"It has no Sharpe ratio: {reason}." in page
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["performance"]["sharpe"], summary["no_sharpe"]) == (None, reason)
    assert summary["verdict"].endswith(f"It has no Sharpe ratio: {reason}.")


def test_interest_alone_on_a_market_that_stopped_is_no_sharpe_ratio() -> None:
    closes = np.append(random_walk(300, seed=1), np.full(2_000, 100.0))
    result = traded(closes, np.full(2_300, -0.5), CostsConfig())
    tail = result.returns()[301:]
    assert tail.std() > 1e-14, "its variance is not nothing, and its mean is hundreds of deviations away"
    assert abs(tail.mean()) > 200 * tail.std()
    assert why_no_sharpe(tail) == "all returns are nearly equal"
    whole = result.returns()
    assert why_no_sharpe(whole) == ""
    assert sharpe(whole, 365.0) == pytest.approx(whole.mean() / whole.std(ddof=1) * 365.0**0.5, rel=1e-12)


def test_returns_that_drift_apart_slowly_hardly_vary() -> None:
    losing = -np.linspace(1.0, 1.3, 1_000) * 1e-4  # every other bar is a tenth away from the middle one
    assert abs(losing.mean()) > 10 * losing.std()
    assert why_no_sharpe(losing) == "its returns hardly vary"
    assert sharpe(losing, 365.0) is None


def test_three_moves_are_enough_and_resamples_without_them_count_as_nothing() -> None:
    drip = np.full(400, -1e-6) * np.linspace(1.0, 1.01, 400)
    drip[[50, 150, 250]] = [0.01, -0.01, 0.02]
    assert why_no_sharpe(drip) == ""
    drip[150] = drip[151]
    assert why_no_sharpe(drip) == "all but 2 of 400 returns are nearly equal"
    drip[150] = -0.01
    interval = sharpe_interval(drip, 365.0, np.random.default_rng(0))
    assert interval is not None
    assert -3.0 < interval.low <= 0.0 < interval.high < 3.0  # a fraction of the bars moves: mean / deviation ≈ 1 / √T


@pytest.mark.parametrize("bars", [1, 2, 3])
def test_a_few_bars_are_too_few(bars: int) -> None:
    assert why_no_sharpe(np.arange(bars) * 0.01) == "it takes more than 3 bars"
