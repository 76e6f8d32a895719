"""`PPOModel`: a trunk that encodes bars once, and heads that add the account.

Live inference needs this module and torch, no ray.
"""

from enum import Enum
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal

from src.config.schema import (
    Activation,
    Attention,
    CoreTransformerConfig,
    Gating,
    ModelConfig,
    Norm,
    Position,
    Trunk,
)
from src.models.heads import AccountHead, policy_head
from src.models.trunk import build_trunk

_ENUMS: dict[str, type[Enum]] = {
    "activation": Activation,
    "norm": Norm,
    "gating": Gating,
    "position": Position,
    "attention": Attention,
}
_INITIAL_LOG_STD = -1.0


class MarketPart(NamedTuple):
    """What the heads need of a bar, computed once however many accounts see it."""

    policy: Tensor  # (..., head_dim)
    value: Tensor  # (..., head_dim)


class PPOModel(nn.Module):
    """Policy and value function.

    Args:
        config: trunk and heads.
        num_features: features F per bar.
        num_account_inputs: account inputs C.
        num_outputs: logits A of the discrete policy; 2 (mean, log standard deviation) for the continuous one.
        continuous: whether actions are exposures rather than grid indices.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_features: int,
        num_account_inputs: int,
        num_outputs: int,
        continuous: bool = False,
    ) -> None:
        super().__init__()
        assert not continuous or num_outputs == 2, "a continuous policy has two outputs: mean and log-std"
        self.config, self.num_features, self.num_account_inputs = config, num_features, num_account_inputs
        self.num_outputs, self.continuous = num_outputs, continuous
        self.trunk = build_trunk(config, num_features)
        self.trunk_dim = config.core.d_model
        self.embedding_dim = self.trunk_dim + (num_features if config.feature_skip else 0)
        self.policy_head = policy_head(self.embedding_dim, num_account_inputs, config.head_dim, num_outputs)
        self.value_head = AccountHead(self.embedding_dim, num_account_inputs, config.head_dim, 1)
        if continuous:
            nn.init.constant_(self.policy_head.output.bias[1:], _INITIAL_LOG_STD)

    @property
    def context_bars(self) -> int:
        """Bars of left context an embedding depends on, its own bar aside."""
        return self.trunk.receptive_field - 1

    def encode_market(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embed every bar: (B, T, F) -> (B, T, embedding_dim).

        Args:
            features: rows with less than `context_bars` rows before them see a shorter past.
            mask: (B, 1, d_model) dropout mask on the trunk's embedding. It is drawn by the caller, so that the rollout
                and the update that learns from it use the same one.
        """
        embedding = self.trunk.encode(features) * self.config.embedding_scale
        if mask is not None:
            embedding = embedding * mask
        return torch.cat([embedding, features], -1) if self.config.feature_skip else embedding

    def market_part(self, embedding: Tensor) -> MarketPart:
        """Return the heads' share of the bars: (..., embedding_dim) -> (..., head_dim) twice."""
        return MarketPart(self.policy_head.market_half(embedding), self.value_head.market_half(embedding))

    def policy(self, part: Tensor, account: Tensor) -> Tensor:
        """Return distribution parameters (..., num_outputs) from `MarketPart.policy` and account inputs (..., C)."""
        outputs: Tensor = self.policy_head(part, account)
        return outputs

    def value(self, part: Tensor, account: Tensor) -> Tensor:
        """Return state values (...) from `MarketPart.value` and account inputs (..., C)."""
        values: Tensor = self.value_head(part, account)[..., 0]
        return values

    def act(self, embedding: Tensor, account: Tensor) -> tuple[Distribution, Tensor]:
        """Return the action distribution and the value for embeddings (..., D) and accounts (..., C)."""
        part = self.market_part(embedding)
        outputs = self.policy(part.policy, account)
        distribution: Distribution = (
            Normal(outputs[..., 0], outputs[..., 1].exp()) if self.continuous else Categorical(logits=outputs)
        )
        return distribution, self.value(part.value, account)

    def describe(self) -> dict[str, Any]:
        """Return plain data from which `from_description` builds the same architecture."""
        core = {name: _plain(value) for name, value in vars(self.config.core).items() if not name.startswith("_")}
        return {
            "trunk": self.config.trunk.value,
            "core": core,
            "head_dim": self.config.head_dim,
            "embedding_scale": self.config.embedding_scale,
            "feature_skip": self.config.feature_skip,
            "num_features": self.num_features,
            "num_account_inputs": self.num_account_inputs,
            "num_outputs": self.num_outputs,
            "continuous": self.continuous,
        }

    @classmethod
    def from_description(cls, description: dict[str, Any], seed: int = 0) -> "PPOModel":
        """Rebuild from `describe`, with fresh weights drawn from `seed`."""
        core: dict[str, Any] = {
            name: _ENUMS[name](value) if name in _ENUMS else value for name, value in description["core"].items()
        }
        config = ModelConfig(
            trunk=Trunk(description["trunk"]),
            core=CoreTransformerConfig(**core),
            head_dim=description["head_dim"],
            embedding_scale=description["embedding_scale"],
            feature_skip=description["feature_skip"],
        )
        sizes = {
            name: description[name] for name in ("num_features", "num_account_inputs", "num_outputs", "continuous")
        }
        return build_ppo_model(config, **sizes, seed=seed)


def build_ppo_model(
    config: ModelConfig,
    num_features: int,
    num_account_inputs: int,
    num_outputs: int,
    continuous: bool = False,
    seed: int = 0,
) -> PPOModel:
    """Build a model whose initial weights are a function of `seed`; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PPOModel(config, num_features, num_account_inputs, num_outputs, continuous)


@torch.no_grad()
def encode_series(model: PPOModel, features: Tensor, chunk: int = 1024) -> Tensor:
    """Embed a whole series: (T, F) -> (T, embedding_dim), chunk by chunk with the context each needs.

    Rows before the start of the series count as zero features.
    """
    length, context = features.shape[0], model.context_bars
    chunks = -(-length // chunk)
    padded = torch.zeros(context + chunks * chunk, features.shape[1], dtype=features.dtype, device=features.device)
    padded[context : context + length] = features
    pieces = padded.unfold(0, context + chunk, chunk).transpose(1, 2)  # (chunks, context + chunk, F)
    was_training = model.training
    model.eval()
    embedding = torch.cat([model.encode_market(piece[None])[0, context:] for piece in pieces])
    model.train(was_training)
    return embedding[:length]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
