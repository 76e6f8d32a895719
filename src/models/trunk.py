"""Which sequence encoder sits under a policy.

All trunks share one interface: `receptive_field` (bars of input an embedding needs, its own included),
`forward(x: (B, T, F)) -> (B, D)` for the last bar of each window, and
`encode(x: (B, T, F), context) -> (B, T - context, D)` for every bar after the first `context`.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from src.config.model import CoreTransformerConfig, ModelConfig, Trunk
from src.models.core_transformer import CoreTransformer

_CELLS: dict[Trunk, type[nn.LSTM] | type[nn.GRU]] = {Trunk.lstm: nn.LSTM, Trunk.gru: nn.GRU}
_GATES = {Trunk.lstm: 4, Trunk.gru: 3}  # matrices per layer, on input and on state each


class RecurrentTrunk(nn.Module):
    """An LSTM or GRU over the window.

    A recurrence has no sharp receptive field. `forward` reads a window and is exact by definition; `encode` runs over
    a chunk once, so a bar has seen at least the window before it, and more the later it comes: chunked and windowed
    passes agree as far as memory fades within a window, not to rounding.

    Args:
        cell: `Trunk.lstm` or `Trunk.gru`.
        input_dim: features F per bar.
        output_dim: width of the embedding.
        hidden_dim: width of the state.
        num_layers: stacked cells.
        window: bars of context a chunk is given, the bar itself included.
        dropout: between layers, in train mode.

    Attributes:
        receptive_field: the window.
    """

    def __init__(
        self,
        cell: Trunk,
        input_dim: int,
        output_dim: int,
        hidden_dim: int,
        num_layers: int,
        window: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_dim, self.output_dim, self.receptive_field = input_dim, output_dim, window
        between = dropout if num_layers > 1 else 0.0  # torch warns about dropout with nothing to act on
        self.embed = nn.Linear(input_dim, hidden_dim)
        self.recurrence = _CELLS[cell](hidden_dim, hidden_dim, num_layers, batch_first=True, dropout=between)
        self.norm = nn.LayerNorm(hidden_dim)
        self.project = nn.Linear(hidden_dim, output_dim)

    @classmethod
    def from_config(
        cls, cell: Trunk, config: CoreTransformerConfig, input_dim: int, output_dim: int
    ) -> "RecurrentTrunk":
        """Build the control that has as many parameters as the transformer of these settings."""
        hidden = equal_size_hidden_dim(cell, config, input_dim, output_dim)
        return cls(cell, input_dim, output_dim, hidden, config.num_layers, config.window, config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the last bar of each window: (B, T, F) -> (B, output_dim)."""
        return self.encode(x, context=x.shape[1] - 1)[:, 0]

    def encode(self, x: Tensor, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, output_dim)."""
        assert x.dim() == 3, f"expected (B, T, F), got {tuple(x.shape)}"
        assert x.shape[-1] == self.input_dim, f"expected {self.input_dim} features, got {x.shape[-1]}"
        assert 0 <= context < x.shape[1], f"context must be shorter than the {x.shape[1]} bars, was {context}"
        hidden, _ = self.recurrence(self.embed(x))
        embedding: Tensor = self.project(self.norm(hidden[:, context:]))
        return embedding


def equal_size_hidden_dim(cell: Trunk, config: CoreTransformerConfig, input_dim: int, output_dim: int) -> int:
    """Return the state width h at which the control has about as many parameters as the transformer.

    With L layers of g gates, a control has 2gL h² + (F + 1 + 2gL + 2 + D) h + D parameters, where D is the embedding's
    width: g (2h² + 2h) per layer, F h + h to enter, 2h in the norm, and D h + D to leave.
    """
    with torch.device("meta"):  # shapes only
        budget = parameter_count(CoreTransformer.from_config(config, input_dim, output_dim))
    square = 2 * _GATES[cell] * config.num_layers
    linear = input_dim + 1 + square + 2 + output_dim
    root = math.sqrt(linear**2 + 4 * square * max(0, budget - output_dim))
    return max(1, round((root - linear) / (2 * square)))


def parameter_count(module: nn.Module) -> int:
    """Return how many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


SequenceTrunk = CoreTransformer | RecurrentTrunk

_TRUNKS: dict[Trunk, Callable[[CoreTransformerConfig, int, int], SequenceTrunk]] = {
    Trunk.transformer: CoreTransformer.from_config,
    Trunk.lstm: partial(RecurrentTrunk.from_config, Trunk.lstm),
    Trunk.gru: partial(RecurrentTrunk.from_config, Trunk.gru),
}


def build_trunk(config: ModelConfig, input_dim: int) -> SequenceTrunk:
    """Return the trunk the settings name; its embedding is `config.core.d_model` wide."""
    return _TRUNKS[config.trunk](config.core, input_dim, config.core.d_model)
