"""How fast is a backtest?

Market A, 50,000 bars, fee 10 bps, one thread: a known target series that changes about every 20 bars, and a transformer
policy of the default size with fresh weights, feature computation and encoding included. Every line is bars per second
of processor time and the ratio to the plain Python loop of the same run. The best of three rounds counts. Peers that
are installed join; they pay the fee but no spread, interest or margin. Lines that say so include the statistics of the
account (of backtesting.py they are part of a run and cannot be left out); the others end with its equity curve:

    pip install -c requirements.lock backtesting vectorbt bt
"""

import warnings
from argparse import ArgumentParser
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from benchmarks.common import best_rates, command_line, counted, is_installed, print_rates, run_benchmark
from src.agents.baselines import scripted
from src.agents.policy_agent import PolicyAgent
from src.backtesting.engine import run_backtest
from src.config.data import FeaturesConfig
from src.config.model import ModelConfig
from src.config.trading import CostsConfig, EnvironmentConfig, RiskConfig
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.known_markets import generate
from src.models.ppo_model import PPOModel, build_model
from src.seeding import generator
from src.trading.agent import Agent
from src.trading.records import Decision, MarketState
from src.trading.rules import make_rules

TAKES = "35 s"

BARS, HOLD_BARS, ROUNDS = 50_000, 20, 3
RULES = make_rules(EnvironmentConfig(), CostsConfig(commission_bps=10.0), RiskConfig(), 0.01)


class Stepped:
    """A scripted agent whose targets are not known ahead, so that bars are stepped one by one."""

    def __init__(self, agent: Agent) -> None:
        self.name, self.warmup_bars, self.prepare, self._agent = "stepped", 0, agent.prepare, agent

    def act(self, market_state: MarketState) -> Decision:
        return self._agent.act(market_state)


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print one line per way of backtesting."""
    bars = generate("A", BARS, generator(0, "benchmark"))
    targets = np.repeat(np.random.default_rng(0).choice(RULES.action.targets, BARS // HOLD_BARS), HOLD_BARS)
    agent, rows = scripted(RULES, targets), range(len(bars))
    policy, mirrored = make_policy(bars), make_policy(bars, mirror=True)
    runs: dict[str, Callable[[], object]] = {
        "plain Python loop": lambda: plain_loop(bars, targets),
        "known target series": lambda: run_backtest(agent, bars, RULES, rows, prove=False),
        "the same, with statistics": lambda: run_backtest(agent, bars, RULES, rows, prove=False).performance(),
        "the same, proved causal": lambda: run_backtest(agent, bars, RULES, rows),
        "known targets, bar by bar": lambda: run_backtest(Stepped(agent), bars, RULES, rows, prove=False),
        "transformer policy": followed(policy, bars),
        "the same policy, proved causal": followed(policy, bars, prove=True),
        "transformer policy, mirrored": followed(mirrored, bars),
    }
    peers = {"backtesting": backtesting_py, "vectorbt": vectorbt, "bt": bt}
    shown = {"backtesting": "backtesting.py, with statistics"}
    runs |= {shown.get(name, name): peer(bars, targets) for name, peer in peers.items() if is_installed(name)}
    print_rates(best_rates({name: counted(work, BARS) for name, work in runs.items()}, ROUNDS), "bars/s")


def plain_loop(bars: BarSeries, targets: FloatArray) -> list[float]:
    """Trade with floats and nothing else; returns the equity at each close."""
    cash, units, equity, path, before = 10_000.0, 0.0, 10_000.0, [], 0.0
    for opened, close, last, target in zip(
        bars.open[1:].tolist(), bars.close[1:].tolist(), bars.close.tolist(), targets.tolist(), strict=False
    ):
        if target != before:
            fill = target * equity / last - units
            cash -= fill * opened + abs(fill) * opened * 0.0012
            units, before = units + fill, target
        equity = cash + units * close
        path.append(equity)
    return path


def followed(policy: PolicyAgent, bars: BarSeries, prove: bool = False) -> Callable[[], object]:
    """Return the backtest of a policy over all bars after its warm-up."""
    return lambda: run_backtest(policy, bars, RULES, range(policy.warmup_bars, len(bars)), prove=prove)


def make_policy(bars: BarSeries, mirror: bool = False) -> PolicyAgent:
    """Return a policy of the default size with fresh weights."""
    torch.set_num_threads(1)
    defaults = FeaturesConfig()
    pipeline = FeaturePipeline(defaults.names, defaults.clip).fit([(bars, range(len(bars)))])
    inputs, outputs = len(RULES.account_inputs), len(RULES.action.targets)
    model = build_model(PPOModel, 0, ModelConfig(), len(pipeline.columns), inputs, outputs)
    return PolicyAgent(model, pipeline, RULES, mirror=mirror)


def backtesting_py(bars: BarSeries, targets: FloatArray) -> Callable[[], object]:
    """Return the same target series on backtesting.py."""
    from backtesting import Backtest, Strategy

    class Follow(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.before = 0.0

        def next(self) -> None:
            target = float(targets[len(self.data) - 1])
            if target != self.before:
                self.position.close()
                if target != 0:
                    (self.buy if target > 0 else self.sell)(size=min(abs(target), 0.99))
                self.before = target

    test = Backtest(frame_of(bars), Follow, cash=1_000_000.0, commission=0.001)

    def run() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return test.run()

    return run


def vectorbt(bars: BarSeries, targets: FloatArray) -> Callable[[], object]:
    """Return the same target series on vectorbt, up to its equity curve; the first round compiles."""
    import vectorbt as vbt

    frame = frame_of(bars)
    sizes = pd.Series(changes(targets), frame.index).shift(1)  # decided at a close, filled at the next open

    def run() -> object:
        portfolio = vbt.Portfolio.from_orders(
            frame["Close"], sizes, size_type="targetpercent", price=frame["Open"], fees=0.001, freq="1h"
        )
        return portfolio.value()

    return run


def bt(bars: BarSeries, targets: FloatArray) -> Callable[[], object]:
    """Return the same target series on bt, which fills at the close it decides on."""
    import bt as library

    close = frame_of(bars)[["Close"]]
    weights = pd.DataFrame(changes(targets), close.index, close.columns).dropna()

    def run() -> object:
        algorithms = [library.algos.WeighTarget(weights), library.algos.Rebalance()]
        strategy = library.Strategy("follow", algorithms)
        fee = lambda units, price: abs(units) * price * 0.001  # noqa: E731
        test = library.Backtest(strategy, close, commissions=fee, integer_positions=False, progress_bar=False)
        test.run()
        return test.strategy.values

    return run


def frame_of(bars: BarSeries) -> pd.DataFrame:
    """Return bars as these libraries take them."""
    columns = {name.capitalize(): getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=pd.to_datetime(bars.open_time, unit="ms"))


def changes(targets: FloatArray) -> FloatArray:
    """Return targets where they change, not a number elsewhere."""
    return np.where(np.diff(targets, prepend=0.0) != 0, targets, np.nan)


if __name__ == "__main__":
    run_benchmark(parser(), main)
