"""Settings of the Autonomous stage: a population that is bred, judged and promoted. Rules as in `base.py`."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

from src.config.agent.mind import MindConfig
from src.config.base import OneOf, Schema, require, require_at_least, require_between
from src.config.plain import to_plain
from src.config.stages.adversary import AdversaryConfig
from src.config.stages.learning import LearningConfig, Sampling
from src.config.stages.search_space import SearchSpaceConfig
from src.config.stages.self_modification import SelfModificationConfig
from src.config.stages.stress import StressConfig
from src.config.stages.supernet import SupernetConfig

SEARCH_STRATEGY_NAMES = ("regularised_evolution", "random", "local_search", "differentiable")


class Measure(Enum):
    """What fitness begins with: the annual Sharpe ratio of equity, or the mean reward of a bar, in bps."""

    sharpe = "sharpe"
    reward = "reward"


@dataclass
class FitnessConfig(Schema):
    """Weights of `src/evaluation/fitness.py`, in units of the measure; a weight of 0 leaves a penalty out.

    Attributes:
        spread: on the standard deviation of the measure over folds.
        overfitting: on how far the training rows are ahead of the folds.
        drawdown: on the deepest drawdown of any fold, as a fraction.
        turnover: on turnover a bar, beyond what the costs in the measure already charge.
        complexity: on the tenfolds of weights beyond 10,000.
    """

    measure: Measure = Measure.sharpe
    spread: float = 0.25
    overfitting: float = 0.1
    drawdown: float = 0.5
    turnover: float = 0.0
    complexity: float = 0.05

    def check(self) -> None:
        for name in ("spread", "overfitting", "drawdown", "turnover", "complexity"):
            require_between(f"fitness.{name}", getattr(self, name), 0.0, 1000.0)


@dataclass
class PromotionConfig(Schema):
    """What the gate asks of a champion (`src/evaluation/promotion.py`)."""

    confidence: float = 0.95
    max_overfitting: float = 0.5
    blocks: int = 16

    def check(self) -> None:
        require_between("promotion.confidence", self.confidence, 0.5, 0.9999)
        require_between("promotion.max_overfitting", self.max_overfitting, 0.0, 1.0)
        require(self.blocks >= 2 and self.blocks % 2 == 0, f"promotion.blocks must be even and >= 2, was {self.blocks}")


@dataclass
class AutonomousStageConfig(LearningConfig):
    """A population of agents with world model, memory, regime classifier and pattern recognizer.

    The fields of a PPO stage are those of the first agent; a member trains `iterations` of them in a generation.

    Attributes:
        members, generations: N and G.
        survivors: members of all generations so far whose weights are kept; children inherit from them.
        workers: members trained at the same time, each in a process of its own.
        founder: whether the configured agent is a member of the first generation, the others being drawn.
        folds: stretches of the validation split on which members are judged, the last of which also judges changes an
            agent makes to itself.
        crossover_frac, tournament: of the evolution.
        supernet: of the differentiable search.
        world_loss: weight of the world model's likelihood in the loss.
        stressed: generated series beside the real ones, anew in each generation; 0 is none.
    """

    algorithm: str = "Autonomous"
    iterations: int = 20
    members: int = 4
    generations: int = 3
    survivors: int = 2
    workers: int = 2
    folds: int = 4
    founder: bool = True
    controller: Annotated[str, OneOf("search strategy", SEARCH_STRATEGY_NAMES)] = "regularised_evolution"
    tournament: int = 2
    crossover_frac: float = 0.3
    world_loss: float = 0.1
    stressed: int = 1
    search: SearchSpaceConfig = field(default_factory=SearchSpaceConfig)
    supernet: SupernetConfig = field(default_factory=SupernetConfig)
    fitness: FitnessConfig = field(default_factory=FitnessConfig)
    mind: MindConfig = field(default_factory=MindConfig)
    stress: StressConfig = field(default_factory=lambda: StressConfig(block_bars=60.0))
    adversary: AdversaryConfig = field(default_factory=lambda: AdversaryConfig(proposals=4, elite_frac=0.5))
    self_modification: SelfModificationConfig = field(default_factory=SelfModificationConfig)
    promotion: PromotionConfig = field(default_factory=PromotionConfig)

    def check(self) -> None:
        super().check()
        for name in ("members", "generations", "survivors", "workers", "folds", "tournament"):
            require_at_least(name, getattr(self, name), 1)
        require_at_least("stressed", self.stressed, 0)
        require(
            self.tournament <= self.members,
            f"tournament must lie in [1, members={self.members}], was {self.tournament}",
        )
        require_between("crossover_frac", self.crossover_frac, 0.0, 1.0)
        require_between("world_loss", self.world_loss, 0.0, 100.0)
        require(
            self.sampling is Sampling.encode_once,
            "sampling=reference has no losses for a world model; set sampling=encode_once",
        )
        odd = [count for count in self.search.minibatches if self.groups % count]
        require(not odd, f"search.minibatches must divide groups={self.groups}, but {odd} do not")

    @property
    def has_supernet(self) -> bool:
        """Whether a supernet advises the search."""
        return self.controller == "differentiable" and self.supernet.steps > 0

    @property
    def varies_costs(self) -> bool:
        """Whether members learn under several costs, and therefore see them."""
        return self.stressed > 0 and "cost_factor" in self.adversary.box

    @property
    def processes(self) -> int:
        return self.workers

    def history_bars(self, window: int) -> int:
        return max(window, *self.search.window) - 1

    def architecture(self) -> dict[str, Any]:
        return {"world": to_plain(self.mind.world)}
