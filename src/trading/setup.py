"""`TradingSetup`: the rows a series is split into and the rules it is traded under, from the settings of a run.

A model in training and a baseline beside it get the same from here, so that the two compare.
"""

from dataclasses import dataclass

from src.config.data import SplitConfig
from src.config.training import TrainingConfig
from src.errors import DataError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from src.market.splits import Splits, chronological_splits
from src.trading.rules import TradingRules, make_rules


@dataclass(frozen=True)
class TradingSetup:
    """How a series is traded.

    Attributes:
        pipeline: features by name, not yet fitted.
        rules: the volatility in them is that of the training split alone.
    """

    pipeline: FeaturePipeline
    splits: Splits
    rules: TradingRules


def make_setup(config: TrainingConfig, bars: BarSeries, warmup_bars: int | None = None) -> TradingSetup:
    """Split the rows after a warm-up, and gather the rules.

    Args:
        warmup_bars: of whoever trades; unless given, what any stage's model needs.

    Raises:
        DataError: the bars do not outlast the warm-up, or are too few to split.
    """
    pipeline = FeaturePipeline(config.features.names, config.features.clip, plugins=config.plugins)
    if warmup_bars is None:
        warmup_bars = pipeline.warmup_bars + config.history_bars
    splits = split_bars(bars, warmup_bars, config.data.split)
    moves = bars.log_returns[splits.train.start + 1 : splits.train.stop]
    rules = make_rules(config.environment, config.costs, config.risk, float(moves.std()), config.plugins)
    return TradingSetup(pipeline, splits, rules)


def split_bars(bars: BarSeries, warmup_bars: int, split: SplitConfig) -> Splits:
    """Split the rows after a warm-up in order of time.

    Raises:
        DataError: there are none, or too few.
    """
    if warmup_bars >= len(bars):
        raise DataError(
            f"{bars.symbol}: {len(bars)} bars do not cover the {warmup_bars} bars of warm-up of whoever trades them;"
            " use more data; for a model, a smaller model.core.window or features with less warm-up"
        )
    return chronological_splits(range(warmup_bars, len(bars)), split)
