"""`PPOModel`: a trunk that encodes bars once, and heads that add the account.

Live inference needs this module and torch, no ray.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal

from src.config.model import ModelConfig
from src.config.plain import from_plain, to_plain
from src.errors import ConfigError
from src.models.flat_bars import FlatBars
from src.models.heads import AccountHead, policy_head
from src.models.moe.mixture import MixtureTrunk
from src.models.trunk import SequenceTrunk, build_trunk
from src.seeding import seeded_torch

_SIZES = ("num_features", "num_account_inputs", "num_outputs", "continuous")
_INITIAL_LOG_STD = -1.0

P = ParamSpec("P")
M = TypeVar("M", bound="PPOModel")


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

    trunk: SequenceTrunk | MixtureTrunk

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
        self.trunk = self._build_trunk()
        self.trunk_dim = config.core.d_model
        self.embedding_dim = self._heads_read()
        self.policy_head = policy_head(self.embedding_dim, num_account_inputs, config.head_dim, num_outputs)
        self.value_head = AccountHead(self.embedding_dim, num_account_inputs, config.head_dim, 1)
        if continuous:
            nn.init.constant_(self.policy_head.output.bias[1:], _INITIAL_LOG_STD)

    def _build_trunk(self) -> SequenceTrunk | MixtureTrunk:
        return build_trunk(self.config, self.num_features)

    def _heads_read(self) -> int:
        # Width of what the heads read of a bar.
        return self.trunk_dim + (self.num_features if self.config.feature_skip else 0)

    @property
    def context_bars(self) -> int:
        """Bars of left context an embedding depends on, its own bar aside."""
        return self.trunk.receptive_field - 1

    @property
    def history_bars(self) -> int:
        """Bars before the first of a chunk that playing and learning it reads."""
        return self.context_bars

    def encode_market(self, features: Tensor, mask: Tensor | None = None, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, embedding_dim).

        Args:
            features: bars with less than `context_bars` bars before them see a shorter past.
            mask: (B, 1, d_model) dropout mask on the trunk's embedding. It is drawn by the caller, so that the rollout
                and the update that learns from it use the same one.
            context: leading bars that are only looked at; they cost less than embedded ones.
        """
        return self.embed(self.trunk.encode(features, context), features[:, context:], mask)

    def embed(self, trunk: Tensor, seen: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what `encode_market` does, (B, T, embedding_dim), of bars (B, T, F) and the trunk's embedding of them.

        Args:
            trunk: (B, T, d_model).
            mask: as in `encode_market`.
        """
        return self._with_features(trunk, seen, mask)

    def _with_features(self, embedding: Tensor, features: Tensor, mask: Tensor | None) -> Tensor:
        # What the heads read of bars (B, T, F) that the trunk embedded as (B, T, d_model).
        embedding = embedding * self.config.embedding_scale
        if mask is not None:
            embedding = embedding * mask
        return torch.cat([embedding, features], -1) if self.config.feature_skip else embedding

    def on_chunks(self, bars: FlatBars, start: Tensor, length: int, mask: Tensor) -> tuple[Any, Tensor]:
        """Return the policy that decides on chunks of bars, and its embedding of them, (G, length, embedding_dim).

        Args:
            bars: `history_bars` rows before each start must exist.
            start: (G,) int64 flat rows.
            length: bars to embed.
            mask: (G, 1, d_model) dropout mask on the trunk's embedding.

        Returns:
            This model, or one like it whose methods take a leading axis of G groups.
        """
        context = self.context_bars
        return self, self.encode_market(bars.features[rows_from(start, -context, length)], mask, context)

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
        return to_plain(self.config) | {name: getattr(self, name) for name in _SIZES}

    def start_from(
        self, description: Mapping[str, Any], weights: Mapping[str, Tensor], generator: torch.Generator
    ) -> None:
        """Copy the weights of another model, of any kind whose networks this one has too.

        Args:
            description: `describe` of the other model.
            weights: its state dict, (...) each.
            generator: draws the noise that tells apart parts of this model that would start equal.

        Raises:
            ConfigError: the networks differ.
        """
        differing = [name for name, value in PPOModel.describe(self).items() if description.get(name) != value]
        if differing:
            raise ConfigError(
                f"that model has another architecture ({', '.join(differing)}); give both stages the same settings"
            )
        own = self.state_dict()
        given = self._spread(description, weights, generator)
        fitting = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
        missing = sorted({name.partition(".")[0] for name in own.keys() - fitting.keys() - self._private_state()})
        if missing:
            raise ConfigError(
                f"that model has no {' and no '.join(missing)} that fits; start from a stage of another kind, or anew"
            )
        self.load_state_dict(own | fitting)

    def _private_state(self) -> set[str]:
        # What no other kind of model has, and what therefore may stay as it is.
        return set()

    def _spread(
        self, description: Mapping[str, Any], weights: Mapping[str, Tensor], generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        # The other model's weights under the names this one has for them.
        return weights

    @classmethod
    def from_description(cls, description: Mapping[str, Any], seed: int = 0) -> "PPOModel":
        """Rebuild from `describe`, with fresh weights drawn from `seed`.

        Raises:
            ConfigError: the description does not fit this version of the program.
        """
        sizes = {name: description[name] for name in _SIZES}
        config = from_plain(ModelConfig, {name: value for name, value in description.items() if name not in _SIZES})
        return build_model(PPOModel, seed, config, **sizes)


def build_model(kind: Callable[P, M], seed: int, *args: P.args, **kwargs: P.kwargs) -> M:
    """Call `kind` with `args`: the initial weights of the model are a function of `seed`."""
    with seeded_torch(seed):
        return kind(*args, **kwargs)


def read_description(description: Mapping[str, Any], part: str, kind: str) -> tuple[Any, ModelConfig, dict[str, Any]]:
    """Take a description apart: what a kind of model adds under the name `part`, settings, sizes.

    Raises:
        ConfigError: the part is missing, or the settings are of another version of the program.
    """
    plain = dict(description)
    if part not in plain:
        raise ConfigError(f"the model's description lacks '{part}' and is not that of {kind}; train anew")
    own = plain.pop(part)
    config = from_plain(ModelConfig, {field.name: plain.pop(field.name) for field in fields(ModelConfig)})
    return own, config, plain


def rows_from(start: Tensor, first: int, stop: int) -> Tensor:
    """Return the rows from `start + first` up to but not including `start + stop`, (G, stop - first)."""
    return start[:, None] + torch.arange(first, stop, device=start.device)


@torch.no_grad()
def encode_series(model: PPOModel, features: Tensor, chunk: int = 1024) -> Tensor:
    """Embed a whole series in eval mode: (T, F) -> (T, embedding_dim), equal to one pass over it within 1e-5.

    It is cut into chunks, each with the context the model needs, so memory does not grow with the series. As in one
    pass and in a stream, the first `context_bars` rows see the shorter past that there is.

    Args:
        model: on the device of `features`.
        features: at least one row.
        chunk: rows embedded at a time.
    """
    with evaluating(model):
        pieces = []
        for start in range(0, len(features), chunk):
            context = min(start, model.context_bars)
            rows = features[None, start - context : start + chunk]
            pieces.append(model.encode_market(rows, context=context)[0])
        return torch.cat(pieces)


@contextmanager
def evaluating(model: PPOModel) -> Iterator[None]:
    """Run the body with the model in eval mode."""
    if not model.training:
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()
