"""The stage algorithms: one record each says all that the program knows of it. Another algorithm is another record."""

from collections.abc import Iterable, Mapping
from functools import partial

from src.config.base import require_known
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import MAMLStageConfig, MoEStageConfig, PPOStageConfig, StageConfig
from src.plugins import with_plugins
from src.runs.run_folder import StageResult
from src.training.autonomous_trainer import run_autonomous_stage
from src.training.checks import check_policy, check_population
from src.training.rllib.algorithm_config import MIXTURE_PARTS, POLICY_PARTS
from src.training.stage import StageAlgorithm, StageContext
from src.training.stage_plan import plan_policy, plan_population
from src.training.stage_trainer import train_policy
from src.training.tasks import task_markets
from src.training.warm_start import check_ancestor, check_policy_start, unbred_champion


def _train_population(context: StageContext) -> StageResult:
    return run_autonomous_stage(context.config, context)


PPO = StageAlgorithm(
    settings=PPOStageConfig,
    train=partial(train_policy, parts=POLICY_PARTS),
    plan=partial(plan_policy, overhead=1.6),
    check=check_policy,
    check_start=check_policy_start,
)
MOE = StageAlgorithm(
    settings=MoEStageConfig,
    train=partial(train_policy, parts=MIXTURE_PARTS),
    plan=partial(plan_policy, overhead=2.0),
    check=check_policy,
    check_start=check_policy_start,
)
MAML = StageAlgorithm(
    settings=MAMLStageConfig,
    train=partial(train_policy, parts=POLICY_PARTS),
    plan=partial(plan_policy, overhead=1.0),
    markets=task_markets,
    check=check_policy,
    check_start=check_policy_start,
)
AUTONOMOUS = StageAlgorithm(
    settings=AutonomousStageConfig,
    train=_train_population,
    plan=partial(plan_population, overhead=1.4),
    check=check_population,
    check_start=check_ancestor,
    hands_over=unbred_champion,
    ends_in_champion=True,
)


def stage_algorithms(plugins: Iterable[str] = ()) -> Mapping[str, StageAlgorithm]:
    """Return the algorithms there are, by the name YAML gives them: the project's and those that plug-ins hold.

    Raises:
        ConfigError: a plug-in cannot be used, or a name is taken.
    """
    own = {algorithm.name: algorithm for algorithm in (PPO, MOE, MAML, AUTONOMOUS)}
    return with_plugins(own, StageAlgorithm, plugins)


def algorithm_of(stage: StageConfig, plugins: Iterable[str] = ()) -> StageAlgorithm:
    """Return the algorithm of a stage.

    Raises:
        ConfigError: no algorithm goes by that name, or a plug-in cannot be used.
    """
    known = stage_algorithms(plugins)
    require_known("algorithm", [stage.algorithm], known)
    return known[stage.algorithm]
