"""The networks that members reason with, trained on generated markets before anything else: once, and kept."""

from collections.abc import Mapping
from pathlib import Path

from src.config.stages.autonomous import AutonomousStageConfig
from src.reasoning.patterns.training import is_pattern_network_kept, trained_pattern_network
from src.reasoning.regimes.neural_filter import NeuralFilterClassifier
from src.reasoning.regimes.neural_filter_training import is_neural_filter_kept, trained_neural_filter
from src.reporting.terminal.progress import RunProgress
from src.training.population.shared_market import possible_parts

REGIMES, PATTERNS = "regime network, step", "pattern network, step"


def untrained_networks(stage: AutonomousStageConfig) -> Mapping[str, int]:
    """Return how many steps each network that is needed and not yet kept will take."""
    parts, regime, pattern = possible_parts(stage), stage.mind.regime, stage.mind.pattern
    steps = {}
    filters = "regime" in parts and regime.method == NeuralFilterClassifier.name
    if filters and not is_neural_filter_kept(regime.neural_filter, Path(regime.cache_dir)):
        steps[REGIMES] = regime.neural_filter.steps
    if "pattern" in parts and not is_pattern_network_kept(pattern):
        steps[PATTERNS] = pattern.steps
    return steps


def train_networks(stage: AutonomousStageConfig, progress: RunProgress) -> None:
    """Train and keep what the members will reason with, unless it is kept already."""
    steps, mind = untrained_networks(stage), stage.mind

    def show(done: int, total: int) -> None:
        progress.update(done)

    if REGIMES in steps:
        progress.step(REGIMES, steps[REGIMES])
        trained_neural_filter(mind.regime.neural_filter, Path(mind.regime.cache_dir), progress=show)
    if PATTERNS in steps:
        progress.step(PATTERNS, steps[PATTERNS])
        trained_pattern_network(mind.pattern, show)
