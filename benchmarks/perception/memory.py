"""How fast and how good is recall?

- speed: 100,000 events of width 64, one core, ten recalled. Wall-clock and processor time of `retrieve` and of a bare
  Faiss flat index, taking turns, and the share of the true ten nearest that are recalled.
- recall: market E through `KeyEncoder` and `ExternalMemory`. How often the recalled outcomes have the sign of the move
  that follows, at the end of cues seen before (paths of 45,000 bars) and seen once before (forty paths of 3,000 bars).
  Told where cues end, the memory holds these bars only; not told, it holds every sharp move of the series. Beside it
  the nearest cue by raw returns, and who knows every cue and where it ends.
- reference: the same told, on other paths of the same law, on which the bars were set, one of 50,000 bars and forty of
  3,000. How many cues look alike differs by path, and so does what anybody can know.
- profit: bp a bar after costs of a simple policy that trades what memory says, and the same with outcomes shuffled
  among the events. With an empty memory both policies stay flat and earn 0. Not told where cues end, the memory also
  foretells the later bars of a cue from its first, so it can earn more than who trades the moves alone.

Occurrences count from the end of the warm-up of the keys. Every figure is the worst of three seeds.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import replace

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line, run_benchmark, timed
from src.config.agent.memory import MemoryConfig, SignificanceConfig
from src.execution.costs import BPS
from src.market.synthetic.cue_market import CUE_MARKET, CuePath, occurrence
from src.market.synthetic.known_markets import bars_of_log_prices, score
from src.memory.episodic_memory import ExternalMemory, Recall
from src.memory.event_detection import Events, sharp_moves
from src.memory.key_encoder import KeyEncoder, exponential_volatility
from src.memory.outcomes import KINDS, EventKind, EventOutcomes
from src.seeding import generator

TAKES = "1 min"

EVENTS, WIDTH, RECALLED, LOOKUPS = 100_000, 64, 10, 1_000
SEEDS, LONG_PATHS, LONG_BARS, SHORT_PATHS, SHORT_BARS = (0, 1, 2), 6, 45_000, 40, 3_000
# Moves of two bars of E are two volatilities; the criterion must let most of them pass their noise.
CONFIG = MemoryConfig(significance=SignificanceConfig(move_bars=2, move_sigmas=0.8))
ENCODER = KeyEncoder(CONFIG.key)
WARMUP = ENCODER.warmup_bars
REFERENCE_LONG, REFERENCE_SHORT = (50_000, 5), range(900, 940)  # bars and seed; seeds
ENOUGH_FORECAST = 0.008  # not told where cues end, trade what is at least so clear; chosen on a path of another seed

Method = Callable[[CuePath], NDArray[np.float64]]


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    return parser


def main(parts: list[str]) -> None:
    """Print the parts asked for."""
    for part in parts:
        PARTS[part]()


def show_speed() -> None:
    """Time single look-ups of ours and of a flat index in turn."""
    faiss.omp_set_num_threads(1)
    rng = generator(0, "speed")
    keys = rng.standard_normal((EVENTS, WIDTH), dtype=np.float32)
    times = np.arange(EVENTS)
    memory = ExternalMemory(WIDTH, replace(CONFIG, capacity=EVENTS, recurrence=1.0))
    memory.store_many(keys, EventOutcomes(np.zeros(EVENTS, np.int64), times.astype(np.float64), times, times))
    memory.commit()
    flat = faiss.IndexFlatL2(WIDTH)
    flat.add(keys)
    queries = rng.standard_normal((LOOKUPS, WIDTH), dtype=np.float32)
    found, taken = 0, np.zeros((2, 2, LOOKUPS))  # (ours and flat, wall and processor, look-ups)
    for place, query in enumerate(queries):
        ours, taken[0, :, place] = timed(lambda query=query: memory.retrieve(query, RECALLED))
        (_, nearest), taken[1, :, place] = timed(lambda query=query: flat.search(query[None], RECALLED))
        found += len(np.intersect1d(ours.outcome.value, nearest[0]))
    print(f"{EVENTS:,} events of width {WIDTH}: recall@{RECALLED} {found / (LOOKUPS * RECALLED):.4f}")
    for name, (wall, processor) in zip(("retrieve", "flat index"), taken * 1e3, strict=True):
        wall_at, processor_at = (np.quantile(column, [0.5, 0.95]) for column in (wall, processor))
        print(
            f"  {name:12s} wall ms p50 {wall_at[0]:.3f} p95 {wall_at[1]:.3f}"
            f"   processor ms p50 {processor_at[0]:.3f} p95 {processor_at[1]:.3f}"
        )


def show_recall() -> None:
    """Print sign accuracies on market E, seen before and seen once before."""
    methods: dict[str, Method] = {
        "memory, told where cues end": lambda path: told(path).forecast,
        "memory, not told": lambda path: not_told(path, path.row).forecast,
        "nearest raw cue, told": nearest_raw,
        "every cue known, told": known_cues,
    }
    print("market E, sign accuracy, worst of three seeds:  seen before / seen once before")
    for name, method in methods.items():
        long = [_accuracy(method, seed, LONG_PATHS, LONG_BARS, once=False) for seed in SEEDS]
        short = [_accuracy(method, seed, SHORT_PATHS, SHORT_BARS, once=True) for seed in SEEDS]
        every = f"{' '.join(f'{x:.3f}' for x in long)} / {' '.join(f'{x:.3f}' for x in short)}"
        print(f"  {name:28s} {min(long):.3f} / {min(short):.3f}   ({every})", flush=True)


def _accuracy(method: Method, seed: int, paths: int, bars: int, once: bool) -> float:
    drawn = (CUE_MARKET.draw(bars + WARMUP, generator(seed, "market E", bars, place)) for place in range(paths))
    return _share_right(method, map(watched, drawn), once)


def _share_right(method: Method, paths: Iterable[CuePath], once: bool) -> float:
    right: list[bool] = []
    for path in paths:
        before = occurrence(path.cue)
        asked = before == 1 if once else before > 0
        right.extend((np.sign(method(path)) == path.direction)[asked].tolist())
    return float(np.mean(right))


def show_reference() -> None:
    """Print sign accuracies on the paths that the bars were set on."""
    print("market E, told, sign accuracy on reference paths:  seen before / seen once before")
    methods = {
        "memory": lambda path: told(path).forecast,
        "nearest raw cue": nearest_raw,
        "every cue known": known_cues,
    }
    for name, method in methods.items():
        long = _share_right(method, [_reference_path(*REFERENCE_LONG)], once=False)
        short = _share_right(method, (_reference_path(SHORT_BARS, seed) for seed in REFERENCE_SHORT), once=True)
        print(f"  {name:28s} {long:.3f} / {short:.3f}", flush=True)


def _reference_path(bars: int, seed: int) -> CuePath:
    """Draw a path of market E cycle by cycle; what the project trains on draws a whole path at once."""
    rng, law = np.random.default_rng(seed), CUE_MARKET
    patterns = rng.normal(0.0, law.cue_size, (law.cues, law.cue_bars))
    patterns -= patterns.mean(axis=1, keepdims=True)
    direction = rng.choice([-1, 1], law.cues)
    returns: list[float] = []
    ends: list[tuple[int, int]] = []  # row of a cue's last bar, and the cue
    while len(returns) < bars:
        returns.extend(rng.normal(0.0, law.noise, law.gap_bars + rng.integers(law.extra_gap_bars + 1)))
        cue = int(rng.integers(law.cues))
        returns.extend(patterns[cue] + rng.normal(0.0, law.noise, law.cue_bars))
        ends.append((len(returns) - 1, cue))
        step = direction[cue] * law.move / law.move_bars
        returns.extend(step + rng.normal(0.0, law.noise) for _ in range(law.move_bars))
    row, cues = np.array([end for end in ends if end[0] < bars - law.move_bars - 1]).T
    warm_up = generator(seed, "warm-up").normal(0.0, law.noise, WARMUP)  # the path's own bars come after it
    series = bars_of_log_prices("E", "1h", np.cumsum(np.concatenate([warm_up, returns[:bars]])))
    return CuePath(series, patterns, direction.astype(np.float64), row + WARMUP, cues)


def watched(path: CuePath) -> CuePath:
    """Return the path with the cues after the warm-up only."""
    late = path.row >= WARMUP
    return path._replace(row=path.row[late], cue=path.cue[late])


def told(path: CuePath, value_of: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda v: v) -> Recall:
    """Look up the end of each cue among the earlier ones, (M, K)."""
    closes, moved = path.bars.close_time, path.bars.close[path.row + 2] / path.bars.close[path.row]
    kinds = np.full(len(path.row), KINDS.index(EventKind.flash_rally))
    outcomes = EventOutcomes(kinds, value_of(np.log(moved)), closes[path.row], closes[path.row + 2])
    return _lived_through(path, Events(path.row, outcomes), path.row)


def not_told(
    path: CuePath,
    rows: NDArray[np.int64],
    value_of: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda v: v,
) -> Recall:
    """Look up some bars among the earlier sharp moves, (T, K)."""
    volatility = exponential_volatility(path.bars, CONFIG.key.volatility_span_bars)
    row, outcomes = sharp_moves(path.bars, volatility, CONFIG.significance).since(WARMUP)
    events = Events(row, outcomes._replace(value=value_of(outcomes.value)))
    return _lived_through(path, events, rows)


def _lived_through(path: CuePath, events: Events, rows: NDArray[np.int64]) -> Recall:
    keys, closes = ENCODER.encode(path.bars), path.bars.close_time
    memory = ExternalMemory(ENCODER.width, CONFIG)
    memory.store_many(keys[events.row], events.outcomes)
    memory.commit(looked_up_from=int(closes[0]))
    return memory.retrieve_series(keys[rows], closes[rows])


def nearest_raw(path: CuePath) -> NDArray[np.float64]:
    """Return the move after the most similar earlier cue by raw returns, told where cues end, (M,)."""
    seen = path.bars.log_returns[path.row[:, None] + np.arange(1 - CUE_MARKET.cue_bars, 1)].astype(np.float32)
    moves, signs = np.log(path.bars.close[path.row + 2] / path.bars.close[path.row]), np.zeros(len(seen))
    for place in range(1, len(seen)):
        signs[place] = moves[np.argmin(((seen[:place] - seen[place]) ** 2).sum(axis=1))]
    return signs


def known_cues(path: CuePath) -> NDArray[np.float64]:
    """Return the most likely direction for who knows every cue and where it ends, (M,): a ceiling for all of them."""
    seen = path.bars.log_returns[path.row[:, None] + np.arange(1 - CUE_MARKET.cue_bars, 1)]
    gaps = ((seen[:, None] - path.patterns) ** 2).sum(axis=-1)  # (M, C)
    likelihood = np.exp(-(gaps - gaps.min(axis=1, keepdims=True)) / (2 * CUE_MARKET.noise**2))
    return likelihood @ path.directions


def show_profit() -> None:
    """Print what trading on memory earns, and what is left of it without."""
    shuffled = generator(0, "shuffle").permutation
    policies: dict[str, Callable[[CuePath], NDArray[np.float64]]] = {
        "told, memory on": lambda path: CUE_MARKET.targets(path, np.sign(told(path).forecast)),
        "told, memory wrong": lambda path: CUE_MARKET.targets(path, np.sign(told(path, shuffled).forecast)),
        "not told, memory on": lambda path: held(not_told(path, np.arange(len(path.bars)))),
        "not told, memory wrong": lambda path: held(not_told(path, np.arange(len(path.bars)), shuffled)),
        "every cue known, told": lambda path: CUE_MARKET.targets(path, path.direction),
    }
    print("market E, bp a bar after costs, worst of three seeds")
    for name, policy in policies.items():
        earned = []
        for seed in SEEDS:
            path = watched(CUE_MARKET.draw(LONG_BARS + WARMUP, generator(seed, "market E", LONG_BARS, 0)))
            earned.append(score(policy(path), path.bars.close, CUE_MARKET.cost_frac, WARMUP) / BPS)
        print(f"  {name:28s} {min(earned):7.2f}   ({' '.join(f'{x:.2f}' for x in earned)})", flush=True)


def held(recall: Recall) -> NDArray[np.float64]:
    """Return exposures that follow a clear recollection for two bars, (T,)."""
    signal = np.where(np.abs(recall.forecast) >= ENOUGH_FORECAST, np.sign(recall.forecast), 0.0)
    return np.where(signal != 0, signal, np.concatenate([[0.0], signal[:-1]]))


PARTS: dict[str, Callable[[], None]] = {
    "speed": show_speed,
    "recall": show_recall,
    "reference": show_reference,
    "profit": show_profit,
}


if __name__ == "__main__":
    run_benchmark(parser(), main)
