"""A report of very many bars, made at once."""

from dataclasses import replace

import numpy as np

from src.market.bars import BarSeries
from src.reporting.summary import Description, Report
from src.trading.records import StepRecord
from tests.support.simulated_records import random_walk

STEP_MS = 300_000
BARS_A_TRADE = 288


def long_report(short: Report, bars: int) -> Report:
    """Return a report of so many five-minute bars with a trade of a day every other day, the figures those of `short`.

    They take long to measure, and a page only shows them.
    """
    closes, held = random_walk(bars, seed=1, volatility=1e-3), np.arange(bars) // BARS_A_TRADE % 2 * 1.0
    opened, fills = np.append(closes[0], closes[:-1]), np.diff(held, prepend=0.0)
    equity, zero = 10_000.0 + np.cumsum(held * (closes - opened)), np.zeros(bars)
    times = STEP_MS * np.arange(1, bars + 1)
    paid = opened * (fills != 0)
    records = StepRecord(times, held, held, fills, paid, zero, zero, zero, zero, equity, zero, zero > 0, *[zero] * 5)
    high, low = np.maximum(opened, closes), np.minimum(opened, closes)
    series = BarSeries("LONG", "5m", times - STEP_MS, opened, high, low, closes, np.ones(bars))
    return replace(short, description=Description("long", "LONG", "5m", "test"), records=records, bars=series)
