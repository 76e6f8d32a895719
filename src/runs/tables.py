"""The catalogue in words: a table of each kind of entry, and everything about one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.model_contents import Section, headline_rows
from src.runs.entries import Damaged, ModelEntry, ReportEntry, RunEntry, StageEntry, State

_FINGERPRINT_DIGITS = 8  # enough to see which of a few data sets it was


def runs_table(runs: Sequence[RunEntry]) -> Table:
    """Return one line a run: how far it is, and what its last finished stage reached on the validation split."""
    table = _table(
        "runs", "run", "name", "symbol", "state", "stages", "return", "Sharpe", "verdict", "data", "changed", "note"
    )
    for run in runs:
        champion = run.champion
        _add(
            table,
            run.name,
            run.title,
            f"{run.symbol} {run.timeframe}".strip(),
            run.state.value,
            f"{len(run.finished)} of {len(run.stages)}",
            *_return_and_sharpe(run.reached),
            UNDEFINED if champion is None else champion.verdict,
            _short(run.data_fingerprint),
            _moment(run.changed),
            run.note,
        )
    return table


def models_table(models: Sequence[ModelEntry], checkpoints: Path) -> Table:
    """Return one line a model file, with what it reached on the validation split."""
    table = _table("models", "file", "symbol", "kind", "role and verdict", "return", "Sharpe", "written")
    for model in models:
        _add(
            table,
            _below(model.path, checkpoints),
            f"{model.symbol} {model.timeframe}",
            model.kind,
            ", ".join(filter(None, (model.role, model.verdict.partition(":")[0]))),
            *_return_and_sharpe(model.validation),
            _day(model.written),
        )
    return table


def reports_table(reports: Sequence[ReportEntry]) -> Table:
    """Return one line for each model of a report, with what it reached there."""
    table = _table("reports", "report", "symbol", "split", "model", "return", "Sharpe", "written")
    for report in reports:
        for place, (model, figures) in enumerate(report.figures.items()):
            about = (report.folder.name, f"{report.symbol} {report.timeframe}", report.split)
            head, when = (about, _day(report.written)) if place == 0 else ([""] * len(about), "")
            _add(table, *head, model, *_return_and_sharpe(figures), when)
    return table


def names_table(title: str, names: Mapping[str, Sequence[str]]) -> Table:
    """Return one line for each way to name something, with the names there are."""
    table = _table(title, "how", "names")
    for how, known in names.items():
        _add(table, how, ", ".join(known))
    return table


def _below(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def damaged_lines(damaged: Sequence[Damaged]) -> list[str]:
    """Say of each what keeps it from being read."""
    return [f"damaged: {one.reason}" for one in damaged]


def run_sections(run: RunEntry) -> list[Section]:
    """Describe a run and each of its stages."""
    about = [
        ("Folder", str(run.folder)),
        ("Name", run.title or UNDEFINED),
        ("Note", run.note or UNDEFINED),
        ("State", run.state.value),
        ("Symbol, timeframe", f"{run.symbol}, {run.timeframe or 'not known'}"),
        ("Seed", str(run.seed)),
        ("Data fingerprint", run.data_fingerprint or "not known"),
        ("Changed", _moment(run.changed)),
    ]
    return [Section("Run", about), *map(_stage_section, run.stages)]


def report_sections(report: ReportEntry) -> list[Section]:
    """Describe a report: what was traded, what was found, and what each model reached."""
    about = [
        ("Folder", str(report.folder)),
        ("Kind", report.kind),
        ("Symbol, timeframe", f"{report.symbol}, {report.timeframe}"),
        ("Split", f"{report.split}, {report.first_day} to {report.last_day}"),
        ("Data fingerprint", report.data_fingerprint),
        ("Written", _moment(report.written)),
        *(("Verdict", verdict) for verdict in report.verdicts),
    ]
    return [Section("Report", about), *(Section(name, headline_rows(plain)) for name, plain in report.figures.items())]


def _stage_section(stage: StageEntry) -> Section:
    unit = "generations" if stage.algorithm == "Autonomous" else "iterations"
    rows = [("State", stage.state.value), ("Algorithm", stage.algorithm)]
    if stage.state is not State.waiting:
        rows.append(
            (unit.capitalize(), str(stage.done) + (f" of {stage.planned}" if stage.planned is not None else ""))
        )
    if stage.result is not None:
        reached = headline_rows(stage.result.validation)
        rows += [
            ("Published as", str(stage.result.model_path)),
            *((f"Validation: {one}", text) for one, text in reached),
        ]
    if stage.model is not None:
        rows.append(("Verdict", stage.model.verdict))
    if stage.problem:
        rows.append(("Problem", stage.problem))
    return Section(stage.name, rows)


def _table(title: str, *columns: str) -> Table:
    # Texts fold where a terminal is narrow; figures and days do not.
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        figures = column in ("return", "Sharpe")
        whole = figures or column == "written"
        table.add_column(column, justify="right" if figures else "left", overflow="fold", no_wrap=whole)
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*map(Text, cells))


def _return_and_sharpe(figures: Mapping[str, Any]) -> tuple[str, str]:
    return percent(figures.get("total_return"), sign=True), number(figures.get("sharpe"))


def _short(fingerprint: str) -> str:
    return fingerprint[:_FINGERPRINT_DIGITS] or UNDEFINED


def _day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
