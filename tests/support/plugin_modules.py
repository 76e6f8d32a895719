"""Plug-ins for tests, written where Python finds them."""

import importlib
from pathlib import Path

import pytest

FEATURE = """
import numpy as np
from src.features.base import Feature
MINE = Feature("mine", ("mine",), {lookback}, {warmup}, lambda bars: [{formula}])
"""


def write_plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> str:
    """Write a module into a folder of the path; return its name, made unique because Python imports a name once."""
    monkeypatch.syspath_prepend(folder)
    unique = f"{name}_{folder.name}"
    (folder / f"{unique}.py").write_text(text)
    importlib.invalidate_caches()
    return unique


def feature_module(formula: str, lookback: int = 1, warmup: int = 0) -> str:
    """Return the text of a module that holds the feature `mine`."""
    return FEATURE.format(formula=formula, lookback=lookback, warmup=warmup)
