"""The generated market of four regimes follows its law, and its filter is exact."""

import itertools
import math

import numpy as np
import pytest

from benchmarks.perception.classification import calibration_error, macro_f1
from src.market.bars import FloatArray
from src.market.synthetic.regime_market import (
    DOWN,
    RANGING,
    REGIME_MARKET,
    UP,
    VOLATILE,
    RegimeMarket,
    candles_of,
    regime_bars,
)
from src.market.synthetic.regime_posterior import regime_posterior

PATHS = REGIME_MARKET.draw(40, 2000, np.random.default_rng(0))


def moves_under(regime: int) -> FloatArray:
    """Close-to-close log-returns of the bars a regime drew."""
    closes = PATHS.steps[..., -1]
    return np.diff(closes, axis=1)[PATHS.regime[:, 1:] == regime]


@pytest.mark.parametrize(("regime", "mean", "size"), [(UP, 0.003, 0.01), (DOWN, -0.003, 0.01), (VOLATILE, 0.0, 0.022)])
def test_returns_have_the_stated_mean_and_size(regime: int, mean: float, size: float) -> None:
    moves = moves_under(regime)
    assert moves.mean() == pytest.approx(mean, abs=4 * size / math.sqrt(len(moves)))
    assert moves.std() == pytest.approx(size, rel=0.02)


def test_regimes_last_as_long_as_stated_and_are_equally_common() -> None:
    changes = (np.diff(PATHS.regime, axis=1) != 0).mean()
    assert changes == pytest.approx(1 / 60, abs=4 * math.sqrt(1 / 60 / PATHS.regime.size))
    assert np.bincount(PATHS.regime.ravel()) / PATHS.regime.size == pytest.approx([0.25] * 4, abs=0.03)


def test_a_range_stays_about_the_price_it_was_entered_at() -> None:
    # Stationary variance of the substep recursion, 4 steps a bar: s² / 4 / (1 - (1 - k / 4)²).
    widths = []
    for regime, steps in zip(PATHS.regime, PATHS.steps, strict=True):
        starts = np.flatnonzero(np.diff(regime) != 0) + 1
        for start, end in itertools.pairwise([*starts.tolist(), len(regime)]):
            if regime[start] == RANGING and end - start > 40:
                widths.append(steps[start + 30 : end, -1] - steps[start - 1, -1])
    expected = 0.01 / 2 / math.sqrt(1 - (1 - 0.15 / 4) ** 2)
    assert np.concatenate(widths).std() == pytest.approx(expected, rel=0.1)


def test_candles_contain_their_steps_and_open_at_the_prior_close() -> None:
    candles = candles_of(PATHS.steps[:2])
    assert np.array_equal(candles.open[:, 1:], PATHS.steps[:2, :-1, -1])
    assert np.array_equal(candles.high, np.maximum(candles.open, PATHS.steps[:2].max(axis=2)))
    assert np.array_equal(candles.low, np.minimum(candles.open, PATHS.steps[:2].min(axis=2)))
    first = regime_bars(PATHS.steps[:2])[0]
    np.testing.assert_allclose(np.log(first.high / 100.0), candles.high[0], atol=1e-12)


def enumerated_posterior(market: RegimeMarket, steps: FloatArray) -> FloatArray:
    """Add up the probability of every sequence of regimes that could have drawn one short path (T, M)."""
    bars, count = steps.shape
    flat = np.concatenate([[0.0], steps.ravel()])
    weights = np.zeros(4)
    for sequence in itertools.product(range(4), repeat=bars):
        weight, anchor = 0.25, 0.0
        for bar, regime in enumerate(sequence):
            opened = flat[bar * count]
            if bar:
                leave = 1 / market.mean_bars
                weight *= 1 - leave if regime == sequence[bar - 1] else leave / 3
                anchor = anchor if regime == sequence[bar - 1] else opened
            for step in range(count):
                before, after = flat[bar * count + step : bar * count + step + 2]
                pull = market.pull * (before - anchor) if regime == RANGING else 0.0
                mean = ([market.drift, -market.drift, -pull, 0.0][regime]) / count
                size = (market.storm if regime == VOLATILE else market.volatility) / math.sqrt(count)
                weight *= math.exp(-0.5 * ((after - before - mean) / size) ** 2) / size
        weights[sequence[-1]] += weight
    return weights / weights.sum()


def test_the_filter_equals_the_sum_over_all_sequences() -> None:
    market = RegimeMarket(mean_bars=3.0)
    steps = market.draw(3, 6, np.random.default_rng(3)).steps
    posterior = regime_posterior(market, steps)
    for path in range(3):
        for bars in (1, 4, 6):
            expected = enumerated_posterior(market, steps[path, :bars])
            np.testing.assert_allclose(posterior[path, bars - 1], expected, rtol=1e-9)


def test_the_filter_is_calibrated_and_as_good_as_stated() -> None:
    posterior = regime_posterior(REGIME_MARKET, PATHS.steps[:20])[:, 100:].reshape(-1, 4)
    labels = PATHS.regime[:20, 100:].ravel()
    assert calibration_error(posterior, labels) < 0.02
    assert macro_f1(posterior.argmax(axis=1), labels, 4) == pytest.approx(0.811, abs=0.025)
