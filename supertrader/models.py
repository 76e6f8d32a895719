"""Trained models: what they say of themselves, and the agent inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.config.base import require
from src.runs.catalog import read_model
from src.runs.entries import ModelEntry
from src.runs.model_choice import resolve_model

if TYPE_CHECKING:  # torch is loaded by the first agent
    from src.agents.policy_agent import PolicyAgent


@dataclass(frozen=True, repr=False)
class Model:
    """A model file that passed its checks.

    Attributes:
        entry: what the file says of itself.
    """

    entry: ModelEntry

    @property
    def path(self) -> Path:
        """Of the file."""
        return self.entry.path

    @property
    def symbol(self) -> str:
        """The market it was trained for."""
        return self.entry.symbol

    @property
    def verdict(self) -> str:
        """Of the promotion gate, or why there is none."""
        return self.entry.verdict

    @property
    def validation(self) -> dict[str, Any]:
        """What it reached on the validation split, on which its weights were chosen: flattering by construction."""
        return dict(self.entry.validation)

    def describe(self) -> str:
        """Return what `run_backtest.py inspect` prints, one labelled line after the other."""
        from src.runs.model_content import describe_model

        lines = []
        for section in describe_model(self.path):
            lines += [section.title, *(f"  {label}: {text}" for label, text in section.rows), ""]
        return "\n".join(lines)

    def agent(self) -> PolicyAgent:
        """Build the network and return the agent that trades it: `prepare(bars)`, then `act(market_state)` a bar.

        Raises:
            ModelFileError: its parts do not fit this program.
        """
        from src.agents.model_file import load_model as load_file
        from src.agents.registry import agent_from_file

        return agent_from_file(load_file(self.path))

    def __repr__(self) -> str:
        one = self.entry
        return f"<Model {self.path}: {one.kind}, {one.role} of {one.symbol} {one.timeframe}. {one.verdict}>"


def load_model(
    name: str | Path | None = None, *, symbol: str | None = None, checkpoints: str | Path = "checkpoints"
) -> Model:
    """Find and verify a model.

    Args:
        name: a `.pth` file; or, with `symbol`, a stage such as `stage_1_ppo` or an algorithm such as `ppo` (its newest
            model). Without a name the champion of the symbol, or its newest stage model while there is none.
        symbol: the market; a file says it itself.
        checkpoints: the folder of models.

    Raises:
        ModelFileError: missing, damaged or of another format version.
        ConfigError: nothing answers to the name; the message names the nearest.

    Example:
        >>> load_model(symbol="SP500").verdict
        'not distinguishable from luck'
        >>> load_model("checkpoints/SP500_stage_1_ppo.pth")
    """
    if isinstance(name, Path) or (name is not None and name.endswith(".pth")):
        return Model(read_model(Path(name)))
    require(symbol is not None, f"a model called {name} needs its market; give symbol, such as symbol='SP500'")
    assert symbol is not None
    return Model(read_model(resolve_model(symbol, name, Path(checkpoints)).path))
