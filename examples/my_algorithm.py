"""A stage algorithm of your own: a policy that learns to do what a rule does, for a later stage to improve on.

    python run_training.py "plugins=[examples.my_algorithm]" ~sequence sequence.clone.algorithm=Clone

`~sequence` leaves out the stages of the settings. docs/howto/own_stage_algorithm.md shows a sequence of this stage and
others in YAML, and explains every part. Behaviour cloning is Pomerleau's (1988).
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from src.agents.baselines import BASELINES, make_baseline
from src.agents.model_file import save_model
from src.agents.policy_agent import PolicyAgent
from src.backtesting.engine import run_backtest
from src.config.base import OneOf, require, require_at_least
from src.config.stages.learning import StageConfig
from src.config.trading import ActionKind
from src.models.ppo_model import PPOModel
from src.reporting.tracking.tracker import Moment
from src.runs.run_folder import StageResult
from src.seeding import integer_seed
from src.trading.agent import Agent, KnowsTargets
from src.training.stage import StageAlgorithm, StageContext, StageInputs, StagePlan, fresh_model, make_model_file

CHUNK_BARS = 64


@dataclass
class CloneStageConfig(StageConfig):
    """Settings of the stage, as YAML gives them. `algorithm` is the name it goes by there."""

    algorithm: str = "Clone"
    rule: Annotated[str, OneOf("baseline", tuple(BASELINES))] = "ma_cross"  # or one that a plug-in holds
    steps: int = 200
    chunks: int = 16
    lr: float = 2e-3

    @property
    def kind(self) -> str:
        """The kind of policy that is trained: later stages, backtests and bots know what to do with it."""
        return "ppo"

    def check(self) -> None:
        """Refuse values that are out of bounds; the key is put in front of the message."""
        require_at_least("steps", self.steps, 1)
        require_at_least("chunks", self.chunks, 1)
        require(0 < self.lr <= 1, f"lr must lie in (0, 1], was {self.lr:g}")


def check(inputs: StageInputs) -> None:
    """Refuse, before anything is trained, what this stage cannot work with."""
    key, rows = f"sequence.{inputs.name}", inputs.markets[0].rows
    require(isinstance(rule_of(inputs), KnowsTargets), f"{key}.rule must be a rule that looks at bars alone")
    is_discrete = inputs.config.environment.action.kind is ActionKind.discrete
    require(is_discrete, f"{key} clones targets of a grid; set environment.action.kind=discrete")
    require(len(rows) > CHUNK_BARS, f"{key} needs more than {CHUNK_BARS} training bars, got {len(rows)}")


def plan(inputs: StageInputs) -> StagePlan:
    """Say what training would take: a few steps are taken, in seconds of processor time, and the others counted."""
    model = fresh_model(inputs.stage, inputs.config.model, inputs.data)
    list(clone(model, inputs, steps=1))  # what is built on first use has now been built
    started = time.process_time()
    list(clone(model, inputs, steps=3))
    seconds = (time.process_time() - started) / 3 * inputs.stage.steps
    weights = sum(parameter.numel() for parameter in model.parameters())
    return StagePlan(f"Clone of {inputs.stage.rule}, {inputs.stage.steps} steps", {"step": seconds}, 0.0, weights)


def train(context: StageContext) -> StageResult:
    """Train, measure on the validation split, and leave the model where the program looks for it."""
    stage, data = context.stage, context.data
    seed = integer_seed(context.config.seed, "stage", context.name)
    model = fresh_model(stage, context.config.model, data, seed)
    started = time.perf_counter()
    context.progress.step("step", stage.steps)  # as the plan calls it
    for step, loss in enumerate(clone(model, context, stage.steps), start=1):
        context.tracker.log(Moment(step, step), {"clone/loss": loss})
        context.progress.update(step, {"loss": loss})
    seconds = time.perf_counter() - started
    agent = PolicyAgent(model.eval(), data.pipeline, data.rules)
    validation = asdict(run_backtest(agent, data.bars, data.rules, data.splits.validation).performance())
    file = make_model_file(context, model.state_dict(), model.describe(), 1, validation, lineage=[])
    save_model(context.folder.model, file)
    return StageResult(context.model_path, stage.steps, 1, 0, seconds, validation)


def clone(model: PPOModel, inputs: StageInputs, steps: int) -> Iterator[float]:
    """Train on chunks of the training rows, drawn at random; yield the loss of each step."""
    stage, market = inputs.stage, inputs.markets[0]
    features, actions = torch.from_numpy(np.array(market.features)), actions_of(inputs)
    draws = torch.Generator().manual_seed(integer_seed(inputs.config.seed, "clone", inputs.name))
    optimiser = torch.optim.AdamW(model.parameters(), lr=stage.lr)
    context = model.context_bars
    for _ in range(steps):
        start = torch.randint(market.rows.start, market.rows.stop - CHUNK_BARS, (stage.chunks, 1), generator=draws)
        rows = start + torch.arange(-context, CHUNK_BARS)
        embedding = model.encode_market(features[rows], context=context)  # (chunks, CHUNK_BARS, embedding_dim)
        # The rule does not look at its account, so neither shall the policy: it sees made-up ones.
        account = torch.rand(*embedding.shape[:2], model.num_account_inputs, generator=draws) * 2 - 1
        logits = model.policy(model.market_part(embedding).policy, account)
        loss = cross_entropy(logits.flatten(0, 1), actions[rows[:, context:]].flatten())
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        yield loss.item()


def actions_of(inputs: StageInputs) -> Tensor:
    """Return what the rule does at each bar, as places in the grid of targets, (T,)."""
    agent = rule_of(inputs)
    agent.prepare(inputs.markets[0].bars)
    assert isinstance(agent, KnowsTargets)
    grid = np.asarray(inputs.data.rules.action.targets)
    return torch.from_numpy(np.abs(agent.targets[:, None] - grid).argmin(axis=1))


def rule_of(inputs: StageInputs) -> Agent:
    """Build the rule; it may be a plugged-in one."""
    return make_baseline(inputs.stage.rule, inputs.data.rules, inputs.config.seed, inputs.config.plugins)


# Found because it is a StageAlgorithm at the top level of a module named under `plugins`.
CLONE = StageAlgorithm(settings=CloneStageConfig, train=train, plan=plan, check=check)
