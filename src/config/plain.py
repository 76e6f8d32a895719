"""Settings as plain data and back: what model files, genomes and hashes are made of."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from enum import Enum
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from src.config.base import Schema
from src.errors import ConfigError

S = TypeVar("S", bound=Schema)


def to_plain(settings: Schema) -> dict[str, Any]:
    """Return numbers, strings, lists and dicts only; `from_plain`, or YAML written from it, gives equal settings."""
    plain: dict[str, Any] = _plain(asdict(settings))
    return plain


def from_plain(schema: type[S], plain: Mapping[str, Any]) -> S:
    """Rebuild settings from `to_plain`.

    Raises:
        ConfigError: a setting is missing, unknown or impossible: the data is of another version of the program.
    """
    declared = {field.name for field in fields(schema)}
    odd = sorted(declared ^ set(plain))
    if odd:
        raise ConfigError(f"{schema.__name__} has missing or unknown settings: {', '.join(odd)}; train anew")
    hints = get_type_hints(schema)
    return schema(**{name: _typed(hints[name], value, name) for name, value in plain.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _typed(hint: Any, value: Any, name: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, Schema):
        return from_plain(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        valid = [member.value for member in hint]
        if value not in valid:
            raise ConfigError(f"{name} must be one of {', '.join(valid)}, was '{value}'; train anew")
        return hint(value)
    if get_origin(hint) is dict:
        return {key: _typed(get_args(hint)[1], item, f"{name}.{key}") for key, item in value.items()}
    if NoneType in get_args(hint) and value is not None:
        return _typed(get_args(hint)[0], value, name)
    return value
