"""Runs the configured sequence of stages in one run folder, resuming what is incomplete."""

from collections.abc import Sequence
from pathlib import Path

from src.agents.model_file import CHAMPION_STAGE, model_path
from src.config.base import require
from src.config.training import TrainingConfig
from src.errors import ConfigError, TraderError
from src.reporting.terminal.progress import RunProgress
from src.runs.run_folder import StageResult
from src.training.algorithms import algorithm_of
from src.training.requirements.names import earlier_stages
from src.training.stage import StageInputs
from src.training.stage_run import is_complete, open_run, run_stage
from src.training.training_data import TrainingData, prepare_data
from src.training.warm_start import published_model


def run_sequence(config: TrainingConfig, data: TrainingData | None = None) -> dict[str, StageResult]:
    """Train every stage of `config.sequence` in order; completed ones are not repeated.

    Args:
        config: settings of the run.
        data: what `prepare_data` makes of them, where it is there already.

    Returns:
        The result of each stage by name.
    """
    with RunProgress(config.tracking.progress) as progress:
        if data is None:
            progress.step("reading bars and fitting features")
            data = prepare_data(config)
        stages = prepare_stages(config, data)
        with open_run(config, data, stages.values(), progress) as folder:
            _plan([inputs for inputs in stages.values() if not is_complete(inputs, folder)], progress)
            results = {}
            for name, inputs in stages.items():
                train = algorithm_of(inputs.stage, config.plugins).train
                results[name] = run_stage(inputs, folder, published_path(name, config), train, progress)
            return results


def _plan(stages: Sequence[StageInputs], progress: RunProgress) -> None:
    # A stage by itself tells its own speed soon enough.
    if progress.is_shown and len(stages) > 1:
        progress.step("timing a little of each stage")
        plans = {inputs.name: algorithm_of(inputs.stage, inputs.config.plugins).plan(inputs) for inputs in stages}
        progress.plan({name: plan.steps for name, plan in plans.items()})


def prepare_stages(config: TrainingConfig, data: TrainingData) -> dict[str, StageInputs]:
    """Return what each stage works on, having refused all that a stage could not do once its turn has come.

    Raises:
        ConfigError: a stage cannot work with its settings, or two would publish a champion; or one starts from one that
            comes later, from one or a file that does not exist or is damaged, from a model of other networks, or from
            one that was fed other features.
        DataError: the data are too short for a stage.
    """
    _require_one_champion(config)
    stages: dict[str, StageInputs] = {}
    for name, stage in config.sequence.items():
        algorithm = algorithm_of(stage, config.plugins)
        stages[name] = StageInputs(name, stage, config, data, algorithm.markets(stage, data.training_markets))
        algorithm.check(stages[name])
        if stage.init_from is not None:
            _check_start(stages[name], stages)
    return stages


def _require_one_champion(config: TrainingConfig) -> None:
    champions = [
        name for name, stage in config.sequence.items() if algorithm_of(stage, config.plugins).ends_in_champion
    ]
    require(
        len(champions) <= 1,
        f"sequence holds {len(champions)} stages that end in a champion ({', '.join(champions)}), which would share one"
        " file and one look at the sealed bars; train them as runs of their own",
    )


def published_path(name: str, config: TrainingConfig) -> Path:
    """Return where backtests look for the model of a stage; that of a population is the champion."""
    is_champion = algorithm_of(config.sequence[name], config.plugins).ends_in_champion
    return model_path(config.symbol, CHAMPION_STAGE if is_champion else name, config.run.models_dir)


def _check_start(inputs: StageInputs, stages: dict[str, StageInputs]) -> None:
    name, config = inputs.stage.init_from, inputs.config
    try:
        if name in earlier_stages(inputs.name, config):
            source = algorithm_of(stages[name].stage, config.plugins).hands_over(stages[name])
        else:
            source = published_model(inputs.name, name, config)
        algorithm_of(inputs.stage, config.plugins).check_start(inputs, source)
    except TraderError as error:
        raise ConfigError(f"sequence.{inputs.name}.init_from='{name}': {error}") from error
