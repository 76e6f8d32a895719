"""The schema as a flat table of dotted keys: what messages and documentation are made of.

Plain Python only, like the schema itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from difflib import SequenceMatcher
from enum import Enum
from functools import reduce
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from src.config.base import OneOf, Schema
from src.config.stages.learning import StageConfig
from src.config.training import TrainingConfig, stage_settings

_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_PLURALS: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}
_MANY = 12  # more valid names than this are not listed in a message
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_LIKE = 0.6  # difflib's own cutoff


def settings_of(schema: type[Schema], prefix: str = "") -> dict[str, Any]:
    """Return the declared type of each leaf setting by dotted key, in the order of the schema."""
    hints = get_type_hints(schema, include_extras=True)
    found: dict[str, Any] = {}
    for field in fields(schema):
        key, declared = f"{prefix}{field.name}", hints[field.name]
        found |= settings_of(declared, f"{key}.") if _is_section(declared) else {key: declared}
    return found


def _is_section(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, Schema)


def _value(declared: Any) -> Any:
    # Of a mapping to settings or null, the settings.
    value = get_args(declared)[1]
    return next((option for option in get_args(value) if option is not NoneType), value)


def all_settings(stages: Mapping[str, type[StageConfig]]) -> dict[str, Any]:
    """Return the leaf settings of a whole configuration whose sequence holds these stages."""
    found = settings_of(TrainingConfig)
    del found["sequence"]
    for name, schema in stages.items():
        found |= settings_of(schema, f"sequence.{name}.")
    return found


def default_sequence() -> dict[str, type[StageConfig]]:
    """Return the stages that exist, under the names the documentation gives them: `stage_1_ppo` and so on."""
    stages = enumerate(stage_settings().items(), start=1)
    return {f"stage_{place}_{name.lower()}": schema for place, (name, schema) in stages}


def leaves(tree: Mapping[Any, Any], known: Iterable[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of a nested mapping; a mapping that is itself a known setting is one value."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and key not in known:
            yield from leaves(value, known, f"{key}.")
        else:
            yield key, value


def describe(declared: Any) -> str:
    """Say in words which values a declared type takes: `a number or null`, `one of cpu, cuda`."""
    choice = choice_of(declared)
    if choice is not None:
        return f"one of {', '.join(choice.built_in)}, or a {choice.kind} of your own"
    options = [option for option in get_args(declared) if option is not NoneType]
    if NoneType in get_args(declared):
        return f"{describe(options[0])} or null"
    if get_origin(declared) is list:
        return f"a list of {_PLURALS[options[0]]}"
    if get_origin(declared) is dict:
        return "sections of settings by name" if _is_section(_value(declared)) else "a mapping of names to names"
    return f"one of {', '.join(valid_names(declared))}" if valid_names(declared) else _WORDS[declared]


def choice_of(declared: Any) -> OneOf | None:
    """Return what a setting may name, if it names a thing of a kind."""
    return get_args(declared)[1] if get_origin(declared) is Annotated else None


def choices_of(settings: Schema) -> Iterator[tuple[str, OneOf, str]]:
    """Yield each setting that names a thing of a kind: its dotted key, what it may name, and what it names."""
    for key, declared in settings_of(type(settings)).items():
        choice = choice_of(declared)
        if choice is not None:
            name: Any = reduce(getattr, key.split("."), settings)
            yield key, choice, name


def valid_names(declared: Any) -> list[str]:
    """Return the names an enumeration, or a thing of a kind, goes by; none for any other type."""
    choice = choice_of(declared)
    if choice is not None:
        return list(choice.built_in)
    return list(declared.__members__) if isinstance(declared, type) and issubclass(declared, Enum) else []


def show(value: Any) -> str:
    """Write a value the way YAML does: `null` is not called None, and a number that is text still bears no quotes."""
    special = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return special[value]
    return value if isinstance(value, str) and _NUMBER.fullmatch(value) else repr(value)


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest valid name, or nothing.

    A bare name that ends valid keys (`d_model`) suggests those; otherwise the nearest spelling does. Upper and lower
    case count as equal.
    """
    keys = list(valid)
    near = [key for key in keys if key.casefold().endswith(f".{name.casefold()}")]
    if not near and keys:
        best = max(keys, key=lambda key: _likeness(name, key))
        near = [best] if _likeness(name, best) >= _LIKE else []
    return f"; did you mean {' or '.join(repr(key) for key in near[:3])}?" if near else ""


def _likeness(name: str, key: str) -> float:
    # The last part counts by itself, or every key of a deep section would look like every other.
    def ratio(one: str, other: str) -> float:
        return SequenceMatcher(None, one.casefold(), other.casefold()).ratio()

    last = ratio(name.rpartition(".")[2], key.rpartition(".")[2])
    return (ratio(name, key) + last) / 2 if "." in name else last


def or_valid(valid: Iterable[str]) -> str:
    """Return ` (valid: a, b)` when the list is short enough to read."""
    names = list(valid)
    return f" (valid: {', '.join(names)})" if 0 < len(names) <= _MANY else ""
