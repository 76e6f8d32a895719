"""A stage that RLlib trains: drives it, validates as it goes, keeps the best weights, survives being killed.

Every `evaluate_every` iterations the learner's weights trade the validation split through the backtest's own bar loop,
the better of old and new is kept, and the whole training state is saved. A resumed stage continues from the last saved
state and, on the CPU with the local runner, ends with the weights of an uninterrupted one (not so with
`sampling=reference`, see `reference.py`).
"""

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from src.agents.model_file import save_model
from src.agents.policy_agent import PolicyAgent, is_symmetric
from src.agents.registry import agent_kind
from src.backtesting.engine import BacktestResult, run_backtest
from src.config.stages.learning import Keep, PPOStageConfig
from src.errors import TraderError
from src.evaluation.returns import Performance
from src.reporting.tracking.pictures import equity_picture
from src.reporting.tracking.tracker import Moment
from src.runs.run_folder import StageResult
from src.seeding import integer_seed
from src.training.rllib.algorithm import GroupPPO
from src.training.rllib.algorithm_config import PartsByAdvantages, StageJob, algorithm_config
from src.training.rllib.curves import training_metrics
from src.training.rllib.ray_runtime import resolve_device
from src.training.rllib.reference import ReferencePPO
from src.training.rllib.weights import set_weights
from src.training.rollout.training_market import TrainingMarket
from src.training.stage import InitialModel, StageContext, fresh_model, make_model_file
from src.training.stage_plan import ITERATION, LEARNER
from src.training.warm_start import initial_model, load_initial_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Algorithm = GroupPPO | ReferencePPO

_PROGRESS_FILE, _RLLIB_FOLDER = "progress.pt", "rllib"


@dataclass
class _Progress:
    """Where the stage stands; saved beside RLlib's own state."""

    iteration: int = 0
    evaluations: int = 0
    best_score: float = -math.inf
    best_iteration: int = 0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    train_seconds: float = 0.0


def train_policy(context: StageContext, parts: PartsByAdvantages) -> StageResult:
    """Train the stage to its end with these parts of RLlib and leave its model file. Needs a Ray session."""
    return StageTrainer(context, parts).run()


class StageTrainer:
    """One stage of any kind of policy."""

    def __init__(self, context: StageContext, parts: PartsByAdvantages) -> None:
        self._context = context
        self._stage: PPOStageConfig = context.stage
        self._seed = integer_seed(context.config.seed, "stage", context.name)
        self._source = initial_model(context)
        self._agent = agent_kind(self._stage.kind).agent
        self._model = fresh_model(self._stage, context.config.model, context.data)
        self._progress = _Progress()
        market = TrainingMarket.from_markets(context.markets, context.data.rules, self._model.history_bars)
        market.save(context.folder.market)
        self._job = StageJob(
            self._stage,
            context.config.environment,
            context.config.runtime,
            self._model,
            context.folder.market,
            self._seed,
            resolve_device(context.config.runtime),
            parts,
        )

    def run(self) -> StageResult:
        """Train, validate, save; resume where a killed run stopped."""
        self._context.progress.step(LEARNER)
        algorithm = algorithm_config(self._job).build_algo()
        try:
            self._restore(algorithm)
            self._train(algorithm)
        finally:
            algorithm.stop()
        return self._finish()

    def _train(self, algorithm: Algorithm) -> None:
        stage, progress, display = self._stage, self._progress, self._context.progress
        display.step(ITERATION, stage.iterations, progress.iteration)
        while progress.iteration < stage.iterations and not self._out_of_patience():
            started = time.perf_counter()
            results = algorithm.train()
            progress.train_seconds += time.perf_counter() - started
            progress.iteration += 1
            metrics = training_metrics(results, time.perf_counter() - started)
            due = progress.iteration % stage.evaluate_every == 0 or progress.iteration == stage.iterations
            if due:
                metrics |= self._evaluate(algorithm.evaluated_weights())
            self._context.tracker.log(self._moment(), metrics)
            if due:
                self._save(algorithm)
            display.update(progress.iteration, _headline(metrics))

    def _moment(self) -> Moment:
        done = self._progress.iteration
        return Moment(done, done * self._job.steps_per_iteration)

    def _out_of_patience(self) -> bool:
        waited = self._progress.iteration - self._progress.best_iteration
        return 0 < self._stage.patience <= waited // self._stage.evaluate_every

    def _evaluate(self, weights: dict[str, torch.Tensor]) -> dict[str, float]:
        progress, data = self._progress, self._context.data
        agent = self._trading(weights)
        results = {
            name: run_backtest(agent, data.bars, data.rules, data.splits.named(name), prove=False)
            for name in ("train", "validation")
        }
        progress.evaluations += 1
        score = float(np.mean(results["validation"].records.reward))
        if score > progress.best_score or self._stage.keep is Keep.last:
            progress.best_score, progress.best_iteration = score, progress.iteration
            progress.best_weights = weights
            self._context.tracker.show(self._moment(), "validation/equity", _equity(results["validation"]))
        figures = {
            f"{split}/{name}": value
            for split, result in results.items()
            for name, value in _scalars(result.performance()).items()
        }
        return figures | {"validation/score": score} | agent.diagnose(data.bars, data.splits.validation)

    def _trading(self, weights: dict[str, torch.Tensor]) -> PolicyAgent:
        data = self._context.data
        self._model.load_state_dict(weights)
        mirror = self._stage.mirror and is_symmetric(data.rules.action)
        return self._agent(self._model, data.pipeline, data.rules, mirror=mirror)

    def _finish(self) -> StageResult:
        context, progress = self._context, self._progress
        if not progress.best_weights:
            raise TraderError(f"{context.name}: no validation score was a number; lower the stage's lr and try again")
        data, agent = context.data, self._trading(progress.best_weights)
        validation = asdict(run_backtest(agent, data.bars, data.rules, data.splits.validation).performance())
        file = make_model_file(
            context,
            progress.best_weights,
            self._model.describe(),
            progress.evaluations,
            validation,
            lineage=self._source.lineage if self._source is not None else [],
        )
        save_model(context.folder.model, file)
        return StageResult(
            context.model_path,
            progress.iteration,
            progress.evaluations,
            progress.iteration * self._job.steps_per_iteration,
            progress.train_seconds,
            validation,
        )

    def _save(self, algorithm: Algorithm) -> None:
        def write(folder: Path) -> None:
            algorithm.save_to_path(str(folder / _RLLIB_FOLDER))
            torch.save(vars(self._progress), folder / _PROGRESS_FILE)

        self._context.folder.save_state(self._progress.iteration, write)

    def _restore(self, algorithm: Algorithm) -> None:
        state = self._context.folder.state
        if state is not None:
            self._progress = _Progress(**torch.load(state / _PROGRESS_FILE, weights_only=True))
            algorithm.restore_from_path(str(state / _RLLIB_FOLDER))
        elif self._source is not None:
            self._start_from(algorithm, self._source)
        self._context.tracker.resume(self._moment())

    def _start_from(self, algorithm: Algorithm, source: InitialModel) -> None:
        """Start from the weights of another model instead of random ones."""
        seed, config = integer_seed(self._seed, "hand-over"), self._context.config

        set_weights(algorithm, lambda policy: load_initial_weights(policy, source, config, seed))


def _equity(result: BacktestResult) -> "Figure":
    times = result.bars.close_time[result.rows.start : result.rows.stop]
    return equity_picture(times, np.asarray(result.records.equity, np.float64), result.closes)


def _scalars(figures: Performance) -> dict[str, float]:
    """Return the figures worth a curve; undefined ones are left out."""
    names = ("total_return", "sharpe", "max_drawdown", "turnover_per_bar", "exposure")
    values = {name: getattr(figures, name) for name in names}
    return {name: float(value) for name, value in values.items() if value is not None}


def _headline(metrics: dict[str, float]) -> dict[str, float]:
    names = {"charts/SPS": "steps/s", "rollout/reward": "reward", "validation/sharpe": "val sharpe"}
    return {label: metrics[name] for name, label in names.items() if name in metrics}
