"""How fast is the accounting?

4096 accounts on market A, default costs, random targets, one thread. Every line is account steps per second
(`Session.advance` and `Session.decide`) and the ratio to the bare NumPy loop of the same run: exposure times return
less a cost times the change of exposure, accumulated; no units, cash, interest, margin, mark, log or guard.
The best of several rounds counts, in processor time. One account is stepped as arrays of one, as Python floats, and by
the function compiled from the same lines, which also returns its inputs and names its outcome.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from types import ModuleType

import array_api_compat.torch
import numpy as np
import torch

from benchmarks.common import best_rates, command_line, run_benchmark
from src.config.trading import CostsConfig, EnvironmentConfig, RewardConfig, RiskConfig
from src.execution import scalar
from src.execution.ledger import Accounts
from src.execution.tape import Tape, build_tape
from src.market.synthetic.known_markets import generate
from src.seeding import generator
from src.trading.initial_accounts import random_accounts
from src.trading.rules import TradingRules, make_rules
from src.trading.session import Session
from src.trading.single_session import SingleSession

TAKES = "10 s"

ACCOUNTS, STEPS, ROUNDS, FIRST = 4096, 400, 7, 600
BARS = generate("A", FIRST + STEPS + 1, generator(0, "benchmark"))
TAPE = build_tape(BARS, CostsConfig())
GRID = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
TARGETS = generator(0, "targets").choice(GRID, size=(STEPS, ACCOUNTS))


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print one line per way to step accounts."""
    torch.set_num_threads(1)
    shared = [TAPE.at(slice(row, row + 1)) for row in range(FIRST + 1, FIRST + STEPS + 1)]
    own = [TAPE.at(np.full(ACCOUNTS, row)) for row in range(FIRST + 1, FIRST + STEPS + 1)]
    log_growth, linear = rules_of("log_growth"), rules_of("linear")
    runs: dict[str, Callable[[], int]] = {
        "bare NumPy loop": bare_loop,
        "Session, all accounts on one bar": arrays(log_growth, shared),
        "Session, every account on its own bar": arrays(log_growth, own),
        "Session, own bars, linear reward": arrays(linear, own),
        "Session, own bars, with account inputs": arrays(log_growth, own, inputs=True),
        "Session on torch, own bars": arrays(log_growth, own, array_api_compat.torch),
        "Session, one account as an array": arrays(log_growth, shared, accounts=1),
        "Session, one account of floats": floats(log_growth),
        "SingleSession, with account inputs": single(log_growth),
    }
    rates = best_rates(runs, ROUNDS)
    for name, rate in rates.items():
        print(f"{name:40s}{rate / 1e6:>9.3f} M/s{rate / rates['bare NumPy loop']:>9.4f} x{1e6 / rate:>12.3f} µs a step")


def rules_of(kind: str) -> TradingRules:
    """Return default rules with a given reward."""
    return make_rules(EnvironmentConfig(reward=RewardConfig(kind)), CostsConfig(), RiskConfig(), 0.01)


def bare_loop() -> int:
    """Step exposures by the least arithmetic that still has a cost."""
    wealth, held = np.zeros(ACCOUNTS), np.zeros(ACCOUNTS)
    for target, log_return in zip(TARGETS, TAPE.log_return[FIRST + 1 :].tolist(), strict=True):
        wealth += target * log_return - 0.0004 * np.abs(target - held)
        held = target
    return STEPS * ACCOUNTS


def arrays(
    rules: TradingRules, tape: list[Tape], xp: ModuleType = np, accounts: int = ACCOUNTS, inputs: bool = False
) -> Callable[[], int]:
    """Return a run of array accounts over bars prepared in advance."""
    convert = np.asarray if xp is np else torch.tensor
    bars = [Tape(*map(convert, bar)) for bar in tape]
    targets = [convert(row) for row in TARGETS[:, :accounts]]
    rows = np.full(accounts, FIRST)
    start = Accounts(*map(convert, random_accounts(generator(0, "starts"), rules, TAPE.close, rows)))

    def run() -> int:
        session = Session(rules, xp)
        session.open(start)
        for bar, target in zip(bars, targets, strict=True):
            session.decide(target)
            session.advance(bar)
            if inputs:
                session.account_inputs()
        return STEPS * accounts

    return run


def floats(rules: TradingRules) -> Callable[[], int]:
    """Return a run of one account of Python floats over bars prepared in advance."""
    bars = [TAPE.bar(row) for row in range(FIRST + 1, FIRST + STEPS + 1)]
    targets = TARGETS[:, 0].tolist()
    start = random_accounts(generator(0, "starts"), rules, TAPE.close, np.array(FIRST))

    def run() -> int:
        session = Session(rules, scalar)
        session.open(Accounts(*[column.item() for column in start]))
        for bar, target in zip(bars, targets, strict=True):
            session.decide(target)
            session.advance(bar)
        return STEPS

    return run


def single(rules: TradingRules) -> Callable[[], int]:
    """Return a run of one account on compiled bars."""
    session, targets = SingleSession(rules, TAPE), TARGETS[:, 0].tolist()
    start = random_accounts(generator(0, "starts"), rules, TAPE.close, np.array(FIRST))

    def run() -> int:
        session.open(Accounts(*[column.item() for column in start]))
        for row, target in enumerate(targets, start=FIRST + 1):
            session.step(target, row)
        return STEPS

    return run


if __name__ == "__main__":
    run_benchmark(parser(), main)
