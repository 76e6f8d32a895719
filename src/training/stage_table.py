"""The table at the end of a training run: all stages side by side on the same validation split."""

from rich.table import Table

from src.config.training import TrainingConfig
from src.reporting.terminal.plain_output import standard_output
from src.runs.run_folder import StageResult

_COLUMNS = (
    ("return", "total_return", "{:+.2%}"),
    ("Sharpe", "sharpe", "{:.2f}"),
    ("max drawdown", "max_drawdown", "{:.2%}"),
    ("turnover/bar", "turnover_per_bar", "{:.4f}"),
    ("exposure", "exposure", "{:.2f}"),
)


def print_summary(config: TrainingConfig, results: dict[str, StageResult]) -> None:
    """Print what each stage reached, where its model is, and what to run next."""
    table = Table(title=f"{config.symbol}: validation split", title_justify="left")
    table.add_column("stage")
    for title, _, _ in _COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("env steps", justify="right")
    table.add_column("steps/s", justify="right")
    table.add_column("model")
    for name, result in results.items():
        figures = [_format(result.validation.get(key), form) for _, key, form in _COLUMNS]
        speed = result.env_steps / result.train_seconds if result.train_seconds else 0.0
        table.add_row(name, *figures, f"{result.env_steps:,}", f"{speed:,.0f}", str(result.model_path))
    console = standard_output()
    console.print(table)
    console.print(f"next: python run_backtest.py --symbol {config.symbol}")


def _format(value: object, form: str) -> str:
    return form.format(value) if isinstance(value, float | int) else "–"
