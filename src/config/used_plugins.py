"""Which plug-ins a training run rests on: those that hold something its settings name."""

from collections.abc import Iterator

from src.config.fields import choices_of
from src.config.training import StageSettings, TrainingConfig
from src.plugins import plugged_in


def used_plugins(config: TrainingConfig) -> list[str]:
    """Return the modules that hold what training uses, in the order of `plugins`; a baseline's is left out.

    Raises:
        ConfigError: a plug-in cannot be used.
    """
    holders = {plugged_in(kind, config.plugins).get(name) for kind, name in _named(config)}
    return [module for module in config.plugins if module in holders]


def _named(config: TrainingConfig) -> Iterator[tuple[str, str]]:
    yield from (("feature", name) for name in config.features.names)
    yield from ((StageSettings.kind, stage.algorithm) for stage in config.sequence.values())
    for settings in (config, *config.sequence.values()):
        yield from ((choice.kind, name) for _, choice, name in choices_of(settings))
