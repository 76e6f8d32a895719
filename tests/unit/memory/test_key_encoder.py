"""Memory keys: the formula, no future, no scale, and markets that break careless arithmetic."""

import numpy as np
import pytest

from src.config.agent.memory import KeyConfig
from src.errors import DataError
from src.market.bars import BarSeries
from src.memory.key_encoder import KeyEncoder, exponential_volatility
from tests.support.random_bars import NASTY_MARKETS, concatenate, random_bars

ENCODER = KeyEncoder(KeyConfig(window_bars=4, volatility_span_bars=20, clip=3.0))


def test_a_key_is_the_last_returns_over_the_trailing_volatility() -> None:
    bars = random_bars(120, seed=1)
    r, row = bars.log_returns, 100
    weights = (1 - 2 / 21) ** np.arange(80)
    volatility = np.sqrt((weights * r[row - 79 : row + 1][::-1] ** 2).sum() / weights.sum())
    np.testing.assert_allclose(exponential_volatility(bars, 20)[row], volatility)
    expected = np.clip(r[row - 3 : row + 1] / volatility, -3, 3)
    np.testing.assert_allclose(ENCODER.encode(bars)[row], expected, rtol=1e-6)


def test_other_bars_later_change_no_key_before() -> None:
    past = random_bars(200, seed=1)
    keys = []
    for seed in (2, 3):
        future = random_bars(100, seed=seed, sigma=0.1)
        shifted = BarSeries("TEST", "1h", future.open_time + 200 * 3_600_000, *future_columns(future))
        keys.append(ENCODER.encode(concatenate([past, shifted])))
    np.testing.assert_array_equal(keys[0][:200], keys[1][:200])
    np.testing.assert_array_equal(keys[0][:200], ENCODER.encode(past))
    assert (keys[0][200:] != keys[1][200:]).any()


def future_columns(bars: BarSeries) -> tuple[np.ndarray, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume


def test_neither_price_nor_volatility_nor_volume_is_seen() -> None:
    bars = random_bars(300, seed=1)
    cube = [column**3 / 50 for column in future_columns(bars)[:4]]  # log prices times 3, at another level
    louder = BarSeries("OTHER", "1h", bars.open_time, *cube, np.zeros(300))
    np.testing.assert_allclose(ENCODER.encode(louder), ENCODER.encode(bars), atol=1e-5)
    np.testing.assert_allclose(ENCODER.encode(bars.mirrored()), -ENCODER.encode(bars), atol=1e-5)


@pytest.mark.parametrize("name", NASTY_MARKETS)
def test_keys_are_finite_and_bounded_in_any_market(name: str) -> None:
    keys = ENCODER.encode(NASTY_MARKETS[name](400))
    assert keys.dtype == np.float32
    assert np.isfinite(keys).all()
    assert np.abs(keys).max() <= 3
    assert not keys[: ENCODER.warmup_bars].any()
    assert keys.any() == (name != "constant")


def test_a_series_no_longer_than_the_warm_up_is_refused() -> None:
    assert ENCODER.encode(random_bars(21)).shape == (21, 4)
    with pytest.raises(DataError, match="TEST: memory keys need more than 20 bars, got 20; give a longer series"):
        ENCODER.encode(random_bars(20))
