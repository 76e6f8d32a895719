"""What a stage refuses before anything is trained: settings and data that it cannot work with."""

from src.config.base import require
from src.config.model import Trunk
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import Advantages, LearningConfig
from src.config.trading import ActionKind, EnvironmentConfig, RiskConfig
from src.market.splits import fold_rows
from src.training.rollout.training_market import episode_chunks
from src.training.stage import StageInputs, fresh_model


def check_learning(inputs: StageInputs) -> None:
    """Refuse what no stage that plays chunks of bars can learn from.

    Raises:
        ConfigError: it asks for all-action advantages where they cannot be had.
        DataError: a market is too short for its rollouts.
    """
    stage: LearningConfig = inputs.stage
    if stage.advantages is Advantages.all_action:
        require_enumerable(inputs.name, inputs.config.environment, inputs.config.risk)
    shortest = min(len(market.rows) for market in inputs.markets)
    episode_chunks(shortest, inputs.config.environment.episode_bars, stage.horizon)


def check_policy(inputs: StageInputs) -> None:
    """Refuse what no policy can be trained on.

    Raises:
        ConfigError: as `check_learning`, or its network cannot be built.
        DataError: as `check_learning`.
    """
    check_learning(inputs)
    fresh_model(inputs.stage, inputs.config.model, inputs.data)


def check_population(inputs: StageInputs) -> None:
    """Refuse what no population can be bred and judged on.

    Raises:
        ConfigError: as `check_learning`, or it asks for a supernet where none can be had.
        DataError: as `check_learning`, or the validation split is too short for the folds.
    """
    fold_rows(inputs.data.splits.validation, inputs.stage.folds)
    longest = max(len(market.rows) for market in inputs.markets)
    require_relaxable(inputs.name, inputs.stage, inputs.config.model.trunk, longest)
    check_learning(inputs)


def require_enumerable(stage: str, environment: EnvironmentConfig, risk: RiskConfig) -> None:
    """Refuse all-action advantages where an account's state is more than the position it holds.

    Raises:
        ConfigError: naming everything that would have to change.
    """
    reward = environment.reward
    wanted = {
        "environment.action.kind=discrete": environment.action.kind is ActionKind.discrete,
        "environment.reward.kind=linear": reward.kind == "linear",
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
