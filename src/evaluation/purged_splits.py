"""Combinatorial purged cross-validation: many out-of-sample histories from one series.

López de Prado, "Advances in Financial Machine Learning" (2018), chapters 7 and 12. The rows are cut into N groups in
order of time; every choice of k groups is tested once by a model fitted on the rest. Each group is tested C(N-1, k-1)
times, so the pieces make that many full out-of-sample paths.

Training rows near tested ones are left out: before, because their outcomes reach into the tested rows (purge); after,
because tested outcomes reach into them and their features look back (embargo).
"""

from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class PurgedSplit:
    """One choice of tested groups.

    Attributes:
        train: rows to fit on, ascending.
        tested: per tested group, in order of time, its number and its rows.
    """

    train: IntArray
    tested: tuple[tuple[int, range], ...]


def combinatorial_purged_splits(
    rows: range, groups: int, tested: int, purge_bars: int = 0, embargo_bars: int = 0
) -> list[PurgedSplit]:
    """Return all C(groups, tested) splits, in lexicographic order of the tested groups.

    Args:
        rows: consecutive usable rows.
        groups: N, of equal size to a row.
        tested: k, groups tested at a time.
        purge_bars: rows left out before each tested stretch: how far an outcome reaches ahead.
        embargo_bars: rows left out after each: how far an outcome reaches ahead or a feature back, the longer of them.

    Raises:
        DataError: no group would be left to fit on, groups would be empty, or a split keeps no row to fit on.
    """
    if not 1 <= tested < groups or groups > len(rows) or purge_bars < 0 or embargo_bars < 0:
        raise DataError(
            f"purged splits need 1 <= tested < groups <= rows and gaps >= 0, had {tested} of {groups} groups of "
            f"{len(rows)} rows, purge {purge_bars} and embargo {embargo_bars}"
        )
    bounds = np.linspace(rows.start, rows.stop, groups + 1).round().astype(int).tolist()
    pieces = [range(start, stop) for start, stop in pairwise(bounds)]
    splits = []
    for chosen in combinations(range(groups), tested):
        fits = np.ones(len(rows), dtype=np.bool_)
        for group in chosen:
            first, after = pieces[group].start - rows.start, pieces[group].stop - rows.start
            fits[max(0, first - purge_bars) : after + embargo_bars] = False
        train = np.flatnonzero(fits) + rows.start
        if not train.size:
            raise DataError(
                f"testing groups {chosen} leaves no row to fit on after a purge of {purge_bars} and an embargo of "
                f"{embargo_bars} bars; use fewer groups or smaller gaps"
            )
        splits.append(PurgedSplit(train, tuple((group, pieces[group]) for group in chosen)))
    return splits


def out_of_sample_paths(groups: int, tested: int) -> IntArray:
    """Return the split that supplies each group of each path, (paths, N) with C(N-1, k-1) paths of all N groups.

    The p-th path takes each group from the p-th split that tests it, so no result is used twice.
    """
    choices = list(combinations(range(groups), tested))
    suppliers = [[split for split, chosen in enumerate(choices) if group in chosen] for group in range(groups)]
    paths = np.array(suppliers).T
    assert paths.shape == (comb(groups - 1, tested - 1), groups)
    return paths
