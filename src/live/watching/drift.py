"""`DriftWatch`: does live still look like what the champion was chosen on?

Inputs: scaled features have mean 0 and standard deviation 1 on the training bars, so the mean of a column over a window
says by how many training deviations the market has moved. Results: the mean growth of equity per bar against that of
the validation, in standard errors of the validation's spread; only a shortfall counts. The first time out of tolerance
is an alert; still out a quarter of a window later means REDUCING.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from src.config.live import DriftConfig
from src.journal.schema import JournaledStep
from src.live.live_guard import RiskState
from src.market.bars import FloatArray


class DriftWatch:
    """Watches one symbol.

    Args:
        validation: statistics of the model file; results are judged if it holds `sharpe`, `annual_volatility` and
            `bars_per_year`.
    """

    def __init__(self, config: DriftConfig, validation: Mapping[str, Any]) -> None:
        self._config, self._expected = config, _per_bar(validation)
        self._names: tuple[str, ...] = ()
        self._features: deque[FloatArray] = deque(maxlen=config.window_bars)  # rows with a value for each name
        self._equity: deque[float] = deque(maxlen=config.window_bars + 1)
        self._bars_out: dict[str, int] = {}

    def replay(self, steps: Iterable[JournaledStep]) -> None:
        """Remember steps of an earlier run; what they led to was said then."""
        for step in steps:
            self.add(step)

    def add(self, step: JournaledStep) -> list[tuple[RiskState, str]]:
        """Take in a step; return what is new, with the state it calls for (ACTIVE for an alert)."""
        self._equity.append(float(step.record["equity"]))
        if features := step.saw.get("features"):
            self._take(features)
        complaints = {"inputs": self._inputs(), "results": self._results()}
        found = []
        for kind, complaint in complaints.items():
            self._bars_out[kind] = self._bars_out.get(kind, 0) + 1 if complaint else 0
            if self._bars_out[kind] == 1:
                found.append((RiskState.ACTIVE, complaint))
            elif self._bars_out[kind] == 1 + self._config.window_bars // 4:
                found.append((RiskState.REDUCING, f"still: {complaint}"))
        return found

    def _take(self, features: Mapping[str, float]) -> None:
        if tuple(features) != self._names:  # of another model; what the one before did not know was as usual
            rows = [dict(zip(self._names, row, strict=True)) for row in self._features]
            self._names = tuple(features)
            self._features.clear()
            self._features.extend(np.array([row.get(name, 0.0) for name in self._names]) for row in rows)
        self._features.append(np.array(list(features.values())))

    def _inputs(self) -> str:
        if len(self._features) < self._config.window_bars:
            return ""
        means = np.array(self._features).mean(axis=0)
        worst = int(np.abs(means).argmax())
        if abs(means[worst]) <= self._config.input_deviations:
            return ""
        return (
            f"drift: the mean of '{self._names[worst]}' over {len(self._features)} bars lies {means[worst]:+.1f} "
            "training deviations from that of the training bars"
        )

    def _results(self) -> str:
        if self._expected is None or len(self._equity) <= self._config.window_bars:
            return ""
        equity = np.array(self._equity)
        if (equity <= 0).any():
            return "drift: the account is ruined"
        mean, deviation = self._expected
        growth = np.diff(np.log(equity))
        shortfall = (mean - growth.mean()) / (deviation / np.sqrt(len(growth)))
        if shortfall <= self._config.result_deviations:
            return ""
        return (
            f"drift: {len(growth)} bars grew the account by {growth.mean():.2e} each, {shortfall:.1f} standard errors "
            f"below the {mean:.2e} of the validation"
        )


def _per_bar(validation: Mapping[str, Any]) -> tuple[float, float] | None:
    # Mean and standard deviation of growth per bar, from the annual figures of a model file.
    sharpe, volatility, bars = (validation.get(name) for name in ("sharpe", "annual_volatility", "bars_per_year"))
    if not sharpe or not volatility or not bars:
        return None
    deviation = float(volatility) / float(bars) ** 0.5
    return float(sharpe) * deviation / float(bars) ** 0.5, deviation
