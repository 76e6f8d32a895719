"""How far the next bar is likely to move: a heterogeneous autoregression of ranges, fitted by maximum likelihood.

    log sigma = b0 + sum_j b_j * log rms range over about s_j bars + sum_k c_k * (recent standardised returns, span s_k)

The averages are HAR's (Corsi 2009), of true ranges, which tell more about volatility than closes do (Parkinson 1980);
logarithms and signed returns are EGARCH's (Nelson 1991), so sigma is positive whatever the coefficients, and a fall may
count for more than a rise. We depart from both in that nothing is recursive: exponential averages end after four spans,
so a row depends on `history_bars` bars and on nothing before them, and a fit of 3,000 bars takes a tenth of a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

from src.errors import DataError
from src.features.indicators import CUTOFF_SPANS, exponential_average, latest_average
from src.market.bars import BarSeries, FloatArray
from src.reasoning.candle_scale import Samples, log_candles, true_range
from src.reasoning.market_module import require_version

VERSION = 1  # raise it whenever the formula changes: coefficients fitted on the old one are then refused
RANGE_SPANS = (2, 8, 30, 120)
RETURN_SPANS = (2, 8, 30)
_UNIT_SPAN = 30  # of the average that signed returns are measured against
_FLOOR = 1e-3  # of the typical mean square: what a market without movement counts as
_CLIP = 5.0
_MIN_BARS = 200
_SETTLING_BARS = 20  # averages over fewer bars say little; these rows are not fitted
_SHRINKAGE = 1e-4  # per squared standardised coefficient, against the mean log-likelihood
_MIN_DEGREES = 2.05


@dataclass(frozen=True, eq=False)
class HarVolatility:
    """A fitted filter; a `MarketModule`.

    Columns, row t of what is known at the close of bar t:

        log_volatility   log of sigma of the return of bar t + 1 over `typical_sigma`
        standard_return  return of bar t over the sigma predicted for it, clipped to ±5
        range_surprise   log of bar t's true range over that sigma, clipped to ±5

    Attributes:
        coefficients: (1 + ranges + returns,) of the formula above, in natural units.
        mean_square: mean squared true range of the training rows; a thousandth of it is the floor under all averages.
        typical_sigma: geometric mean of sigma on the training rows.
    """

    coefficients: FloatArray
    mean_square: float
    typical_sigma: float

    name = "volatility_filter"
    columns = ("log_volatility", "standard_return", "range_surprise")
    history_bars = CUTOFF_SPANS * max(RANGE_SPANS) + 2  # the close before the first range, and the sigma of yesterday

    @classmethod
    def fit(cls, samples: Samples) -> "HarVolatility":
        """Fit to the given rows of all samples, pooled, under Student-t returns; bars after them are never looked at.

        Raises:
            DataError: rows outside their series, fewer than 200, or prices that stand still.
        """
        for bars, rows in samples:
            if rows.step != 1 or not 0 <= rows.start < rows.stop <= len(bars):
                raise DataError(f"{bars.symbol}: {rows} is not a stretch of rows of its {len(bars)} bars")
        count = sum(len(rows) for _, rows in samples)
        if count < _MIN_BARS:
            raise DataError(f"a volatility filter needs at least {_MIN_BARS} training bars, got {count}")
        squares = [true_range(log_candles(bars))[rows.start : rows.stop] ** 2 for bars, rows in samples]
        mean_square = float(np.concatenate(squares).mean())
        if mean_square < np.finfo(np.float32).tiny:
            raise DataError(
                f"{samples[0][0].symbol}: the price stands still in its {count} training bars, so it has no volatility;"
                " give bars of a market that trades"
            )
        tables, following = [], []
        for bars, rows in samples:
            seen = bars[: rows.stop]
            fitted = slice(max(rows.start, min(_SETTLING_BARS, rows.stop // 2)), rows.stop - 1)
            tables.append(predictors(seen, mean_square)[fitted])
            following.append(np.diff(np.log(seen.close))[fitted])
        table, returns = np.concatenate(tables), np.concatenate(following)
        coefficients = _most_likely(table, returns)
        return cls(coefficients, mean_square, float(np.exp((table @ coefficients).mean())))

    def sigma(self, bars: BarSeries) -> FloatArray:
        """Return the standard deviation predicted at each bar for the log-return of the next, (T,).

        It stays within a factor of exp(5) of the typical one.
        """
        volatility: FloatArray = self.typical_sigma * np.exp(self._relative(predictors(bars, self.mean_square)))
        return volatility

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the columns, (T, 3); in the first row the returns and ranges of no bar are 0."""
        sigma = self.sigma(bars)
        foreseen = np.concatenate([sigma[:1], sigma[:-1]])
        floor = np.sqrt(_FLOOR * self.mean_square)
        surprise = np.log((true_range(log_candles(bars)) + floor) / foreseen)
        surprise[0] = 0.0
        shocks = np.column_stack([bars.log_returns / foreseen, surprise])
        return np.column_stack([np.log(sigma / self.typical_sigma), np.clip(shocks, -_CLIP, _CLIP)])

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform`, (rows, 3); a single one is cheap."""
        if rows != 1 or len(bars) < 2:
            return self.transform(bars)[len(bars) - rows :]
        squares = true_range(log_candles(bars)) ** 2
        floor, moves = _FLOOR * self.mean_square, bars.log_returns
        standard = _standard_returns(squares, moves, floor)
        now, before = (
            self._relative(_latest_predictors(*columns, floor))
            for columns in ((squares, standard), (squares[:-1], standard[:-1]))
        )
        foreseen = self.typical_sigma * np.exp(before)
        surprise = np.log((np.sqrt(squares[-1]) + np.sqrt(floor)) / foreseen)
        return np.array([[now, *np.clip([moves[-1] / foreseen, surprise], -_CLIP, _CLIP)]])

    def _relative(self, table: FloatArray) -> FloatArray:
        # Logarithm of sigma over the typical one.
        relative: FloatArray = np.clip(table @ self.coefficients - np.log(self.typical_sigma), -_CLIP, _CLIP)
        return relative

    def to_plain(self) -> dict[str, Any]:
        """Return numbers, strings and lists only."""
        return {
            "name": self.name,
            "version": VERSION,
            "coefficients": self.coefficients.tolist(),
            "mean_square": self.mean_square,
            "typical_sigma": self.typical_sigma,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "HarVolatility":
        """Rebuild from `to_plain`.

        Raises:
            ModelFileError: another version.
        """
        require_version("volatility_filter", plain, VERSION)
        return cls(np.array(plain["coefficients"]), float(plain["mean_square"]), float(plain["typical_sigma"]))


def predictors(bars: BarSeries, mean_square: float) -> FloatArray:
    """Return what the coefficients multiply, (T, 1 + ranges + returns)."""
    squares, floor = true_range(log_candles(bars)) ** 2, _FLOOR * mean_square
    ranges = [0.5 * np.log(exponential_average(squares, span) + floor) for span in RANGE_SPANS]
    standard = _standard_returns(squares, bars.log_returns, floor)
    returns = [np.sqrt(span) * exponential_average(standard, span) for span in RETURN_SPANS]
    return np.column_stack([np.ones(len(bars)), *ranges, *returns])


def _latest_predictors(squares: FloatArray, standard: FloatArray, floor: float) -> FloatArray:
    # The last row of `predictors`, of squared true ranges and standardised returns.
    ranges = [0.5 * np.log(latest_average(squares, span) + floor) for span in RANGE_SPANS]
    returns = [np.sqrt(span) * latest_average(standard, span) for span in RETURN_SPANS]
    return np.array([1.0, *ranges, *returns])


def _standard_returns(squares: FloatArray, moves: FloatArray, floor: float) -> FloatArray:
    unit = np.sqrt(exponential_average(squares, _UNIT_SPAN) + floor)
    standard: FloatArray = np.clip(moves / unit, -_CLIP, _CLIP)
    return standard


def _most_likely(table: FloatArray, returns: FloatArray) -> FloatArray:
    # Maximum likelihood with slightly shrunk coefficients of standardised predictors; location and degrees of freedom
    # are fitted beside them and then left to whoever models the density. Columns that do not vary get 0.
    mean, spread = table[:, 1:].mean(axis=0), table[:, 1:].std(axis=0)
    scale = np.where(spread > 1e-9, spread, np.inf)
    standard = (table[:, 1:] - mean) / scale
    unit = float(returns.std()) or 1.0

    def loss(parameters: FloatArray) -> float:
        intercept, location, degrees, slopes = *parameters[:3], parameters[3:]
        log_sigma = intercept + standard @ slopes
        values = (returns / unit - location) * np.exp(-log_sigma)
        likelihood = _log_student_t(values, _MIN_DEGREES + np.exp(min(degrees, 6.0))) - log_sigma
        return float(-likelihood.mean() + _SHRINKAGE * (slopes @ slopes))

    start = np.zeros(3 + standard.shape[1])
    start[2] = 2.0
    found: Any = minimize(loss, start, method="L-BFGS-B", bounds=[(-20, 20), (-5, 5), (-3, 6)] + [(-9, 9)] * len(mean))
    slopes = found.x[3:] / scale
    coefficients: FloatArray = np.concatenate([[found.x[0] + np.log(unit) - mean @ slopes], slopes])
    return coefficients


def _log_student_t(values: FloatArray, degrees: float) -> FloatArray:
    # Log density of a Student-t of unit variance.
    constant = gammaln((degrees + 1) / 2) - gammaln(degrees / 2) - 0.5 * np.log(np.pi * (degrees - 2))
    density: FloatArray = constant - (degrees + 1) / 2 * np.log1p(values**2 / (degrees - 2))
    return density
