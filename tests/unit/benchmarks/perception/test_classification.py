"""Scores of classifiers, against scikit-learn and by hand."""

import math

import numpy as np
import pytest
from sklearn import metrics

from benchmarks.perception.classification import calibration_error, detection_lag, log_loss, macro_f1

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 500)
PROBABILITIES = RNG.dirichlet(np.ones(3), 500)


def test_f1_and_log_loss_agree_with_scikit_learn() -> None:
    named = PROBABILITIES.argmax(axis=1)
    assert macro_f1(named, LABELS, 3) == pytest.approx(metrics.f1_score(LABELS, named, average="macro"))
    assert log_loss(PROBABILITIES, LABELS) == pytest.approx(metrics.log_loss(LABELS, PROBABILITIES))


def test_a_class_that_nobody_names_counts_nothing() -> None:
    assert macro_f1(np.array([0, 1]), np.array([0, 1]), 4) == 0.5


def test_certainty_that_was_wrong_is_finite() -> None:
    assert log_loss(np.array([[0.0, 1.0]]), np.array([0])) == pytest.approx(-math.log(1e-12))


def test_calibration_error_by_hand() -> None:
    # Three rows at .9, two of them right; one row at .6, right: (3 * |.9 - 2/3| + |.6 - 1|) / 4.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    expected = (3 * (0.9 - 2 / 3) + 0.4) / 4
    assert calibration_error(probabilities, np.array([0, 1, 1, 0])) == pytest.approx(expected)


def test_detection_lag_by_hand() -> None:
    # Changes at 2 (seen one late), at 5 (seen at once) and at 7 (never seen).
    labels = np.array([0, 0, 1, 1, 1, 2, 2, 0, 0])
    named = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    lag = detection_lag(named, labels)
    assert lag.median_bars == lag.mean_bars == 0.5
    assert lag.missed_frac == pytest.approx(1 / 3)


def test_detection_lag_without_changes_or_notice() -> None:
    assert np.isnan(detection_lag(np.zeros(3, int), np.zeros(3, int))).all()
    unnoticed = detection_lag(np.zeros(3, int), np.array([0, 1, 1]))
    assert np.isnan(unnoticed.median_bars)
    assert unnoticed.missed_frac == 1.0
