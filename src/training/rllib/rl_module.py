"""The one adapter between our torch policies and RLlib.

Two kinds of batch reach it. Encode-once: whole groups of accounts (`RolloutBatch`), bars addressed by flat row.
Stock: RLlib's own observations, those of the gymnasium environment, a window per sample. Both end in the same heads.
"""

from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor

from src.agents.registry import agent_kind
from src.models.flat_bars import FlatBars, flat_bars
from src.training.rollout.training_market import load_training_market

START, ACCOUNT, MASK = "start", "account", "embedding_mask"
EMBEDDING = "embedding"  # what a forward pass on shared bars says of them: (G, T, D), as `encode_market` embeds them

_WINDOWS_AT_ONCE = 1024


class PolicyRLModule(TorchRLModule, ValueFunctionAPI):
    """RLlib module around a policy.

    `model_config` holds `kind` and `description` (plain data that rebuilds the policy), `seed` of its initial weights
    and `market_folder`, where the bars lie that encode-once batches address.
    """

    framework = "torch"

    def setup(self) -> None:
        settings = self.model_config
        self.policy = agent_kind(settings["kind"]).model.from_description(
            settings["description"], seed=settings["seed"]
        )
        # A plain attribute: the market is neither parameter nor buffer, and stays out of every state dict.
        self._bars: FlatBars | None = None

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        window = batch[Columns.OBS]["market"]
        part = self.policy.market_part(self.policy.encode_market(window, context=window.shape[1] - 1)[:, 0])
        outputs = self.policy.policy(part.policy, batch[Columns.OBS]["account"])
        return {Columns.ACTION_DIST_INPUTS: outputs, Columns.EMBEDDINGS: part.value}

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        if START not in batch:
            return self._forward(batch)
        length = batch[ACCOUNT].shape[1]
        policy, embedding = self.policy.on_chunks(self._market(batch[MASK].device), batch[START], length, batch[MASK])
        part = policy.market_part(embedding)  # (G, T, H) each
        return {
            Columns.ACTION_DIST_INPUTS: policy.policy(part.policy[:, :, None], batch[ACCOUNT]),
            Columns.EMBEDDINGS: part.value[:, :, None],
            EMBEDDING: embedding,
        }

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Return state values: (G, T, P) of an encode-once batch, (N,) of RLlib's own observations."""
        if embeddings is None and START not in batch:
            return self._predicted_values(batch[Columns.OBS])
        account = batch[ACCOUNT] if START in batch else batch[Columns.OBS]["account"]
        if embeddings is None:
            embeddings = self._forward_train(batch)[Columns.EMBEDDINGS]
        return self.policy.value(embeddings, account)

    @torch.no_grad()
    def _predicted_values(self, observations: dict[str, Tensor]) -> Tensor:
        # RLlib asks so for all that was played, to estimate advantages. The activations of so many windows at once
        # would need gigabytes.
        pieces = zip(*(observations[name].split(_WINDOWS_AT_ONCE) for name in ("market", "account")), strict=True)
        values = []
        for market, account in pieces:
            outputs = self.forward_inference({Columns.OBS: {"market": market, "account": account}})
            values.append(self.policy.value(outputs[Columns.EMBEDDINGS], account))
        return torch.cat(values)

    def _market(self, device: torch.device) -> FlatBars:
        if self._bars is None:
            market = load_training_market(self.model_config["market_folder"])
            self._bars = flat_bars(market.features, market.tape, market.rules, device)
        return self._bars
