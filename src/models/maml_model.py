"""`MAMLModel`: a PPO policy that adapts to the bars it has just seen before it trades the next ones.

A task is a series and a period: a support stretch of S bars, and the query stretch that begins where it ends. The
inner loop (`inner_loop.py`) improves the policy on the support stretch; training improves what comes out of that on
the query stretch. At backtest and live the same inner loop runs on trailing closed bars.

By default the policy head alone adapts (ANIL, Raghu et al. 2020, arXiv 1909.09157), so that support and query bars are
encoded once, in one pass, by one trunk. The whole network is the choice beside it: then each group of accounts has a
trunk of its own too. The value head never adapts: the inner objective does not reach it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from src.config.base import require
from src.config.model import ModelConfig, Trunk
from src.config.plain import from_plain, to_plain
from src.config.stages.learning import AdaptationConfig, Scope
from src.models.flat_bars import FlatBars
from src.models.maml import inner_loop
from src.models.maml.inner_loop import Parameters
from src.models.maml.support import Support
from src.models.position_grid import PositionGrid
from src.models.ppo_model import MarketPart, PPOModel, build_model, read_description, rows_from

_ADAPTATION = "adaptation"


class MAMLModel(PPOModel):
    """Policy, value function and inner loop. Used as a `PPOModel` it trades its meta-parameters, not adapted.

    Args:
        config, ...: as in `PPOModel`.
        adaptation: the inner loop.

    Raises:
        ConfigError: actions are continuous, or the whole network is to adapt and its trunk is recurrent.

    Attributes:
        adaptable: names of the parameters that the inner loop changes.
        log_inner_lr: (len(adaptable),) logarithm of each one's step size; a parameter if it is learned, else a buffer.
    """

    log_inner_lr: Tensor

    def __init__(
        self,
        config: ModelConfig,
        num_features: int,
        num_account_inputs: int,
        num_outputs: int,
        continuous: bool = False,
        *,
        adaptation: AdaptationConfig,
    ) -> None:
        require(
            not continuous,
            "the inner loop of MAML enumerates the targets of a grid and cannot adapt continuous actions;"
            " set environment.action.kind=discrete or leave the MAML stage out",
        )
        require(
            adaptation.scope is Scope.head or config.trunk is Trunk.transformer,
            f"scope=network needs model.trunk=transformer, was {config.trunk.value}; set scope=head",
        )
        super().__init__(config, num_features, num_account_inputs, num_outputs)
        self.adaptation = adaptation
        parts = ("policy_head.",) if adaptation.scope is Scope.head else ("policy_head.", "trunk.")
        self.adaptable = tuple(name for name, _ in self.named_parameters() if name.startswith(parts))
        log_inner_lr = torch.full((len(self.adaptable),), adaptation.inner_lr).log()
        if adaptation.learn_inner_lr:
            self.log_inner_lr = nn.Parameter(log_inner_lr)
        else:
            self.register_buffer("log_inner_lr", log_inner_lr)

    @property
    def adapts_trunk(self) -> bool:
        """Whether each group has a trunk of its own."""
        return self.adaptation.scope is Scope.network

    @property
    def history_bars(self) -> int:
        """Bars before the first of a chunk that adapting to it reads: the support stretch and its left context."""
        return self.context_bars + self.adaptation.support_bars

    def _private_state(self) -> set[str]:
        return {"log_inner_lr"}

    def meta_parameters(self, groups: int) -> Parameters:
        """Return where adaptation starts, the same for each group, (G, ...) each."""
        return {
            name: self.get_parameter(name).expand(groups, *[-1] * self.get_parameter(name).dim())
            for name in self.adaptable
        }

    def on_chunks(self, bars: FlatBars, start: Tensor, length: int, mask: Tensor) -> tuple["AdaptedPolicy", Tensor]:
        """Adapt to the support bars that end before each chunk, then embed the chunk.

        Args and results are those of `PPOModel.on_chunks`: (G,) starts, (G, length, embedding_dim) embeddings.
        """
        assert bars.grid is not None, "the model refuses continuous actions"
        seen = rows_from(start, -self.history_bars, length)
        paid = rows_from(start, 1 - self.adaptation.support_bars, 1)
        return adapt_chunks(self, bars.features[seen], bars.log_return[paid], bars.cost_frac[paid], bars.grid, mask)

    def adapt(self, parameters: Parameters, support: Support) -> Parameters:
        """Return the parameters of each group after the inner loop on its support bars, (G, ...) each.

        Deterministic; gradients flow as `inner_loop.adapt` says.
        """
        rates = dict(zip(self.adaptable, self.log_inner_lr.exp(), strict=True))
        settings = self.adaptation
        return inner_loop.adapt(
            parameters,
            lambda own: self.support_probs(own, support),
            support.rewards,
            rates,
            settings.inner_steps,
            settings.second_order,
        )

    def support_probs(self, parameters: Parameters, support: Support) -> Tensor:
        """Return what each group's policy does at every position on its support stretch, (G, S, P, A)."""

        def logits(inputs: Tensor) -> Tensor:
            embedding = self.encode_market(inputs[None], context=self.context_bars)[0] if self.adapts_trunk else inputs
            return self.policy(self.market_part(embedding).policy[:, None], support.accounts)

        probs: Tensor = self.call(parameters, logits, support.inputs).softmax(-1)
        return probs

    def call(self, parameters: Parameters, function: Callable[..., Any], *inputs: Tensor) -> Any:
        """Call a function that uses this model for each group, with its own parameters and part of the inputs.

        Args:
            parameters: (G, ...) each.
            function: of one group's inputs.
            inputs: (G, ...) each.
        """

        def one(own: Parameters, *group: Tensor) -> Any:
            return functional_call(self, own, (function, *group))

        return vmap(one, randomness="different")(parameters, *inputs)

    def forward(self, function: Callable[..., Any], *inputs: Tensor) -> Any:
        """Return `function(*inputs)`, (...): how `functional_call` reaches methods other than this one."""
        return function(*inputs)

    def describe(self) -> dict[str, Any]:
        """Return plain data from which `from_description` builds the same architecture and inner loop."""
        return super().describe() | {_ADAPTATION: to_plain(self.adaptation)}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], seed: int = 0) -> "MAMLModel":
        """Rebuild from `describe`, with fresh weights drawn from `seed`.

        Raises:
            ConfigError: the description does not fit this version of the program.
        """
        own, config, sizes = read_description(description, _ADAPTATION, "a MAML model")
        return build_model(MAMLModel, seed, config, **sizes, adaptation=from_plain(AdaptationConfig, own))


class AdaptedPolicy:
    """A `MAMLModel` in which each of G groups has its own adapted parameters; called as a `PPOModel` is.

    Inputs have a leading group axis, as chunks in training do.

    Args:
        model: its other parameters are shared by all groups.
        parameters: what `MAMLModel.adapt` returned.
    """

    def __init__(self, model: MAMLModel, parameters: Parameters) -> None:
        self._model, self._parameters = model, parameters
        self.context_bars, self.trunk_dim = model.context_bars, model.trunk_dim

    def encode_market(self, features: Tensor, mask: Tensor | None = None, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (G, T, F) -> (G, T - context, embedding_dim)."""
        model = self._model
        if not model.adapts_trunk:
            return model.encode_market(features, mask, context)

        def encode(rows: Tensor, kept: Tensor | None = None) -> Tensor:
            return model.encode_market(rows[None], None if kept is None else kept[None], context)[0]

        inputs = (features,) if mask is None else (features, mask)
        embedding: Tensor = model.call(self._parameters, encode, *inputs)
        return embedding

    def market_part(self, embedding: Tensor) -> MarketPart:
        """Return the heads' share of the bars: (G, ..., embedding_dim) -> (G, ..., head_dim) twice."""
        part: MarketPart = self._model.call(self._parameters, self._model.market_part, embedding)
        return part

    def policy(self, part: Tensor, account: Tensor) -> Tensor:
        """Return logits (G, ..., A) from `MarketPart.policy` and account inputs (G, ..., C)."""
        logits: Tensor = self._model.call(self._parameters, self._model.policy, part, account)
        return logits

    def value(self, part: Tensor, account: Tensor) -> Tensor:
        """Return state values (...) from `MarketPart.value` and account inputs (..., C); all groups share the head."""
        return self._model.value(part, account)


def adapt_chunks(
    model: MAMLModel,
    features: Tensor,
    log_return: Tensor,
    cost_frac: Tensor,
    grid: PositionGrid,
    mask: Tensor | None = None,
) -> tuple[AdaptedPolicy, Tensor]:
    """Adapt each group on the S bars in front of its chunk, and embed the chunk with the adapted policy.

    Where only the head adapts, support bars and chunk are encoded in one pass, under the same mask.

    Args:
        features: (G, context_bars + S + T, F), rows in order of time.
        log_return: (G, S) of the bar after each support decision, in units of reward.
        cost_frac: (G, S) cost there per unit of exposure changed, in units of reward.
        grid: positions to enumerate.
        mask: (G, 1, d_model) dropout mask on the trunk's embedding.

    Returns:
        The adapted policies, and the embedding of the last T bars, (G, T, embedding_dim).
    """
    context, bars = model.context_bars, log_return.shape[1]
    start = model.meta_parameters(len(features))
    if model.adapts_trunk:
        support = grid.support(features[:, : context + bars], log_return, cost_frac)
        adapted = AdaptedPolicy(model, model.adapt(start, support))
        return adapted, adapted.encode_market(features[:, bars:], mask, context)
    embedding = model.encode_market(features, mask, context)
    support = grid.support(embedding[:, :bars], log_return, cost_frac)
    return AdaptedPolicy(model, model.adapt(start, support)), embedding[:, bars:]
