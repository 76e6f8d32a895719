"""A regime module of your own: trends by the sign of past returns, storms by the size of recent ones.

    python run_training.py "plugins=[examples.my_regimes]" sequence.stage_4_autonomous.mind.regime.method=past_returns

docs/howto/own_regime_module.md explains every part.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from src.config.agent.reasoning import RegimeConfig
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.regime_market import REGIMES
from src.reasoning.candle_scale import Samples
from src.reasoning.market_classifier import RegimeMethod

NAME = "past_returns"
TREND_BARS, STORM_BARS = 24, 6


@dataclass(frozen=True)
class PastReturns:
    """Probabilities of up, down, ranging and volatile at each bar, from the returns up to it.

    Attributes:
        usual_move: absolute log-return of a bar that counts as usual; the one thing learned from training rows.
    """

    usual_move: float

    name = NAME
    columns = REGIMES
    history_bars = TREND_BARS + 1  # the first of these returns needs the close before it

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the probabilities, (T, 4); all alike until there is enough history."""
        moves = np.diff(np.log(bars.close), prepend=np.log(bars.close[0])) / self.usual_move
        trend = trailing_sum(moves, TREND_BARS) / np.sqrt(TREND_BARS)
        storm = trailing_sum(np.abs(moves), STORM_BARS) / STORM_BARS
        evidence = np.column_stack([trend, -trend, np.ones(len(bars)), 2.0 * (storm - 1.0)])
        evidence[: self.history_bars - 1] = 0.0
        return np.asarray(softmax(evidence, axis=1))

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform`, (rows, 4); what a live bot asks for."""
        return self.transform(bars)[len(bars) - rows :]

    def to_plain(self) -> dict[str, Any]:
        """Return all that was fitted, for the model file."""
        return {"name": NAME, **asdict(self)}


def fit(config: RegimeConfig, samples: Samples) -> PastReturns:
    """Learn what is usual from the training rows of each series; later bars are not even there."""
    moves = [np.abs(bars.log_returns[rows.start : rows.stop]) for bars, rows in samples]
    return PastReturns(usual_move=max(float(np.concatenate(moves).mean()), 1e-9))


def from_plain(plain: Mapping[str, Any]) -> PastReturns:
    """Rebuild from `to_plain`."""
    return PastReturns(usual_move=float(plain["usual_move"]))


def trailing_sum(values: FloatArray, bars: int) -> FloatArray:
    """Return the sum of each value and the ones before it, (T,)."""
    return np.convolve(values, np.ones(bars))[: len(values)]


# Found because it is a RegimeMethod at the top level of a module named under `plugins`.
PAST_RETURNS = RegimeMethod(NAME, fit, from_plain)
