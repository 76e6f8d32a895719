"""A stage in its run folder: what is complete is taken, the rest trained or continued, and the model published."""

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.agents.model_file import CHAMPION_STAGE, model_path
from src.config.load import config_hash, save_resolved
from src.config.plain import to_plain
from src.config.training import TrainingConfig
from src.config.used_plugins import used_plugins
from src.errors import ConfigError
from src.market.bars import BarSeries, symbol_id
from src.reporting.terminal.progress import RunProgress
from src.reporting.tracking.build import build_tracker
from src.reporting.tracking.tracker import Moment
from src.runs.publication import publish
from src.runs.run_folder import CONFIG_FILE, DATA_FILE, StageFolder, StageResult, locked, run_id, write_json
from src.signing.signature import public_text
from src.signing.signing_key import own_key
from src.training.rllib.ray_runtime import ray_session
from src.training.stage import StageContext, StageInputs
from src.training.stage_outcome import outcome_of
from src.training.training_data import TrainingData

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)


def run_folder(config: TrainingConfig, data: TrainingData) -> Path:
    """Return where the run of these settings on these data lives; however symbols are spelt, it is one run."""
    symbol = symbol_id(config.symbol)
    alike = replace(config, symbol=symbol, symbols=[symbol_id(other) for other in config.symbols])
    identity = run_id(config_hash(alike), data.fingerprint, used_plugins(config))
    return Path(config.run.runs_dir) / f"{symbol}_{identity}"


@contextmanager
def open_run(
    config: TrainingConfig, data: TrainingData, stages: Collection[StageInputs], progress: RunProgress
) -> Iterator[Path]:
    """Lend the folder of a run to this process alone, with a Ray session while there is a stage to train.

    Raises:
        RunLocked: another process has it.
    """
    folder = run_folder(config, data)
    with locked(folder):
        if config.run.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        _announce(folder, data)
        folder.mkdir(parents=True, exist_ok=True)
        save_resolved(config, folder / CONFIG_FILE)
        write_json(folder / DATA_FILE, _describe_data(data.bars))
        with ExitStack() as stack:
            if any(not is_complete(inputs, folder) for inputs in stages):
                progress.step("starting Ray")
                processes = max(inputs.stage.processes for inputs in stages)
                stack.enter_context(ray_session(config.runtime, processes))  # one for all stages
            yield folder


def is_complete(inputs: StageInputs, folder: Path) -> bool:
    """Say whether a stage has been trained to its end in this run."""
    return StageFolder(folder / inputs.name).result is not None


def run_stage(
    inputs: StageInputs,
    folder: Path,
    published: Path,
    train: Callable[[StageContext], StageResult],
    progress: RunProgress,
) -> StageResult:
    """Train one stage unless it is complete, and publish its model. Needs a Ray session unless it is.

    Args:
        folder: of the run.
        published: where backtests look for the model.
        train: of the stage's algorithm.
    """
    stage_folder = StageFolder(folder / inputs.name)
    done = stage_folder.result
    if done is not None:
        logger.info("%s is complete already (run.fresh=true trains anew): %s", inputs.name, stage_folder.model)
        return replace(done, model_path=_publish(inputs, stage_folder, published))
    config = inputs.config
    progress.stage(inputs.name)
    stage_folder.path.mkdir(parents=True, exist_ok=True)
    tags = (symbol_id(config.symbol), inputs.data.bars.timeframe, inputs.name)
    tracker = build_tracker(config.tracking, stage_folder.path, to_plain(config), inputs.stage.algorithm, tags)
    try:
        result = train(
            StageContext(**vars(inputs), folder=stage_folder, tracker=tracker, model_path=published, progress=progress)
        )
        result = replace(result, model_path=_publish(inputs, stage_folder, published))
        stage_folder.complete(result)  # before a tracker is told, which may fail
        tracker.finish(Moment(result.iterations, result.env_steps), outcome_of(inputs, stage_folder.model, result))
    finally:
        tracker.close()
    return result


def _publish(inputs: StageInputs, folder: StageFolder, target: Path) -> Path:
    # Returns where the model is to be found.
    is_champion = target == model_path(inputs.config.symbol, CHAMPION_STAGE, target.parent)
    key = _key_for(target) if is_champion else None
    publication = publish(folder.model, target, inputs.config.run.publish, key)
    if publication.refusal:
        logger.warning("%s is not published: %s; --publish replaces it", inputs.name, publication.refusal)
    elif key is not None:
        logger.info('%s is signed; real orders need verification_key: "%s"', target, public_text(key))
    return publication.path


def _key_for(target: Path) -> "Ed25519PrivateKey | None":
    # What was trained is not lost for want of a key.
    try:
        return own_key(os.environ)
    except ConfigError as error:
        logger.warning("the champion is not signed, so it trades on paper only: %s", error)
        logger.warning("once that is put right: %s", shlex.join([sys.executable, "-m", "src.signing", str(target)]))
        return None


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
