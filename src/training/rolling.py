"""Rolling retrain: train and choose on the past, trade the bars that follow, move on.

    bars   |........ train ........|. validation .|# step 1 #|
           |........... train ..........|. validation .|# step 2 #|
           |............. train .............|. validation .|# step 3 #|

The steps tile the configured test split. Each is a run of the whole sequence on bars that end with its part of the test
split, which is the test split of that run, so nothing is learned, chosen or scaled by these bars or later ones. Laid
end to end, the returns are an out-of-sample record of the method, not of one model. Every step is an ordinary run: the
same command continues a killed one.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.agents.baselines import INDICATOR_BASELINES, make_baseline
from src.agents.model_file import ModelFile, load_model
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.base import require
from src.config.data import SplitConfig
from src.config.load import config_hash
from src.config.plain import to_plain
from src.config.training import TrainingConfig
from src.config.used_plugins import used_plugins
from src.errors import ConfigError, DataError
from src.evaluation.returns import simple_returns
from src.evaluation.walk_forward import Stitched, stitch, walk_forward_folds
from src.journal.trials import open_trials, stretch_of
from src.market.bars import BarSeries, symbol_id
from src.market.sources import load_bars
from src.market.splits import MIN_PART_ROWS
from src.reporting.html.rolling_page import write_rolling
from src.reporting.report import write_result
from src.reporting.rolling import RollingRecord
from src.reporting.summary import Description, Report, make_report
from src.runs.run_folder import run_id
from src.seeding import generator
from src.trading.rules import TradingRules
from src.trading.setup import make_setup
from src.training.algorithms import algorithm_of
from src.training.pipeline import published_path, run_sequence
from src.training.plan import describe_run
from src.training.requirements.names import refuse_outside_models

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RollingStep:
    """Settings of a run on bars [0, rows.stop), and the rows its newest model trades: its test split."""

    name: str
    config: TrainingConfig
    rows: range


class _Traded(NamedTuple):
    """A step's report; where a gate judged its model, the verdict, and the run under whose name it looked."""

    report: Report
    verdict: str | None
    run: str | None


def run_rolling(config: TrainingConfig, steps: int) -> tuple[RollingRecord, Path]:
    """Train and trade every step and write the record.

    Returns:
        The record and its page; the models of step k lie in `step_k/` beside it, with a report of their own.

    Raises:
        ConfigError: steps cannot be had with these settings.
        DataError: the data cannot be read or is too short.
    """
    bars = load_bars(config.symbol, config.data, config.seed)
    folder = _folder(config, bars, steps)
    plan = rolling_steps(config, bars, steps, folder)
    traded = [_traded(step, bars, folder) for step in plan]
    reports = [step.report for step in traded]
    rows = range(plan[0].rows.start, plan[-1].rows.stop)
    closes = bars.close[rows.start : rows.stop]
    record = RollingRecord(
        steps=tuple(reports),
        verdicts=tuple(step.verdict for step in traded),
        stitched=_stitched([report.equity for report in reports], config, bars),
        market=stitch([simple_returns(closes, float(closes[0]))], bars.bars_per_year, _rng(config)),
        baselines={name: _baseline(name, plan, bars) for name in INDICATOR_BASELINES},
        looks=_look(config, bars, rows, folder.name, [step.run for step in traded if step.run]),
    )
    return record, write_rolling(folder, record)


def describe_rolling(config: TrainingConfig, steps: int) -> Iterator[str]:
    """Yield lines that say what `run_rolling` would do; nothing is written."""
    bars = load_bars(config.symbol, config.data, config.seed)
    for step in rolling_steps(config, bars, steps, _folder(config, bars, steps)):
        first, last = (str(bars.open_time[row].astype("datetime64[ms]"))[:10] for row in (step.rows[0], step.rows[-1]))
        yield f"{step.name} of {steps}: to trade {first} to {last}, {len(step.rows)} bars"
        for line in describe_run(step.config):
            yield f"  {line}"


def rolling_steps(config: TrainingConfig, bars: BarSeries, steps: int, folder: Path) -> list[RollingStep]:
    """Return the steps in order of time.

    The test split is cut into parts of equal length; bars left over come first and are learned from. Before a part,
    training and validation split share the bars as configured.

    Args:
        folder: where the models of step k go, into `step_k/`.

    Raises:
        ConfigError: no steps, a share of bars to learn from that no split may have, or a stage that starts from a model
            which may have seen the parts.
        DataError: parts of fewer than two bars.
    """
    require(steps >= 1, f"--rolling must be >= 1, was {steps}")
    refuse_outside_models(config)
    splits = make_setup(config, bars).splits
    size = len(splits.test) // steps
    if size < MIN_PART_ROWS:
        raise DataError(
            f"the test split of {bars.symbol} holds {len(splits.test)} bars, too few for --rolling {steps}; ask for"
            " fewer steps, leave data.split more bars to test on, or load more"
        )
    folds = walk_forward_folds(splits.all, steps, size, config.data.split.embargo_bars)
    return [
        RollingStep(
            name, _config_of(config, bars, range(splits.all.start, fold.test.stop), size, folder / name), fold.test
        )
        for name, fold in ((f"step_{place}", fold) for place, fold in enumerate(folds, start=1))
    ]


def newest_model(config: TrainingConfig) -> Path:
    """Return where the model of a finished run lies that would trade now: the champion, or that of the last stage."""
    names = list(config.sequence)
    champions = [name for name in names if algorithm_of(config.sequence[name], config.plugins).ends_in_champion]
    return published_path((champions or names)[-1], config)


def _config_of(config: TrainingConfig, bars: BarSeries, rows: range, size: int, folder: Path) -> TrainingConfig:
    # A run that sees the bars before `rows.stop` alone and tests on the last `size` of them.
    end = bars.open_time[rows.stop] if rows.stop < len(bars) else bars.close_time[-1]
    try:
        split = _split(config.data.split, rows, size)
    except ConfigError as error:
        raise ConfigError(
            f"steps of {size} bars after {len(rows) - size} are too short: {error}; ask for fewer"
        ) from error
    data = replace(config.data, end=str(end.astype("datetime64[ms]")), split=split)
    return replace(config, data=data, run=replace(config.run, name=None, publish=True, checkpoints_dir=str(folder)))


def _split(split: SplitConfig, rows: range, size: int) -> SplitConfig:
    # The fractions that make `chronological_splits` of these rows test on the last `size`.
    usable = len(rows) - split.embargo_bars * (2 if split.validation_frac > 0 else 1)
    past = usable - size
    train = round(past * split.train_frac / (split.train_frac + split.validation_frac))
    return replace(split, train_frac=train / usable, validation_frac=(past - train) / usable)


def _traded(step: RollingStep, bars: BarSeries, folder: Path) -> _Traded:
    config, past = step.config, bars[: step.rows.stop]
    run_sequence(config)
    path = newest_model(config)
    file = load_model(path)
    if file.data_fingerprint != past.fingerprint:
        raise DataError(f"the bars of {bars.symbol} changed while {step.name} was trained; run the same command again")
    rules = TradingRules.from_plain(file.rules)
    result = run_backtest(agent_from_file(file), past, rules, step.rows)
    report = make_report(
        _description(step, file, path),
        result.records,
        result.traded_bars,
        bars.bars_per_year,  # one for all steps
        result.initial_equity,
        _rng(config),
    )
    write_result(folder / step.name, report)
    logger.info("%s: %+.2f%% on %d bars", step.name, 100 * report.performance.total_return, len(step.rows))
    return _Traded(report, file.verdict if file.dossier else None, file.dossier.get("run"))


def _look(config: TrainingConfig, bars: BarSeries, rows: range, name: str, steps: Sequence[str]) -> int:
    # The steps looked at parts of these bars, as parts of this record.
    with open_trials(config.run) as log:
        return log.look(stretch_of(bars, rows, config.data.source), name, "rolling", parts=steps).number


def _description(step: RollingStep, file: ModelFile, path: Path) -> Description:
    return Description(
        model=f"{symbol_id(file.symbol)} {file.stage}",
        symbol=file.symbol,
        timeframe=file.timeframe,
        split=step.name,
        data_fingerprint=file.data_fingerprint,
        model_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        costs=file.rules["costs"],
        config=to_plain(step.config),
    )


def _stitched(equities: list[np.ndarray], config: TrainingConfig, bars: BarSeries) -> Stitched:
    initial = config.environment.initial_equity
    return stitch([simple_returns(equity, initial) for equity in equities], bars.bars_per_year, _rng(config))


def _baseline(name: str, plan: list[RollingStep], bars: BarSeries) -> Stitched:
    # As configured, whatever a champion changed about its own rules.
    returns = []
    for step in plan:
        past = bars[: step.rows.stop]
        rules = make_setup(step.config, past).rules
        returns.append(run_backtest(make_baseline(name, rules), past, rules, step.rows).returns())
    return stitch(returns, bars.bars_per_year, _rng(plan[0].config))


def _rng(config: TrainingConfig) -> np.random.Generator:
    return generator(config.seed, "rolling", "bootstrap")


def _folder(config: TrainingConfig, bars: BarSeries, steps: int) -> Path:
    alike = replace(config, symbol=symbol_id(config.symbol))
    identity = run_id(f"{config_hash(alike)}|{steps}", bars.fingerprint, used_plugins(config))
    return Path(config.run.runs_dir) / f"rolling_{identity}"
