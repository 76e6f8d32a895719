"""Panels of random walks in which symbols are listed late, miss bars and are delisted."""

from dataclasses import replace

import numpy as np

from src.market.bars import COLUMNS, BarSeries
from src.market.panel import Panel
from tests.support.random_bars import random_bars


def ragged_panel(bars: int, symbols: int, seed: int, sigma: float = 0.02) -> Panel:
    """Return a panel whose first symbol is whole, while every other has a history of its own."""
    rng = np.random.default_rng(seed)
    walks = [replace(random_bars(bars, seed * 100 + n, sigma), symbol=f"S{n}") for n in range(symbols)]
    return Panel.of("ragged", [walks[0], *(_ragged(walk, rng) for walk in walks[1:])])


def whole_panel(bars: int, symbols: int, seed: int, sigma: float = 0.02) -> Panel:
    """Return a panel whose symbols have every bar."""
    return Panel.of(
        "whole", [replace(random_bars(bars, seed * 100 + n, sigma), symbol=f"S{n}") for n in range(symbols)]
    )


def random_targets(shape: tuple[int, ...], seed: int, size: float = 0.5) -> np.ndarray:
    """Return exposures (T, ..., S) that change now and then."""
    rng = np.random.default_rng(seed)
    changes = rng.random(shape) < 0.2
    newest = np.maximum.accumulate(
        np.where(changes, np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), 0), axis=0
    )
    return np.take_along_axis(rng.uniform(-size, size, shape), newest, axis=0)


def _ragged(bars: BarSeries, rng: np.random.Generator) -> BarSeries:
    first, last = rng.integers(0, len(bars) // 3), rng.integers(len(bars) // 2, len(bars))
    kept = np.flatnonzero(rng.random(len(bars)) < 0.9)
    kept = kept[(kept >= first) & (kept <= last)]
    return BarSeries(bars.symbol, bars.timeframe, *[getattr(bars, name)[kept] for name in COLUMNS])
