"""Whether a model file describes the network whose weights it holds, found out before memory is taken for it.

A description is a few numbers, and one of them may ask for more than any machine has: a width, a layer count, a window.
So each is held against what the file brings along, and the network is first built on torch's `meta` device, where
weights have shapes and no memory.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from src.errors import ModelFileError

_COUNTED = ("num_layers", "experts")  # parts of a network, each of which has weights of its own
_ALWAYS_FINE = 65_536  # of a width or a window


def require_described(
    description: Mapping[str, Any], weights: Mapping[str, Tensor], build: Callable[[Mapping[str, Any]], nn.Module]
) -> None:
    """Refuse a description of another network than that of the weights.

    Args:
        weights: tensors by name, of whatever shapes (...).
        build: makes the network of a description.

    Raises:
        ModelFileError: a number in it is larger than the weights account for, or their names or shapes differ.
    """
    numbers = sum(value.numel() for value in weights.values())
    for name, value in _whole_numbers(description):
        most = len(weights) if name in _COUNTED else max(numbers, _ALWAYS_FINE)
        if value > most:
            raise ModelFileError(f"{name} is {value:,}, and its {len(weights)} weights have {numbers:,} numbers")
    with torch.device("meta"):
        described = build(description).state_dict()
    for name in sorted(described.keys() | weights.keys()):
        if name not in weights or name not in described:
            raise ModelFileError(f"{'Unexpected' if name in weights else 'Missing'} key '{name}' among its weights")
        meant, there = tuple(described[name].shape), tuple(weights[name].shape)
        if meant != there:
            raise ModelFileError(f"the weight '{name}' should have the shape {meant} and has {there}")


def _whole_numbers(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _whole_numbers(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _whole_numbers(part, name)
    elif isinstance(value, int):
        yield name, value
