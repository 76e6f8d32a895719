"""Trained weights kept on disk, one file per configuration, so that training happens once."""

import hashlib
import json
import pickle
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.errors import ModelFileError
from src.storage import write_atomic

Weights = dict[str, Tensor]


def cached_weights(folder: Path, name: str, key: Mapping[str, Any], train: Callable[[], Weights]) -> Weights:
    """Return the weights (...) kept under a key, by name, or train and keep them.

    The file appears complete or not at all, so processes may share the folder; at worst two train the same.

    Args:
        folder: made if missing.
        name: start of the file's name.
        key: plain data that decides the weights: settings, seed, version of the code.

    Raises:
        ModelFileError: the file is damaged, or the folder cannot be written.
    """
    path = weights_path(folder, name, key)
    if path.exists():
        return _load(path)
    weights = train()
    _save(path, weights)
    return weights


def weights_path(folder: Path, name: str, key: Mapping[str, Any]) -> Path:
    """Return where weights of this name and key are, once they are kept."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return folder / f"{name}_{digest}.pt"


def _load(path: Path) -> Weights:
    try:
        weights: Weights = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise ModelFileError(f"{path} is damaged; delete it, and it is trained again") from error
    return weights


def _save(path: Path, weights: Weights) -> None:
    buffer = BytesIO()
    torch.save(weights, buffer)
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written ({error.strerror}); check the folder and its rights") from error
