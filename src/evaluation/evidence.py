"""What a champion is judged by, and the figures that are measured on it. What they lead to is in `promotion.py`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from src.errors import DataError
from src.evaluation.alpha import alpha_of
from src.evaluation.bootstrap import SHORTEST_SERIES, Interval
from src.evaluation.comparison import differences_from_first
from src.evaluation.overfitting import Overfitting, backtest_overfitting
from src.evaluation.significance import (
    TrackRecord,
    bars_to_confidence,
    confidence_of_edge,
    deflated_sharpe,
    expected_best_sharpe,
    recognised_sharpe,
    sharpe_variance,
    track_record,
)
from src.evaluation.variation import why_no_sharpe
from src.market.bars import FloatArray

CERTAIN = 0.95  # probability with which a strategy of `SealedFigures.needed_sharpe` would pass


@dataclass(frozen=True)
class Evidence:
    """What the gate judges by. Returns are simple, per bar, after costs.

    Attributes:
        selection: (T, N) of the trials on the selection data; all of them, or as many as were kept.
        selection_market: (T,) of holding the market there.
        champion: column of the champion.
        trials: evaluations ever made that could have become the champion, on any run over these data; at least N.
        sealed: (S,) of the champion on the sealed bars.
        market: (S,) of holding the market there.
        rivals: (S,) of buy and hold and of each simple strategy there, by name.
        looks: looks at this sealed stretch, this one included.
        bars_per_year: for annual figures.
    """

    selection: FloatArray
    selection_market: FloatArray
    champion: int
    trials: int
    sealed: FloatArray
    market: FloatArray
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
        required: probability asked for after so many looks.
        bars_needed: how long a record of this Sharpe ratio must be to reach `required`; None if it never does.
        needed_sharpe: true Sharpe ratio of a strategy that passes this stretch with probability `CERTAIN`; None if the
            stretch is too short for any.
        probabilistic_sharpe: probability that chance would have shown less, were there no edge.
    """

    bars: int
    required: float
    needed_sharpe: float | None
    sharpe: float | None
    probabilistic_sharpe: float | None
    bars_needed: float | None


@dataclass(frozen=True)
class AlphaFigures:
    """What the champion earned on the sealed stretch beyond holding the market at the same exposure.

    Attributes:
        exposure: to the market; 1 for who holds it.
        alpha: mean return a year beyond.
        probability: that chance would have shown less, were there no alpha; None if it did nothing but hold.
    """

    exposure: float
    alpha: float
    probability: float | None


@dataclass(frozen=True)
class Rival:
    """A simple strategy on the sealed stretch, its annual Sharpe ratio and the champion's lead with its interval."""

    name: str
    sharpe: float
    lead: Interval


def refuse_contradictions(evidence: Evidence) -> None:
    """Refuse what cannot be judged.

    Raises:
        DataError: shapes or counts contradict each other, a return is not finite, or a stretch is too short.
    """
    bars, known = evidence.selection.shape
    beside = (evidence.market, *evidence.rivals.values())
    lengths = {len(evidence.sealed), *map(len, beside)}
    if not 0 <= evidence.champion < known or evidence.trials < known or evidence.looks < 1:
        raise DataError(
            f"champion {evidence.champion} of {known} kept trials, {evidence.trials} trials in all and "
            f"{evidence.looks} looks contradict each other; count every evaluation, and this look"
        )
    if len(lengths) != 1 or min(bars, *lengths) < SHORTEST_SERIES:
        raise DataError(
            f"champion, market and rivals must cover the same sealed bars, >= {SHORTEST_SERIES} as must the selection "
            f"data: had {sorted(lengths)} sealed and {bars} selection bars"
        )
    if len(evidence.selection_market) != bars:
        raise DataError(f"the market covers {len(evidence.selection_market)} of {bars} selection bars; it must all")
    if not all(
        np.isfinite(returns).all()
        for returns in (evidence.selection, evidence.selection_market, evidence.sealed, *beside)
    ):
        raise DataError("returns given to the promotion gate must be finite")


def measure_selection(evidence: Evidence, blocks: int) -> SelectionFigures:
    """Measure the champion and the choice of it, cross-validated in so many blocks, on the selection data."""
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


def measure_sealed(evidence: Evidence, confidence: float) -> SealedFigures:
    """Measure the champion on the sealed stretch, where `confidence` is asked for at the first look."""
    bars, annual = len(evidence.sealed), float(np.sqrt(evidence.bars_per_year))
    required = confidence ** (1.0 / evidence.looks)
    record = _record(evidence.sealed, evidence.selection[:, evidence.champion])
    of_any = record or TrackRecord(0.0, bars, skew=0.0, kurtosis=3.0)
    needed = recognised_sharpe(of_any, required, CERTAIN)
    needed = None if needed is None else needed * annual
    if record is None:
        return SealedFigures(bars, required, needed, None, None, None)
    longer = bars_to_confidence(record, required)
    return SealedFigures(bars, required, needed, record.sharpe * annual, confidence_of_edge(record), longer)


def measure_alpha(evidence: Evidence) -> AlphaFigures:
    """Measure what the champion earned on the sealed stretch beyond holding the market."""
    found = alpha_of(evidence.sealed, evidence.market)
    before = alpha_of(evidence.selection[:, evidence.champion], evidence.selection_market)
    record = _record(found.returns, before.returns)
    return AlphaFigures(
        exposure=found.exposure,
        alpha=float(found.returns.mean()) * evidence.bars_per_year,
        probability=None if record is None else confidence_of_edge(record),
    )


def measure_rivals(evidence: Evidence, rng: np.random.Generator) -> tuple[Rival, ...]:
    """Measure each rival on the sealed stretch; `rng` draws the intervals of the leads."""
    annual, found = float(np.sqrt(evidence.bars_per_year)), []
    for name, returns in evidence.rivals.items():
        lead = differences_from_first([returns, evidence.sealed], evidence.bars_per_year, rng)[0].sharpe
        record = _record(returns)
        found.append(Rival(name, 0.0 if record is None else record.sharpe * annual, lead))
    return tuple(found)


def _record(returns: FloatArray, earlier: FloatArray | None = None) -> TrackRecord | None:
    # None for an account without a Sharpe ratio, such as one that never traded.
    return None if why_no_sharpe(returns) else track_record(returns, earlier)
