"""The schema as a flat table of dotted keys: what messages and documentation are made of.

Plain Python only, like the schema itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from src.config.schema import STAGES, Schema, StageConfig, TrainingConfig

_WORDS: dict[Any, str] = {int: "whole number", float: "number", bool: "true or false", str: "text"}
_PLURALS: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}
_MANY = 12  # more valid names than this are not listed in a message


def settings_of(schema: type[Schema], prefix: str = "") -> dict[str, Any]:
    """Return the declared type of each leaf setting by dotted key, in the order of the schema."""
    hints = get_type_hints(schema)
    found: dict[str, Any] = {}
    for field in fields(schema):
        key, declared = f"{prefix}{field.name}", hints[field.name]
        found |= settings_of(declared, f"{key}.") if _is_section(declared) else {key: declared}
    return found


def _is_section(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, Schema)


def all_settings(stages: Mapping[str, type[StageConfig]]) -> dict[str, Any]:
    """Return the leaf settings of a whole configuration whose sequence holds these stages."""
    found = settings_of(TrainingConfig)
    del found["sequence"]
    for name, schema in stages.items():
        found |= settings_of(schema, f"sequence.{name}.")
    return found


def default_sequence() -> dict[str, type[StageConfig]]:
    """Return the stages that exist, under the names the documentation gives them: `stage_1_ppo` and so on."""
    return {f"stage_{place}_{name.lower()}": schema for place, (name, schema) in enumerate(STAGES.items(), start=1)}


def leaves(tree: Mapping[Any, Any], known: Iterable[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of a nested mapping; a mapping that is itself a known setting is one value."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and key not in known:
            yield from leaves(value, known, f"{key}.")
        else:
            yield key, value


def describe(declared: Any) -> str:
    """Say in words which values a declared type takes: `whole number`, `one of cpu, cuda`, `number or null`."""
    options = [option for option in get_args(declared) if option is not NoneType]
    if NoneType in get_args(declared):
        return f"{describe(options[0])} or null"
    if get_origin(declared) is list:
        return f"list of {_PLURALS[options[0]]}"
    if get_origin(declared) is dict:
        return "mapping of names to names"
    if issubclass(declared, Enum):
        return f"one of {', '.join(member.name for member in declared)}"
    return _WORDS[declared]


def show(value: Any) -> str:
    """Write a value the way YAML does, so that `null` is not called None."""
    special = {None: "null", True: "true", False: "false"}
    return special[value] if value is None or isinstance(value, bool) else repr(value)


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest valid name, or nothing.

    A bare name that ends some valid keys (`d_model`) suggests those; otherwise the nearest spelling wins, first of the
    whole key, then of its last part. Upper and lower case count as equal.
    """
    keys = list(valid)
    ending = [key for key in keys if key.casefold().endswith(f".{name.casefold()}")]
    near = ending or _close(name, keys, whole=True) or _close(name, keys, whole=False)
    return f"; did you mean {' or '.join(repr(key) for key in near[:3])}?" if near else ""


def _close(name: str, keys: Iterable[str], whole: bool) -> list[str]:
    def part(key: str) -> str:
        return (key if whole else key.rpartition(".")[2]).casefold()

    by_part = {part(key): key for key in reversed(list(keys))}
    return [by_part[match] for match in get_close_matches(part(name), by_part, n=1)]


def or_valid(valid: Iterable[str]) -> str:
    """Return `; valid: a, b` when the list is short enough to read."""
    names = list(valid)
    return f"; valid: {', '.join(names)}" if 0 < len(names) <= _MANY else ""
