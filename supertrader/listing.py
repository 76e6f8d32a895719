"""What there is: baselines, runs, models and reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from src.agents.baselines import known_baselines
from src.runs import catalog
from src.runs.entries import Damaged

_PLACE = ("path", "problem")
_FIGURES = ("total_return", "sharpe", "max_drawdown")
_RUN = ("name", "symbol", "timeframe", "state", "stages", "finished", *_FIGURES)
_MODEL = ("name", "symbol", "timeframe", "kind", "role", *_FIGURES)
_REPORT = ("name", "kind", "symbol", "timeframe", "split", "first_day", "last_day", "model", *_FIGURES)


def list_baselines(plugins: Sequence[str] = ()) -> list[str]:
    """Return the names of the simple rules that everything is compared with.

    Args:
        plugins: modules that hold more of them; a backtest finds these by `settings={"plugins": [...]}`.

    Raises:
        ConfigError: a module cannot be used.

    Example:
        >>> list_baselines()
        ['flat', 'buy_and_hold', 'ma_cross', 'rsi_reversion', 'random']
    """
    return list(known_baselines(plugins))


def list_runs(folder: str | Path = "runs") -> pd.DataFrame:
    """Return one row a training run, newest first: how far it is, and what its last finished stage reached.

    Figures are of the validation split. A run that goes on is listed as it stands; of what is damaged, `problem` says
    why.

    Example:
        >>> list_runs().query("state == 'complete'")
    """
    listing = catalog.list_runs(Path(folder))
    rows = [
        (
            *(run.name, run.symbol, run.timeframe, run.state.value, len(run.stages), len(run.finished)),
            *_figures(run.reached),
            *(None if run.champion is None else run.champion.verdict, run.seed, run.data_fingerprint),
            *(run.changed, run.folder, run.problem),
        )
        for run in listing.entries
    ]
    table = _table((*_RUN, "verdict", "seed", "data_fingerprint", "changed", *_PLACE), rows, listing.damaged)
    return table.astype(dict.fromkeys(("stages", "finished", "seed"), "Int64"))


def list_models(checkpoints: str | Path = "checkpoints") -> pd.DataFrame:
    """Return one row a model file, newest first, with what it reached on the validation split.

    Example:
        >>> list_models()[["name", "role", "sharpe", "verdict"]]
    """
    listing = catalog.list_models(Path(checkpoints))
    rows = [
        (
            *(model.path.name, model.symbol, model.timeframe, model.kind, model.role),
            *_figures(model.validation),
            *(model.verdict, model.data_fingerprint, model.written, model.path, ""),
        )
        for model in listing.entries
    ]
    return _table((*_MODEL, "verdict", "data_fingerprint", "written", *_PLACE), rows, listing.damaged)


def list_reports(reports: str | Path = "reports", runs: str | Path = "runs") -> pd.DataFrame:
    """Return one row for each model of each report, newest report first; those of rolling retrains lie among runs.

    Example:
        >>> list_reports().groupby("model")["sharpe"].max()
    """
    listing = catalog.list_reports(Path(reports), Path(runs))
    rows = [
        (
            *(report.folder.name, report.kind, report.symbol, report.timeframe, report.split),
            *(report.first_day, report.last_day, model),
            *_figures(figures),
            *(report.data_fingerprint, report.written, report.folder, ""),
        )
        for report in listing.entries
        for model, figures in report.figures.items()
    ]
    return _table((*_REPORT, "data_fingerprint", "written", *_PLACE), rows, listing.damaged)


def _figures(figures: Mapping[str, Any]) -> list[Any]:
    return [figures.get(name) for name in _FIGURES]


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], damaged: Sequence[Damaged]) -> pd.DataFrame:
    # Columns are there also where nothing is listed.
    broken = pd.DataFrame({"name": one.path.name, "path": one.path, "problem": one.reason} for one in damaged)
    listed = pd.DataFrame(rows, columns=list(columns))
    return listed if broken.empty else pd.concat([listed, broken], ignore_index=True)
