"""The genome of an agent: `CoreTransformerConfig`, memory, modules, and the hyperparameters of PPO.

A model is `num_heads * head_dim` wide with feed-forward layers `ff_ratio` times that, so heads always divide the width
and rotary positions always find pairs. A memory of size 0 is none, so no two genomes describe one agent.

Settings without a gene, such as dropout or the number of iterations, stay as configured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from src.config.model import CoreTransformerConfig
from src.config.stages.learning import LearningConfig
from src.config.stages.search_space import SearchSpaceConfig
from src.errors import ConfigError
from src.nas.genes import Choice, Gene, Range, Value
from src.nas.search_space import Genome, SearchSpace

_MODULE = "module_"  # prefix of the genes that switch a module on or off


@dataclass(frozen=True)
class AgentArchitecture:
    """What a genome says of shapes and parts."""

    core: CoreTransformerConfig
    memory_size: int  # events; 0 is no memory
    modules: tuple[str, ...]  # those switched on, by name


def agent_space(config: SearchSpaceConfig, start: Genome, stage: LearningConfig) -> SearchSpace:
    """Return the space that the settings describe, with the values of `start` among its choices.

    Raises:
        ConfigError: `start` lies outside a range, the shortest window is too short for the deepest encoder, or a number
            of minibatches does not divide the groups of the stage.
    """

    def choice(name: str) -> Choice:
        values = getattr(config, name)
        return Choice(name, values if start[name] in values else [*values, start[name]])

    shapes: list[Gene] = [choice(name) for name in (*config.ARCHITECTURE, *config.NAMES, "memory_size")]
    shortest, deepest = (bound([*getattr(config, n), start[n]]) for bound, n in ((min, "window"), (max, "num_layers")))
    if shortest < deepest + 1:
        raise ConfigError(
            f"a window of {shortest} bars is too short for {deepest} layers, which read {deepest + 1} at least; raise "
            "model.core.window or search.window, or lower model.core.num_layers or search.num_layers"
        )
    switches = [Choice(f"{_MODULE}{name}", [False, True]) for name in config.modules]
    training = [choice(name) for name in config.CHOICES]
    bounds = {name: getattr(config, name) for name in config.RANGES}
    ranges = [Range(name, low, high, name in config.LOG_RANGES) for name, (low, high) in bounds.items()]
    odd = [count for count in config.minibatches if stage.groups % count]
    if odd:
        raise ConfigError(f"minibatches must divide groups={stage.groups}, but {odd} of the search space do not")
    space = SearchSpace([*shapes, *switches], [*training, *ranges])
    space.check(start)
    return space


def genome_of(
    config: SearchSpaceConfig,
    core: CoreTransformerConfig,
    stage: LearningConfig,
    memory_size: int,
    modules: Sequence[str],
) -> Genome:
    """Return the genome of configured settings, from which a search starts."""
    head_dim = core.d_model // core.num_heads
    derived: dict[str, Value] = {"head_dim": head_dim, "ff_ratio": core.ff_dim / core.d_model}
    kept = {name: getattr(core, name) for name in config.ARCHITECTURE if name not in derived}
    names = {name: getattr(core, name).value for name in config.NAMES}
    switches = {f"{_MODULE}{name}": name in modules for name in config.modules}
    training = {name: getattr(stage, name) for name in (*config.CHOICES, *config.RANGES)}
    return derived | kept | names | {"memory_size": memory_size} | switches | training


def architecture_of(genome: Genome, core: CoreTransformerConfig) -> AgentArchitecture:
    """Return the architecture of a genome; what has no gene is taken from `core`."""
    width = int(genome["num_heads"]) * int(genome["head_dim"])
    genes: dict[str, Any] = {name: genome[name] for name in ("num_layers", "num_heads", "window")}
    genes |= {name: kind(genome[name]) for name, kind in SearchSpaceConfig.NAMES.items()}
    built = replace(core, d_model=width, ff_dim=max(1, round(float(genome["ff_ratio"]) * width)), **genes)
    modules = sorted(name.removeprefix(_MODULE) for name, on in genome.items() if name.startswith(_MODULE) and on)
    return AgentArchitecture(built, int(genome["memory_size"]), tuple(modules))


def stage_of(genome: Genome, stage: LearningConfig) -> LearningConfig:
    """Return the stage with the hyperparameters of a genome."""
    names = (*SearchSpaceConfig.CHOICES, *SearchSpaceConfig.RANGES)
    genes: dict[str, Any] = {name: genome[name] for name in names}
    return replace(stage, **genes)
