"""Settings of the stages of a training sequence, by algorithm, under the rules of `base.py`."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from src.config.base import Schema, require, require_at_least, require_between
from src.config.plain import to_plain


class Advantages(Enum):
    """How a PPO stage learns what actions are worth: from accounts that sample them, or from all of them exactly."""

    sampled = "sampled"
    all_action = "all_action"


class Sampling(Enum):
    """How a PPO stage plays: groups that share encoded bars, or RLlib's own runner, connectors and learner."""

    encode_once = "encode_once"
    reference = "reference"


class Scope(Enum):
    """What the inner loop of MAML changes: the policy head, or the trunk under it as well."""

    head = "head"
    network = "network"


class Keep(Enum):
    """Which weights a stage saves: those with the best validation score, or the last ones."""

    best = "best"
    last = "last"


@dataclass
class StageConfig(Schema):
    """What every training stage has."""

    algorithm: str = ""
    init_from: str | None = None

    @property
    def kind(self) -> str:
        """What the models it trains are called."""
        return self.algorithm.lower()

    @property
    def processes(self) -> int:
        """How many processes work at the same time."""
        return 1

    @property
    def learns_mirrored(self) -> bool:
        """Whether it also trains on the market upside down."""
        return False

    def history_bars(self, window: int) -> int:
        """Return how many bars before a bar its model reads, where a trunk's window is so long."""
        return window - 1

    def architecture(self) -> dict[str, Any]:
        """Return, as plain data, what it adds to the description of its model."""
        return {}


@dataclass
class LearningConfig(StageConfig):
    """Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) on groups of accounts that share bars."""

    iterations: int = 120
    sampling: Sampling = Sampling.encode_once
    advantages: Advantages = Advantages.sampled
    accounts: int = 256
    groups: int = 32
    horizon: int = 64
    epochs: int = 4
    minibatches: int = 4
    lr: float = 2e-3
    lr_end_frac: float = 0.05
    trunk_lr_frac: float = 0.3
    weight_decay: float = 0.0
    gamma: float = 0.98
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy: float = 0.1
    value_coef: float = 0.5
    grad_clip: float = 0.25
    embedding_dropout: float = 0.3
    cost_ramp_frac: float = 0.33
    position_mix: float = 0.3
    weight_average: float = 0.95
    mirror: bool = False

    def check(self) -> None:
        for name in ("iterations", "accounts", "groups", "horizon", "epochs", "minibatches"):
            require_at_least(name, getattr(self, name), 1)
        require(
            self.accounts % self.groups == 0,
            f"accounts must be a multiple of groups={self.groups}, was {self.accounts}",
        )
        require(
            self.groups % self.minibatches == 0,
            f"groups must be a multiple of minibatches={self.minibatches}, was {self.groups}",
        )
        require(
            self.sampling is Sampling.encode_once or self.advantages is Advantages.sampled,
            "sampling=reference plays sampled accounts only; set advantages=sampled, or sampling=encode_once",
        )
        require(0 < self.lr <= 1, f"lr must lie in (0, 1], was {self.lr:g}")
        for name in ("lr_end_frac", "gamma", "gae_lambda", "cost_ramp_frac", "position_mix"):
            require_between(name, getattr(self, name), 0.0, 1.0)
        for name in ("trunk_lr_frac", "weight_decay", "entropy", "value_coef"):
            require_between(name, getattr(self, name), 0.0, 100.0)
        require(0 < self.clip < 1, f"clip must lie in (0, 1), was {self.clip:g}")
        require(self.grad_clip > 0, f"grad_clip must be > 0, was {self.grad_clip:g}")
        require_between("embedding_dropout", self.embedding_dropout, 0.0, 0.9)
        require_between("weight_average", self.weight_average, 0.0, 0.9999)

    @property
    def learns_mirrored(self) -> bool:
        return self.mirror

    def account_steps(self, num_targets: int) -> int:
        """Return the account steps of one iteration of one env runner, on a grid of so many targets."""
        accounts = self.groups * num_targets if self.advantages is Advantages.all_action else self.accounts
        return accounts * self.horizon


@dataclass
class PPOStageConfig(LearningConfig):
    """One policy, validated as it learns."""

    algorithm: str = "PPO"
    evaluate_every: int = 10
    keep: Keep = Keep.best
    patience: int = 0

    def check(self) -> None:
        super().check()
        require_at_least("evaluate_every", self.evaluate_every, 1)
        require_at_least("patience", self.patience, 0)


@dataclass
class MoEStageConfig(PPOStageConfig):
    """A mixture of experts behind a gate (Jacobs et al. 1991; Shazeer et al. 2017, arXiv 1701.06538), trained by PPO.

    Beside PPO's loss on the mixture, which does not reach the gate: `specialist_coef` times that of each expert alone,
    on bars where hindsight says it was the right one, and `gate_coef` times the cross-entropy of the gate with that
    verdict. It adds up evidence over bars: `sharpness` nats for a standard deviation of one, the right expert changing
    every `stay_bars` or so. Further `balance` times how unevenly bars are shared out, minus the gate's entropy times a
    weight that goes from `gate_entropy` to `gate_entropy_end`; a negative weight sharpens the gate.
    """

    algorithm: str = "MoE"
    iterations: int = 30
    experts: int = 3
    top_k: int | None = None
    gate_dim: int = 16
    gate_window: int = 64
    specialist_coef: float = 1.0
    gate_coef: float = 0.3
    sharpness: float = 0.5
    stay_bars: float = 50.0
    balance: float = 0.1
    gate_entropy: float = 0.01
    gate_entropy_end: float = 0.0

    def check(self) -> None:
        super().check()
        for name in ("experts", "gate_dim", "gate_window"):
            require_at_least(name, getattr(self, name), 1)
        require(
            self.top_k is None or 1 <= self.top_k <= self.experts,
            f"top_k must lie in [1, experts={self.experts}] or be null, was {self.top_k}",
        )
        require(
            self.sampling is Sampling.encode_once,
            "sampling=reference has no losses for a gate; set sampling=encode_once",
        )
        for name in ("specialist_coef", "gate_coef", "balance"):
            require_between(name, getattr(self, name), 0.0, 100.0)
        for name in ("gate_entropy", "gate_entropy_end"):
            require_between(name, getattr(self, name), -100.0, 100.0)
        require(0 < self.sharpness <= 100, f"sharpness must lie in (0, 100], was {self.sharpness:g}")
        require_between("stay_bars", self.stay_bars, 1.0, 1e6)

    def history_bars(self, window: int) -> int:
        return max(window, self.gate_window) - 1

    def architecture(self) -> dict[str, Any]:
        names = ("experts", "top_k", "gate_dim", "gate_window")
        return {"mixture": {name: getattr(self, name) for name in names}}


@dataclass
class AdaptationConfig(Schema):
    """The inner loop. `support_bars` decisions are learned from, anew every `adapt_every` bars when trading."""

    support_bars: int = 64
    adapt_every: int = 64
    inner_steps: int = 1
    inner_lr: float = 0.1
    learn_inner_lr: bool = True
    second_order: bool = True
    scope: Scope = Scope.head

    def check(self) -> None:
        for name in ("support_bars", "adapt_every", "inner_steps"):
            require_at_least(f"adaptation.{name}", getattr(self, name), 1)
        require(0 < self.inner_lr <= 1e4, f"adaptation.inner_lr must lie in (0, 10000], was {self.inner_lr:g}")


@dataclass
class MAMLStageConfig(PPOStageConfig):
    """Model-agnostic meta-learning (Finn et al. 2017, arXiv 1703.03400): PPO on policies that have just adapted.

    Tasks are symbols times periods. A meta-batch is what one gradient step learns from: `groups / minibatches` tasks.
    """

    algorithm: str = "MAML"
    iterations: int = 20
    epochs: int = 2
    minibatches: int = 8
    period_bars: int = 192
    embargo_bars: int = 5
    adaptation: AdaptationConfig = field(default_factory=AdaptationConfig)

    @property
    def meta_batch(self) -> int:
        """Tasks of one gradient step."""
        return self.groups // self.minibatches

    def history_bars(self, window: int) -> int:
        return window - 1 + self.adaptation.support_bars + self.adaptation.adapt_every - 1

    def architecture(self) -> dict[str, Any]:
        return {"adaptation": to_plain(self.adaptation)}

    def check(self) -> None:
        super().check()
        require(
            self.sampling is Sampling.encode_once,
            f"MAML plays groups that adapt, and sampling={self.sampling.value} knows none; set sampling=encode_once",
        )
        require_at_least("embargo_bars", self.embargo_bars, 0)
        support, needed = self.adaptation.support_bars, self.adaptation.support_bars + self.horizon + 1
        require(
            self.period_bars >= needed,
            f"period_bars={self.period_bars} has no room for a support stretch of adaptation.support_bars={support}, a "
            f"query stretch of horizon={self.horizon} and the bar that pays it; raise it to {needed} or shorten these",
        )
