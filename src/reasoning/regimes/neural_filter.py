"""A Bayes filter of the regime whose likelihoods are a small network.

The network turns one bar, given the bars before it, into a log-likelihood of each regime; a Markov chain with learned
transitions carries beliefs from bar to bar. The recursion is built in and only the likelihoods are learned, so 1,500
weights do what a recurrent network needs ten times as many for.
Training lives in `neural_filter_training.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.regime_market import REGIME_MARKET, REGIMES, LogCandles
from src.reasoning.candle_scale import CandleUnits, Samples, log_candles, prior_close
from src.reasoning.market_module import require_version
from src.reasoning.regimes.calibration import predictive_temperature, with_temperature
from src.reasoning.regimes.markov_filter import WINDOW_BARS, forward_filter
from src.reasoning.regimes.range_evidence import ENTRY_BARS, entry_evidence

VERSION = 1  # raise it whenever `bar_inputs` changes: weights trained on the old one are then refused
INPUTS = (
    "move",
    "move_size",
    "up",
    "down",
    "range",
    "entry_gain",
    "entry_distance",
    "entry_uncertainty",
    "entry_age",
    "entry_odds",
)
_CLIP = 8.0
_START_STAY = 4.5  # logit of staying in a regime before training: about 97 %


def bar_inputs(candles: LogCandles, units: CandleUnits, rows: int | None = None) -> NDArray[np.float32]:
    """Return what the network sees of each bar of one series, or of the last ones, (rows, F) float32, about unit size.

    The candle itself, measured from the prior close; what the bar added to the evidence for a range; and what was
    known of that range when the bar began.

    Args:
        candles: log prices, each (T,).
        rows: all unless given.
    """
    prior, bars = prior_close(candles), len(candles.close)
    rows = bars if rows is None else rows
    levels = np.concatenate([prior[:1], candles.close]) / units.move
    entry = entry_evidence(levels, REGIME_MARKET.pull, 1 - 1 / REGIME_MARKET.mean_bars, min(rows + 1, bars))
    before = [np.concatenate([[0.0], column[:-1]])[-rows:] for column in entry]
    prior, high, low, close = (column[-rows:] for column in (prior, candles.high, candles.low, candles.close))
    move = (close - prior) / units.move
    up, down = (np.maximum(high, prior) - prior) / units.range, (prior - np.minimum(low, prior)) / units.range
    columns = [
        move / 2,
        np.abs(move) - 0.8,
        up - 0.8,
        down - 0.8,
        np.log(up + down + 0.1),
        entry.log_odds[-rows:] - before[0],
        before[1] / 3,
        before[2] / 3,
        np.log1p(before[3]) / 2 - 1,
        before[0] / 3,
    ]
    inputs: NDArray[np.float32] = np.clip(np.column_stack(columns), -_CLIP, _CLIP).astype(np.float32)
    return inputs


class NeuralFilter(nn.Module):
    """The network and the chain."""

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.likelihoods = nn.Sequential(
            nn.Linear(len(INPUTS), hidden_dim),
            nn.SiLU(),
            nn.Linear(hidden_dim, hidden_dim),
            nn.SiLU(),
            nn.Linear(hidden_dim, len(REGIMES)),
        )
        self.transitions = nn.Parameter(torch.eye(len(REGIMES)) * _START_STAY)  # logits, from row to column

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor]) -> "NeuralFilter":
        """Rebuild a trained network from its state dict, (...) each; draws no random numbers."""
        with torch.device("meta"):
            network = cls(hidden_dim=len(weights["likelihoods.0.weight"]))
        network.load_state_dict(dict(weights), assign=True)
        return network.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return the log probability of each regime at each bar, (B, T, F) -> (B, T, 4), from a uniform start."""
        assert x.dim() == 3, f"expected (B, T, F), got {tuple(x.shape)}"
        scores = self.likelihoods(x)
        likelihoods = (scores - scores.amax(-1, keepdim=True)).exp()
        chain = self.transitions.softmax(-1)
        belief = x.new_full((x.shape[0], len(REGIMES)), 1 / len(REGIMES))
        beliefs = []
        for likelihood in likelihoods.unbind(1):
            belief = (belief @ chain) * likelihood
            belief = belief / belief.sum(-1, keepdim=True)
            beliefs.append(belief)
        return torch.stack(beliefs, 1).clamp_min(1e-12).log()


@dataclass(frozen=True, eq=False)
class NeuralFilterClassifier:
    """A trained filter for one symbol.

    Attributes:
        network: trained on generated bars, the same for every symbol.
        units: typical candle of the symbol.
        temperature: what the log probabilities are divided by; 1 leaves them.
    """

    network: NeuralFilter
    units: CandleUnits
    temperature: float = 1.0

    name = "neural_filter"
    columns = REGIMES
    history_bars = WINDOW_BARS + ENTRY_BARS + 1

    @classmethod
    def fit(cls, network: NeuralFilter, samples: Samples) -> "NeuralFilterClassifier":
        """Fit a trained network to a symbol: its candles, and how far to trust the network there.

        Raises:
            DataError: rows outside their series, or prices that stand still.
        """
        unscaled = cls(network, CandleUnits.fit(samples))
        return cls(network, unscaled.units, predictive_temperature(unscaled, samples))

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the probability of each regime at each bar, (T, 4); the first row is uniform."""
        return self.last_rows(bars, len(bars))

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform`, (rows, 4), from the observations that decide them."""
        seen = min(len(bars), rows + WINDOW_BARS - 1)
        with torch.no_grad():
            x = torch.tensor(bar_inputs(log_candles(bars), self.units, seen))
            likelihoods = self.network.likelihoods(x).double().numpy()
        probabilities = with_temperature(forward_filter(likelihoods, self._log_chain, rows), self.temperature)
        if rows == len(bars):
            probabilities[0] = 1 / len(REGIMES)
        return probabilities

    @cached_property
    def _log_chain(self) -> FloatArray:
        chain: FloatArray = self.network.transitions.detach().log_softmax(-1).double().numpy()
        return chain

    def to_plain(self) -> dict[str, Any]:
        """Return weights and plain data."""
        return {
            "name": self.name,
            "version": VERSION,
            "weights": self.network.state_dict(),
            "temperature": self.temperature,
            "units": self.units.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "NeuralFilterClassifier":
        """Rebuild from `to_plain`.

        Raises:
            ModelFileError: another version.
        """
        require_version("neural_filter", plain, VERSION)
        return cls(NeuralFilter.from_weights(plain["weights"]), CandleUnits(*plain["units"]), plain["temperature"])
