"""A child of another shape begins with what its parent learned.

The child computes what its parent did, to rounding, if it differs only by

- wider feed-forward layers, or wider heads of policy and value: nothing reads the new units yet;
- more layers, without gates: their branches end in zeros;
- more heads or wider ones, by a whole factor: the residual stream is repeated that many times, which no norm notices,
  and each head moves to where its slope (`alibi`) or its rotations (`rope`) are what they were; wider heads only with
  dot products;
- more features or account inputs, appended: nothing reads them yet.

Every layer's band follows from window and number of layers, so these must change together (`band` is the same if
`(window - 1) // num_layers` is). Every other change keeps what fits, and is stated in `Inheritance.changes`.

After Net2Net (Chen, Goodfellow and Shlens 2016, arXiv 1511.05641); copies are read in uneven parts instead of being
disturbed by noise.
"""

from dataclasses import dataclass

import torch
from torch import nn

from src.config.model import Attention, CoreTransformerConfig, Gating, ModelConfig, PositionEncoding
from src.errors import ConfigError
from src.models.attention import BandedAttention
from src.models.core_transformer import Block, CoreTransformer, GruGate
from src.models.heads import AccountHead
from src.models.ppo_model import PPOModel
from src.models.weight_axis import AxisMap, concatenate, copy_weights, from_sources, keep_first, repeat_parts, tile
from src.models.world.scenarios import PathDynamics
from src.models.world_model import TransformerWorldModel


@dataclass(frozen=True)
class Inheritance:
    """Whether a child computes what its parent did.

    Attributes:
        changes: why it computes something else, a phrase each; none if it computes the same.
    """

    changes: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether the child computes what its parent did, to rounding, in eval mode."""
        return not self.changes


def inherit(parent: PPOModel, child: PPOModel, rng: torch.Generator) -> Inheritance:
    """Write the parent's weights into a freshly built child, on the same device.

    Features and account inputs the two have in common must come first and in the same order.

    Raises:
        ConfigError: a trunk is not a single transformer.
    """
    if not isinstance(parent.trunk, CoreTransformer) or not isinstance(child.trunk, CoreTransformer):
        kinds = [type(model.trunk).__name__ for model in (parent, child)]
        raise ConfigError(
            f"weights are inherited between single transformers only, had {kinds[0]} and {kinds[1]};"
            " set model.trunk=transformer for both, or start the child afresh"
        )
    channels, changes = inherit_encoder(parent.trunk, child.trunk, parent.config.core, child.config.core, rng)
    embedding = concatenate(channels, _skipped_features(parent, child), parent.trunk_dim)
    embedding = concatenate(embedding, _imagined(parent, child), parent.trunk_dim + _skipped_width(parent))
    hidden = keep_first(parent.config.head_dim, child.config.head_dim)
    account = keep_first(parent.num_account_inputs, child.num_account_inputs)
    for old, new in ((parent.policy_head, child.policy_head), (parent.value_head, child.value_head)):
        _copy_head(old, new, embedding, account, hidden)
    if isinstance(parent, TransformerWorldModel) and isinstance(child, TransformerWorldModel):
        changes += _copy_foresight(parent, child, channels)
    return Inheritance((*changes, *_model_changes(parent, child)))


def inherit_encoder(
    parent: CoreTransformer,
    child: CoreTransformer,
    old: CoreTransformerConfig,
    new: CoreTransformerConfig,
    rng: torch.Generator,
) -> tuple[AxisMap, list[str]]:
    """Write a parent encoder's weights into a freshly built one.

    Args:
        old, new: settings of parent and child.

    Returns:
        Where the channels of the child's embedding come from, for the layers that read it; and the changes.
    """
    copies, rest = divmod(new.d_model, old.d_model)
    stream = keep_first(old.d_model, new.d_model) if rest else tile(old.d_model, copies, rng)
    copy_weights(parent.embed, child.embed, stream, keep_first(parent.input_dim, child.input_dim))
    for ours, theirs in zip(child.blocks, parent.blocks, strict=False):
        assert isinstance(ours, Block)
        assert isinstance(theirs, Block)
        _copy_block(theirs, ours, stream)
    _copy_norm(parent.norm, child.norm, stream)
    if isinstance(parent.project, nn.Identity) and isinstance(child.project, nn.Identity):
        return stream, _core_changes(old, new)
    if isinstance(parent.project, nn.Linear) and isinstance(child.project, nn.Linear):
        embedding = keep_first(parent.output_dim, child.output_dim)
        copy_weights(parent.project, child.project, embedding, stream)
        return embedding, _core_changes(old, new)
    return keep_first(0, child.output_dim), [*_core_changes(old, new), "the projection to the embedding is new"]


def _skipped_features(parent: PPOModel, child: PPOModel) -> AxisMap:
    # The features that heads read beside the embedding.
    return keep_first(_skipped_width(parent), _skipped_width(child))


def _skipped_width(model: PPOModel) -> int:
    return model.num_features if model.config.feature_skip else 0


def _imagined_width(model: PPOModel) -> int:
    # The utilities of the targets that heads read beside embedding and features.
    return model.embedding_dim - model.trunk_dim - _skipped_width(model)


def _imagined(parent: PPOModel, child: PPOModel) -> AxisMap:
    return keep_first(_imagined_width(parent), _imagined_width(child))


def _copy_foresight(parent: TransformerWorldModel, child: TransformerWorldModel, channels: AxisMap) -> list[str]:
    # What foresees reads the trunk and the features, whatever the heads of policy and value read.
    if parent.world.hidden_dim != child.world.hidden_dim or parent.world.horizons != child.world.horizons:
        return ["what is foreseen is learned anew"]
    hidden = keep_first(parent.world.hidden_dim, child.world.hidden_dim)
    seen = concatenate(channels, keep_first(parent.num_features, child.num_features), parent.trunk_dim)
    old, new = parent.body[0], child.body[0]
    assert isinstance(old, nn.Linear)
    assert isinstance(new, nn.Linear)
    copy_weights(old, new, hidden, seen)
    for name in ("density_head", "shape_head", "regime_head"):
        getattr(child, name).load_state_dict(getattr(parent, name).state_dict())
    child.set_dynamics(PathDynamics(*parent.path_dynamics.tolist()))
    return []


def _copy_head(parent: AccountHead, child: AccountHead, embedding: AxisMap, account: AxisMap, hidden: AxisMap) -> None:
    copy_weights(parent.market_half, child.market_half, hidden, embedding)
    copy_weights(parent.account_half, child.account_half, hidden, account)
    copy_weights(parent.hidden, child.hidden, hidden, hidden)
    copy_weights(parent.output, child.output, keep_first(parent.output.out_features, child.output.out_features), hidden)


def _copy_block(parent: Block, child: Block, stream: AxisMap) -> None:
    inner = keep_first(parent.widen.out_features, child.widen.out_features)
    _copy_norm(parent.attention_norm, child.attention_norm, stream)
    _copy_norm(parent.ff_norm, child.ff_norm, stream)
    _copy_attention(parent.attention, child.attention, stream)
    copy_weights(parent.widen, child.widen, inner, stream)
    copy_weights(parent.narrow, child.narrow, stream, inner)
    for old, new in ((parent.attention_gate, child.attention_gate), (parent.ff_gate, child.ff_gate)):
        if old is not None and new is not None:
            _copy_gate(old, new, stream)


def _copy_gate(parent: GruGate, child: GruGate, stream: AxisMap) -> None:
    width = parent.reset_to_candidate.out_features
    copy_weights(parent.from_branch, child.from_branch, repeat_parts(stream, 3, width), stream)
    copy_weights(parent.from_stream, child.from_stream, repeat_parts(stream, 2, width), stream)
    copy_weights(parent.reset_to_candidate, child.reset_to_candidate, stream, stream)


@torch.no_grad()
def _copy_norm(parent: nn.Module, child: nn.Module, stream: AxisMap) -> None:
    old = stream.is_old
    theirs = dict(parent.named_parameters())
    for name, parameter in child.named_parameters():
        if name in theirs:  # an RMS norm has no bias
            parameter[old] = theirs[name][stream.source[old]]


@torch.no_grad()
def _copy_attention(parent: BandedAttention, child: BandedAttention, stream: AxisMap) -> None:
    heads = _head_sources(parent.num_heads, child.num_heads)
    dims = _dim_sources(parent.head_dim, child.head_dim)
    is_old = (heads[:, None] >= 0) & (dims >= 0)
    channels = from_sources(torch.where(is_old, heads[:, None] * parent.head_dim + dims, -1).flatten())
    width = parent.num_heads * parent.head_dim
    copy_weights(parent.qkv, child.qkv, repeat_parts(channels, 3, width), stream)
    copy_weights(parent.out, child.out, stream, channels)
    # Queries do not look into the new dimensions of an old head, and are longer by what its wider scale divides by.
    queries = len(channels.source)
    widened = ((heads[:, None] >= 0) & (dims < 0)).flatten()
    factor = torch.ones(queries).masked_fill(widened, 0.0)
    if child.log_scale is None:
        factor = factor.masked_fill(channels.is_old, (child.head_dim / parent.head_dim) ** 0.5)
    child.qkv.weight[:queries] *= factor[:, None].to(child.qkv.weight)
    child.qkv.bias[:queries] *= factor.to(child.qkv.bias)
    if child.log_scale is not None and parent.log_scale is not None:
        child.log_scale[heads >= 0] = parent.log_scale[heads[heads >= 0]]


def _head_sources(parent: int, child: int) -> torch.Tensor:
    # The h-th of H heads has the slope of the kh-th of kH.
    factor, rest = divmod(child, parent)
    if rest or not factor:
        return keep_first(parent, child).source
    sources = torch.full((child,), -1)
    sources[factor - 1 :: factor] = torch.arange(parent)
    return sources


def _dim_sources(parent: int, child: int) -> torch.Tensor:
    # The i-th pair of a head turns as fast as the ki-th pair of one k times as wide.
    factor, rest = divmod(child, parent)
    if rest or not factor:
        return keep_first(parent, child).source
    sources = torch.full((child // 2, 2), -1)
    sources[::factor] = torch.arange(parent).reshape(-1, 2)
    return sources.flatten()


def _core_changes(old: CoreTransformerConfig, new: CoreTransformerConfig) -> list[str]:
    old_band, new_band = ((core.window - 1) // core.num_layers + 1 for core in (old, new))
    changed = [name for name in ("activation", "norm", "gating", "position", "attention") if _differ(old, new, name)]
    found = [f"{name} {getattr(old, name).value} -> {getattr(new, name).value}" for name in changed]
    if old_band != new_band:
        found.append(f"each layer sees {new_band} bars instead of {old_band}")
    if new.num_layers < old.num_layers:
        found.append(f"{old.num_layers - new.num_layers} of {old.num_layers} layers dropped")
    if new.num_layers > old.num_layers and new.gating is not Gating.none:
        found.append("gates of the new layers let a little through")
    if new.ff_dim < old.ff_dim:
        found.append(f"feed-forward {old.ff_dim} -> {new.ff_dim}")
    return found + _width_changes(old, new)


def _width_changes(old: CoreTransformerConfig, new: CoreTransformerConfig) -> list[str]:
    found = []
    if new.d_model % old.d_model:
        found.append(f"width {old.d_model} -> {new.d_model} is no whole factor, which norms notice")
    slopes_move = new.position is PositionEncoding.alibi and new.num_heads % old.num_heads
    if new.num_heads < old.num_heads or slopes_move:
        found.append(f"heads {old.num_heads} -> {new.num_heads}")
    old_dim, new_dim = old.d_model // old.num_heads, new.d_model // new.num_heads
    turns_move = new.position is PositionEncoding.rope and new_dim % old_dim
    if new_dim < old_dim or turns_move or (new_dim > old_dim and new.attention is Attention.cosine):
        found.append(f"head width {old_dim} -> {new_dim}")
    return found


def _model_changes(parent: PPOModel, child: PPOModel) -> list[str]:
    old, new = parent.config, child.config
    found = []
    if new.head_dim < old.head_dim:
        found.append(f"heads of policy and value {old.head_dim} -> {new.head_dim} wide")
    if _differ(old, new, "embedding_scale"):
        found.append(f"embedding_scale {old.embedding_scale:g} -> {new.embedding_scale:g}")
    if old.feature_skip and not new.feature_skip:
        found.append("heads no longer see the features")
    if child.num_features < parent.num_features:
        found.append(f"features {parent.num_features} -> {child.num_features}")
    if child.num_account_inputs < parent.num_account_inputs:
        found.append(f"account inputs {parent.num_account_inputs} -> {child.num_account_inputs}")
    if _imagined_width(child) < _imagined_width(parent):
        found.append("heads no longer see what is imagined")
    if child.num_outputs != parent.num_outputs or child.continuous != parent.continuous:
        found.append("other actions")
    return found


def _differ(old: CoreTransformerConfig | ModelConfig, new: CoreTransformerConfig | ModelConfig, name: str) -> bool:
    return bool(getattr(old, name) != getattr(new, name))
