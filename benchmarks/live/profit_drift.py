"""How soon is a fall of profits noticed, and how often where there is none?

The best policy of a synthetic market trades it; its first bars are the reference. False alarms are those in ten paths
of 100,000 bars of the same market, each with a reference of its own. Then the policy is made to take the other side of
every trade, as a market would that turned from reversion to momentum; the delay is in bars, over ten paths, and `never`
is more than 8,000. Bar: at most 1 false alarm in 50,000 bars, so 20 here, and a delay well below the 4,000 bars within
which an agent is to have recovered. Beside it the profit factor of the last 500 bars below 1 for two stretches in a
row, which is what a rule without a sequential test would go by.
"""

from argparse import ArgumentParser
from itertools import pairwise

import numpy as np

from benchmarks.common import command_line, run_benchmark
from src.config.stages.self_modification import ProfitDriftConfig
from src.evaluation.profit_drift import ProfitDrift, reference_of
from src.market.bars import FloatArray
from src.market.synthetic.known_markets import generate, synthetic_market
from src.market.synthetic.optimal_policy import optimal_targets
from src.seeding import generator

TAKES = "10 s"

PATHS, BARS, AFTER, STRETCH = 10, 100_000, 8_000, 500
CONFIG = ProfitDriftConfig()


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print a row for each market and length of the reference."""
    print(f"{'market':8s} {'reference':>9s} {'false alarms in 1M bars':>24s} {'delay median, longest':>22s}", end="")
    print(f" {'by profit factor: false, delay':>32s}")
    for name in ("A4", "A", "B"):
        for reference in (1_000, 2_000, 4_000):
            _show(name, reference)


def _show(name: str, reference: int) -> None:
    false, delays, plain_false, plain_delays = 0, [], 0, []
    for path in range(PATHS):
        rng = generator(0, "drift", name, path)
        before, after = profits(name, reference + BARS, rng), -profits(name, AFTER, rng, turned=True)
        test = ProfitDrift(reference_of(before[:reference]), CONFIG)
        false += len(alarms(test, before[reference:]))
        test.reset()
        test.update(before[-STRETCH:])
        delays.append(next(iter(alarms(test, after)), AFTER + 1))
        plain_false += len(weak_stretches(before[reference:]))
        plain_delays.append(next(iter(weak_stretches(after)), AFTER + 1))
    ours, plain = (_delay(one) for one in (delays, plain_delays))
    print(f"{name:8s} {reference:9,d} {false:24d} {ours:>22s} {plain_false:>18d}, {plain}", flush=True)


def profits(name: str, bars: int, rng: np.random.Generator, turned: bool = False) -> FloatArray:
    """Return what the best policy earns each bar after costs, (T,); what it loses on the other side if `turned`."""
    path, cost = generate(name, bars + 1, rng), synthetic_market(name).cost_frac
    targets = optimal_targets(name, path)
    charged = cost * np.abs(np.diff(targets, prepend=0.0))[:-1]
    earned: FloatArray = targets[:-1] * path.log_returns[1:]
    return earned + charged if turned else earned - charged


def alarms(test: ProfitDrift, seen: FloatArray) -> list[int]:
    """Return after how many bars there was an alarm, the test beginning anew after each."""
    found, begin = [], 0
    while (late := np.flatnonzero(test.update(seen[begin:]) >= 1)).size:
        begin += int(late[0]) + 1
        found.append(begin)
        test.reset()
    return found


def weak_stretches(seen: FloatArray) -> list[int]:
    """Return after how many bars the profit factor of two stretches in a row was below 1."""
    weak = [float(part.sum()) < 0 for part in np.split(seen, range(STRETCH, len(seen), STRETCH))]
    return [STRETCH * (place + 2) for place, (one, other) in enumerate(pairwise(weak)) if one and other]


def _delay(delays: list[int]) -> str:
    longest = max(delays)
    return f"{np.median(delays):.0f}, {'never' if longest > AFTER else longest}"


if __name__ == "__main__":
    run_benchmark(parser(), main)
