"""From settings to what every stage trains on: bars, splits, fitted features, rules and markets."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from src.config.base import require
from src.config.model import Trunk
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import Advantages, LearningConfig
from src.config.trading import ActionKind, EnvironmentConfig, RewardKind, RiskConfig
from src.config.training import TrainingConfig
from src.errors import DataError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries, symbol_id
from src.market.sources import load_bars
from src.market.splits import MIN_PART_ROWS, Splits, fold_rows
from src.trading.prepared_market import PreparedMarket, prepare_market
from src.trading.rules import TradingRules
from src.trading.setup import make_setup
from src.training.rollout.training_market import episode_chunks
from src.training.tasks import mirrors, stage_markets


@dataclass(frozen=True)
class TrainingData:
    """What a run trains and validates on. Scaler and volatility come from training rows alone.

    Attributes:
        bars: the series that is traded: validated on, and tested later.
        training_markets: the training rows of each symbol, and their mirror images where a stage asks for them;
            features are scaled on all, and `stage_markets` says which of them a stage learns from.
        fingerprint: of the bars of all symbols.
    """

    bars: BarSeries
    splits: Splits
    pipeline: FeaturePipeline
    rules: TradingRules
    training_markets: tuple[PreparedMarket, ...]
    fingerprint: str


def prepare_data(config: TrainingConfig) -> TrainingData:
    """Load bars, split them, fit features on the training split and gather the rules.

    Raises:
        ConfigError: a stage asks for all-action advantages or a supernet where they cannot be had.
        DataError: the data cannot be read, or is too short for warm-up, window, splits and rollouts.
    """
    for name, stage in config.sequence.items():
        if isinstance(stage, LearningConfig) and stage.advantages is Advantages.all_action:
            require_enumerable(name, config.environment, config.risk)
    bars = load_bars(config.symbol, config.data, config.seed)
    setup = make_setup(config, bars)
    splits, rules = setup.splits, setup.rules
    learned = [(bars, splits.train), *other_symbols(config, bars, splits)]
    mirrored = any(mirrors(stage) for stage in config.sequence.values())
    images = [(own.mirrored(), rows) for own, rows in learned] if mirrored else []
    pipeline = setup.pipeline.fit([*learned, *images])
    markets = (
        *(prepare_market(own, pipeline, config.costs, rows) for own, rows in learned),
        *(replace(prepare_market(own, pipeline, config.costs, rows), is_mirror=True) for own, rows in images),
    )
    for name, stage in config.sequence.items():
        if isinstance(stage, AutonomousStageConfig):
            fold_rows(splits.validation, stage.folds)
            longest = max(len(market.rows) for market in stage_markets(stage, markets))
            require_relaxable(name, stage, config.model.trunk, longest)
        if isinstance(stage, LearningConfig):
            shortest = min(len(market.rows) for market in stage_markets(stage, markets))
            episode_chunks(shortest, config.environment.episode_bars, stage.horizon)
    return TrainingData(bars, splits, pipeline, rules, markets, _fingerprint(own for own, _ in learned))


def other_symbols(config: TrainingConfig, bars: BarSeries, splits: Splits) -> list[tuple[BarSeries, range]]:
    """Return the bars of the other symbols to learn from, and the rows of each.

    Markets move together, so a bar of one symbol tells of the same hour of another: rows end where the training split
    of the traded symbol ends, by the clock. Before that all of them count, however early they begin.

    Args:
        bars, splits: of the symbol that is traded.

    Raises:
        DataError: bars cannot be used, have another timeframe, or none is left.
    """
    others, found = {symbol_id(symbol): symbol for symbol in config.symbols}, []
    others.pop(symbol_id(bars.symbol), None)
    for symbol in others.values():
        other = load_bars(symbol, config.data, config.seed)
        if other.timeframe != bars.timeframe:
            raise DataError(
                f"symbols: bars of {symbol} are {other.timeframe} long and those of {bars.symbol} {bars.timeframe}; "
                "choose symbols of one timeframe"
            )
        end = bars.close_time[splits.train.stop - 1]
        rows = range(splits.all.start, int(np.searchsorted(other.close_time, end, side="right")))
        if len(rows) < MIN_PART_ROWS:
            raise DataError(
                f"symbols: of {symbol} too few bars close between its warm-up and the end of the training split of "
                f"{bars.symbol}; leave it out or raise data.split.train_frac"
            )
        found.append((other, rows))
    return found


def _fingerprint(learned: Iterable[BarSeries]) -> str:
    return "+".join(dict.fromkeys(own.fingerprint for own in learned))


def require_enumerable(stage: str, environment: EnvironmentConfig, risk: RiskConfig) -> None:
    """Refuse all-action advantages where an account's state is more than the position it holds.

    Raises:
        ConfigError: naming everything that would have to change.
    """
    reward = environment.reward
    wanted = {
        "environment.action.kind=discrete": environment.action.kind is ActionKind.discrete,
        "environment.reward.kind=linear": reward.kind is RewardKind.linear,
        "environment.account_inputs=[exposure]": list(environment.account_inputs) == ["exposure"],
        "environment.reward.drawdown_penalty=0": reward.drawdown_penalty == 0,
        "environment.reward.variance_penalty=0": reward.variance_penalty == 0,
        "risk.max_exposure=null": risk.max_exposure is None,
        "risk.max_drawdown_frac=null": risk.max_drawdown_frac is None,
        "risk.max_daily_loss_frac=null": risk.max_daily_loss_frac is None,
    }
    missing = [setting for setting, holds in wanted.items() if not holds]
    require(
        not missing,
        f"sequence.{stage}.advantages=all_action enumerates positions and needs {', '.join(missing)}; "
        "set that, or advantages=sampled",
    )


def require_relaxable(name: str, stage: AutonomousStageConfig, trunk: Trunk, rows: int) -> None:
    """Refuse a supernet that has no transformer to relax, or no bars to compare its values on.

    Args:
        rows: training rows of the longest series.

    Raises:
        ConfigError: saying which setting to change.
    """
    if not stage.has_supernet:
        return
    key = f"sequence.{name}.supernet"
    require(
        trunk is Trunk.transformer,
        f"{key} compares transformers and model.trunk is {trunk.value}; set model.trunk=transformer or {key}.steps=0",
    )
    later, needed = round(stage.supernet.later_frac * rows), stage.supernet.chunk_bars
    require(
        needed <= later <= rows - needed,
        f"{key}.later_frac={stage.supernet.later_frac:g} parts {rows} training bars into {rows - later} and {later}, "
        f"one of them shorter than chunk_bars={needed}; change either, or set {key}.steps=0",
    )
