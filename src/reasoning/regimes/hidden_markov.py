"""Regimes by a Gaussian hidden Markov model (Hamilton 1989), fitted by `hmmlearn`, filtered forward here.

`hmmlearn` computes probabilities from all bars, later ones included; `markov_filter` from those up to each bar.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.config.agent.reasoning import HiddenMarkovConfig
from src.config.plain import from_plain, to_plain
from src.errors import DataError
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.regime_market import DOWN, RANGING, REGIMES, UP, VOLATILE
from src.reasoning.candle_scale import CandleUnits, Samples, log_candles, true_range
from src.reasoning.regimes.calibration import predictive_temperature, with_temperature
from src.reasoning.regimes.markov_filter import WINDOW_BARS, forward_filter
from src.reasoning.regimes.moving_average import rolling_mean

_MIN_TRANSITION = 1e-6
_MIN_BARS = 200
_START_QUANTILES = (0.3, 0.9)  # of candle sizes: calm and stormy
_START_MOMENTUM = 1.5
_START_VARIANCES = (0.5, 0.05)


@dataclass(frozen=True)
class GaussianChain:
    """A fitted model of S states over O observations.

    Attributes:
        transitions: (S, S) from row to column.
        means: (S, O).
        covariances: (S, O, O).
    """

    transitions: FloatArray
    means: FloatArray
    covariances: FloatArray

    def log_likelihoods(self, observations: FloatArray) -> FloatArray:
        """Return the normal log density of each row under each state, (T, O) -> (T, S), up to a constant."""
        factors = np.linalg.cholesky(self.covariances)  # (S, O, O)
        errors = (observations - self.means[:, None]).transpose(0, 2, 1)  # (S, O, T)
        scaled = np.linalg.solve(factors, errors)
        log_determinants = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        density: FloatArray = -0.5 * (scaled**2).sum(axis=1).T - log_determinants
        return density


@dataclass(frozen=True, eq=False)
class HiddenMarkovClassifier:
    """A fitted chain whose states are named after what they look like.

    The state with the largest candles is volatile; of the others the one that rises most is trending up, the one that
    falls most trending down, and what is left is ranging.

    Attributes:
        settings: what is observed.
        units: typical candle of the symbol.
        chain: fitted on training rows.
        temperature: what the log probabilities are divided by. Observations overlap, so the filter is too sure.
    """

    settings: HiddenMarkovConfig
    units: CandleUnits
    chain: GaussianChain
    temperature: float = 1.0

    name = "hidden_markov"
    columns = REGIMES

    @classmethod
    def fit(cls, settings: HiddenMarkovConfig, samples: Samples) -> "HiddenMarkovClassifier":
        """Fit on training rows; bars after them are never looked at.

        Raises:
            DataError: rows outside their series, too few of them, or prices that stand still.
        """
        units = CandleUnits.fit(samples)
        warmup = _warmup_bars(settings)
        parts = [_observations(bars[: rows.stop], units, settings)[max(rows.start, warmup) :] for bars, rows in samples]
        count = sum(map(len, parts))
        if count < _MIN_BARS:
            raise DataError(
                f"{samples[0][0].symbol}: a hidden Markov model needs at least {_MIN_BARS} bars after {warmup} of"
                f" warm-up, got {count}; give more training bars or take another method"
            )
        unscaled = cls(settings, units, _fit_chain(settings, [part for part in parts if len(part)]))
        return cls(settings, units, unscaled.chain, predictive_temperature(unscaled, samples))

    @property
    def history_bars(self) -> int:
        """Trailing bars that decide a row."""
        return WINDOW_BARS + _warmup_bars(self.settings)

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the probability of each regime at each bar, (T, 4); uniform until the observations are full."""
        warmup = _warmup_bars(self.settings)
        likelihoods = self.chain.log_likelihoods(_observations(bars, self.units, self.settings))
        likelihoods[:warmup] = 0.0
        states = forward_filter(likelihoods, np.log(self.chain.transitions))
        probabilities = with_temperature(np.maximum(states @ _names(self.chain.means), 1e-12), self.temperature)
        probabilities[:warmup] = 1 / len(REGIMES)
        return probabilities

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform`, (rows, 4)."""
        return self.transform(bars)[len(bars) - rows :]

    def to_plain(self) -> dict[str, Any]:
        """Return settings and what was fitted."""
        return {
            "name": self.name,
            "settings": to_plain(self.settings),
            "units": self.units.to_plain(),
            "transitions": self.chain.transitions.tolist(),
            "means": self.chain.means.tolist(),
            "covariances": self.chain.covariances.tolist(),
            "temperature": self.temperature,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "HiddenMarkovClassifier":
        """Rebuild from `to_plain`."""
        chain = GaussianChain(*(np.array(plain[part]) for part in ("transitions", "means", "covariances")))
        settings = from_plain(HiddenMarkovConfig, plain["settings"])
        return cls(settings, CandleUnits(*plain["units"]), chain, plain["temperature"])


def _warmup_bars(settings: HiddenMarkovConfig) -> int:
    return max(settings.momentum_bars, settings.volatility_bars)


def _observations(bars: BarSeries, units: CandleUnits, settings: HiddenMarkovConfig) -> FloatArray:
    # (T, 2): how far the price went against what a walk would have, and how large its candles were, as a logarithm.
    candles, span = log_candles(bars), settings.momentum_bars
    earlier = np.concatenate([np.zeros(span), candles.close])[: len(bars)]
    momentum = (candles.close - earlier) / (units.move * np.sqrt(span))
    size = np.log(rolling_mean(true_range(candles), settings.volatility_bars) / units.range + 0.1)
    return np.column_stack([momentum, size])


def _fit_chain(settings: HiddenMarkovConfig, parts: list[FloatArray]) -> GaussianChain:
    # EM climbs from a start that looks like the regimes: from random ones it ends, as often as not, in states that
    # explain the bars better and mean nothing.
    from hmmlearn.hmm import GaussianHMM  # training only: a server that trades does without

    observations, lengths = np.concatenate(parts), [len(part) for part in parts]
    calm, stormy = np.quantile(observations[:, 1], _START_QUANTILES)
    model = GaussianHMM(len(REGIMES), "full", min_covar=1e-2, n_iter=settings.iterations, init_params="")
    model.startprob_ = np.full(len(REGIMES), 1 / len(REGIMES))
    model.transmat_ = 0.96 * np.eye(len(REGIMES)) + 0.01
    model.means_ = np.array([[_START_MOMENTUM, calm], [-_START_MOMENTUM, calm], [0.0, calm], [0.0, stormy]])
    model.covars_ = np.tile(np.diag(_START_VARIANCES), (len(REGIMES), 1, 1))
    model.fit(observations, lengths)
    transitions = np.maximum(model.transmat_, _MIN_TRANSITION)
    return GaussianChain(transitions / transitions.sum(axis=1, keepdims=True), model.means_, model.covars_)


def _names(means: FloatArray) -> FloatArray:
    # (S, 4): 1 where a state belongs to a regime
    named = np.full(len(means), RANGING)
    volatile = int(means[:, 1].argmax())
    momentum = means[:, 0].copy()
    momentum[volatile] = -np.inf
    named[momentum.argmax()] = UP
    momentum[volatile] = np.inf
    named[momentum.argmin()] = DOWN
    named[volatile] = VOLATILE
    table: FloatArray = np.eye(len(REGIMES))[named]
    return table
