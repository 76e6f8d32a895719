"""How fast are portfolios?

30 symbols of random walks, full costs, random weights, one thread. Every line is steps a second of processor time
(account steps for batches) and the ratio to the slowest; the best of three rounds counts. Then a backtest of 30 symbols
over 5,000 days whose targets are known, and 20 accounts a bar. FinRL's stock environment joins where its wheel lies
unpacked (`pip download --no-deps finrl`, then `--finrl FOLDER`): 30 stocks, two indicators, a fee, whole shares; no
margin, interest, slippage or missing bars.
"""

import importlib.util
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import best_rates, command_line, print_rates, run_benchmark, timed
from src.backtesting.portfolio import run_portfolio
from src.backtesting.portfolio_environment import PortfolioEnv, PortfolioVectorEnv
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RiskConfig
from src.errors import ConfigError
from src.execution.panel_tape import build_panel_tape
from src.market.panel import Panel
from src.market.synthetic.known_markets import bars_of_log_prices
from src.seeding import generator
from src.trading.prepared_panel import PreparedPanel
from src.trading.records import Decision, MarketState
from src.trading.rules import make_rules

TAKES = "1 min"

SYMBOLS, BARS, STEPS, FEATURES, ROUNDS = 30, 5_000, 1_000, 2, 3
BACKTEST_BAR_S, ACCOUNTS_BAR_MS = 2.0, 2.0
RULES = replace(
    make_rules(EnvironmentConfig(), CostsConfig(), RiskConfig(), 0.01),
    action=ActionConfig(kind=ActionKind.continuous, max_leverage=1.0),
)


def parser() -> ArgumentParser:
    """Return the command line."""
    options = command_line(__spec__, __doc__)
    options.add_argument("--finrl", type=Path, metavar="FOLDER", help="where FinRL's wheel was unpacked")
    return options


def main(finrl: Path | None) -> None:
    """Print one line per environment, then what a backtest and a bar take."""
    panel = make_panel()
    prepared = make_prepared(panel)
    rows: dict[str, Callable[[], int]] = {} if finrl is None else {"FinRL StockTradingEnv": finrl_steps(finrl, panel)}
    rows["PortfolioEnv"] = single(prepared)
    for count in (20, 1024):
        rows[f"PortfolioVectorEnv, {count} accounts"] = vector(prepared, count)
    rates = best_rates(rows, ROUNDS)
    print_rates(rates, "steps/s")
    a_bar = 1e3 * 20 / rates["PortfolioVectorEnv, 20 accounts"]
    print(f"20 accounts x {SYMBOLS} symbols: {a_bar:.2f} ms a bar, bar {ACCOUNTS_BAR_MS:g} ms")
    known = KnownTargets(generator(0, "targets").uniform(-1, 1, (BARS, SYMBOLS)) / SYMBOLS)
    _, taken = timed(lambda: run_portfolio(known, panel, RULES, range(BARS)))
    print(f"backtest of {SYMBOLS} x {BARS:,} with known targets: {taken.processor:.2f} s, bar {BACKTEST_BAR_S:g} s")


class KnownTargets:
    """A member that follows targets (T, S)."""

    member_id, name, warmup_bars = "m-000000000000", "known targets", 0

    def __init__(self, targets: Any) -> None:
        self._targets = targets[:, None]
        self._sure = np.ones_like(self._targets[0])

    def prepare(self, panel: Panel) -> None:
        """Nothing to prepare."""

    def act(self, market_state: MarketState) -> Decision:
        """Return the targets of the row, (1, S)."""
        return Decision(self._targets[market_state.row], self._sure)


def make_panel() -> Panel:
    """Return independent walks of daily bars."""
    rng = generator(0, "benchmark")
    paths = [np.cumsum(rng.normal(0.0, 0.01, BARS)) for _ in range(SYMBOLS)]
    return Panel.of("walks", [bars_of_log_prices(f"W-{number}", "1d", path) for number, path in enumerate(paths)])


def make_prepared(panel: Panel) -> PreparedPanel:
    """Return the panel with noise for features."""
    features = generator(0, "features").normal(size=(BARS, SYMBOLS, FEATURES)).astype(np.float32)
    tape = build_panel_tape(panel, RULES.costs)
    return PreparedPanel(panel, features, panel.has_bar, tape, range(1, BARS - 1))


def single(prepared: PreparedPanel) -> Callable[[], int]:
    """Return a run of one environment."""
    env = PortfolioEnv(prepared, RULES, 1, BARS, random_start=False)
    actions = generator(0, "actions").uniform(-1, 1, (STEPS, SYMBOLS))

    def run() -> int:
        env.reset(seed=0)
        for action in actions:
            env.step(action)
        return STEPS

    return run


def vector(prepared: PreparedPanel, count: int) -> Callable[[], int]:
    """Return a run of many accounts."""
    env = PortfolioVectorEnv(prepared, RULES, 1, BARS, count, random_start=False)
    steps = max(40, STEPS // count)
    actions = generator(0, "actions").uniform(-1, 1, (steps, count, SYMBOLS))

    def run() -> int:
        env.reset(seed=0)
        for action in actions:
            env.step(action)
        return steps * count

    return run


def finrl_steps(folder: Path, panel: Panel) -> Callable[[], int]:
    """Return a run of FinRL's environment on the same closes."""
    path = folder / "finrl/meta/env_stock_trading/env_stocktrading.py"
    spec = importlib.util.spec_from_file_location("finrl_stock_trading", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"--finrl {folder} does not hold {path.relative_to(folder)}; unpack FinRL's wheel there")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    names = [f"indicator_{number}" for number in range(FEATURES)]
    rows = np.repeat(np.arange(BARS), SYMBOLS)
    rng = generator(0, "features")
    frame = pd.DataFrame(
        {
            "date": panel.open_time[rows].astype("datetime64[ms]").astype(str),
            "tic": np.tile(panel.symbols, BARS),
            "close": panel.close.ravel(),
            "turbulence": 0.0,
            **{name: rng.normal(size=len(rows)) for name in names},
        },
        index=rows,
    )
    env = module.StockTradingEnv(
        df=frame,
        stock_dim=SYMBOLS,
        hmax=100,
        initial_amount=1_000_000,
        num_stock_shares=[0] * SYMBOLS,
        buy_cost_pct=[0.001] * SYMBOLS,
        sell_cost_pct=[0.001] * SYMBOLS,
        reward_scaling=1e-4,
        state_space=1 + (2 + FEATURES) * SYMBOLS,
        action_space=SYMBOLS,
        tech_indicator_list=names,
    )
    actions = generator(0, "actions").uniform(-1, 1, (STEPS, SYMBOLS)).astype(np.float32)

    def run() -> int:
        env.reset()
        for action in actions:
            env.step(action)
        return STEPS

    return run


if __name__ == "__main__":
    run_benchmark(parser(), main)
