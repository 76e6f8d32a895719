"""What the benchmarks share: a command line, a place to train in, clocks, and the tables of rates."""

import importlib.util
import statistics
import sys
import tempfile
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple, TypeVar

from src.command_line import Parser, exit_code

Result = TypeVar("Result")


def command_line(
    spec: ModuleSpec, description: str | None, seeds: Sequence[int] = (), settings: bool = False
) -> Parser:
    """Return the parser of a benchmark, `__spec__` and `__doc__` being those of its module.

    Args:
        seeds: what `--seeds` is unless given; without any there is no such option.
        settings: whether there is `--set key=value ...`, which `main` receives as `settings`.
    """
    parser = Parser(prog=f"python -m {spec.name}", description=description, formatter_class=RawDescriptionHelpFormatter)
    if seeds:
        parser.add_argument("--seeds", nargs="+", type=int, default=list(seeds))
    if settings:
        parser.add_argument(
            "--set", nargs="*", default=[], metavar="key=value", dest="settings", help="settings to change"
        )
    return parser


def run_benchmark(parser: Parser, main: Callable[..., None]) -> None:
    """Call `main` with the options by their names, and end the process as every command of the project does."""

    def work() -> int:
        main(**vars(parser.parse_args()))
        return 0

    sys.exit(exit_code(work))


@contextmanager
def training_session(settings: Sequence[str]) -> Iterator[Path]:
    """Run the body with Ray as the settings want it, and a folder to train in, which is deleted at the end."""
    # Ray takes seconds to import, and most benchmarks do without.
    from src.config.load import load_training_config
    from src.training.rllib.environment_variables import set_environment_variables
    from src.training.rllib.ray_runtime import ray_session

    set_environment_variables()
    with tempfile.TemporaryDirectory() as folder, ray_session(load_training_config(list(settings)).runtime):
        yield Path(folder)


class Taken(NamedTuple):
    """How long something took, in seconds. What else the machine does counts less in processor time."""

    wall: float
    processor: float


def timed(work: Callable[[], Result]) -> tuple[Result, Taken]:
    """Do it; return its result and what it took."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, Taken(time.perf_counter() - wall, time.process_time() - processor)


def counted(work: Callable[[], object], steps: int) -> Callable[[], int]:
    """Return the work in a form that says how many steps it made."""

    def counting() -> int:
        work()
        return steps

    return counting


def best_rates(runs: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Return of each run, which returns how many steps it made, the steps per second of processor time.

    The fastest round counts. Runs take turns, so that all see the same machine.
    """
    rates = dict.fromkeys(runs, 0.0)
    for _ in range(rounds):
        for name, work in runs.items():
            count, taken = timed(work)
            rates[name] = max(rates[name], count / taken.processor)
    return rates


def median_rates(
    runs: Mapping[str, Callable[[], int]], turns: int, per_turn: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Return of each run, which returns how many steps it made, the median of steps per second of processor time.

    Runs take turns, in each of which one runs `per_turn` times, or once; the very first run of each is not timed.
    """
    per_turn = per_turn or {}
    for work in runs.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, work in runs.items():
            for _ in range(per_turn.get(name, 1)):
                count, taken = timed(work)
                rates[name].append(count / taken.processor)
                busy = taken.processor / taken.wall
                print(f"{name}: {rates[name][-1]:,.0f} steps/s, busy {busy:.0%}", flush=True)
    return {name: statistics.median(values) for name, values in rates.items()}


def print_rates(rates: Mapping[str, float], unit: str) -> None:
    """Print a line per rate, and its ratio to the first."""
    first = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"{name:32s}{rate:>14,.0f} {unit}{rate / first:>9.2f} x")


def is_installed(peer: str) -> bool:
    """Return whether a library to compare with is there; say so if it is not."""
    found = importlib.util.find_spec(peer) is not None
    if not found:
        print(f"{peer}: not installed")
    return found
