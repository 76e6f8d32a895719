"""What a stage ended in, as a tracker records it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from src.config.plain import to_plain
from src.reporting.tracking.tracker import Outcome, Scalar
from src.runs.model_content import read_content
from src.runs.run_folder import StageResult
from src.training.stage import StageInputs

_COMPARED = ("total_return", "sharpe", "max_drawdown", "turnover_per_bar", "exposure")


def outcome_of(inputs: StageInputs, model: Path, result: StageResult) -> Outcome:
    """Return the settings of a stage, what they reached on the validation split, and the model.

    Raises:
        ModelFileError: the model is missing or damaged.
    """
    content = read_content(model)
    reached = {f"validation/{name}": result.validation[name] for name in _COMPARED}
    return Outcome(
        hyperparameters={"seed": inputs.config.seed, **dict(scalars(to_plain(inputs.stage)))},
        results={name: float(value) for name, value in reached.items() if value is not None},
        model=model,
        verdict=content["verdict"],
        about={name: content[name] for name in ("symbol", "timeframe", "stage", "kind", "data_fingerprint")},
    )


def scalars(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield the settings that are numbers, words or switches by their dotted names; lists as text."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{prefix}{name}", value
