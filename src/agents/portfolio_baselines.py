"""What every member that learned is compared with: rules of a line or two, rebalanced every so many bars.

None looks at the account. Held is what is listed, has a bar at the rebalancing, and has all bars of the look-back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from src.config.base import require_known
from src.market.bars import FloatArray
from src.market.panel import BoolArray, Panel
from src.risk.allocation import equal_weights, inverse_volatility, minimum_variance, shrunk_covariance
from src.trading.member import member_id
from src.trading.records import Decision, MarketState

QUANTILE = 1 / 3  # of the symbols, held by momentum and reversal
STILL = 1e-12  # variance a bar of a symbol that does not move

Weights = Callable[[FloatArray], FloatArray]  # log-returns (W, K) of K symbols -> weights (K,)


@dataclass
class Rebalanced:
    """Holds weights that are computed from trailing returns every so many rows.

    Args:
        weights: from log-returns (W, K) of the K symbols that can be held, (K,).
        lookback_bars: W, at least 1.
        every_bars: rows from one rebalancing to the next; None for one alone, at the first row there is.
    """

    name: str
    weights: Weights
    lookback_bars: int
    every_bars: int | None
    targets: FloatArray = field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    is_rebalanced: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)  # (T,)

    def __post_init__(self) -> None:
        self.member_id = member_id(
            "baseline", {"name": self.name, "lookback_bars": self.lookback_bars, "every_bars": self.every_bars}
        )

    @property
    def warmup_bars(self) -> int:
        """Rows before the first rebalancing."""
        return self.lookback_bars

    def prepare(self, panel: Panel) -> None:
        """Compute the targets of every row, (T, S)."""
        returns = np.diff(np.log(panel.close), axis=0, prepend=np.nan)
        rebalanced = range(self.lookback_bars, len(panel), self.every_bars or len(panel))
        self.targets = np.zeros(panel.close.shape)
        self.is_rebalanced = np.isin(np.arange(len(panel)), rebalanced)
        for row in rebalanced:
            window = returns[row + 1 - self.lookback_bars : row + 1]
            self.targets[row:] = self._weights(window, panel.listed[row])

    def _weights(self, window: FloatArray, listed: BoolArray) -> FloatArray:
        target = np.zeros(len(listed))
        held = np.flatnonzero(listed & np.isfinite(window).all(axis=0))
        if len(held):
            target[held] = self.weights(window[:, held])
        return target

    def act(self, market_state: MarketState) -> Decision:
        """Give every account the targets of this row, with full confidence; when rebalancing, they are restored."""
        shape = (market_state.account.shape[0], self.targets.shape[1])
        target = np.broadcast_to(self.targets[market_state.row], shape)
        return Decision(target.copy(), np.ones(shape), np.full(shape, self.is_rebalanced[market_state.row]))


def _equal(returns: FloatArray) -> FloatArray:
    return equal_weights(returns.shape[1])


def _volatility_parity(returns: FloatArray) -> FloatArray:
    return inverse_volatility(np.diag(np.maximum(returns.var(axis=0), STILL)))


def _minimum_variance(returns: FloatArray) -> FloatArray:
    return minimum_variance(shrunk_covariance(returns) + STILL * np.eye(returns.shape[1]))


def _ranked(returns: FloatArray, sign: float) -> FloatArray:
    # The best third of the past, or the worst, in equal parts; ties by place.
    order = np.argsort(-sign * returns.sum(axis=0), kind="stable")
    best = order[: max(1, round(len(order) * QUANTILE))]
    weights = np.zeros(len(order))
    weights[best] = 1 / len(best)
    return weights


MONTH, QUARTER, YEAR = 21, 63, 252  # bars, of days

PORTFOLIO_BASELINES: Mapping[str, Callable[[], Rebalanced]] = {
    "equal_weight": partial(Rebalanced, "equal_weight", _equal, 1, MONTH),
    "volatility_parity": partial(Rebalanced, "volatility_parity", _volatility_parity, QUARTER, MONTH),
    "minimum_variance": partial(Rebalanced, "minimum_variance", _minimum_variance, YEAR, MONTH),
    "momentum": partial(Rebalanced, "momentum", partial(_ranked, sign=1.0), YEAR, MONTH),
    "reversal": partial(Rebalanced, "reversal", partial(_ranked, sign=-1.0), MONTH // 4, MONTH // 4),
    "hold_the_index": partial(Rebalanced, "hold_the_index", _equal, 1, None),
}


def make_portfolio_baseline(name: str) -> Rebalanced:
    """Return a baseline by name.

    Raises:
        ConfigError: there is none.
    """
    require_known("baseline of a portfolio", [name], PORTFOLIO_BASELINES)
    return PORTFOLIO_BASELINES[name]()
