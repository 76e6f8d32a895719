"""The end of a training run in words: every stage on the same bars, what that is worth, and where to go on."""

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from src.agents.baselines import make_baseline
from src.backtesting.engine import run_backtest
from src.command_line import program
from src.config.stages.learning import Keep
from src.config.trading import ActionKind
from src.config.training import TrainingConfig
from src.reporting.terminal.plain_output import standard_output
from src.reporting.tracking.metrics_file import METRICS_FILE, read_metrics
from src.runs.model_content import read_content
from src.runs.run_folder import StageFolder, StageResult
from src.training.algorithms import algorithm_of
from src.training.autonomous_trainer import PAGE_FILE
from src.training.stage_run import run_folder
from src.training.training_data import TrainingData

_COLUMNS = (
    ("return", "total_return", "{:+.1%}"),
    ("Sharpe", "sharpe", "{:.2f}"),
    ("drawdown", "max_drawdown", "{:.1%}"),
    ("exposure", "exposure", "{:.2f}"),
)
_ENTROPY = ("losses/entropy", "champion/losses/entropy")
_HARDLY_LEARNED = 0.95  # of the entropy of a policy that draws among its targets blindly


def print_summary(config: TrainingConfig, data: TrainingData, results: Mapping[str, StageResult], again: str) -> None:
    """Print what each stage reached beside buying and holding, what to think of it, and what to run next.

    Args:
        again: the command that ran this, as it would be typed.
    """
    folder, out = run_folder(config, data), standard_output()
    out.print(_table(config, data, results))
    for line in (*_remarks(config, data, results, folder), *_places(config, results, folder, again)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(config: TrainingConfig, data: TrainingData, results: Mapping[str, StageResult]) -> Table:
    rows = data.splits.validation
    table = Table(title=f"{config.symbol}: validation split, {len(rows)} bars", title_justify="left")
    table.add_column("stage", overflow="fold")
    for title in (*(title for title, _, _ in _COLUMNS), "time"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, result in results.items():
        mark = " *" if _is_chosen(config, name, result) else ""
        table.add_row(f"{name}{mark}", *_figures(result.validation), f"{result.train_seconds:,.0f} s")
    holding = run_backtest(make_baseline("buy_and_hold", data.rules), data.bars, data.rules, rows).performance()
    table.add_row("buy and hold", *_figures(asdict(holding)), "")
    return table


def _figures(reached: Mapping[str, Any]) -> list[str]:
    values = [(reached.get(key), form) for _, key, form in _COLUMNS]
    return [form.format(value) if isinstance(value, float | int) else "-" for value, form in values]


def _is_chosen(config: TrainingConfig, name: str, result: StageResult) -> bool:
    # By figures of the validation split; whoever keeps its last weights has chosen nothing.
    return result.evaluations > 1 and getattr(config.sequence[name], "keep", None) is not Keep.last


def _remarks(
    config: TrainingConfig, data: TrainingData, results: Mapping[str, StageResult], folder: Path
) -> Iterator[str]:
    if any(_is_chosen(config, name, result) for name, result in results.items()):
        yield "* chosen by its figures on these very bars, which flatter it"
    for name in results:
        stage = StageFolder(folder / name)
        if algorithm_of(config.sequence[name], config.plugins).ends_in_champion:
            yield f"verdict on {name}, by bars no stage has seen: {read_content(stage.model)['verdict']}"
        action = data.rules.action
        found = blindness(stage.path, len(action.targets)) if action.kind is ActionKind.discrete else None
        if found is not None and found >= _HARDLY_LEARNED:
            yield f"{name} has hardly learned: its choice of positions is {found:.0%} as random as drawing lots"


def blindness(folder: Path, targets: int) -> float | None:
    """Return how far a policy is from having learned to choose: 1 draws among its targets blindly, 0 is always sure.

    It is the entropy of the policy as it was last logged, as a part of the largest there is.

    Args:
        folder: of the stage.
        targets: among which it chooses, at least 2.

    Returns:
        None where no entropy was logged.
    """
    logged = [line[name] for line in read_metrics(folder / METRICS_FILE) for name in _ENTROPY if name in line]
    last = logged[-1] if logged else None
    return None if last is None else last / math.log(targets)


def _places(config: TrainingConfig, results: Mapping[str, StageResult], folder: Path, again: str) -> Iterator[str]:
    for name, result in results.items():
        yield f"model of {name}: {result.model_path}"
        if (page := folder / name / PAGE_FILE).exists():
            yield f"how it was bred: {page}"
    if config.tracking.tensorboard:
        yield f"curves: tensorboard --logdir {shlex.quote(str(folder))}"
    for name, result in results.items():
        if folder.resolve() in result.model_path.resolve().parents:
            yield f"{name} is not published: a champion with a stronger verdict is; to replace it: {again} --publish"
    last = list(results.values())[-1].model_path
    options = shlex.join(["--symbol", config.symbol, "--model", str(last)])
    yield f"next: {program('run_backtest.py')} {options}"
