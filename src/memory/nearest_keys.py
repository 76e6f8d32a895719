"""`NearestKeys`: the nearest of a table of keys, among a range of its rows, by Faiss.

Rows are in order of time, so the events that had ended by a bar are a range of rows.
"""

from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

NO_ROW = -1
_CANDIDATES = 5  # keys looked at exactly for each one wanted, when codes are searched first
# Faiss compares up to 19 queries one by one and blocks of more by matrix products, which round differently.
_ALIKE = 16

# A look-up is far too short to share out: threads would spend it waiting for each other.
faiss.omp_set_num_threads(1)


class Neighbours(NamedTuple):
    """Nearest first, padded with `NO_ROW` and infinity where the range holds fewer than K rows."""

    rows: NDArray[np.int64]  # (B, K)
    distances: NDArray[np.float32]  # (B, K) squared Euclidean


class NearestKeys:
    """Searches keys (N, D) float32; rows never change.

    A search is exact, except among all of more than `exact_rows` rows: it then goes over codes of four bits a dimension
    (product quantisation in registers, André et al. 2015) and compares the best candidates exactly. The quantiser is
    fitted on all rows, and only searches over all of them use it, so none is moved by keys outside its range.

    Of equally distant rows the first comes first. A search for many queries gives each what it would get alone.
    """

    def __init__(self, keys: NDArray[np.float32], exact_rows: int) -> None:
        self.keys = np.ascontiguousarray(keys)
        self._codes = _coded(self.keys) if len(keys) > exact_rows else None

    def search(
        self, queries: NDArray[np.float32], first: NDArray[np.int64], stop: NDArray[np.int64], count: int
    ) -> Neighbours:
        """Return the nearest rows in [first, stop) for each query.

        Args:
            queries: (B, D).
            first, stop: (B,) ranges of rows; queries of equal ranges are fastest next to each other.
            count: K, how many to return.
        """
        rows = np.full((len(queries), count), NO_ROW, dtype=np.int64)
        distances = np.full((len(queries), count), np.inf, dtype=np.float32)
        changes = np.flatnonzero((np.diff(first) != 0) | (np.diff(stop) != 0)) + 1
        for start, end in zip([0, *changes.tolist()], [*changes.tolist(), len(queries)], strict=True):
            low, high = int(first[start]), int(stop[start])
            found = min(count, high - low)
            if found > 0:
                near = self._search_range(queries[start:end], low, high, found)
                distances[start:end, :found], rows[start:end, :found] = near
        return Neighbours(rows, distances)

    def _search_range(
        self, queries: NDArray[np.float32], low: int, high: int, count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if self._codes is not None and high - low == len(self.keys):
            parts = [self._among_codes(self._codes, query, count) for query in queries]
        else:
            blocks = range(0, len(queries), _ALIKE)
            parts = [self._exactly(queries[start : start + _ALIKE], low, high, count) for start in blocks]
        distances, rows = zip(*parts, strict=True)
        return np.concatenate(distances), np.concatenate(rows)

    def _exactly(
        self, queries: NDArray[np.float32], low: int, high: int, count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        distances, rows = faiss.knn(queries, self.keys[low:high], count)
        order = np.lexsort((rows, distances), axis=-1)
        return np.take_along_axis(distances, order, axis=-1), np.take_along_axis(rows, order, axis=-1) + low

    def _among_codes(
        self, codes: faiss.IndexPQFastScan, query: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        rows = np.sort(codes.search(query[None], min(count * _CANDIDATES, len(self.keys)))[1][0])
        gaps = self.keys[rows] - query
        distances = np.einsum("ij,ij->i", gaps, gaps)
        nearest = np.argsort(distances, kind="stable")[:count]
        return distances[None, nearest], rows[None, nearest]


def _coded(keys: NDArray[np.float32]) -> faiss.IndexPQFastScan:
    # One sub-quantiser of 16 levels for each dimension; Faiss fits it from a fixed seed.
    width = keys.shape[1]
    index = faiss.IndexPQFastScan(width, width, 4)
    index.train(keys)
    index.add(keys)
    return index
