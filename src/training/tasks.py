"""The markets a stage trains on: all training rows of a symbol, or, for meta-learning, tasks cut out of them.

A task is a symbol and a period. Periods of a symbol do not overlap, and embargoed bars lie between them, so that no
return counts in two tasks. A period begins with the bars of the first support; decisions are taken on the rest, and the
bars just before a decision, at most back to the start of the period, are its support.
"""

from collections.abc import Sequence
from dataclasses import replace

from src.config.stages.learning import MAMLStageConfig, StageConfig
from src.errors import DataError
from src.trading.prepared_market import PreparedMarket


def whole_markets(stage: StageConfig, markets: Sequence[PreparedMarket]) -> list[PreparedMarket]:
    """Return the training rows of each symbol, mirror images only where the stage asks for them."""
    return [market for market in markets if stage.learns_mirrored or not market.is_mirror]


def task_markets(stage: MAMLStageConfig, markets: Sequence[PreparedMarket]) -> list[PreparedMarket]:
    """Return the tasks that `whole_markets` are cut into.

    Raises:
        DataError: there are fewer than one gradient step learns from.
    """
    tasks = [task for market in whole_markets(stage, markets) for task in cut_into_tasks(market, stage)]
    if len(tasks) < stage.meta_batch:
        raise DataError(
            f"{len(tasks)} tasks of period_bars={stage.period_bars} fit into the training split, fewer than the "
            f"meta-batch of groups / minibatches = {stage.meta_batch}; lower groups or period_bars, name more symbols "
            "or give more training bars"
        )
    return tasks


def cut_into_tasks(market: PreparedMarket, stage: MAMLStageConfig) -> list[PreparedMarket]:
    """Return a market for each whole period in the rows of one, with the rows that follow its first support."""
    starts = range(market.rows.start, market.rows.stop - stage.period_bars + 1, stage.period_bars + stage.embargo_bars)
    support = stage.adaptation.support_bars
    return [replace(market, rows=range(start + support, start + stage.period_bars)) for start in starts]
