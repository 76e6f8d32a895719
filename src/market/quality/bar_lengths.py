"""How long the bars of a file are, stretches of it in which they are longer or shorter, and trades dressed as bars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import TimeArray
from src.market.quality.defects import MINUTE_MS, CandleColumns

STRETCH_BARS = 20  # steps in a row of which most are of another length; fewer may be a thin market
MOST = 0.75  # of the steps in such a stretch; daily bars have weekends and a holiday
FLAT_FRAC = 0.95  # bars without a range, from which on they may be trades


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive rows, first to last, that are most often `step_ms` apart."""

    first: int
    last: int
    step_ms: int


def common_step(open_time: TimeArray) -> int:
    """Return the most common distance between consecutive distinct times (T,), in milliseconds."""
    steps = np.diff(open_time)
    if not (steps > 0).all():
        steps = np.diff(np.unique(open_time))
    if steps.size == 0:
        raise DataError(f"{steps.size + 1} bar(s) found, at least 2 are needed to tell their length")
    likely = steps[steps.size // 2]
    if 2 * int((steps == likely).sum()) > steps.size:
        return int(likely)
    lengths, counts = np.unique(steps, return_counts=True)
    return int(lengths[np.argmax(counts)])


def other_lengths(times: TimeArray, step: int) -> tuple[Stretch, ...]:
    """Return the stretches in which bars are of another length than `step`, in order of time.

    In such a stretch every step is a multiple of the other length, and most are just that. A thin market, whose steps
    vary, has none.

    Args:
        times: (T,) distinct, in order.
    """
    steps = np.diff(times)
    others = np.flatnonzero(steps != step)
    if not others.size:
        return ()
    by_length = others[np.argsort(steps[others], kind="stable")]
    lengths, starts = np.unique(steps[by_length], return_index=True)
    found = []
    for length, places in zip(lengths, np.split(by_length, starts[1:]), strict=True):
        if _ever_dense(places):
            found += _stretches(steps, int(length), step)
    return tuple(sorted(found, key=lambda stretch: stretch.first))


def _ever_dense(places: NDArray[np.intp]) -> bool:
    needed = round(MOST * STRETCH_BARS)
    return len(places) >= needed and bool((places[needed - 1 :] - places[: 1 - needed] < STRETCH_BARS).any())


def _stretches(steps: TimeArray, length: int, usual: int) -> list[Stretch]:
    fits = np.concatenate([[False], steps % length == 0, [False]])
    if usual % length == 0:  # shorter bars: those of the usual length end the stretch
        fits[1:-1] &= steps != usual
    edges = np.flatnonzero(np.diff(fits.astype(np.int8)))
    found = []
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - first >= STRETCH_BARS and (steps[first:stop] == length).mean() >= MOST:
            last = stop - 1 if stop < len(steps) and steps[stop] == usual else stop
            found.append(Stretch(int(first), int(last), length))
    return found


def longest_rest(count: int, stretches: tuple[Stretch, ...]) -> tuple[int, int]:
    """Return the first and last of the longest run of `count` rows that lie in none of the stretches."""
    starts = [0, *(stretch.last + 1 for stretch in stretches)]
    ends = [*(stretch.first - 1 for stretch in stretches), count - 1]
    return max(zip(starts, ends, strict=True), key=lambda rest: rest[1] - rest[0])


def are_trades(c: CandleColumns, step: int) -> bool:
    """Say whether nearly every row has one price only and comes at no regular time: a trade, not a bar."""
    steps = np.diff(c.open_time)
    regular = 0.9 if step < MINUTE_MS else 0.5
    if not steps.size or (steps == step).mean() >= regular:
        return False
    flat = np.all(c.prices[:, 1:] == c.prices[:, :1], axis=1)
    return bool(flat.mean() >= FLAT_FRAC)
