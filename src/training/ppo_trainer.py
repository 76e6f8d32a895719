"""The PPO stage: drives RLlib, validates as it goes, keeps the best weights, survives being killed.

Every `evaluate_every` iterations the averaged weights trade the validation split through the backtest's own bar loop,
the better of old and new is kept, and the whole training state is saved. A resumed stage continues from the last saved
state and, on the CPU with the local runner, ends with the weights of an uninterrupted one.
"""

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, LEARNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME, TIMERS

from src.agents.champion import load_model, save_model
from src.agents.policy_agent import PolicyAgent, is_symmetric
from src.backtesting.engine import BacktestResult, run_backtest
from src.config.schema import ActionKind, Advantages, Keep, PPOStageConfig
from src.errors import ConfigError, TraderError
from src.evaluation.returns import Performance, performance
from src.market.bars import symbol_id
from src.models.ppo_model import build_ppo_model
from src.reporting.progress import Progress
from src.seeding import integer_seed
from src.training.algorithm import GroupPPO
from src.training.all_action_rllib import AllActionLearner, AllActionPPO, ChunkEnvRunner
from src.training.base_learner import EncodeOnceLearner
from src.training.env_runner import ROLLOUT, GroupEnvRunner
from src.training.learner import GroupPPOLearner
from src.training.ray_runtime import ray_session, resolve_device
from src.training.rl_module import PolicyRLModule
from src.training.stage import StageContext, StageResult, make_model_file
from src.training.training_market import TrainingMarket

_PROGRESS_FILE, _RLLIB_FOLDER = "progress.pt", "rllib"


class _Parts(NamedTuple):
    algorithm: type[GroupPPO]
    env_runner: type[GroupEnvRunner]
    learner: type[EncodeOnceLearner]


_PARTS = {
    Advantages.sampled: _Parts(GroupPPO, GroupEnvRunner, GroupPPOLearner),
    Advantages.all_action: _Parts(AllActionPPO, ChunkEnvRunner, AllActionLearner),
}


@dataclass
class _Progress:
    """Where the stage stands; saved beside RLlib's own state."""

    iteration: int = 0
    evaluations: int = 0
    best_score: float = -math.inf
    best_iteration: int = 0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    train_seconds: float = 0.0


def train_ppo(context: StageContext) -> StageResult:
    """Train the stage to its end and leave its model file."""
    with ray_session(context.config.runtime):
        return PPOTrainer(context).run()


class PPOTrainer:
    """One PPO stage. Needs a Ray session."""

    def __init__(self, context: StageContext) -> None:
        assert isinstance(context.stage, PPOStageConfig)
        self._context, self._stage = context, context.stage
        self._device = resolve_device(context.config.runtime)
        self._seed = integer_seed(context.config.seed, "stage", context.name)
        action = context.data.rules.action
        self._continuous = action.kind is ActionKind.continuous
        self._model = build_ppo_model(
            context.config.model,
            num_features=len(context.data.pipeline.columns),
            num_account_inputs=len(context.data.rules.account_inputs),
            num_outputs=2 if self._continuous else len(action.targets),
            continuous=self._continuous,
            seed=integer_seed(self._seed, "weights"),
        )
        self._progress = _Progress()
        market = TrainingMarket.from_markets(
            context.data.training_markets, context.data.rules, self._model.context_bars
        )
        market.save(context.folder.market)

    def run(self) -> StageResult:
        """Train, validate, save; resume where a killed run stopped."""
        algorithm = self._algorithm_config().build_algo()
        try:
            self._restore(algorithm)
            self._train(algorithm)
        finally:
            algorithm.stop()
        return self._finish()

    def _train(self, algorithm: GroupPPO) -> None:
        stage, progress = self._stage, self._progress
        show = self._context.config.tracking.progress
        with Progress(self._context.name, total=stage.iterations, enabled=show) as display:
            while progress.iteration < stage.iterations and not self._out_of_patience():
                started = time.perf_counter()
                results = algorithm.train()
                progress.train_seconds += time.perf_counter() - started
                progress.iteration += 1
                metrics = _training_metrics(results, time.perf_counter() - started)
                due = progress.iteration % stage.evaluate_every == 0 or progress.iteration == stage.iterations
                if due:
                    metrics |= self._evaluate(algorithm.average_weights())
                self._context.tracker.log(progress.iteration, metrics)
                if due:
                    self._save(algorithm)
                display.update(progress.iteration, _headline(metrics))

    def _out_of_patience(self) -> bool:
        waited = self._progress.iteration - self._progress.best_iteration
        return 0 < self._stage.patience <= waited // self._stage.evaluate_every

    def _evaluate(self, weights: dict[str, torch.Tensor]) -> dict[str, float]:
        progress, data = self._progress, self._context.data
        results = {name: self._backtest(weights, data.splits.named(name)) for name in ("train", "validation")}
        progress.evaluations += 1
        score = float(np.mean(results["validation"].records.reward))
        if score > progress.best_score or self._stage.keep is Keep.last:
            progress.best_score, progress.best_iteration = score, progress.iteration
            progress.best_weights = weights
        return {
            f"{split}/{name}": value
            for split, result in results.items()
            for name, value in _scalars(_performance(result)).items()
        } | {"validation/score": score}

    def _backtest(self, weights: dict[str, torch.Tensor], rows: range) -> BacktestResult:
        data = self._context.data
        self._model.load_state_dict(weights)
        mirror = self._stage.mirror and is_symmetric(data.rules.action)
        agent = PolicyAgent(self._model, data.pipeline, data.rules, mirror=mirror)
        return run_backtest(agent, data.bars, data.rules, rows)

    def _finish(self) -> StageResult:
        context, progress = self._context, self._progress
        if not progress.best_weights:
            raise TraderError(f"{context.name}: no validation score was a number; lower the stage's lr and try again")
        validation = asdict(_performance(self._backtest(progress.best_weights, context.data.splits.validation)))
        description = self._model.describe()
        file = make_model_file(context, progress.best_weights, description, progress.evaluations, validation)
        save_model(context.folder.model, file)
        return StageResult(
            context.model_path,
            progress.iteration,
            progress.evaluations,
            progress.iteration * self._steps_per_iteration,
            progress.train_seconds,
            validation,
        )

    @property
    def _steps_per_iteration(self) -> int:
        runners = max(1, self._context.config.runtime.num_env_runners)
        return self._stage.account_steps(self._model.num_outputs) * runners

    def _save(self, algorithm: GroupPPO) -> None:
        def write(folder: Path) -> None:
            algorithm.save_to_path(str(folder / _RLLIB_FOLDER))
            torch.save(vars(self._progress), folder / _PROGRESS_FILE)

        self._context.folder.save_state(self._progress.iteration, write)

    def _restore(self, algorithm: GroupPPO) -> None:
        state = self._context.folder.state
        if state is not None:
            self._progress = _Progress(**torch.load(state / _PROGRESS_FILE, weights_only=True))
            algorithm.restore_from_path(str(state / _RLLIB_FOLDER))
        elif self._stage.init_from is not None:
            self._initialise(algorithm, self._stage.init_from)
        self._context.tracker.resume(self._progress.iteration)

    def _initialise(self, algorithm: GroupPPO, source: str) -> None:
        """Start from the weights of an earlier stage instead of random ones."""
        file = load_model(self._source_path(source))
        if file.model != self._model.describe():
            raise ConfigError(
                f"{self._context.name}.init_from='{source}': that model has another architecture; give both stages the "
                "same model settings"
            )
        weights = file.weights

        def load(learner: EncodeOnceLearner) -> None:
            learner.module[DEFAULT_MODULE_ID].unwrapped().policy.load_state_dict(weights)

        algorithm.learner_group.foreach_learner(load)
        algorithm.env_runner_group.sync_weights(from_worker_or_learner_group=algorithm.learner_group)

    def _source_path(self, source: str) -> Path:
        """Return the model `init_from` means: a file, a stage of this run, or a published stage of this symbol."""
        if source.endswith(".pth"):
            return Path(source)
        own = self._context.folder.model_of(source)
        published = f"{symbol_id(self._context.config.symbol)}_{source}.pth"
        return own if own.exists() else self._context.model_path.with_name(published)

    def _algorithm_config(self) -> PPOConfig:
        context, stage, runtime = self._context, self._stage, self._context.config.runtime
        folder = str(context.folder.market.resolve())
        outputs, parts = self._model.num_outputs, _PARTS[stage.advantages]
        settings = {
            "market_folder": folder,
            "stage": stage,
            "environment": context.config.environment,
            "seed": self._seed,
            "device": str(self._device),
            "num_actions": outputs,
            "continuous": self._continuous,
            "total_env_steps": stage.iterations * self._steps_per_iteration,
        }
        module = RLModuleSpec(
            module_class=PolicyRLModule,
            model_config={
                "description": self._model.describe(),
                "seed": integer_seed(self._seed, "weights"),
                "market_folder": folder,
            },
        )
        account = gym.spaces.Box(-1.0, 1.0, (len(context.data.rules.account_inputs),), np.float32)
        action = gym.spaces.Box(-1.0, 1.0, (1,), np.float32) if self._continuous else gym.spaces.Discrete(outputs)
        return (
            PPOConfig(algo_class=parts.algorithm)
            .framework("torch")
            .debugging(seed=self._seed % 2**31, log_level="ERROR")
            .environment(env=None, observation_space=account, action_space=action, env_config=settings)
            .env_runners(
                env_runner_cls=parts.env_runner,
                num_env_runners=runtime.num_env_runners,
                create_local_env_runner=runtime.num_env_runners == 0,
                rollout_fragment_length=stage.account_steps(outputs),
            )
            .learners(
                learner_class=parts.learner,
                num_learners=0,
                num_gpus_per_learner=1 if self._device.type == "cuda" else 0,
                add_default_connectors_to_learner_pipeline=False,
            )
            .rl_module(rl_module_spec=module)
            .training(
                train_batch_size_per_learner=self._steps_per_iteration,
                use_kl_loss=False,
                entropy_coeff=stage.entropy,
                clip_param=stage.clip,
                vf_loss_coeff=stage.value_coef,
            )
            .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=0)
        )


def _performance(result: BacktestResult) -> Performance:
    return performance(result.records, result.closes, result.bars_per_year, result.initial_equity)


def _scalars(figures: Performance) -> dict[str, float]:
    """Return the figures worth a curve; undefined ones are left out."""
    names = ("total_return", "sharpe", "max_drawdown", "turnover_per_bar", "exposure")
    values = {name: getattr(figures, name) for name in names}
    return {name: float(value) for name, value in values.items() if value is not None}


_LOSSES = {
    "policy_loss": "losses/policy_loss",
    "value_loss": "losses/value_loss",
    "entropy": "losses/entropy",
    "approx_kl": "losses/approx_kl",
    "clip_frac": "losses/clipfrac",
    "explained_variance": "losses/explained_variance",
    "gradient_norm": "losses/gradient_norm",
    "reward": "rollout/reward",
    "turnover": "rollout/turnover",
    "exposure": "rollout/exposure",
    "default_optimizer_learning_rate": "charts/learning_rate",
}


def _training_metrics(results: dict[str, Any], seconds: float) -> dict[str, float]:
    """Pick the curves a practitioner expects out of RLlib's result."""
    learner, runner = results[LEARNER_RESULTS][DEFAULT_MODULE_ID], results[ENV_RUNNER_RESULTS]
    steps = float(runner["num_env_steps_sampled"])
    metrics = {name: float(learner[key]) for key, name in _LOSSES.items() if key in learner}
    metrics |= {f"rollout/{name}": float(value) for name, value in runner.get(ROLLOUT, {}).items()}
    metrics |= {
        f"time/{name}": float(value) for name, value in results[TIMERS].items() if isinstance(value, float | int)
    }
    metrics["charts/env_steps"] = float(runner[NUM_ENV_STEPS_SAMPLED_LIFETIME])
    metrics["charts/SPS"] = steps / seconds
    return metrics


def _headline(metrics: dict[str, float]) -> dict[str, float]:
    names = {"charts/SPS": "steps/s", "rollout/reward": "reward", "validation/sharpe": "val sharpe"}
    return {label: metrics[name] for name, label in names.items() if name in metrics}
