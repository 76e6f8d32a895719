"""From a YAML file and command line overrides to one sealed, validated `TrainingConfig`.

Hydra composes: schema defaults, then the file, then experiments (`+experiment=name`), then overrides. What comes out is
merged into the schema, stage by stage according to `algorithm`, and turned into objects once. Every mistake is a
`ConfigError` of one sentence. Hydra's compose API is used: the working folder stays, and no output folder appears.

Importing this module loads no torch, ray or pandas.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.config.base import Schema
from src.config.fields import (
    all_settings,
    choice_of,
    choices_of,
    describe,
    did_you_mean,
    leaves,
    or_valid,
    settings_of,
    show,
    valid_names,
)
from src.config.plain import to_plain
from src.config.stages.learning import StageConfig
from src.config.training import TrainingConfig, stage_settings
from src.config.used_plugins import used_plugins
from src.config.yaml_file import read_experiment, read_yaml
from src.errors import ConfigError
from src.plugins import import_plugin, plugged_in
from src.storage import write_atomic

CONFIG_DIR = Path(__file__).resolve().parents[2] / "config"
EXPERIMENT = "experiment"
# Sections and settings that say where results go and how they are shown, never what they are.
NOT_HASHED = ("run", "tracking", "ray_address", "cache_dir")
_BASE_NODE = "training_sequence_base"

S = TypeVar("S", bound=Schema)


def load_training_config(
    overrides: Sequence[str] = (),
    config_dir: Path | None = None,
    config_name: str = "training_sequence",
    config_file: Path | None = None,
) -> TrainingConfig:
    """Return the settings of a run.

    Args:
        overrides: `key=value` in hydra's grammar, `~key` to leave something out, `+experiment=name`.
        config_dir: folder of the base file and of `experiment/`; the project's `config` unless given.
        config_name: base file without its suffix.
        config_file: a base file of the user's own, anywhere; replaces the one named by `config_name`.

    Raises:
        ConfigError: a key or value is unknown or impossible, or a file is missing or not YAML.
    """
    folder = (config_dir or CONFIG_DIR).resolve()
    base = read_yaml(config_file or folder / f"{config_name}.yaml")
    given = [_parse(text) for text in overrides]
    forms = [_hydra_form(override, folder) for override in given]
    return _build(_compose(base, [*_run_name(given), *forms], folder), given)


def load_settings(schema: type[S], path: Path) -> S:
    """Return the settings of a YAML file that holds one schema, such as `config/risk.yaml`.

    Raises:
        ConfigError: as for a whole configuration, or a value refers to something outside of the file; the message names
            the file.
    """
    node = read_yaml(path, is_literal=True)
    try:
        plain = OmegaConf.to_container(node)
        assert isinstance(plain, dict)
        _check_keys(plain, settings_of(schema))
        settings: S = _object(_typed(schema, node))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return settings


def save_resolved(config: TrainingConfig, path: Path) -> None:
    """Write the settings as YAML, atomically; the file can be passed to `--config`."""
    write_atomic(path, OmegaConf.to_yaml(OmegaConf.create(to_plain(config))).encode())


def config_hash(config: TrainingConfig) -> str:
    """Return the sha256 of every setting that can change results: all but `NOT_HASHED`.

    The order of stages counts; the order of keys within a section does not, nor do plug-ins that training does not use.
    """
    plain = to_plain(replace(config, plugins=used_plugins(config)))
    plain["sequence"] = list(plain["sequence"].items())  # whatever stages are called, they count
    plain = _hashed(plain)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _hashed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hashed(item) for key, item in value.items() if key not in NOT_HASHED}
    return [_hashed(item) for item in value] if isinstance(value, list | tuple) else value


# Reading and composing: text in, one untyped tree out.


def _hydra_form(override: Override, folder: Path) -> str:
    """Return an override as hydra shall apply it.

    Keys are checked later, against the schema and with better messages than hydra's, so every assignment may add.
    """
    key, text = str(override.key_or_group), str(override.input_line)
    if _is_experiment(override):
        names = _experiments(override, folder)
        return f"+{EXPERIMENT}@_global_=[{','.join(names)}]"
    if key.split(".")[0] == "hydra":
        raise ConfigError(f"unknown setting '{key}'; hydra's own settings have no effect here")
    return text if override.is_delete() else f"++{text.lstrip('+')}"


def _run_name(given: Sequence[Override]) -> list[str]:
    # A run of experiments is called by them, unless it is called otherwise.
    names = [name for override in given if _is_experiment(override) for name in _names(override)]
    return [f"++run.name='{'+'.join(names)}'"] if names else []


def _is_experiment(override: Override) -> bool:
    return override.key_or_group == EXPERIMENT and not override.is_delete()


def _names(override: Override) -> list[str]:
    value = override.value()
    return [str(name) for name in value] if isinstance(value, list) else [str(value)]


def _parse(text: str) -> Override:
    key, equals, value = text.partition("=")
    if not key or not (equals or key.startswith("~")):
        raise ConfigError(f"override '{text}' must be written as {key or 'KEY'}=VALUE")
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        remedy = f"\"{key}='{value}'\"" if "'" not in value else f"'{key}=\"{value}\"'"
        raise ConfigError(f"override '{text}' cannot be read; put its value in quotes: {remedy}") from error
    if override.is_sweep_override():
        raise ConfigError(f"override '{text}' holds several values; write a list as {key}=[{value}]")
    return override


def _experiments(override: Override, folder: Path) -> list[str]:
    names = _names(override)
    valid = sorted(path.stem for path in (folder / EXPERIMENT).glob("*.yaml"))
    for name in names:
        if name not in valid:
            raise ConfigError(f"experiment '{name}' is unknown{did_you_mean(name, valid)}{or_valid(valid)}")
        for part, content in read_experiment(name, folder / EXPERIMENT):
            ConfigStore.instance().store(name=part, node=content, group=EXPERIMENT, package="_global_")
    return names


def _compose(base: DictConfig, overrides: list[str], folder: Path) -> DictConfig:
    if not folder.is_dir():
        raise ConfigError(f"configuration folder {folder} does not exist")
    ConfigStore.instance().store(name=_BASE_NODE, node=base)
    try:
        with initialize(version_base="1.3"):  # files are read here, none by hydra
            return compose(config_name=_BASE_NODE, overrides=overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"the configuration cannot be composed: {_one_line(error)}") from error


# Typing: the untyped tree in, sealed objects out.


def _build(composed: DictConfig, given: Sequence[Override]) -> TrainingConfig:
    composed = _without_null_stages(composed)
    plain = OmegaConf.to_container(composed)
    assert isinstance(plain, dict)
    stages = _stage_types(plain, stage_settings(_imported(plain.get("plugins", []))))
    known = all_settings(stages)
    _check_keys(plain, known)
    for override in given:
        _check_text(override, known)
    root = _typed(TrainingConfig, composed)
    sequence = {
        name: _typed_object(schema, root.sequence[name], f"sequence.{name}.") for name, schema in stages.items()
    }
    config: TrainingConfig = replace(_object(root), sequence=sequence)
    for prefix, settings in {"": config, **{f"sequence.{name}.": stage for name, stage in sequence.items()}}.items():
        _require_names(settings, prefix, config.plugins)
    return config


def _without_null_stages(composed: DictConfig) -> DictConfig:
    # A file cannot delete what it is laid over, so null is how it leaves a stage out.
    sequence = composed.get("sequence")
    if isinstance(sequence, DictConfig):
        composed.sequence = {name: sequence[name] for name in sequence if sequence[name] is not None}
    return composed


def _imported(modules: Any) -> list[str]:
    if not isinstance(modules, list) or not all(isinstance(module, str) for module in modules):
        raise ConfigError(f"plugins must be a list of modules such as [my_package.my_module], was {show(modules)}")
    for module in modules:
        import_plugin(module)
    return modules


def _stage_types(plain: Mapping[Any, Any], known: Mapping[str, type[StageConfig]]) -> dict[str, type[StageConfig]]:
    sequence = plain.get("sequence", {})
    if not isinstance(sequence, dict):
        raise ConfigError(f"sequence must map stage names to settings, was {show(sequence)}")
    return {str(name): _stage_type(str(name), stage, sequence, known) for name, stage in sequence.items()}


def _stage_type(
    name: str, stage: Any, sequence: Mapping[Any, Any], known: Mapping[str, type[StageConfig]]
) -> type[StageConfig]:
    key = f"sequence.{name}"
    if not isinstance(stage, dict):
        raise ConfigError(f"{key} must be a section of settings with an algorithm, was {show(stage)}")
    if "algorithm" not in stage:
        others = [str(other) for other, settings in sequence.items() if "algorithm" in (settings or {})]
        hint = did_you_mean(name, others) or f"; set {key}.algorithm"
        raise ConfigError(f"{key} has no algorithm{hint}{or_valid(known)}")
    algorithm = str(stage["algorithm"])
    if algorithm not in known:
        raise ConfigError(f"{key}.algorithm '{algorithm}' is unknown{did_you_mean(algorithm, known)}{or_valid(known)}")
    return known[algorithm]


def _check_keys(plain: Mapping[Any, Any], known: Mapping[str, Any]) -> None:
    for key, value in leaves(plain, known):
        if key in known:
            _check_leaf(key, value, known[key])
        elif not any(other.startswith(f"{key}.") for other in [*known, "sequence."]):
            _refuse_key(key, value, known)
        elif value != {}:
            raise ConfigError(f"{key} must be a section of settings, was {show(value)}")


def _check_leaf(key: str, value: Any, declared: Any) -> None:
    if value == MISSING:
        raise ConfigError(f"{key} must be given a value, was {MISSING}")
    # YAML reads a bare ON or NO as a switch, and text would silently become "True".
    for item in _texts(value, declared):
        if isinstance(item, bool):
            raise ConfigError(f"{key} must be {describe(declared)}, was {show(item)}; put it in quotes")


def _check_text(override: Override, known: Mapping[str, Any]) -> None:
    # hydra reads a bare 1.10 or 1_000 as a number, and text would silently become "1.1" or "1000".
    if override.is_delete() or override.key_or_group == EXPERIMENT:
        return
    key, text = str(override.key_or_group), str(override.input_line).partition("=")[2]
    words = re.split(r"[\s,:\[\]{}]+", text)
    for setting, value in leaves({key: override.value()}, known):
        for item in _texts(value, known.get(setting)):
            if isinstance(item, int | float) and str(item) not in words:
                word = next((word for word in words if _number(word) == item), text)
                quoted = f'"{key}={text.replace(word, repr(word))}"'
                raise ConfigError(f"{setting}={word} would be read as the number {item}; put it in quotes: {quoted}")


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _texts(value: Any, declared: Any) -> list[Any]:
    # What is to be text: the value, its elements, or none of them.
    if declared in (str, str | None) or choice_of(declared) is not None:
        return [value]
    if get_args(declared)[-1:] != (str,):
        return []
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


def _refuse_key(key: str, value: Any, known: Mapping[str, Any]) -> NoReturn:
    hint = did_you_mean(key, known) or "; docs/configuration.md lists every setting"
    raise ConfigError(f"unknown setting '{key}' (value {show(value)}){hint}")


def _require_names(settings: Schema, prefix: str, plugins: Sequence[str]) -> None:
    for key, choice, name in choices_of(settings):
        known = [*choice.built_in, *plugged_in(choice.kind, plugins)]
        if name not in known:
            words = f"one of {', '.join(known)}, was {show(name)}{did_you_mean(name, known)}"
            raise ConfigError(f"{prefix}{key} must be {words}")


def _typed_object(schema: type[StageConfig], node: DictConfig, prefix: str) -> Any:
    return _object(_typed(schema, node, prefix), prefix)


def _typed(schema: type[Schema], node: DictConfig, prefix: str = "") -> DictConfig:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), node)
        OmegaConf.resolve(merged)
    except OmegaConfBaseException as error:
        raise _bad_value(schema, node, prefix, error) from error
    assert isinstance(merged, DictConfig)
    return merged


def _bad_value(schema: type[Schema], node: DictConfig, prefix: str, error: OmegaConfBaseException) -> ConfigError:
    key = str(error.full_key or "")
    name, item, _ = key.partition("[")
    declared = settings_of(schema).get(name)
    if declared is None:
        return ConfigError(f"{prefix}{key or 'the configuration'} cannot be resolved: {_one_line(error)}")
    value = OmegaConf.select(node, key, throw_on_missing=False)
    words = describe(get_args(declared)[0] if item else declared)
    hint = did_you_mean(str(value), valid_names(declared))
    return ConfigError(f"{prefix}{key} must be {words}, was {show(value)}{hint}")


def _object(node: DictConfig, prefix: str = "") -> Any:
    try:
        return OmegaConf.to_object(node)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{prefix}{error.full_key} cannot be read: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    cause = error if str(error).strip() else error.__cause__
    return " ".join(str(cause).split())
