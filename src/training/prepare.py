"""From settings to what every stage trains on: bars, splits, fitted features, rules and markets."""

from dataclasses import dataclass

from src.config.schema import PPOStageConfig, StageConfig, TrainingConfig
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from src.market.sources import load_bars
from src.market.splits import Splits
from src.trading.market import Market, prepare_market
from src.trading.rules import TradingRules
from src.trading.terms import make_terms
from src.training.training_market import episode_chunks


@dataclass(frozen=True)
class TrainingData:
    """What a run trains and validates on. Scaler and volatility come from the training split alone."""

    bars: BarSeries
    splits: Splits
    pipeline: FeaturePipeline
    rules: TradingRules
    training_markets: tuple[Market, ...]  # the training split, and its mirror image where a stage asks for it


def prepare_data(config: TrainingConfig) -> TrainingData:
    """Load bars, split them, fit features on the training split and gather the rules.

    Raises:
        DataError: the data cannot be read, or is too short for warm-up, window, splits and rollouts.
    """
    bars = load_bars(config.symbol, config.data, config.seed)
    terms = make_terms(config, bars)
    splits, rules = terms.splits, terms.rules
    mirrored = any(mirrors(stage) for stage in config.sequence.values())
    sides = [bars, bars.mirrored()] if mirrored else [bars]
    pipeline = terms.pipeline.fit([(side, splits.train) for side in sides])
    markets = tuple(prepare_market(side, pipeline, config.costs, splits.train) for side in sides)
    for stage in config.sequence.values():
        if isinstance(stage, PPOStageConfig):
            episode_chunks(min(len(market.rows) for market in markets), config.environment.episode_bars, stage.horizon)
    return TrainingData(bars, splits, pipeline, rules, markets)


def mirrors(stage: StageConfig) -> bool:
    """Say whether a stage also trains on the mirrored market."""
    return isinstance(stage, PPOStageConfig) and stage.mirror
