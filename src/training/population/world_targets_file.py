"""What came after each row of a training market, in a file that a learner reads beside the market."""

from collections.abc import Sequence
from pathlib import Path

import torch

from src.agents.mind import Mind
from src.models.world.targets import WorldTargets, world_targets
from src.training.population.shared_market import MarketSeries

_FILE = "world_targets.pt"


def flat_targets(
    learned: Sequence[MarketSeries], mind: Mind, horizons: Sequence[int], context_bars: int
) -> WorldTargets:
    """Return what came after each flat row of a `TrainingMarket` of these series; what lies after its rows is unknown.

    Args:
        mind: that filled the matrices; without a part for it the regime ahead is unknown.
        context_bars: rows before the first decision row of each series.
    """
    parts = []
    for series in learned:
        rows = slice(series.rows.start - context_bars, series.rows.stop)
        regimes = mind.probabilities(series.matrix, "regime") if mind.has("regime") else None
        targets = world_targets(series.bars, horizons, regimes)
        parts.append(targets.before(series.rows.stop, horizons).rows(rows))
    return WorldTargets(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def save_targets(targets: WorldTargets, folder: Path) -> None:
    """Write what came after each flat row of a training market into its folder."""
    torch.save(targets._asdict(), folder / _FILE)


def _load_targets(folder: Path) -> WorldTargets:
    return WorldTargets(**torch.load(folder / _FILE, weights_only=True))
