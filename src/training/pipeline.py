"""Runs the configured sequence of stages in one run folder, resuming what is incomplete."""

import logging
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.agents.model_file import CHAMPION_STAGE, model_path
from src.config.load import config_hash, save_resolved
from src.config.plain import to_plain
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.training import TrainingConfig
from src.market.bars import BarSeries, symbol_id
from src.reporting.tracking import build_tracker
from src.runs.run_folder import CONFIG_FILE, DATA_FILE, StageFolder, StageResult, locked, run_id, write_json
from src.storage import write_atomic
from src.training.autonomous_trainer import run_autonomous_stage
from src.training.rllib.ray_runtime import ray_session
from src.training.stage import StageContext
from src.training.stage_trainer import train_stage
from src.training.training_data import TrainingData, prepare_data
from src.training.warm_start import check_warm_starts

logger = logging.getLogger(__name__)

TRAINERS: dict[str, Callable[[StageContext], StageResult]] = {
    "PPO": train_stage,
    "MoE": train_stage,
    "MAML": train_stage,
    "Autonomous": run_autonomous_stage,
}


def run_sequence(config: TrainingConfig) -> dict[str, StageResult]:
    """Train every stage of `config.sequence` in order; completed ones are not repeated.

    Returns:
        The result of each stage by name.
    """
    data = prepare_data(config)
    check_warm_starts(config, data)
    folder = run_folder(config, data)
    with locked(folder):
        if config.run.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        _announce(folder, data)
        folder.mkdir(parents=True, exist_ok=True)
        save_resolved(config, folder / CONFIG_FILE)
        write_json(folder / DATA_FILE, _describe_data(data.bars))
        with ExitStack() as stack:
            if any(StageFolder(folder / name).result is None for name in config.sequence):
                stack.enter_context(ray_session(config.runtime, processes=_processes(config)))  # one for all stages
            return {name: _run_stage(name, config, data, folder) for name in config.sequence}


def run_folder(config: TrainingConfig, data: TrainingData) -> Path:
    """Return where the run of these settings on these data lives; however symbols are spelt, it is one run."""
    symbol = symbol_id(config.symbol)
    alike = replace(config, symbol=symbol, symbols=[symbol_id(other) for other in config.symbols])
    identity = run_id(config_hash(alike), data.fingerprint)
    return Path(config.run.runs_dir) / f"{symbol}_{identity}"


def published_path(name: str, config: TrainingConfig) -> Path:
    """Return where backtests look for the model of a stage; that of a population is the champion."""
    crowned = isinstance(config.sequence[name], AutonomousStageConfig)
    return model_path(config.symbol, CHAMPION_STAGE if crowned else name, Path(config.run.checkpoints_dir))


def _run_stage(name: str, config: TrainingConfig, data: TrainingData, folder: Path) -> StageResult:
    stage_folder = StageFolder(folder / name)
    target = published_path(name, config)
    done = stage_folder.result
    if done is not None:
        logger.info("%s is complete already (run.fresh=true trains anew): %s", name, target)
        _publish(stage_folder, target)
        return done
    stage = config.sequence[name]
    stage_folder.path.mkdir(parents=True, exist_ok=True)
    tracker = build_tracker(config.tracking, stage_folder.path, name=f"{folder.name}/{name}", settings=to_plain(config))
    context = StageContext(name, stage, config, data, stage_folder, tracker, target)
    try:
        result = TRAINERS[stage.algorithm](context)
    finally:
        tracker.close()
    _publish(stage_folder, target)
    stage_folder.complete(result)
    return result


def _processes(config: TrainingConfig) -> int:
    # The most that any stage puts to work at the same time.
    workers = [stage.workers for stage in config.sequence.values() if isinstance(stage, AutonomousStageConfig)]
    return max(workers, default=1)


def _publish(folder: StageFolder, target: Path) -> None:
    """Put the stage's model where backtests look for it; the run keeps its own, whichever run published last."""
    if not target.exists() or target.read_bytes() != folder.model.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, folder.model.read_bytes())


def _describe_data(bars: BarSeries) -> dict[str, Any]:
    times = bars.close_time[[0, -1]].tolist()
    return {"fingerprint": bars.fingerprint, "timeframe": bars.timeframe, "bars": len(bars), "time": times}


def _announce(folder: Path, data: TrainingData) -> None:
    bars, splits = data.bars, data.splits
    verb = "continuing" if folder.exists() else "starting"
    logger.info("%s run %s", verb, folder)
    logger.info(
        "%s %s: %d bars; train %d, validation %d, test %d",
        bars.symbol,
        bars.timeframe,
        len(bars),
        len(splits.train),
        len(splits.validation),
        len(splits.test),
    )
    if len(data.training_markets) > 1:
        learned = ", ".join(f"{market.bars.symbol} {len(market.rows)}" for market in data.training_markets)
        logger.info("learning from the bars of %s", learned)
