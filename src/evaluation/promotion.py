"""The promotion gate: may a champion be called better than luck?

Four questions, each of which can only refuse:

1. On the selection data, does its Sharpe ratio exceed what the best of *all* evaluations ever made would show by luck?
   (deflated Sharpe ratio)
2. Does choosing among the trials choose anything? (cross-validation of the choice) One draw of this figure scatters
   widely, and equally good trials rank by chance: it counts against the champion only if the chosen trials also lose.
3. On the sealed stretch, which no selection ever touched, is the Sharpe ratio above zero? (probabilistic Sharpe ratio)
   Every earlier look at the same stretch raises the confidence asked for, so that all looks together err as seldom as
   one would (Šidák).
4. Does it do better there than buy and hold and simple strategies?

The deflated Sharpe ratio takes the variance of a Sharpe ratio without an edge, not the variance among the trials. Among
correlated trials the latter is too small and passes one worthless champion in five; among trials some of which truly
lose it is so large that nothing passes. The best of related worthless trials is no higher than that of independent
ones, so the gate is strict
(`benchmarks/learning/overfitting.py`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np
from scipy.stats import norm

from src.errors import DataError
from src.evaluation.bootstrap import SHORTEST_SERIES, Interval
from src.evaluation.comparison import differences_from_first
from src.evaluation.overfitting import Overfitting, backtest_overfitting
from src.evaluation.significance import (
    TrackRecord,
    deflated_sharpe,
    expected_best_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_variance,
    track_record,
)
from src.market.bars import FloatArray

CERTAIN = 0.95  # probability with which a strategy of `SealedFigures.needed_sharpe` would pass


class Verdict(Enum):
    """What the gate says."""

    promoted = "promoted"
    luck = "not distinguishable from luck"


@dataclass(frozen=True)
class Evidence:
    """What the gate judges by. Returns are simple, per bar, after costs.

    Attributes:
        selection: (T, N) of the trials on the selection data; all of them, or as many as were kept.
        champion: column of the champion.
        trials: evaluations ever made that could have become the champion, on any run over these data; at least N.
        sealed: (S,) of the champion on the sealed bars.
        rivals: (S,) of buy and hold and of each simple strategy there, by name.
        looks: looks at this sealed stretch, this one included.
        bars_per_year: for annual figures.
    """

    selection: FloatArray
    champion: int
    trials: int
    sealed: FloatArray
    rivals: Mapping[str, FloatArray]
    looks: int
    bars_per_year: float


@dataclass(frozen=True)
class SelectionFigures:
    """Figures of the selection data; Sharpe ratios are annual. None without variance, or for a single trial."""

    sharpe: float | None
    luckiest_sharpe: float | None  # expected of the best of as many worthless trials
    deflated_sharpe: float | None
    overfitting: float | None
    loss_probability: float | None


@dataclass(frozen=True)
class SealedFigures:
    """Figures of the sealed stretch; Sharpe ratios are annual. None without variance.

    Attributes:
        required: probabilistic Sharpe ratio asked for after so many looks.
        bars_needed: how long a record of this Sharpe ratio must be to reach `required`; None if it never does.
        needed_sharpe: true Sharpe ratio of a strategy that passes this stretch with probability `CERTAIN`.
    """

    bars: int
    required: float
    needed_sharpe: float
    sharpe: float | None
    probabilistic_sharpe: float | None
    bars_needed: float | None


@dataclass(frozen=True)
class Rival:
    """A simple strategy on the sealed stretch, its annual Sharpe ratio and the champion's lead with its interval."""

    name: str
    sharpe: float
    lead: Interval


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
        confidence: asked of the deflated Sharpe ratio, and of the probabilistic one at the first look.
        max_overfitting: highest probability of backtest overfitting that does not need a second opinion.
        blocks: of the cross-validation of the choice.

    Raises:
        DataError: shapes or counts contradict each other, a return is not finite, or a stretch is too short.
    """
    _refuse_contradictions(evidence)
    selection = _measure_selection(evidence, blocks)
    sealed = _measure_sealed(evidence, confidence)
    rivals = _measure_rivals(evidence, rng)
    checks = [
        _beats_the_luckiest(selection, evidence.trials, confidence),
        _choice_matters(selection, max_overfitting),
        _holds_on_the_sealed_stretch(sealed, evidence.looks),
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
        rivals=rivals,
    )


def _refuse_contradictions(evidence: Evidence) -> None:
    bars, known = evidence.selection.shape
    lengths = {len(evidence.sealed), *(len(returns) for returns in evidence.rivals.values())}
    if not 0 <= evidence.champion < known or evidence.trials < known or evidence.looks < 1:
        raise DataError(
            f"champion {evidence.champion} of {known} kept trials, {evidence.trials} trials in all and "
            f"{evidence.looks} looks contradict each other; count every evaluation, and this look"
        )
    if len(lengths) != 1 or min(bars, *lengths) < SHORTEST_SERIES:
        raise DataError(
            f"champion and rivals must cover the same sealed bars, >= {SHORTEST_SERIES} as must the selection data: "
            f"had {sorted(lengths)} sealed and {bars} selection bars"
        )
    if not all(
        np.isfinite(returns).all() for returns in (evidence.selection, evidence.sealed, *evidence.rivals.values())
    ):
        raise DataError("returns given to the promotion gate must be finite")


def _measure_selection(evidence: Evidence, blocks: int) -> SelectionFigures:
    choice = backtest_overfitting(evidence.selection, blocks) if evidence.selection.shape[1] > 1 else None
    record = _record(evidence.selection[:, evidence.champion])
    if record is None:
        return SelectionFigures(None, None, None, *_shares(choice))
    annual = float(np.sqrt(evidence.bars_per_year))
    without_edge = sharpe_variance(record, 0.0)
    return SelectionFigures(
        record.sharpe * annual,
        expected_best_sharpe(evidence.trials, without_edge) * annual,
        deflated_sharpe(record, evidence.trials, without_edge),
        *_shares(choice),
    )


def _shares(choice: Overfitting | None) -> tuple[float | None, float | None]:
    return (None, None) if choice is None else (choice.probability, choice.loss_probability)


def _measure_sealed(evidence: Evidence, confidence: float) -> SealedFigures:
    bars, annual = len(evidence.sealed), float(np.sqrt(evidence.bars_per_year))
    required = confidence ** (1.0 / evidence.looks)
    record = _record(evidence.sealed)
    variance = sharpe_variance(record, 0.0) if record is not None else 1.0 / bars
    needed = float((norm.ppf(required) + norm.ppf(CERTAIN)) * np.sqrt(variance)) * annual
    if record is None:
        return SealedFigures(bars, required, needed, None, None, None)
    probability, bars_needed = probabilistic_sharpe(record), minimum_track_record(record, 0.0, required)
    return SealedFigures(bars, required, needed, record.sharpe * annual, probability, bars_needed)


def _measure_rivals(evidence: Evidence, rng: np.random.Generator) -> tuple[Rival, ...]:
    annual, found = float(np.sqrt(evidence.bars_per_year)), []
    for name, returns in evidence.rivals.items():
        lead = differences_from_first([returns, evidence.sealed], evidence.bars_per_year, rng)[0].sharpe
        record = _record(returns)
        found.append(Rival(name, 0.0 if record is None else record.sharpe * annual, lead))
    return tuple(found)


def _record(returns: FloatArray) -> TrackRecord | None:
    # None for an account that never traded.
    return track_record(returns) if np.ptp(returns) > 1e-14 else None


def _beats_the_luckiest(found: SelectionFigures, trials: int, confidence: float) -> _Check:
    if found.sharpe is None or found.deflated_sharpe is None:
        return _Check(False, "The champion never traded on the selection data.")
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
        return _Check(False, "The champion never traded on the sealed stretch.")
    passed = found.probabilistic_sharpe > found.required
    longer = (
        "" if passed or found.bars_needed is None else f" It would take {found.bars_needed:,.0f} bars to show that."
    )
    return _Check(
        passed,
        f"On {found.bars:,} sealed bars its annual Sharpe ratio is {found.sharpe:.2f}: probabilistic Sharpe ratio "
        f"{found.probabilistic_sharpe:.3f}, {'above' if passed else 'not above'} the {found.required:.4g} asked for at "
        f"look {looks}.{longer} Near certain to pass here is a strategy whose true annual Sharpe ratio is "
        f"{found.needed_sharpe:.1f}.",
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
