"""Fifty rules that earn nothing but what their market gives, in five kinds of market: what a gate must refuse."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from src.market.synthetic.known_markets import generate

FloatArray = NDArray[np.float64]

RULES, SELECTION_BARS, BARS_PER_YEAR = 50, 2_000, 252.0
DRIFT = 1.5 / np.sqrt(BARS_PER_YEAR)  # of the markets that trend: an annual Sharpe ratio of 1.5
SPELL_BARS = 20.0  # how long a random rule holds on average
CRASH, CRASH_DEVIATIONS = 0.01, 10.0


class Rules(NamedTuple):
    """Simple returns per bar, (T, N) of the rules and (T,) of holding the market."""

    returns: FloatArray
    market: FloatArray


def moving_averages(bars: int, rng: np.random.Generator) -> Rules:
    """Return rules that follow or fade the distance to a moving average, on a random walk: relatives of each other."""
    closes, market = _walk(bars, rng)
    prices, sides = np.log(closes), []
    for span in np.geomspace(2.0, 200.0, RULES // 2):
        weight = 2.0 / (span + 1.0)
        average = lfilter([weight], [1.0, weight - 1.0], prices - prices[0]) + prices[0]
        sides += [np.sign(prices - average), -np.sign(prices - average)]
    return Rules(np.stack(sides, axis=1)[:-1] * market[:, None], market)


def coin_tossers(bars: int, rng: np.random.Generator) -> Rules:
    """Return rules that are long or short at random, on a random walk: independent of each other."""
    _, market = _walk(bars, rng)
    return Rules(_spells(bars, rng, (-1.0, 1.0)) * market[:, None], market)


def random_longs(bars: int, rng: np.random.Generator) -> Rules:
    """Return rules that are in or out of a market that trends, at random."""
    return _in_a_trend(bars, rng, (0.0, 1.0))


def leveraged_longs(bars: int, rng: np.random.Generator) -> Rules:
    """Return rules that hold one to three times their equity of a market that trends, at random."""
    return _in_a_trend(bars, rng, (1.0, 2.0, 3.0))


def insurers(bars: int, rng: np.random.Generator) -> Rules:
    """Return rules with small gains and rare crashes that take all of it, whatever the market does."""
    _, market = _walk(bars, rng)
    crashes = rng.random((bars, RULES)) < CRASH
    returns = rng.normal(size=(bars, RULES)) + CRASH_DEVIATIONS * (CRASH - crashes)
    return Rules(0.001 * returns, market)


WORTHLESS = {
    "related rules, random walk": moving_averages,
    "independent rules, random walk": coin_tossers,
    "long at random, trending market": random_longs,
    "the same with leverage": leveraged_longs,
    "small gains, rare crashes": insurers,
}


def _walk(bars: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    # Market C: no drift, fat tails, volatility that comes in clusters.
    closes = generate("C", bars + 1, rng).close
    return closes, np.diff(closes) / closes[:-1]


def _in_a_trend(bars: int, rng: np.random.Generator, exposures: tuple[float, ...]) -> Rules:
    market = 0.01 * rng.normal(DRIFT, 1.0, size=bars)
    return Rules(_spells(bars, rng, exposures) * market[:, None], market)


def _spells(bars: int, rng: np.random.Generator, exposures: tuple[float, ...]) -> FloatArray:
    # Random exposures (T, N), each held for a spell of random length.
    drawn = rng.choice(exposures, size=(bars, RULES))
    begins = rng.random((bars, RULES)) < 1.0 / SPELL_BARS
    begins[0] = True
    since = np.maximum.accumulate(np.where(begins, np.arange(bars)[:, None], 0), axis=0)
    return np.take_along_axis(drawn, since, axis=0)
