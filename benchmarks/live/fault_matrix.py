"""Does the bot keep its invariants whatever goes wrong, and wherever it is killed, stopped or told to stop meanwhile?

Each fault is played alone, and with each interruption at steps that are drawn by the seed: a step is a request or a
transaction of the journal. After each case: at most one order for a decision, none late and none on an open candle;
fills, books and balance agree; no candle is decided on twice or lost; nothing secret is in any file or message; what is
wanted in the end is held; a state other than ACTIVE was told.

    python -m benchmarks.live.fault_matrix
    python -m benchmarks.live.fault_matrix --seed 3 --only 17 1204
"""

import logging
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.common import command_line, run_benchmark
from src.brokerage import ccxt_account
from src.command_line import Parser
from src.errors import ConfigError
from tests.support.fault_matrix.case import NONE, Case, cases, run_case
from tests.support.fault_matrix.faults import FAMILIES
from tests.support.fault_matrix.interruptions import INTERRUPTIONS

TAKES = "10 min"
TIMEOUT_MS = 1_500  # of a request; less than the exchange hangs


def parser() -> Parser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__)
    parser.add_argument("--seed", type=int, default=0, help="which steps are drawn, and what else is left to chance")
    parser.add_argument("--only", type=int, nargs="+", default=[], metavar="CASE", help="cases by their numbers")
    return parser


def main(seed: int, only: list[int]) -> None:
    """Play the cases, and print those that break an invariant as they come, then a table.

    Raises:
        ConfigError: there is no such case.
    """
    logging.disable(logging.CRITICAL)
    ccxt_account.TIMEOUT_MS = TIMEOUT_MS
    drawn = cases(seed)
    if unknown := sorted(set(only) - {case.number for case in drawn}):
        raise ConfigError(f"--only: there is no case {unknown[0]}; seed {seed} has 0 to {len(drawn) - 1}")
    played, broken, steps = Counter[tuple[str, str]](), 0, Counter[str]()
    for case in drawn:
        if only and case.number not in only:
            continue
        where, breaks = _play(case, seed)
        if breaks:
            broken += 1
            print(
                f"case {case.number}, {case.fault}, {case.interruption} at step {case.at} {where}: {breaks}", flush=True
            )
        played[_family(case.fault), case.interruption] += 1
        steps[where] += 1
    _show(played)
    print(f"\nseed {seed}: {played.total()} cases, {broken} broken; interrupted at {len(steps)} different steps")


def _play(case: Case, seed: int) -> tuple[str, str]:
    # The step that was interrupted, and what broke.
    folder = Path(tempfile.mkdtemp())
    try:
        return run_case(folder, case, seed), ""
    except Exception as error:
        return "", f"{type(error).__name__} {error}"
    finally:
        shutil.rmtree(folder)


def _family(fault: str) -> str:
    return next(name for name, faults in FAMILIES.items() if fault in faults)


def _show(played: Counter[tuple[str, str]]) -> None:
    columns = (NONE, *INTERRUPTIONS)
    print(f"| fault | kinds | {' | '.join(columns)} |")
    print("| --- " * (len(columns) + 2) + "|")
    for family, faults in FAMILIES.items():
        counts = (str(played[family, column]) for column in columns)
        print(f"| {family} | {len(faults)} | {' | '.join(counts)} |")


if __name__ == "__main__":
    run_benchmark(parser(), main)
