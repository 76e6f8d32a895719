"""The volatility filter: its formula written out, what it must not see, a market whose volatility is known."""

import json

import numpy as np
import pytest

from src.errors import DataError, ModelFileError
from src.market.bars import BarSeries, FloatArray
from src.reasoning.har_volatility import RANGE_SPANS, RETURN_SPANS, HarVolatility
from src.reasoning.market_module import latest
from tests.support.random_bars import NASTY_MARKETS, bars_from_steps, random_bars


def garch(count: int, seed: int = 0) -> tuple[BarSeries, FloatArray]:
    """Bars of four substeps whose variance follows a GARCH(1,1), and the true sigma of each bar's return."""
    rng = np.random.default_rng(seed)
    variance, steps, sigmas = 1e-4, [], []
    for shock in rng.standard_normal((count, 4)):
        sigmas.append(np.sqrt(variance))
        steps.append(0.5 * np.sqrt(variance) * shock)
        variance = 3e-6 + 0.12 * steps[-1].sum() ** 2 + 0.85 * variance
    return bars_from_steps(np.array(steps), np.full(count, 3.0)), np.array(sigmas)


def fitted(bars: BarSeries) -> HarVolatility:
    return HarVolatility.fit([(bars, range(len(bars)))])


def test_a_row_is_the_formula_written_out() -> None:
    bars, _ = garch(900)
    model = fitted(bars)
    close, high, low = (np.log(prices) for prices in (bars.close, bars.high, bars.low))
    prior = np.concatenate([[np.log(bars.open[0])], close[:-1]])
    squares = (np.maximum(high, prior) - np.minimum(low, prior)) ** 2
    floor = 1e-3 * squares.mean()
    assert model.mean_square == pytest.approx(squares.mean(), rel=1e-9)

    def average(values: FloatArray, span: int, row: int) -> float:
        total = weights = 0.0
        for age in range(min(4 * span, row + 1)):
            weight = (1 - 2 / (span + 1)) ** age
            total, weights = total + weight * values[row - age], weights + weight
        return total / weights

    rows = range(len(bars))
    unit = np.array([np.sqrt(average(squares, 30, row) + floor) for row in rows])
    standard = np.clip(np.diff(close, prepend=close[0]) / unit, -5, 5)
    sigma = model.sigma(bars)
    for row in (0, 1, 50, 480, 899):
        terms = [1.0]
        terms += [0.5 * np.log(average(squares, span, row) + floor) for span in RANGE_SPANS]
        terms += [np.sqrt(span) * average(standard, span, row) for span in RETURN_SPANS]
        assert sigma[row] == pytest.approx(np.exp(model.coefficients @ terms), rel=1e-9)
    table = model.transform(bars)
    np.testing.assert_allclose(table[:, 0], np.log(sigma / model.typical_sigma))
    np.testing.assert_allclose(table[1:, 1], np.clip(bars.log_returns[1:] / sigma[:-1], -5, 5))
    surprise = np.log((np.sqrt(squares[1:]) + np.sqrt(floor)) / sigma[:-1])
    np.testing.assert_allclose(table[1:, 2], np.clip(surprise, -5, 5))
    assert table[0, 1:].tolist() == [0.0, 0.0]


def test_it_finds_the_volatility_of_a_market_where_that_is_known() -> None:
    bars, sigma = garch(6000)
    model = HarVolatility.fit([(bars, range(4000))])
    found, true = np.log(model.sigma(bars)[4000:-1]), np.log(sigma[4001:])
    assert np.corrcoef(found, true)[0, 1] > 0.9
    assert np.mean(found - true) == pytest.approx(0.0, abs=0.05)
    assert np.abs(found - true).mean() < 0.5 * np.abs(true - true.mean()).mean()


def test_a_fall_counts_for_more_where_it_does() -> None:
    rng = np.random.default_rng(3)
    sigma, steps = 0.01, []
    for shock in rng.standard_normal((4000, 4)):
        steps.append(0.5 * sigma * shock)
        sigma = 0.01 * np.exp(-0.4 * shock.sum() / 2)  # the whole of tomorrow's volatility is today's sign
    model = fitted(bars_from_steps(np.array(steps), np.ones(4000)))
    fall, rise = (bars_from_steps(np.full((600, 4), move / 4), np.ones(600)) for move in (-0.01, 0.01))
    assert model.sigma(fall)[-1] > 1.5 * model.sigma(rise)[-1]


def test_the_trailing_window_gives_what_the_series_gave_and_the_future_nothing() -> None:
    bars, _ = garch(1500, seed=4)
    model = fitted(bars[:1000])
    whole = model.transform(bars)
    for stop in (700, 1200, 1500):
        np.testing.assert_allclose(latest(model, bars[:stop]), whole[stop - 1], atol=1e-9)
    late, _ = garch(1500, seed=5)
    other = bars_from_steps(np.concatenate([np.diff(np.log(bars.close[:800]), prepend=np.log(bars.close[0])),
                                            late.log_returns[800:]])[:, None], np.ones(1500))  # fmt: skip
    same = bars_from_steps(np.diff(np.log(bars.close[:800]), prepend=np.log(bars.close[0]))[:, None], np.ones(800))
    np.testing.assert_allclose(model.transform(other)[:800], model.transform(same), atol=1e-9)
    unseen = HarVolatility.fit([(bars, range(900))])
    assert np.array_equal(unseen.coefficients, HarVolatility.fit([(bars[:900], range(900))]).coefficients)


@pytest.mark.parametrize("market", NASTY_MARKETS)
def test_whatever_the_market_columns_are_finite(market: str) -> None:
    model = fitted(random_bars(800))
    columns = model.transform(NASTY_MARKETS[market](700))
    assert columns.shape == (700, len(model.columns))
    assert np.isfinite(columns).all()


def test_the_price_level_changes_nothing() -> None:
    cheap, dear = random_bars(600, first_price=1e-6), random_bars(600, first_price=1e6)
    model = fitted(cheap)
    np.testing.assert_allclose(model.transform(cheap), model.transform(dear), atol=1e-7)
    np.testing.assert_allclose(model.transform(cheap), fitted(dear).transform(dear), atol=1e-2)  # as well as fits agree


def test_plain_data_is_all_there_is() -> None:
    bars = random_bars(500)
    model = fitted(bars)
    plain = json.loads(json.dumps(model.to_plain()))
    assert np.array_equal(HarVolatility.from_plain(plain).transform(bars), model.transform(bars))
    with pytest.raises(ModelFileError, match="version 99"):
        HarVolatility.from_plain(plain | {"version": 99})


def test_what_cannot_be_fitted_is_refused_in_a_sentence() -> None:
    still = NASTY_MARKETS["constant"](400)
    with pytest.raises(DataError, match="the price stands still"):
        fitted(still)
    with pytest.raises(DataError, match="at least 200 training bars, got 150"):
        HarVolatility.fit([(random_bars(150), range(150))])
    with pytest.raises(DataError, match="not a stretch of rows"):
        HarVolatility.fit([(random_bars(300), range(301))])
