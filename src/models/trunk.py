"""Which sequence encoder sits under a policy.

All trunks share one interface: `receptive_field` (bars of input an embedding needs, its own included),
`forward(x: (B, T, F)) -> (B, D)` for the last bar of each window, and
`encode(x: (B, T, F), context) -> (B, T - context, D)` for every bar after the first `context`.
"""

from collections.abc import Callable
from functools import partial

from src.config.schema import CoreTransformerConfig, ModelConfig, Trunk
from src.models.core_transformer import CoreTransformer
from src.models.recurrent import RecurrentTrunk

SequenceTrunk = CoreTransformer | RecurrentTrunk

_TRUNKS: dict[Trunk, Callable[[CoreTransformerConfig, int, int], SequenceTrunk]] = {
    Trunk.transformer: CoreTransformer.from_config,
    Trunk.lstm: partial(RecurrentTrunk.from_config, Trunk.lstm),
    Trunk.gru: partial(RecurrentTrunk.from_config, Trunk.gru),
}


def build_trunk(config: ModelConfig, input_dim: int) -> SequenceTrunk:
    """Return the trunk the settings name; its embedding is `config.core.d_model` wide."""
    return _TRUNKS[config.trunk](config.core, input_dim, config.core.d_model)
