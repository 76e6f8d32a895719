"""From settings to what every stage trains on: bars, splits, fitted features, rules and markets."""

from dataclasses import dataclass

from src.config.schema import ActionKind, EnvironmentConfig, RewardKind, RiskConfig, TrainingConfig, require
from src.config.stages import Advantages, PPOStageConfig, StageConfig
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
        ConfigError: a stage asks for all-action advantages where they cannot be had.
        DataError: the data cannot be read, or is too short for warm-up, window, splits and rollouts.
    """
    for name, stage in config.sequence.items():
        if isinstance(stage, PPOStageConfig) and stage.advantages is Advantages.all_action:
            require_enumerable(name, config.environment, config.risk)
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


def require_enumerable(stage: str, environment: EnvironmentConfig, risk: RiskConfig) -> None:
    """Refuse all-action advantages where an account's state is more than the position it holds.

    Raises:
        ConfigError: naming everything that would have to change.
    """
    reward = environment.reward
    wanted = {
        "environment.action.kind=discrete": environment.action.kind is ActionKind.discrete,
        "environment.reward.kind=linear": reward.kind is RewardKind.linear,
        "environment.account_inputs=[position]": list(environment.account_inputs) == ["position"],
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
