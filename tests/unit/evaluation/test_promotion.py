"""Each question of the gate by itself, its figures against the published formulas, and its errors under the null."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from src.errors import DataError
from src.evaluation.promotion import Evidence, Promotion, Verdict, judge_champion

BARS_PER_YEAR = 252.0


def evidence(edge: float = 0.25, sealed_edge: float | None = None, trials: int = 60, seed: int = 0) -> Evidence:
    """Return twenty trials of which the first has an edge: its Sharpe ratio per bar."""
    rng = np.random.default_rng(seed)
    selection = rng.normal(size=(1_000, 20)) * 0.01
    selection[:, 0] += edge * 0.01
    sealed = rng.normal(edge if sealed_edge is None else sealed_edge, 1.0, size=600) * 0.01
    rivals = {"buy and hold": rng.normal(size=600) * 0.01}
    return Evidence(selection, 0, trials, sealed, rivals, looks=1, bars_per_year=BARS_PER_YEAR)


def verdict_of(given: Evidence) -> Promotion:
    return judge_champion(given, np.random.default_rng(1))


def test_a_real_edge_is_promoted_with_a_sentence_for_every_question() -> None:
    found = verdict_of(evidence())
    assert found.verdict is Verdict.promoted
    assert len(found.reasons) == 4
    assert all(reason.endswith(".") for reason in found.reasons)


def test_figures_follow_the_formulas() -> None:
    given = replace(evidence(), looks=3)
    found = verdict_of(given)
    sealed, annual = given.sealed, np.sqrt(BARS_PER_YEAR)
    sharpe = sealed.mean() / sealed.std(ddof=1)
    rho = max(0.0, np.corrcoef(sealed[:-1], sealed[1:])[0, 1])
    deviation = np.sqrt((1 + rho) / (1 - rho) / 600)
    required = 0.95 ** (1 / 3)  # three looks together err as seldom as one
    assert found.sealed.sharpe == pytest.approx(sharpe * annual)
    assert found.sealed.probabilistic_sharpe == pytest.approx(stats.norm.cdf(sharpe / deviation), rel=1e-3)
    assert found.sealed.required == pytest.approx(required)
    z = stats.norm.ppf(required)
    assert found.sealed.bars_needed == pytest.approx(600 * (z * deviation / sharpe) ** 2, rel=0.01)
    assert found.sealed.needed_sharpe == pytest.approx((z + stats.norm.ppf(0.95)) * deviation * annual, rel=0.01)
    luckiest = np.random.default_rng(2).normal(size=(40_000, 60)).max(axis=1).mean() / np.sqrt(1_000) * annual
    assert found.selection.luckiest_sharpe == pytest.approx(luckiest, rel=0.05)


def test_luck_on_the_selection_data_alone_is_refused() -> None:
    found = verdict_of(evidence(sealed_edge=0.0, seed=3))
    assert found.verdict is Verdict.luck
    assert any("sealed bars" in reason for reason in found.reasons)


def test_more_trials_undo_a_promotion() -> None:
    given = evidence(edge=0.13, sealed_edge=0.3)
    assert verdict_of(given).verdict is Verdict.promoted
    found = verdict_of(replace(given, trials=1_000_000))
    assert found.verdict is Verdict.luck
    assert found.reasons[0].startswith("On the selection data")
    assert "best of 1000000 worthless" in found.reasons[0]


def test_more_looks_at_the_sealed_stretch_undo_a_promotion() -> None:
    given = evidence(sealed_edge=0.1)
    first = verdict_of(given)
    assert first.sealed.probabilistic_sharpe is not None
    looks = int(np.ceil(np.log(0.95) / np.log(first.sealed.probabilistic_sharpe))) + 1  # Šidák, solved for the count
    assert verdict_of(replace(given, looks=looks)).verdict is Verdict.luck
    assert verdict_of(replace(given, looks=looks - 2)).verdict is Verdict.promoted


def test_a_champion_behind_a_simple_rule_is_refused() -> None:
    given = evidence()
    found = verdict_of(replace(given, rivals={"momentum": given.sealed + 0.001}))
    assert found.verdict is Verdict.luck
    assert "of momentum" in found.reasons[0]
    assert found.rivals[0].lead.high < 0


def test_a_champion_that_is_as_good_as_a_simple_rule_is_refused() -> None:
    given = evidence()
    found = verdict_of(replace(given, rivals={"buy and hold": given.sealed}))
    assert found.verdict is Verdict.luck
    (reason,) = found.reasons
    assert "not above" in reason
    assert "buy and hold" in reason


def test_equally_good_trials_do_not_speak_against_the_champion() -> None:
    rng = np.random.default_rng(4)
    given = replace(evidence(), selection=rng.normal(0.25, 1.0, size=(1_000, 20)) * 0.01)
    overfitting = [
        verdict_of(replace(given, selection=rng.permuted(given.selection, axis=0))).selection.overfitting or 0.0
        for _ in range(6)
    ]
    assert max(overfitting) > 0.5
    assert verdict_of(given).verdict is Verdict.promoted


def test_an_idle_champion_is_refused() -> None:
    given = evidence()
    selection = given.selection.copy()
    selection[:, 0] = 0.0
    found = verdict_of(replace(given, selection=selection, sealed=np.zeros(600)))
    assert found.verdict is Verdict.luck
    assert found.reasons[:2] == (
        "The champion never traded on the selection data.",
        "The champion never traded on the sealed stretch.",
    )
    assert found.sealed.sharpe is None


def test_plain_data_survives_json() -> None:
    plain = verdict_of(evidence()).to_plain()
    assert json.loads(json.dumps(plain, allow_nan=False))["verdict"] == "promoted"


def test_the_best_of_many_related_worthless_trials_is_not_promoted() -> None:
    rng, promoted, deflated = np.random.default_rng(5), 0, 0
    for _ in range(200):
        common = rng.normal(size=(300, 1))
        selection = (np.sqrt(0.8) * common + np.sqrt(0.2) * rng.normal(size=(300, 30))) * 0.01
        best = int((selection.mean(axis=0) / selection.std(axis=0)).argmax())
        given = Evidence(selection, best, 30, rng.normal(size=300) * 0.01, {}, 1, BARS_PER_YEAR)
        found = judge_champion(given, rng, blocks=4)
        promoted += found.verdict is Verdict.promoted
        deflated += (found.selection.deflated_sharpe or 0.0) > 0.95
    assert deflated / 200 <= 0.05
    assert promoted / 200 <= 0.02


def test_contradictory_evidence_is_refused() -> None:
    given = evidence()
    with pytest.raises(DataError, match="20 kept trials, 19 trials in all"):
        verdict_of(replace(given, trials=19))
    with pytest.raises(DataError, match="0 looks"):
        verdict_of(replace(given, looks=0))
    with pytest.raises(DataError, match="same sealed bars"):
        verdict_of(replace(given, sealed=given.sealed[:-1]))
    with pytest.raises(DataError, match="finite"):
        verdict_of(replace(given, sealed=np.full(600, np.nan)))
