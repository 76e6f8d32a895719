"""Recurrent trunks: controls that the transformer is measured against, behind the same interface."""

import math

from torch import Tensor, nn

from src.config.schema import CoreTransformerConfig, Trunk

_CELLS: dict[Trunk, type[nn.LSTM] | type[nn.GRU]] = {Trunk.lstm: nn.LSTM, Trunk.gru: nn.GRU}
_MATRICES = {Trunk.lstm: 4, Trunk.gru: 3}


class RecurrentTrunk(nn.Module):
    """An LSTM or GRU over the window.

    A recurrence has no sharp receptive field: it is run over `receptive_field` = window bars of left context, so
    chunked and whole-series passes agree as far as its memory has faded, not to rounding.
    """

    def __init__(
        self, cell: Trunk, input_dim: int, output_dim: int, hidden_dim: int, num_layers: int, window: int
    ) -> None:
        super().__init__()
        self.input_dim, self.receptive_field = input_dim, window
        self.embed = nn.Linear(input_dim, hidden_dim)
        self.recurrence = _CELLS[cell](hidden_dim, hidden_dim, num_layers, batch_first=True)
        self.norm = nn.LayerNorm(hidden_dim)
        self.project = nn.Linear(hidden_dim, output_dim)

    @classmethod
    def from_config(
        cls, cell: Trunk, config: CoreTransformerConfig, input_dim: int, output_dim: int
    ) -> "RecurrentTrunk":
        """Build the control with about as many parameters as the transformer of the same settings."""
        hidden = equal_size_hidden_dim(cell, config)
        return cls(cell, input_dim, output_dim, hidden, config.num_layers, config.window)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the last bar of each window: (B, T, F) -> (B, output_dim)."""
        return self.encode(x)[:, -1]

    def encode(self, x: Tensor) -> Tensor:
        """Embed every bar: (B, T, F) -> (B, T, output_dim)."""
        hidden, _ = self.recurrence(self.embed(x))
        embedding: Tensor = self.project(self.norm(hidden))
        return embedding


def equal_size_hidden_dim(cell: Trunk, config: CoreTransformerConfig) -> int:
    """Return the hidden width at which a recurrent layer has as many weights as a transformer block."""
    block = 4 * config.d_model**2 + 2 * config.d_model * config.ff_dim
    return max(1, round(math.sqrt(block / (2 * _MATRICES[cell]))))
