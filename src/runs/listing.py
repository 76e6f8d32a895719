"""`show`: every run, model and report on the terminal; `show_one`: one of them in detail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from src.config.base import require_known
from src.config.baselines import BASELINE_NAMES
from src.market.available import available_data
from src.market.bars import symbol_id
from src.reporting.model_contents import Section
from src.reporting.terminal.plain_output import print_sections, standard_output
from src.runs.catalog import list_models, list_reports, list_runs
from src.runs.entries import Damaged, ModelEntry, ReportEntry, RunEntry
from src.runs.model_content import describe_model
from src.runs.tables import (
    damaged_lines,
    models_table,
    names_table,
    report_sections,
    reports_table,
    run_sections,
    runs_table,
)

Entry = RunEntry | ModelEntry | ReportEntry


@dataclass(frozen=True)
class Places:
    """Folders that are looked into."""

    runs: Path
    checkpoints: Path
    reports: Path


def show(places: Places, symbol: str | None = None) -> None:
    """Print tables of all there is, or of what belongs to one market."""
    runs = list_runs(places.runs)
    models = list_models(places.checkpoints)
    reports = list_reports(places.reports, places.runs)
    tables = (
        runs_table([run for run in runs.entries if _is_of(run, symbol)]),
        models_table([model for model in models.entries if _is_of(model, symbol)], places.checkpoints),
        reports_table([report for report in reports.entries if _is_of(report, symbol)]),
    )
    _print(tables, [*runs.damaged, *models.damaged, *reports.damaged])


def show_what_can_be_tested(places: Places, symbol: str | None = None) -> None:
    """Print tables of models, reports, baselines and data."""
    models, reports = list_models(places.checkpoints), list_reports(places.reports)
    tables = (
        models_table([model for model in models.entries if _is_of(model, symbol)], places.checkpoints),
        reports_table([report for report in reports.entries if _is_of(report, symbol)]),
        names_table("baselines", {"--model": BASELINE_NAMES}),
        names_table("data", {how: names for how, names in available_data(Path("data")).items() if names}),
    )
    _print(tables, [*models.damaged, *reports.damaged])


def show_one(name: str, places: Places) -> None:
    """Print what is known of a run, model file or report.

    Raises:
        ConfigError: nothing goes by that name.
    """
    listings = (list_runs(places.runs), list_models(places.checkpoints), list_reports(places.reports, places.runs))
    entries: list[Entry] = [entry for listing in listings for entry in listing.entries]
    print_sections(_described(name, entries, [one for listing in listings for one in listing.damaged]))


def _print(tables: Iterable[Table], damaged: Sequence[Damaged]) -> None:
    out = standard_output()
    for table in tables:
        if table.row_count:
            out.print(table)
        else:
            out.print(f"{table.title}: none yet\n", markup=False, highlight=False)
    for line in damaged_lines(damaged):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _is_of(entry: Entry, symbol: str | None) -> bool:
    return symbol is None or symbol_id(entry.symbol) == symbol_id(symbol)


def _described(name: str, entries: Sequence[Entry], damaged: Sequence[Damaged]) -> list[Section]:
    wanted = _ending(Path(name), [*map(_path, entries), *(one.path for one in damaged)])
    known = {_path(entry): entry for entry in entries}
    broken = {one.path: one for one in damaged}
    if wanted in broken:
        return [Section(wanted.name, [("Damaged", broken[wanted].reason)])]
    entry = known[wanted]
    if isinstance(entry, RunEntry):
        return run_sections(entry)
    return report_sections(entry) if isinstance(entry, ReportEntry) else describe_model(entry.path)


def _ending(name: Path, paths: Sequence[Path]) -> Path:
    # The first that ends in what was written; folders that lead elsewhere from here are overlooked.
    for count in range(len(name.parts), 0, -1):
        for path in sorted(paths, key=lambda path: len(path.parts)):
            if path.parts[-count:] == name.parts[-count:]:
                return path
    require_known("run, model or report", [name.name], [path.name for path in paths])
    raise AssertionError("an unknown name is refused")


def _path(entry: Entry) -> Path:
    return entry.path if isinstance(entry, ModelEntry) else entry.folder
