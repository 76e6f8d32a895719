"""`NumpyEncoder`: what a `CoreTransformer` makes of the last bar of a window, in NumPy.

A live bot asks for one bar at a time, and then torch spends its time on calls. Written out, with whatever does not
depend on the bars computed ahead, the same network answers in a third of it.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erf, expit
from torch import Tensor, nn

from src.config.model import Activation
from src.models.attention import BandedAttention
from src.models.core_transformer import ACTIVATIONS, Block, CoreTransformer, GruGate

Array = NDArray[np.float32]
Layer = Callable[[Array], Array]

_HALF_ROOT = np.float32(math.sqrt(0.5))
_ACTIVATIONS: dict[Activation, Layer] = {
    Activation.gelu: lambda x: x * (np.float32(0.5) + np.float32(0.5) * erf(x * _HALF_ROOT)),
    Activation.relu: lambda x: np.maximum(x, np.float32(0)),
    Activation.silu: lambda x: x * expit(x),
}


class NumpyEncoder:
    """Equals `CoreTransformer.encode` at the last bar within 1e-5; weights are those at the time it is built.

    Args:
        encoder: in eval mode.
    """

    def __init__(self, encoder: CoreTransformer) -> None:
        self._bars, self._embed = encoder.receptive_field, _linear(encoder.embed)
        later = [1 + index * (encoder.band - 1) for index in reversed(range(len(encoder.blocks)))]
        lengths = [self._bars, *later[:-1]]
        self._blocks = [_block(*each) for each in zip(encoder.blocks, lengths, later, strict=True)]
        self._norm = _norm(encoder.norm)
        self._project = _linear(encoder.project) if isinstance(encoder.project, nn.Linear) else None

    def last(self, features: Array) -> Array:
        """Embed the last bar of (T, F) with its whole context, (output_dim,)."""
        assert len(features) >= self._bars, f"the last bar needs {self._bars} bars, got {len(features)}"
        x = self._embed(features[-self._bars :])
        for block in self._blocks:
            x = block(x)
        x = self._norm(x)
        embedding: Array = (x if self._project is None else self._project(x))[0]
        return embedding


def _block(block: nn.Module, keys: int, queries: int) -> Layer:
    # (keys, D) -> (queries, D), of the last bars.
    assert isinstance(block, Block)
    attention_norm, ff_norm = _norm(block.attention_norm), _norm(block.ff_norm)
    attention = _attention(block.attention, keys, queries)
    widen, narrow, activation = _linear(block.widen), _linear(block.narrow), _activation(block.activation)
    join_attention, join_ff = _join(block.attention_gate), _join(block.ff_gate)

    def apply(x: Array) -> Array:
        x = join_attention(x[-queries:], attention(attention_norm(x)))
        return join_ff(x, narrow(activation(widen(ff_norm(x)))))

    return apply


def _attention(attention: BandedAttention, keys: int, queries: int) -> Layer:
    heads, width = attention.num_heads, attention.head_dim
    project, out = _linear(attention.qkv), _linear(attention.out)
    rotations, added = attention.tables(queries, keys)
    turns, bias = None if rotations is None else rotations.numpy(), added.numpy()
    cosine_scale = None if attention.log_scale is None else _array(attention.log_scale.exp())
    scale = np.float32(width**-0.5)

    def apply(x: Array) -> Array:
        q, k, v = project(x).reshape(keys, 3, heads, width).transpose(1, 2, 0, 3)  # (H, K, W) each
        q = q[:, keys - queries :]
        if turns is not None:
            q, k = _turned(q, turns[keys - queries :]), _turned(k, turns)
        if cosine_scale is None:
            q = q * scale
        else:
            q, k = _unit(q) * cosine_scale, _unit(k)
        scores: Array = np.matmul(q, k.transpose(0, 2, 1))
        scores += bias
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        np.divide(scores, scores.sum(-1, keepdims=True), out=scores)
        mixed: Array = np.matmul(scores, v)  # (H, Q, W)
        return out(mixed.transpose(1, 0, 2).reshape(queries, heads * width))

    return apply


def _turned(x: Array, turns: NDArray[np.complex64]) -> Array:
    turned: Array = (np.ascontiguousarray(x).view(np.complex64) * turns).view(np.float32)
    return turned


def _unit(x: Array) -> Array:
    unit: Array = x / np.maximum(np.sqrt((x * x).sum(-1, keepdims=True)), np.float32(1e-12))
    return unit


def _norm(norm: nn.Module) -> Layer:
    weight = _array(norm.weight)
    if isinstance(norm, nn.RMSNorm):
        tiny = np.float32(torch.finfo(torch.float32).eps if norm.eps is None else norm.eps)
        return lambda x: x / np.sqrt((x * x).mean(-1, keepdims=True) + tiny) * weight
    assert isinstance(norm, nn.LayerNorm)
    bias, eps = _array(norm.bias), np.float32(norm.eps)

    def apply(x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        normed: Array = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps) * weight + bias
        return normed

    return apply


def _activation(activation: Callable[[Tensor], Tensor]) -> Layer:
    return next(_ACTIVATIONS[name] for name, known in ACTIVATIONS.items() if known is activation)


def _join(gate: nn.Module | None) -> Callable[[Array, Array], Array]:
    if gate is None:
        return lambda stream, branch: stream + branch
    assert isinstance(gate, GruGate)
    from_branch, from_stream = _linear(gate.from_branch), _linear(gate.from_stream)
    to_candidate, identity_bias = _linear(gate.reset_to_candidate), np.float32(GruGate.IDENTITY_BIAS)

    def apply(stream: Array, branch: Array) -> Array:
        reset_y, update_y, candidate_y = np.split(from_branch(branch), 3, axis=-1)
        reset_x, update_x = np.split(from_stream(stream), 2, axis=-1)
        candidate = np.tanh(candidate_y + to_candidate(expit(reset_y + reset_x) * stream))
        joined: Array = stream + expit(update_y + update_x - identity_bias) * (candidate - stream)
        return joined

    return apply


def _linear(linear: nn.Linear) -> Layer:
    weight, bias = _array(linear.weight.T), _array(linear.bias) if isinstance(linear.bias, Tensor) else None
    return lambda x: x.dot(weight) if bias is None else x.dot(weight) + bias


def _array(weights: Tensor | nn.Module) -> Array:
    assert isinstance(weights, Tensor)
    copied: Array = np.array(weights.detach().cpu().numpy(), order="C")
    return copied
