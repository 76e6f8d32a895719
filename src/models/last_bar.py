"""`LastBar`: embeds the last bar of one window after another, as a live bot and a streamed backtest do.

A transformer is written out in NumPy for it; other trunks run as they are.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from src.models.core_transformer import CoreTransformer
from src.models.numpy_encoder import NumpyEncoder
from src.models.ppo_model import PPOModel, evaluating


class LastBar:
    """Embeds in eval mode, by the weights that the model has then.

    Args:
        model: on any device.
    """

    def __init__(self, model: PPOModel) -> None:
        self._model = model
        self._state: list[tuple[int, int]] = []
        self._encoder: NumpyEncoder | None = None

    @torch.inference_mode()
    def embedding(self, features: NDArray[np.float32]) -> Tensor:
        """Embed the last bar of (T, F), (1, embedding_dim), as `encode_series` does within 1e-5.

        Args:
            features: a bar's whole context, `context_bars` + 1 rows.
        """
        trunk, device = self._model.trunk, next(self._model.parameters()).device
        seen = torch.tensor(features[None]).to(device)
        with evaluating(self._model):
            if not isinstance(trunk, CoreTransformer):
                return self._model.encode_market(seen, context=len(features) - 1)[0]
            embedded = torch.from_numpy(self._written(trunk).last(features)).to(device)
            return self._model.embed(embedded[None, None], seen[:, -1:])[0]

    def _written(self, trunk: CoreTransformer) -> NumpyEncoder:
        # Written anew whenever a weight has changed or was replaced.
        state = _state(trunk)
        if self._encoder is None or state != self._state:
            self._encoder, self._state = NumpyEncoder(trunk), state
        return self._encoder


def _state(module: nn.Module) -> list[tuple[int, int]]:
    return [(id(parameter), parameter._version) for parameter in module.parameters()]
