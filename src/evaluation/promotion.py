"""The promotion gate: may a champion be called better than luck?

Five questions, each of which can only refuse:

1. On the selection data, does its Sharpe ratio exceed what the best of *all* evaluations ever made would show by luck?
   (deflated Sharpe ratio)
2. Does choosing among the trials choose anything? (cross-validation of the choice) One draw of this figure scatters
   widely, and equally good trials rank by chance: it counts against the champion only if the chosen trials also lose.
3. On the sealed stretch, which no selection ever touched, is the Sharpe ratio above zero?
   Every earlier look at the same stretch raises the confidence asked for, so that all looks together err as seldom as
   one would (Šidák).
4. Does it earn more there than holding the market at the same exposure? (alpha) The same confidence is asked for: in a
   market that trends, whoever is long at random passes all other questions.
5. Does it do better there than buy and hold and simple strategies?

The deflated Sharpe ratio takes the variance of a Sharpe ratio without an edge, not the variance among the trials. Among
correlated trials the latter is too small and passes one worthless champion in five; among trials some of which truly
lose it is so large that nothing passes. The best of related worthless trials is no higher than that of independent
ones, so the gate is strict (`benchmarks/learning/promotion.py`).

On the sealed stretch skew and kurtosis count, and are those of selection data and sealed stretch together: a crash that
comes once in a hundred bars is missing in one stretch of 250 out of twelve, which would then pass as an edge.
"""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np

from src.evaluation.evidence import (
    AlphaFigures,
    Evidence,
    Rival,
    SealedFigures,
    SelectionFigures,
    measure_alpha,
    measure_rivals,
    measure_sealed,
    measure_selection,
    refuse_contradictions,
)


class Verdict(Enum):
    """What the gate says."""

    promoted = "promoted"
    luck = "not distinguishable from luck"


@dataclass(frozen=True)
class Promotion:
    """The verdict, why, and every figure behind it.

    Attributes:
        reasons: what spoke against promotion, a sentence each; if nothing did, what spoke for it.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    trials: int
    looks: int
    selection: SelectionFigures
    sealed: SealedFigures
    alpha: AlphaFigures
    rivals: tuple[Rival, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return nested plain data, ready for JSON and the champion file."""
        return asdict(self) | {"verdict": self.verdict.value, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class _Check:
    passed: bool
    sentence: str


def judge_champion(
    evidence: Evidence,
    rng: np.random.Generator,
    confidence: float = 0.95,
    max_overfitting: float = 0.5,
    blocks: int = 16,
) -> Promotion:
    """Decide whether the champion may be promoted.

    Args:
        evidence: what is known of it.
        rng: draws the intervals of the leads; the verdict does not depend on it.
        confidence: asked of the deflated Sharpe ratio, and on the sealed stretch at the first look.
        max_overfitting: highest probability of backtest overfitting that does not need a second opinion.
        blocks: of the cross-validation of the choice.

    Raises:
        DataError: shapes or counts contradict each other, a return is not finite, or a stretch is too short.
    """
    refuse_contradictions(evidence)
    selection = measure_selection(evidence, blocks)
    sealed = measure_sealed(evidence, confidence)
    alpha = measure_alpha(evidence)
    rivals = measure_rivals(evidence, rng)
    checks = [
        _beats_the_luckiest(selection, evidence.trials, confidence),
        _choice_matters(selection, max_overfitting),
        _holds_on_the_sealed_stretch(sealed, evidence.looks),
        _beats_holding(alpha, sealed),
        *[_beats(rival, sealed) for rival in rivals],
    ]
    refused = tuple(check.sentence for check in checks if not check.passed)
    return Promotion(
        verdict=Verdict.luck if refused else Verdict.promoted,
        reasons=refused or tuple(check.sentence for check in checks),
        trials=evidence.trials,
        looks=evidence.looks,
        selection=selection,
        sealed=sealed,
        alpha=alpha,
        rivals=rivals,
    )


def _beats_the_luckiest(found: SelectionFigures, trials: int, confidence: float) -> _Check:
    if found.sharpe is None or found.deflated_sharpe is None:
        return _Check(False, "The champion has no Sharpe ratio on the selection data: it hardly traded or not at all.")
    passed = found.deflated_sharpe > confidence
    return _Check(
        passed,
        f"On the selection data its annual Sharpe ratio is {found.sharpe:.2f}, where the best of {trials} worthless "
        f"trials would show about {found.luckiest_sharpe:.2f}: deflated Sharpe ratio {found.deflated_sharpe:.3f}, "
        f"{'above' if passed else 'not above'} {confidence:g}.",
    )


def _choice_matters(found: SelectionFigures, limit: float) -> _Check:
    if found.overfitting is None or found.loss_probability is None:
        return _Check(True, "There was a single trial, so nothing was chosen.")
    passed = found.overfitting < limit or found.loss_probability < limit
    return _Check(
        passed,
        f"What is best on one half of the selection data is in the lower half of the trials on the other with "
        f"probability {found.overfitting:.2f} and loses there with probability {found.loss_probability:.2f}; "
        f"{'at least one of them is' if passed else 'neither is'} below {limit:g}.",
    )


def _holds_on_the_sealed_stretch(found: SealedFigures, looks: int) -> _Check:
    if found.sharpe is None or found.probabilistic_sharpe is None:
        return _Check(False, "The champion has no Sharpe ratio on the sealed stretch: it hardly traded or not at all.")
    passed = found.probabilistic_sharpe > found.required
    longer = (
        "" if passed or found.bars_needed is None else f" It would take {found.bars_needed:,.0f} bars to show that."
    )
    sure = "no strategy" if found.needed_sharpe is None else "a strategy whose true annual Sharpe ratio is "
    return _Check(
        passed,
        f"On {found.bars:,} sealed bars its annual Sharpe ratio is {found.sharpe:.2f}: probabilistic Sharpe ratio "
        f"{found.probabilistic_sharpe:.3f}, {'above' if passed else 'not above'} the {found.required:.4g} asked for at "
        f"look {looks}.{longer} Near certain to pass here is {sure}"
        f"{'' if found.needed_sharpe is None else f'{found.needed_sharpe:.1f}'}.",
    )


def _beats_holding(found: AlphaFigures, sealed: SealedFigures) -> _Check:
    if found.probability is None:
        return _Check(False, "On the sealed stretch it did nothing that holding the market would not have done.")
    passed = found.probability > sealed.required
    return _Check(
        passed,
        f"Beyond holding the market at its exposure of {found.exposure:.2f} it earned {found.alpha:+.1%} a year on the "
        f"sealed stretch: with probability {found.probability:.3f} no luck, {'above' if passed else 'not above'} the "
        f"{sealed.required:.4g} asked for.",
    )


def _beats(rival: Rival, sealed: SealedFigures) -> _Check:
    ours, lead = sealed.sharpe or 0.0, rival.lead
    passed = ours > rival.sharpe
    return _Check(
        passed,
        f"On the sealed stretch its annual Sharpe ratio of {ours:.2f} is {'above' if passed else 'not above'} the "
        f"{rival.sharpe:.2f} of {rival.name} (lead between {lead.low:.2f} and {lead.high:.2f} "
        f"with probability {lead.level:g}).",
    )
