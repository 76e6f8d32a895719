"""Which sequence encoder sits under a policy."""

from typing import Protocol

from torch import Tensor, nn

from src.config.schema import ModelConfig, Trunk
from src.models.core_transformer import CoreTransformer
from src.models.recurrent import RecurrentTrunk


class SequenceTrunk(Protocol):
    """A causal encoder of bars."""

    receptive_field: int

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, F) -> (B, D), the last bar."""
        ...

    def encode(self, x: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, D), every bar."""
        ...


def build_trunk(config: ModelConfig, input_dim: int) -> CoreTransformer | RecurrentTrunk:
    """Return the trunk the settings name; its embedding is `config.core.d_model` wide."""
    width = config.core.d_model
    if config.trunk is Trunk.transformer:
        return CoreTransformer.from_config(config.core, input_dim, width)
    return RecurrentTrunk.from_config(config.trunk, config.core, input_dim, width)


def parameter_count(module: nn.Module) -> int:
    """Return the number of trainable numbers."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
