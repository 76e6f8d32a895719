"""Settings of the supernet that advises a differentiable search. Rules as in `base.py`."""

from dataclasses import dataclass

from src.config.base import Schema, require, require_at_least, require_between


@dataclass
class SupernetConfig(Schema):
    """How long and on what `src/training/pretraining/architecture_gradient.py` looks.

    Attributes:
        steps: of the weights; 0 is no supernet, and the search begins with every value as likely as any other.
        batch: chunks per step.
        chunk_bars: bars foreseen per chunk.
        lr: of the weights.
        logit_lr: of the logits, and about what a logit can move in a step.
        later_frac: share of the training rows, at their end, that the logits learn from and the weights never see.
    """

    steps: int = 100
    batch: int = 8
    chunk_bars: int = 64
    lr: float = 0.003
    logit_lr: float = 0.01
    later_frac: float = 0.3

    def check(self) -> None:
        require_at_least("supernet.steps", self.steps, 0)
        for name in ("batch", "chunk_bars"):
            require_at_least(f"supernet.{name}", getattr(self, name), 1)
        for name in ("lr", "logit_lr"):
            require(0 < getattr(self, name) <= 1, f"supernet.{name} must lie in (0, 1], was {getattr(self, name):g}")
        require_between("supernet.later_frac", self.later_frac, 0.05, 0.9)
