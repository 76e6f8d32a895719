"""The markets a stage trains on: whole training stretches, or, for meta-learning, tasks cut out of them.

A task is a symbol and a period. Periods of a symbol do not overlap, and embargoed bars lie between them, so that no
return counts in two tasks. A period begins with the first support stretch; decisions are taken on what is left of it,
and the bars just before any of them, at most back to the period's begin, are their support.
"""

from collections.abc import Sequence
from dataclasses import replace

from src.config.stages.learning import LearningConfig, MAMLStageConfig, StageConfig
from src.errors import DataError
from src.trading.prepared_market import PreparedMarket


def stage_markets(stage: StageConfig, markets: Sequence[PreparedMarket]) -> list[PreparedMarket]:
    """Return the markets a stage trains on.

    Args:
        markets: training rows of each symbol, and mirror images, which are left out unless the stage asks for them.

    Raises:
        DataError: there are fewer tasks than one gradient step of a MAML stage learns from.
    """
    markets = [market for market in markets if mirrors(stage) or not market.is_mirror]
    if not isinstance(stage, MAMLStageConfig):
        return markets
    tasks = [task for market in markets for task in cut_into_tasks(market, stage)]
    if len(tasks) < stage.meta_batch:
        raise DataError(
            f"{len(tasks)} tasks of period_bars={stage.period_bars} fit into the training split, fewer than the "
            f"meta-batch of groups / minibatches = {stage.meta_batch}; lower groups or period_bars, name more symbols "
            "or give more training bars"
        )
    return tasks


def mirrors(stage: StageConfig) -> bool:
    """Say whether a stage also trains on the mirrored market."""
    return isinstance(stage, LearningConfig) and stage.mirror


def cut_into_tasks(market: PreparedMarket, stage: MAMLStageConfig) -> list[PreparedMarket]:
    """Return a market for each whole period in the rows of one, with the rows that follow its first support stretch."""
    starts = range(market.rows.start, market.rows.stop - stage.period_bars + 1, stage.period_bars + stage.embargo_bars)
    support = stage.adaptation.support_bars
    return [replace(market, rows=range(start + support, start + stage.period_bars)) for start in starts]
