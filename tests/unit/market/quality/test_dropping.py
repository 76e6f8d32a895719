"""Leaving rows out never changes what a file says: not by many rows, and not by their price."""

import numpy as np
import pandas as pd
import pytest

from src.errors import DataError
from src.market.quality.verdict import DROP, clean
from tests.unit.market.quality.test_quality import PRICES, market


def without(frame: pd.DataFrame, rows: object, columns: list[str]) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[rows, columns] = np.nan
    return frame


def test_a_twentieth_of_the_rows_may_leave_and_not_one_more() -> None:
    frame = market(400)
    rows = np.random.default_rng(0).permutation(400)
    assert len(clean("x.csv", without(frame, rows[:20], ["close"]), policy=DROP)) == 380
    with pytest.raises(DataError, match="drop_defective would leave out 21 of 400 rows, and at most 5% may"):
        clean("x.csv", without(frame, rows[:21], ["close"]), policy=DROP)


def test_minutes_without_a_trade_may_leave_in_any_number() -> None:
    frame = market(400)
    rows = np.random.default_rng(0).permutation(400)[:300]
    assert len(clean("x.csv", without(frame, rows, [*PRICES, "volume"]), policy=DROP)) == 100
    with pytest.raises(DataError, match="leave out 300 of 400 rows"):
        clean("x.csv", without(frame, rows, PRICES), policy=DROP)  # somebody traded


def hovering(level: float) -> pd.DataFrame:
    """Bars that cross a level many times."""
    frame = market(2000)
    wave = level * (1 + 0.2 * np.sin(np.arange(2000) / 25))
    return frame.assign(open=wave, high=wave * 1.001, low=wave * 0.999, close=wave)


@pytest.mark.parametrize("level", [1_000.0, 1_000_000.0])
def test_bars_on_one_side_of_a_round_price_alone_are_refused(level: float) -> None:
    frame = hovering(level)
    above = frame[(frame["high"] >= level) & (frame["high"] < level * 1.01)].index
    frame = frame.drop(index=frame[frame["high"] >= level * 1.01].index).reset_index(drop=True)
    above = frame[frame["high"] >= level].index
    assert 0 < len(above) <= 0.05 * len(frame)
    with pytest.raises(DataError, match=f"leave bars below {level:,.0f} only.*are thousands separated"):
        clean("x.csv", without(frame, above, ["high"]), policy=DROP)


def test_rows_that_leave_anywhere_else_are_an_exception() -> None:
    frame = hovering(900.0)
    frame = frame[frame["high"] < 1000].reset_index(drop=True)
    rows = np.random.default_rng(0).permutation(len(frame))[:20]
    assert len(clean("x.csv", without(frame, rows, ["high"]), policy=DROP)) == len(frame) - 20


def test_every_reason_is_told_at_once() -> None:
    frame = without(market(400), range(40), ["close"])
    twice = pd.concat([frame, frame.iloc[[300]].assign(volume=9.0)], ignore_index=True)
    with pytest.raises(DataError, match=r"leave out 40 of 401 rows.* \| conflicting duplicate: 1, first row 400"):
        clean("x.csv", twice, policy=DROP)
