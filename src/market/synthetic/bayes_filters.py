"""What can be known of a hidden regime: Bayes filters of the synthetic markets, and what acting on one earns.

A filter's state is the log-odds of the positive state. From bar to bar they are mixed by the switching probability,
and each return adds its log likelihood ratio (Hamilton 1989).
"""

import math

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.known_markets import AutocorrelatedMarket, SwitchingMarket

_BELIEF_REACH, _BELIEF_POINTS = 10.0, 201  # log-odds; what is beyond is as good as certain
_SIZE_REACH, _SIZE_POINTS = 5.5, 56  # of a return, in standard deviations
_SHOCK_POINTS = 32  # of the Gauss-Hermite rule
_TOLERANCE = 1e-9
_MAX_SWEEPS = 10_000


def prior_log_odds(posterior: float, stay: float) -> float:
    """Return the log-odds of a state for the next bar from those for this one."""
    odds = math.exp(posterior)
    return math.log((odds * stay + 1 - stay) / (odds * (1 - stay) + stay))


def up_log_odds(market: SwitchingMarket, bars: BarSeries) -> FloatArray:
    """Return the log-odds that each bar was drawn in the upward state, given the returns up to it, (T,).

    A return r adds 2 * drift * r / volatility². Before the first bar the odds are even.
    """
    return _filtered(2 * market.drift / market.volatility**2 * _returns(bars), market.stay)


def momentum_log_odds(market: AutocorrelatedMarket, bars: BarSeries) -> FloatArray:
    """Return the log-odds that each bar was drawn in the momentum state, given the returns up to it, (T,).

    A return r after a return p adds 2 * correlation * p * r / volatility². Before the second bar the odds are even.
    """
    returns = _returns(bars)
    products = np.concatenate([[0.0], returns[1:] * returns[:-1]])
    return _filtered(2 * market.correlation / market.volatility**2 * products, market.stay)


def filtered_targets(market: AutocorrelatedMarket, bars: BarSeries) -> FloatArray:
    """Return the best exposure at each close, (T,): with the last return in momentum, against it in reversal.

    What the state will be next bar is on the side of what it is now, since it rather stays than not.
    """
    assert market.cost_frac == 0, "under costs the position held matters too"
    return np.sign(momentum_log_odds(market, bars) * _returns(bars))


def known_regime_gain(market: AutocorrelatedMarket) -> float:
    """Return the mean log-return per bar of someone who knows the state of the next bar: E|correlation * r|.

    Whatever the states, r is normal with variance volatility² / (1 - correlation²): a sum of independent shocks times
    ±correlation^k.
    """
    deviation = market.volatility / math.sqrt(1 - market.correlation**2)
    return market.correlation * deviation * math.sqrt(2 / math.pi)


def filtered_gain(market: AutocorrelatedMarket) -> float:
    """Return the long-run mean log-return per bar of `filtered_targets`, within 0.02 bp.

    It is E[|2p - 1| * correlation * |r|], p the probability of momentum next bar. The expectation is over the
    stationary law of (log-odds of the true state, size of the last return), which is a Markov chain of its own: neither
    the name of the true state nor the sign of a return matters to it.
    """
    belief = np.linspace(-_BELIEF_REACH, _BELIEF_REACH, _BELIEF_POINTS)
    size = np.linspace(0.0, _SIZE_REACH / math.sqrt(1 - market.correlation**2), _SIZE_POINTS)  # in volatilities
    prior = np.array([prior_log_odds(value, market.stay) for value in belief.tolist()])
    edge = np.abs(np.tanh(prior / 2))[:, None] * market.correlation * market.volatility * size
    return float(edge.ravel() @ _stationary(_belief_chain(market, belief, size, prior)))


def _belief_chain(market: AutocorrelatedMarket, belief: FloatArray, size: FloatArray, prior: FloatArray) -> csr_matrix:
    # (S, S) transitions between the S = belief x size points, column to row.
    nodes, weights = np.polynomial.hermite_e.hermegauss(_SHOCK_POINTS)
    following = market.correlation * size[:, None] + nodes  # (size, shock), in the direction of the true state
    evidence = 2 * market.correlation * size[:, None] * following
    state = np.arange(len(belief) * len(size)).reshape(len(belief), len(size), 1)
    rows, columns, masses = [], [], []
    for sign, chance in ((1.0, market.stay), (-1.0, 1 - market.stay)):  # a switch turns what speaks for the truth
        moved = sign * prior[:, None, None] + evidence  # (belief, size, shock)
        for belief_index, belief_part in _split(belief, moved):
            for size_index, size_part in _split(size, np.abs(following)):
                mass = chance * weights / weights.sum() * belief_part * size_part
                rows.append((belief_index * len(size) + size_index).ravel())
                columns.append(np.broadcast_to(state, mass.shape).ravel())
                masses.append(mass.ravel())
    entries = np.concatenate(masses), (np.concatenate(rows), np.concatenate(columns))
    return coo_matrix(entries, shape=(state.size, state.size)).tocsr()


def _split(grid: FloatArray, values: FloatArray) -> list[tuple[np.ndarray, FloatArray]]:
    # Linear interpolation: the two neighbours of each value and their shares; beyond the grid counts as its end.
    place = ((values - grid[0]) / (grid[1] - grid[0])).clip(0, len(grid) - 1)
    below = np.minimum(place.astype(np.intp), len(grid) - 2)
    share = place - below
    return [(below, 1 - share), (below + 1, share)]


def _stationary(transitions: csr_matrix) -> FloatArray:
    law = np.full(transitions.shape[0], 1 / transitions.shape[0])
    for _ in range(_MAX_SWEEPS):
        following: FloatArray = transitions @ law
        if np.abs(following - law).sum() < _TOLERANCE:
            return following
        law = following
    raise AssertionError(f"the belief's law did not settle in {_MAX_SWEEPS} sweeps")


def _filtered(evidence: FloatArray, stay: float) -> FloatArray:
    log_odds, path = 0.0, []
    for increment in evidence.tolist():
        log_odds = prior_log_odds(log_odds, stay) + increment
        path.append(log_odds)
    return np.array(path)


def _returns(bars: BarSeries) -> FloatArray:
    return np.diff(np.log(bars.close), prepend=np.log(bars.open[0]))
