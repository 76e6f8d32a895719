"""Settings as a notebook writes them, in the form of the command line."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from pathlib import Path

from src.config.load import CONFIG_DIR, load_training_config
from src.config.training import TrainingConfig

Settings = Mapping[str, object] | Sequence[str]
"""Dotted names with their values, `{"costs.commission_bps": 5}`, or words of the command line, `["seed=1"]`."""


def load(words: Sequence[str]) -> TrainingConfig:
    """Return the settings that words of the command line make, read anew only once a file of settings has changed.

    Raises:
        ConfigError: a setting is unknown or impossible.
    """
    return _loaded(tuple(words), max(path.stat().st_mtime_ns for path in CONFIG_DIR.rglob("*.yaml")))


@lru_cache(maxsize=64)
def _loaded(words: tuple[str, ...], _changed: int) -> TrainingConfig:
    return load_training_config(words)


def overrides(settings: Settings, experiment: str | None = None) -> list[str]:
    """Return settings as `run_training.py` takes them, after those of an experiment."""
    chosen = [] if experiment is None else [f"+experiment={experiment}"]
    if isinstance(settings, str):  # one word is a sequence of letters, which nobody means
        return [*chosen, settings]
    if isinstance(settings, Mapping):
        return [*chosen, *(f"{name}={_written(value)}" for name, value in settings.items())]
    return [*chosen, *settings]


# A quotation mark in a quoted word is escaped, and so are the backslashes before it or before the closing one.
_ESCAPED = re.compile(r"(\\*)('|\Z)")


def _escape(found: re.Match[str]) -> str:
    return 2 * found[1] + (f"\\{found[2]}" if found[2] else "")


def _written(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return _written(value.value)
    if isinstance(value, str | Path):
        return f"'{_ESCAPED.sub(_escape, str(value))}'"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_written, value)) + "]"
    return str(value)
