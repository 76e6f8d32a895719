"""Each question of the gate by itself, its figures against the published formulas, and its errors under the null."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from src.errors import DataError
from src.evaluation.evidence import Evidence
from src.evaluation.promotion import Promotion, Verdict, judge_champion

BARS_PER_YEAR = 252.0


def evidence(edge: float = 0.25, sealed_edge: float | None = None, trials: int = 60, seed: int = 0) -> Evidence:
    """Return twenty trials of which the first has an edge: its Sharpe ratio per bar, whatever the market does."""
    rng = np.random.default_rng(seed)
    selection = rng.normal(size=(1_000, 20)) * 0.01
    selection[:, 0] += edge * 0.01
    sealed = rng.normal(edge if sealed_edge is None else sealed_edge, 1.0, size=600) * 0.01
    market, before = rng.normal(size=600) * 0.01, rng.normal(size=1_000) * 0.01
    return Evidence(selection, before, 0, trials, sealed, market, {"buy and hold": market}, 1, BARS_PER_YEAR)


def verdict_of(given: Evidence) -> Promotion:
    return judge_champion(given, np.random.default_rng(1))


def test_a_real_edge_is_promoted_with_a_sentence_for_every_question() -> None:
    found = verdict_of(evidence())
    assert found.verdict is Verdict.promoted
    assert len(found.reasons) == 5
    assert all(reason.endswith(".") for reason in found.reasons)


def test_figures_follow_the_formulas() -> None:
    given = replace(evidence(), looks=3)
    found = verdict_of(given)
    sealed, annual = given.sealed, np.sqrt(BARS_PER_YEAR)
    sharpe = sealed.mean() / sealed.std(ddof=1)
    rho = max(0.0, np.corrcoef(sealed[:-1], sealed[1:])[0, 1])
    both = np.concatenate([sealed - sealed.mean(), given.selection[:, 0] - given.selection[:, 0].mean()])
    skew, kurtosis = stats.skew(both), stats.kurtosis(both, fisher=False)
    of_mean, of_skew, of_square = (
        (1 + rho) / (1 - rho),
        1 + rho / (1 - rho) + rho**2 / (1 - rho**2),
        (1 + rho**2) / (1 - rho**2),
    )
    assert skew < 0  # the full variance is the larger one
    deviation = np.sqrt((of_mean - of_skew * skew * sharpe + of_square * (kurtosis - 1) / 4 * sharpe**2) / 600)
    required = 0.95 ** (1 / 3)  # three looks together err as seldom as one
    assert found.sealed.sharpe == pytest.approx(sharpe * annual)
    assert found.sealed.probabilistic_sharpe == pytest.approx(stats.norm.cdf(sharpe / deviation), rel=1e-3)
    assert found.sealed.required == pytest.approx(required)
    z = stats.norm.ppf(required)
    assert found.sealed.bars_needed == pytest.approx(600 * (z * deviation / sharpe) ** 2, rel=0.01)
    needed = (z + stats.norm.ppf(0.95)) * np.sqrt(of_mean / 600) * annual
    assert found.sealed.needed_sharpe == pytest.approx(needed, rel=0.02)
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
    given = replace(evidence(sealed_edge=0.1), market=np.zeros(600))  # all it earned is alpha
    first = verdict_of(given)
    assert first.sealed.probabilistic_sharpe is not None
    looks = int(np.ceil(np.log(0.95) / np.log(first.sealed.probabilistic_sharpe))) + 1  # Šidák, solved for the count
    assert len(verdict_of(replace(given, looks=looks)).reasons) == 2
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


def test_a_champion_a_little_ahead_of_a_simple_rule_is_promoted() -> None:
    given = evidence()
    behind = 0.2 / np.sqrt(BARS_PER_YEAR) * given.sealed.std(ddof=1)  # an annual Sharpe ratio of .2
    found = verdict_of(replace(given, rivals={"momentum": given.sealed - behind}))
    assert found.sealed.sharpe == pytest.approx(found.rivals[0].sharpe + 0.2)
    assert found.verdict is Verdict.promoted


@pytest.mark.parametrize("exposures", [(0.0, 1.0), (1.0, 2.0, 3.0)])
def test_who_is_long_at_random_in_a_market_that_trends_is_refused_for_want_of_alpha(exposures: tuple[float]) -> None:
    rng = np.random.default_rng(6)
    before, market = rng.normal(0.25, 1.0, 1_000) * 0.01, rng.normal(0.25, 1.0, 600) * 0.01
    selection = rng.choice(exposures, (1_000, 20)) * before[:, None]
    sealed = rng.choice(exposures, 600) * market
    given = replace(evidence(), selection=selection, selection_market=before, sealed=sealed, market=market, rivals={})
    found = verdict_of(given)
    (reason,) = found.reasons
    assert reason.startswith("Beyond holding the market at its exposure of")
    assert found.alpha.exposure == pytest.approx(np.mean(exposures), abs=0.1)
    assert found.alpha.probability is not None
    assert found.alpha.probability < 0.95
    skilled = replace(given, sealed=sealed + 0.002)  # the same exposures, and something of its own
    assert verdict_of(skilled).verdict is Verdict.promoted


def test_alpha_is_asked_for_with_the_confidence_of_the_look() -> None:
    rng = np.random.default_rng(7)
    market, edge = rng.normal(0.25, 1.0, 600) * 0.01, rng.normal(0.0, 1.0, 600) * 0.002
    given = replace(evidence(), sealed=market + edge - edge.mean() + 0.00017, market=market, rivals={})
    first = verdict_of(given)
    assert first.alpha.probability is not None
    assert 0.95 < first.alpha.probability < 0.99
    assert first.verdict is Verdict.promoted
    (reason,) = verdict_of(replace(given, looks=10)).reasons
    assert reason.startswith("Beyond holding the market")


def test_crashes_on_the_selection_data_count_on_the_sealed_stretch() -> None:
    given = evidence(sealed_edge=0.1)
    crashed = given.selection.copy()
    crashed[::100, 0] -= 0.2
    before, after = verdict_of(given), verdict_of(replace(given, selection=crashed))
    for one, other in (
        (before.sealed.probabilistic_sharpe, after.sealed.probabilistic_sharpe),
        (before.alpha.probability, after.alpha.probability),
    ):
        assert one is not None
        assert other is not None
        assert other < one - 0.001


def test_who_does_nothing_but_hold_the_market_is_refused() -> None:
    given = evidence()
    found = verdict_of(replace(given, sealed=given.sealed, market=given.sealed, rivals={}))
    assert found.reasons == ("On the sealed stretch it did nothing that holding the market would not have done.",)
    assert found.alpha.probability is None


def test_a_deflated_sharpe_ratio_of_nine_tenths_is_not_enough() -> None:
    given, rng = evidence(edge=0.11, sealed_edge=0.3), np.random.default_rng(9)
    found = [judge_champion(replace(given, trials=2**doubling), rng, blocks=2) for doubling in range(5, 14)]
    close = [one for one in found if 0.9 < (one.selection.deflated_sharpe or 0.0) <= 0.95]
    assert close
    for one in close:
        (reason,) = one.reasons
        assert "not above 0.95" in reason


def test_a_choice_that_picks_the_half_lower_and_loses_is_refused() -> None:
    given, rng = evidence(), np.random.default_rng(8)
    selection, piece = given.selection.copy(), 1_000 // 16
    for trial in range(1, 20):  # each is good in eight of sixteen pieces and as bad in the others
        good = np.isin(np.arange(1_000) // piece, rng.choice(16, 8, replace=False))
        selection[:, trial] += np.where(good, 0.02, -0.02)
    found = verdict_of(replace(given, selection=selection))
    (reason,) = found.reasons
    assert reason.startswith("What is best on one half of the selection data")
    assert min(found.selection.overfitting or 0.0, found.selection.loss_probability or 0.0) >= 0.5


def test_equally_good_trials_do_not_speak_against_the_champion() -> None:
    rng = np.random.default_rng(4)
    given = replace(evidence(), selection=rng.normal(0.25, 1.0, size=(1_000, 20)) * 0.01)
    overfitting = [
        verdict_of(replace(given, selection=rng.permuted(given.selection, axis=0))).selection.overfitting or 0.0
        for _ in range(6)
    ]
    assert max(overfitting) > 0.5
    assert verdict_of(given).verdict is Verdict.promoted


def test_a_champion_that_paid_a_single_fee_has_no_sharpe_ratio_to_judge() -> None:
    given, fee = evidence(), np.full(600, -1e-8)
    fee[0] = -4e-4
    found = verdict_of(replace(given, sealed=fee))
    assert (found.sealed.sharpe, found.verdict) == (None, Verdict.luck)
    assert "The champion has no Sharpe ratio on the sealed stretch: it hardly traded or not at all." in found.reasons


def test_an_idle_champion_is_refused() -> None:
    given = evidence()
    selection = given.selection.copy()
    selection[:, 0] = 0.0
    found = verdict_of(replace(given, selection=selection, sealed=np.zeros(600)))
    assert found.verdict is Verdict.luck
    assert found.reasons[:2] == (
        "The champion has no Sharpe ratio on the selection data: it hardly traded or not at all.",
        "The champion has no Sharpe ratio on the sealed stretch: it hardly traded or not at all.",
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
        before, market, sealed = rng.normal(size=(3, 300)) * 0.01
        given = Evidence(selection, before, best, 30, sealed, market, {}, 1, BARS_PER_YEAR)
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
    with pytest.raises(DataError, match="same sealed bars"):
        verdict_of(replace(given, market=given.market[:-1]))
    with pytest.raises(DataError, match="999 of 1000 selection bars"):
        verdict_of(replace(given, selection_market=given.selection_market[:-1]))
    for name in ("sealed", "market", "selection_market"):
        with pytest.raises(DataError, match="finite"):
            verdict_of(replace(given, **{name: np.full_like(getattr(given, name), np.nan)}))
