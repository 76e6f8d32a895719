"""`MoEModel`: a PPO policy whose trunk is a mixture of experts.

The embedding of a bar carries what every expert makes of it and what the gate believes of them, so that losses and
reports can ask each expert for itself, and nothing is computed twice. With one expert it is the plain policy.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from src.config.model import ModelConfig
from src.config.plain import from_plain, to_plain
from src.errors import ConfigError
from src.models.moe.mixture import MixtureConfig, MixtureTrunk, mix
from src.models.ppo_model import MarketPart, PPOModel, build_model, read_description

MIXTURE = "mixture"  # its part of a description
_TRUNK, _EXPERTS, _GATE = "trunk.", "trunk.experts.", "trunk.gate"
_START_NOISE = 0.1


class MoEModel(PPOModel):
    """Policy and value function on a mixture of experts.

    It can start from a model with a single trunk: every expert becomes that trunk, and so that they can grow apart,
    all but the first with normal noise on each weight, a tenth of the standard deviation within its tensor. The gate
    starts anew.

    Args:
        config, ...: as in `PPOModel`; `config.core` is that of each expert.
        mixture: number of experts and shape of the gate.
    """

    trunk: MixtureTrunk

    def __init__(
        self,
        config: ModelConfig,
        num_features: int,
        num_account_inputs: int,
        num_outputs: int,
        continuous: bool = False,
        *,
        mixture: MixtureConfig,
    ) -> None:
        self.mixture = mixture
        super().__init__(config, num_features, num_account_inputs, num_outputs, continuous)

    def _build_trunk(self) -> MixtureTrunk:
        return MixtureTrunk(self.config, self.mixture, self.num_features)

    def encode_market(self, features: Tensor, mask: Tensor | None = None, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, M).

        M = E · trunk_dim + E, and F more with `feature_skip`: the experts' outputs, log-beliefs in them, features.
        """
        outputs, log_beliefs = self.trunk.encode_experts(features, context)
        outputs = outputs * self.config.embedding_scale
        if mask is not None:
            outputs = outputs * mask[:, :, None]
        skipped = [features[:, context:]] if self.config.feature_skip else []
        return torch.cat([outputs.flatten(-2), log_beliefs, *skipped], -1)

    def market_part(self, embedding: Tensor) -> MarketPart:
        """Return the heads' share of the bars for the mixture: (..., M) -> (..., head_dim) twice.

        Losses on it do not reach the gate: one bar's luck says too little of whom to ask, and would drown what
        hindsight tells the gate of many.
        """
        outputs, log_beliefs, skipped = self._carried(embedding)
        weights = self.trunk.weights(log_beliefs.detach())
        return super().market_part(torch.cat([mix(outputs, weights), skipped], -1))

    def expert_parts(self, embedding: Tensor) -> MarketPart:
        """Return the heads' share of the bars for every expert alone: (..., M) -> (..., E, head_dim) twice."""
        outputs, _, skipped = self._carried(embedding)
        beside = skipped[..., None, :].expand(*outputs.shape[:-1], -1)
        return super().market_part(torch.cat([outputs, beside], -1))

    def log_beliefs(self, embedding: Tensor) -> Tensor:
        """Return how likely the gate holds each expert to be the right one, as logarithms: (..., M) -> (..., E)."""
        return self._carried(embedding)[1]

    def gates(self, embedding: Tensor) -> Tensor:
        """Return the weights of the experts in the mixture: (..., M) -> (..., E)."""
        return self.trunk.weights(self.log_beliefs(embedding))

    def _carried(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Outputs (..., E, D), log-beliefs (..., E) and the features the heads see, (..., F) or (..., 0).
        experts = self.mixture.experts
        sizes = [experts * self.trunk_dim, experts, self.embedding_dim - self.trunk_dim]
        outputs, log_beliefs, skipped = torch.split(embedding, sizes, -1)
        return outputs.reshape(*outputs.shape[:-1], experts, self.trunk_dim), log_beliefs, skipped

    def _private_state(self) -> set[str]:
        return {name for name in self.state_dict() if name.startswith(_GATE)}

    def _spread(
        self, description: Mapping[str, Any], weights: Mapping[str, Tensor], generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        if MIXTURE in description:
            if description[MIXTURE] != to_plain(self.mixture):
                raise ConfigError("that mixture has another shape; give both stages the same experts, top_k and gate")
            return weights
        named = {name.removeprefix(_TRUNK): value for name, value in weights.items() if name.startswith(_TRUNK)}
        trunks = [named, *(_perturbed(named, generator) for _ in range(1, self.mixture.experts))]
        experts = {
            f"{_EXPERTS}{index}.{name}": value for index, trunk in enumerate(trunks) for name, value in trunk.items()
        }
        return {**weights, **experts}

    def describe(self) -> dict[str, Any]:
        """Return plain data from which `from_description` builds the same architecture."""
        return super().describe() | {MIXTURE: to_plain(self.mixture)}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], seed: int = 0) -> "MoEModel":
        """Rebuild from `describe`, with fresh weights drawn from `seed`.

        Raises:
            ConfigError: the description does not fit this version of the program.
        """
        own, config, sizes = read_description(description, MIXTURE, "a mixture")
        mixture = from_plain(MixtureConfig, own)
        return build_model(MoEModel, seed, config, **sizes, mixture=mixture)


def _perturbed(weights: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    return {
        name: value + _START_NOISE * value.std(correction=0) * torch.randn(value.shape, generator=generator)
        for name, value in weights.items()
    }
