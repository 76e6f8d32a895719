"""How fast are the environments?

Market A, 50,000 bars, windows of 64 bars and 5 features, full costs, random actions, one thread. Every line is steps
per second of processor time (account steps for batches) and the ratio to the plain Python loop of the same run: a
dictionary of floats, one cost, no interest, margin or guard. The best of three rounds counts. Peers that are installed
join:

    pip install -c requirements.lock gym-anytrading gym-trading-env

gym-anytrading has two features, two actions and no account; gym-trading-env has ours, a fee and interest, no margin.
"""

from argparse import ArgumentParser
from collections.abc import Callable

import gymnasium
import numpy as np
import pandas as pd

from benchmarks.common import best_rates, command_line, is_installed, print_rates, run_benchmark
from src.backtesting.environment import TradingEnv, TradingVectorEnv
from src.config.trading import CostsConfig, EnvironmentConfig, RiskConfig
from src.execution.ledger import open_accounts
from src.execution.tape import build_tape
from src.market.synthetic.known_markets import generate
from src.seeding import generator
from src.trading.prepared_market import PreparedMarket
from src.trading.rules import make_rules
from src.trading.session import Session

TAKES = "10 s"

BARS, WINDOW, FEATURES, EPISODE_BARS, ROUNDS = 50_000, 64, 5, 256, 3
STEPS = 10_000
RULES = make_rules(EnvironmentConfig(), CostsConfig(commission_bps=10.0), RiskConfig(), 0.01)


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print one line per environment."""
    market = make_market()
    rows: dict[str, Callable[[], int]] = {
        "plain Python loop": lambda: plain_loop(market),
        "TradingEnv": stepped(TradingEnv(market, RULES, WINDOW, EPISODE_BARS), len(RULES.action.targets)),
    }
    for count in (16, 256, 1024, 4096):
        rows[f"TradingVectorEnv, {count} accounts"] = vector(market, count)
    rows["Session alone, 4096 accounts"] = core(market, 4096)
    rows |= {peer.__name__: peer(market) for peer in (gym_anytrading, gym_trading_env) if is_installed(peer.__name__)}
    print_rates(best_rates(rows, ROUNDS), "steps/s")


def make_market() -> PreparedMarket:
    """Return market A with noise for features."""
    rng = generator(0, "benchmark")
    bars = generate("A", BARS, rng)
    features = rng.standard_normal((BARS, FEATURES)).astype(np.float32)
    return PreparedMarket(bars, features, build_tape(bars, RULES.costs), range(WINDOW, BARS - 1))


def plain_loop(market: PreparedMarket) -> int:
    """Trade with floats and nothing else: what a hand-written environment costs at least."""
    opened, close = market.bars.open.tolist(), market.bars.close.tolist()
    targets = np.random.default_rng(0).choice(RULES.action.targets, STEPS).tolist()
    account = {"cash": 10_000.0, "units": 0.0, "equity": 10_000.0}
    for row, target in enumerate(targets, start=WINDOW):
        fill = target * account["equity"] / close[row] - account["units"]
        account["cash"] -= fill * opened[row + 1] + abs(fill) * opened[row + 1] * 0.0012
        account["units"] += fill
        account["equity"] = account["cash"] + account["units"] * close[row + 1]
        window = market.features[row + 2 - WINDOW : row + 2].copy()
        observation = {"market": window, "account": np.array([target], np.float32)}
    assert observation["market"].shape == (WINDOW, FEATURES)
    return STEPS


def vector(market: PreparedMarket, count: int) -> Callable[[], int]:
    """Step a vector environment through a whole episode and its resets."""
    env = TradingVectorEnv(market, RULES, WINDOW, EPISODE_BARS, count)
    env.reset(seed=0)
    steps = EPISODE_BARS + 1
    actions = np.random.default_rng(0).integers(0, 5, (steps, count))

    def run() -> int:
        for action in actions:
            env.step(action)
        return steps * count

    return run


def core(market: PreparedMarket, count: int) -> Callable[[], int]:
    """Step the accounts alone, all on one bar, without observations."""
    targets = np.random.default_rng(0).choice(RULES.action.targets, (EPISODE_BARS, count))
    session = Session(RULES, np)

    def run() -> int:
        session.open(open_accounts(np, (count,), RULES.initial_equity, market.tape.close[WINDOW]))
        for step, target in enumerate(targets, start=1):
            session.decide(target)
            session.advance(market.tape.at(slice(WINDOW + step, WINDOW + step + 1)))
        return EPISODE_BARS * count

    return run


def gym_anytrading(market: PreparedMarket) -> Callable[[], int]:
    """Step the environment of that name."""
    from gym_anytrading.envs import StocksEnv

    frame = pd.DataFrame({"Close": market.bars.close})
    return stepped(StocksEnv(frame, WINDOW, (WINDOW, BARS)), 2)


def gym_trading_env(market: PreparedMarket) -> Callable[[], int]:
    """Step the environment of that name."""
    from gym_trading_env.environments import TradingEnv as TheirEnv

    columns = {name: getattr(market.bars, name) for name in ("open", "high", "low", "close", "volume")}
    features = {f"feature_{index}": column for index, column in enumerate(market.features.T)}
    frame = pd.DataFrame(columns | features, index=pd.to_datetime(market.bars.open_time, unit="ms"))
    positions = list(RULES.action.targets)
    env = TheirEnv(frame, positions, windows=WINDOW, trading_fees=0.001, borrow_interest_rate=1e-6)
    return stepped(env, len(positions))


def stepped(env: gymnasium.Env, actions: int) -> Callable[[], int]:
    """Step an environment with random actions, resets included."""
    choices = np.random.default_rng(0).integers(0, actions, STEPS).tolist()

    def run() -> int:
        env.reset(seed=0)
        for action in choices:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return STEPS

    return run


if __name__ == "__main__":
    run_benchmark(parser(), main)
