"""List runs, models and reports, or show one: `python -m src.runs`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.command_line import Parser, exit_code
from src.config.base import require_known
from src.market.bars import symbol_id
from src.reporting.model_contents import Section
from src.reporting.terminal.plain_output import print_sections, standard_output
from src.runs.catalog import list_models, list_reports, list_runs
from src.runs.entries import Damaged, ModelEntry, ReportEntry, RunEntry
from src.runs.model_content import describe_model
from src.runs.tables import damaged_lines, models_table, report_sections, reports_table, run_sections, runs_table

Entry = RunEntry | ModelEntry | ReportEntry

_EXAMPLES = """\
examples:
  python -m src.runs                          every run, model and report
  python -m src.runs --symbol BTC/USDT        those of one market
  python -m src.runs SP500_0123456789ab       one run, stage by stage; or the name of a model file or a report"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _run(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m src.runs",
        description="List what was trained and tested, also while a run is going on.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", help="show this run, model file or report")
    parser.add_argument("--symbol", help="only what belongs to this market")
    parser.add_argument("--runs", type=Path, metavar="DIR", default=Path("runs"), help="where runs are")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", default=Path("checkpoints"), help="where models are")
    parser.add_argument("--reports", type=Path, metavar="DIR", default=Path("reports"), help="where reports are")
    return parser


def _run(options: argparse.Namespace) -> int:
    runs = list_runs(options.runs)
    models = list_models(options.checkpoints)
    reports = list_reports(options.reports, options.runs)
    damaged = [*runs.damaged, *models.damaged, *reports.damaged]
    if options.name is not None:
        print_sections(_described(options.name, [*runs.entries, *models.entries, *reports.entries], damaged))
        return 0
    out = standard_output()
    for table in (
        runs_table([run for run in runs.entries if _is_of(run, options.symbol)]),
        models_table([model for model in models.entries if _is_of(model, options.symbol)]),
        reports_table([report for report in reports.entries if _is_of(report, options.symbol)]),
    ):
        out.print(table)
    for line in damaged_lines(damaged):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def _is_of(entry: Entry, symbol: str | None) -> bool:
    return symbol is None or symbol_id(entry.symbol) == symbol_id(symbol)


def _described(name: str, entries: Sequence[Entry], damaged: Sequence[Damaged]) -> list[Section]:
    wanted = Path(name).name
    known = {_path(entry).name: entry for entry in entries}
    broken = {one.path.name: one for one in damaged}
    require_known("run, model or report", [wanted], [*known, *broken])
    if wanted in broken:
        return [Section(wanted, [("Damaged", broken[wanted].reason)])]
    entry = known[wanted]
    if isinstance(entry, RunEntry):
        return run_sections(entry)
    return report_sections(entry) if isinstance(entry, ReportEntry) else describe_model(entry.path)


def _path(entry: Entry) -> Path:
    return entry.path if isinstance(entry, ModelEntry) else entry.folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
