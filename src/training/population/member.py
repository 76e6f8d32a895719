"""A member of a population: its genome, its weights, how it was evaluated, and how to rebuild it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.mind import Mind
from src.agents.policy_agent import is_symmetric
from src.config.trading import ActionKind
from src.models.ppo_model import build_model
from src.models.world.inputs import WorldInputs
from src.models.world_model import TransformerWorldModel
from src.nas.agent_space import architecture_of
from src.nas.search_space import Genome
from src.trading.rules import TradingRules
from src.training.population.shared_market import MarketSeries, SharedMarket

IMAGINATION = "imagination"  # the module gene that is part of the network rather than of the mind


@dataclass(frozen=True)
class Parent:
    """The model whose weights a member begins with.

    Attributes:
        kind: of its model.
        description: `describe` of its model.
    """

    name: str
    kind: str
    description: Mapping[str, Any]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class MemberSpec:
    """A member to train.

    Attributes:
        seed: of its initial weights, its accounts and its minibatches.
        stressed: further series to learn from.
    """

    name: str
    genome: Genome
    seed: int
    parent: Parent | None
    stressed: tuple[MarketSeries, ...] = ()


@dataclass(frozen=True)
class Member:
    """A trained member and its evaluation.

    Attributes:
        parent: its name; none if it began with random weights.
        changes: why it did not begin with the function of its parent.
        fitness: parts and total.
        folds: performance on each fold, plain.
        returns: (R,) simple returns a bar over all folds, end to end.
        history: figures of each training iteration by the names of their curves, oldest first.
        curves: those of the last iteration, and of the world model's predictions.
        failure: why it could not be trained; such a member has no weights and never traded.
    """

    name: str
    genome: Genome
    parent: str | None
    changes: tuple[str, ...]
    description: dict[str, Any]
    weights: dict[str, Tensor]
    fitness: dict[str, float]
    folds: tuple[dict[str, Any], ...]
    training: dict[str, Any]
    returns: NDArray[np.float64]
    history: tuple[dict[str, float], ...]
    curves: dict[str, float]
    env_steps: int
    seconds: float
    failure: str = ""

    @property
    def total(self) -> float:
        """Fitness, higher is better."""
        return self.fitness["total"]


def mind_of(genome: Genome, shared: SharedMarket) -> Mind:
    """Return the mind with the parts and the memory of a genome."""
    found = architecture_of(genome, shared.config.model.core)
    parts = [part for part in found.modules if part != IMAGINATION]
    return shared.mind.with_parts([*parts, "memory"], found.memory_size)


def model_of(genome: Genome, shared: SharedMarket, seed: int) -> TransformerWorldModel:
    """Return the network of a genome, with weights drawn from `seed`."""
    found = architecture_of(genome, shared.config.model.core)
    action = shared.rules.action
    continuous = action.kind is ActionKind.continuous
    model = build_model(
        TransformerWorldModel,
        seed,
        replace(shared.config.model, core=found.core),
        num_features=len(shared.mind.columns),
        num_account_inputs=len(shared.rules.account_inputs),
        num_outputs=2 if continuous else len(action.targets),
        continuous=continuous,
        world=replace(shared.stage.mind.world, imagination=IMAGINATION in found.modules),
        inputs=WorldInputs(tuple(action.targets), shared.mind.scale_column, shared.mind.typical_volatility),
    )
    model.set_dynamics(shared.dynamics)
    return model


def agent_of(
    model: TransformerWorldModel,
    mind: Any,
    shared: SharedMarket,
    name: str = "member",
    rules: TradingRules | None = None,
) -> AutonomousAgent:
    """Return a network and a mind as an agent."""
    mirror = shared.stage.mirror and is_symmetric(shared.rules.action)
    return AutonomousAgent(model, mind, rules or shared.rules, name, mirror)
