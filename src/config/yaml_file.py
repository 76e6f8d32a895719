"""Settings files: YAML read so that what is text to the schema stays as it was written.

YAML guesses what an unquoted word is: 000651 is read as 425, 12:30 as 750 and 1.10 as 1.1. Here numbers stay text, and
the schema, which knows what each setting is, turns into numbers those that are to be some. `true`, `no` and the like
are read as YAML reads them, and refused where text is wanted.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.config.fields import did_you_mean
from src.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_KEPT_TAGS = tuple(_TAG + name for name in ("bool", "null", "merge"))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Resolves switches, null, merges, .inf and .nan only, and refuses a key that stands twice in a section."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as PyYAML declares it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((name for place, name in enumerate(names) if name in names[:place] and name != "<<"), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                "while constructing a mapping", node.start_mark, f"found duplicate key {twice}", None
            )
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(f"{_TAG}float", re.compile(r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"), list("-+."))


def read_yaml(path: Path, is_literal: bool = False) -> DictConfig:
    """Return what a file of settings holds, numbers as text; nothing for an empty file.

    Args:
        is_literal: refuse references such as `${oc.env:NAME}`, which would bring in what the file does not show.

    Raises:
        ConfigError: it does not exist, cannot be read, is not YAML, or holds something else than settings.
    """
    content = _content(path)
    try:
        if is_literal and (key := _reference_in(content)) is not None:
            raise ConfigError(
                f"{path}: {key or 'a value'} must be written out, since '${{...}}' is not looked up here; "
                "secrets belong in the environment or in secrets_file"
            )
        return OmegaConf.create(content)
    except RecursionError as error:
        raise ConfigError(f"{path} holds a section that contains itself; write it out without the alias") from error
    except OmegaConfBaseException as error:
        where = error.full_key or "a value"
        raise ConfigError(f"{path}: {where} holds a '${{' that is no reference; write ${{name}} or '\\${{'") from error


def _content(path: Path) -> dict[Any, Any]:
    if not path.is_file():
        if path.is_dir():
            raise ConfigError(f"configuration file {path} is a folder; name a file in it")
        names = sorted(other.stem for other in path.parent.glob("*.yaml"))
        raise ConfigError(f"configuration file {path} does not exist{did_you_mean(path.stem, names)}")
    try:
        content = yaml.load(path.read_bytes(), Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        where = " ".join(str(error).replace('in "<byte string>", ', "at ").split())
        raise ConfigError(f"{path} is not valid YAML: {where}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check the file and its rights") from error
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{path} must hold 'key: value' settings at its top level, not {_named(content)}")
    return content or {}


def _reference_in(content: Any, key: str = "") -> str | None:
    # The dotted key of the first value that holds one.
    if isinstance(content, str):
        return key if "${" in content else None
    if isinstance(content, dict):
        parts = [(f"{key}.{name}" if key else str(name), value) for name, value in content.items()]
    else:
        parts = [(f"{key}[{place}]", value) for place, value in enumerate(content if isinstance(content, list) else [])]
    return next((found for name, value in parts if (found := _reference_in(value, name)) is not None), None)


def read_experiment(name: str, folder: Path) -> Iterator[tuple[str, DictConfig]]:
    """Yield a named set of settings, and before it those that its `defaults` name.

    Raises:
        ConfigError: as `read_yaml`.
    """
    content = read_yaml(folder / f"{name}.yaml")
    for other in content.get("defaults", []):
        if isinstance(other, str) and other not in ("_self_", name):
            yield from read_experiment(other, folder)
    yield name, content


def _named(content: Any) -> str:
    return "a list" if isinstance(content, list) else "a single value"
