"""Bars that are called plain are those in which a judgement finds nothing."""

import numpy as np
import pandas as pd
import pytest

from src.market.bars import COLUMNS
from src.market.quality.plain_bars import MOST_ROWS, are_plain
from src.market.quality.verdict import judge

HOUR_MS = 3_600_000
START = 1_600_000_000_000 // HOUR_MS * HOUR_MS


def bars(rng: np.random.Generator, rows: int) -> np.ndarray:
    opened = 100 * np.exp(rng.normal(0, 0.1, rows))
    close = opened * np.exp(rng.normal(0, 0.1, rows))
    high = np.maximum(opened, close) * np.exp(rng.exponential(0.05, rows))
    low = np.minimum(opened, close) * np.exp(-rng.exponential(0.05, rows))
    times = START + np.arange(rows) * HOUR_MS
    return np.column_stack([times, opened, high, low, close, rng.exponential(1.0, rows) * (rng.random(rows) < 0.8)])


def judged(table: np.ndarray) -> tuple[bool, pd.DataFrame]:
    frame = pd.DataFrame(table, columns=list(COLUMNS)).astype({"open_time": np.int64})
    found = judge(frame, HOUR_MS)
    return found.verdict.reasons == (), found.frame


@pytest.mark.parametrize("rows", range(1, MOST_ROWS + 1))
def test_a_judgement_takes_plain_bars_as_they_are(rows: int) -> None:
    rng, plain = np.random.default_rng(rows), 0
    for _ in range(150):
        table = bars(rng, rows)
        if are_plain(table, HOUR_MS):
            plain += 1
            is_sound, frame = judged(table)
            assert is_sound
            np.testing.assert_array_equal(frame.to_numpy(), table)
    assert plain > 20


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (0, 0, START + 1),
        (1, 0, START),
        (1, 0, START + 2 * HOUR_MS),
        (1, 1, np.nan),
        (1, 2, 99.0),
        (1, 3, 101.5),
        (1, 3, 0.0),
        (1, 3, -1.0),
        (1, 4, np.inf),
        (1, 2, 1000.0),
        (1, 5, -1.0),
    ],
)
def test_what_is_not_sound_is_not_plain(row: int, column: int, value: float) -> None:
    table = np.array([[START + place * HOUR_MS, 100.0, 102.0, 98.0, 101.0, 5.0] for place in range(2)])
    assert are_plain(table, HOUR_MS)
    table[row, column] = value
    assert not are_plain(table, HOUR_MS)


def test_many_bars_are_judged() -> None:
    table = np.array([[START + place * HOUR_MS, 100.0, 102.0, 98.0, 101.0, 5.0] for place in range(MOST_ROWS + 1)])
    assert not are_plain(table, HOUR_MS)
