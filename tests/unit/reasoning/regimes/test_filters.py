"""The parts of the classifiers: the windowed filter, the evidence for a range, calibration, the cache of weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hmmlearn.hmm import GaussianHMM

from src.errors import ModelFileError
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.regime_market import REGIME_MARKET, REGIMES, regime_bars
from src.market.synthetic.regime_posterior import regime_posterior
from src.reasoning.regimes.calibration import mixture_log_likelihood, predictive_temperature, with_temperature
from src.reasoning.regimes.hidden_markov import GaussianChain
from src.reasoning.regimes.markov_filter import WINDOW_BARS, forward_filter
from src.reasoning.regimes.range_evidence import ENTRY_BARS, entry_evidence
from src.reasoning.weights_cache import cached_weights

CHAIN = np.full((3, 3), 0.05) + 0.85 * np.eye(3)


def forward(log_likelihoods: FloatArray) -> FloatArray:
    """The textbook recursion, from a uniform belief."""
    belief, rows = np.full(len(CHAIN), 1 / len(CHAIN)), []
    for row in log_likelihoods:
        belief = belief @ CHAIN * np.exp(row - row.max())
        belief = belief / belief.sum()
        rows.append(belief)
    return np.array(rows)


def test_the_filter_is_the_forward_recursion() -> None:
    likelihoods = np.random.default_rng(0).normal(0.0, 2.0, (5000, 3))  # more than a block
    np.testing.assert_allclose(forward_filter(likelihoods, np.log(CHAIN)), forward(likelihoods), atol=1e-10)


def test_the_filter_sees_its_window_and_no_more() -> None:
    likelihoods = np.random.default_rng(1).normal(0.0, 2.0, (600, 3))
    whole = forward_filter(likelihoods, np.log(CHAIN))
    assert np.array_equal(forward_filter(likelihoods[600 - WINDOW_BARS :], np.log(CHAIN))[-1], whole[-1])
    with_end = likelihoods.copy()
    with_end[500:] = 9.0 * np.eye(3)[0]
    assert np.array_equal(forward_filter(with_end, np.log(CHAIN))[:500], whole[:500])
    assert not np.allclose(forward_filter(with_end, np.log(CHAIN))[500], whole[500])


def test_the_filter_survives_what_is_all_but_impossible() -> None:
    likelihoods = np.zeros((50, 3))
    likelihoods[20] = [-1e6, 0.0, -1e6]
    beliefs = forward_filter(likelihoods, np.log(CHAIN))
    assert np.isfinite(beliefs).all()
    np.testing.assert_allclose(beliefs[20], [0, 1, 0], atol=1e-12)


def test_the_filtered_chain_agrees_with_hmmlearn_on_what_it_can_say_without_the_future() -> None:
    # hmmlearn's probability of the last bar of a prefix conditions on that prefix only.
    model = GaussianHMM(3, covariance_type="full", init_params="", params="")
    model.startprob_, model.transmat_ = np.full(3, 1 / 3), CHAIN
    model.means_ = np.array([[0.0, 0.0], [1.0, -1.0], [-1.0, 2.0]])
    model.covars_ = np.array([np.eye(2), [[1.0, 0.5], [0.5, 2.0]], 3 * np.eye(2)])
    observations, _ = model.sample(100, random_state=0)
    chain = GaussianChain(CHAIN, model.means_, np.array(model.covars_))
    ours = forward_filter(chain.log_likelihoods(observations), np.log(CHAIN))
    for bars in (1, 10, 100):
        np.testing.assert_allclose(ours[bars - 1], model.predict_proba(observations[:bars])[-1], atol=1e-9)
    assert np.abs(ours - model.predict_proba(observations)).max() > 0.1  # its own looks ahead


def test_entry_evidence_by_brute_force() -> None:
    levels = np.random.default_rng(2).normal(size=700).cumsum()
    pull, stay = 0.2, 0.97
    found = entry_evidence(levels, pull, stay)
    for bar in (0, 5, ENTRY_BARS, 300, 698):
        ages = np.arange(ENTRY_BARS)
        scores, anchors = [], []
        for age in ages.tolist():
            entry = bar - age
            anchors.append(levels[max(entry, 0)])
            path = levels[max(entry, 0) : bar + 2]
            pulled = np.diff(path) + pull * (path[:-1] - anchors[-1])
            scores.append(age * np.log(stay) - 0.5 * (pulled**2 - np.diff(path) ** 2).sum())
        weights = np.exp(scores)
        mean = weights @ (levels[bar + 1] - np.array(anchors)) / weights.sum()
        square = weights @ (levels[bar + 1] - np.array(anchors)) ** 2 / weights.sum()
        expected = [np.log(weights.sum()), mean, np.sqrt(square - mean**2), weights @ ages / weights.sum()]
        np.testing.assert_allclose([column[bar] for column in found], expected, atol=1e-7)


class Remembered:
    """A classifier that knows the right answer, made too sure or too unsure of it."""

    name, columns, history_bars = "remembered", REGIMES, 1

    def __init__(self, probabilities: FloatArray) -> None:
        self._probabilities = probabilities

    def transform(self, bars: BarSeries) -> FloatArray:
        return self._probabilities[: len(bars)]

    def to_plain(self) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="module")
def exact() -> tuple[BarSeries, FloatArray]:
    """A series of twenty paths, one after the other, and what can be known of its regimes."""
    paths = REGIME_MARKET.draw(12, 1000, np.random.default_rng(4))
    moves = np.diff(paths.steps[..., -1], axis=1, prepend=0.0).reshape(1, -1, 1)
    posterior = regime_posterior(REGIME_MARKET, paths.steps).reshape(-1, 4)
    return regime_bars(moves.cumsum(axis=1))[0], np.maximum(posterior, 1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_calibration_on_returns_undoes_false_certainty(temperature: float, exact: tuple[BarSeries, FloatArray]) -> None:
    bars, posterior = exact
    classifier = Remembered(with_temperature(posterior, 1 / temperature))
    found = predictive_temperature(classifier, [(bars, range(len(bars)))])
    assert found == pytest.approx(temperature, rel=0.25)


def test_a_mixture_fits_what_drew_it() -> None:
    rng = np.random.default_rng(5)
    weights = rng.dirichlet([0.3, 0.3], 20_000)
    state = (rng.random(20_000) > weights[:, 0]).astype(int)
    means, sizes = np.array([-0.5, 0.5]), np.array([0.5, 1.5])
    values = means[state] + sizes[state] * rng.standard_normal(20_000)
    density = np.exp(-0.5 * ((values[:, None] - means) / sizes) ** 2) / sizes / np.sqrt(2 * np.pi)
    truth = np.log((weights * density).sum(axis=1)).mean()
    assert truth - 1e-6 <= mixture_log_likelihood(weights, values) <= truth + 1e-3


def test_weights_are_trained_once_per_key(tmp_path: Path) -> None:
    calls: list[int] = []

    def train() -> dict[str, torch.Tensor]:
        calls.append(1)
        return {"weight": torch.tensor([float(len(calls))])}

    folder = tmp_path / "cache"
    values = [float(cached_weights(folder, "net", {"seed": seed}, train)["weight"]) for seed in (0, 1, 0, 1)]
    assert values == [1.0, 2.0, 1.0, 2.0]
    assert len(list(folder.iterdir())) == 2


def test_a_failed_training_leaves_nothing_and_a_damaged_file_is_refused(tmp_path: Path) -> None:
    def fails() -> dict[str, torch.Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_weights(tmp_path, "net", {}, fails)
    assert list(tmp_path.iterdir()) == []
    cached_weights(tmp_path, "net", {}, lambda: {"weight": torch.zeros(9)})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelFileError, match=r"net_\w+\.pt is damaged; delete it"):
        cached_weights(tmp_path, "net", {}, fails)
