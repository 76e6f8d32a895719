"""Simple decision makers every trained policy is compared with, and the scripted one that tests replay.

None looks at the account: each is a causal target series over the bars, computed once in `prepare`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd

from src.config.base import require_known
from src.config.baselines import BASELINE_NAMES
from src.config.trading import ActionConfig, ActionKind
from src.errors import DataError
from src.market.bars import BarSeries, FloatArray
from src.plugins import Pluggable, with_plugins
from src.seeding import generator
from src.trading.agent import Agent
from src.trading.records import Decision, MarketState
from src.trading.rules import TradingRules


def nearest_targets(action: ActionConfig, exposures: FloatArray) -> FloatArray:
    """Return the exposures of the action space nearest to the given ones, (T,) both; half-way goes to the lower one."""
    if action.kind is ActionKind.discrete:
        grid = np.asarray(action.targets, dtype=np.float64)
        nearest: FloatArray = grid[np.abs(exposures[:, None] - grid).argmin(axis=1)]
        return nearest
    return np.clip(exposures, *action.bounds)


@dataclass
class SeriesAgent:
    """Follows a target series: `exposures(bars) -> (T,)`, causal, each moved to the nearest target of the action space.

    `targets` (T,) holds them once prepared.
    """

    name: str
    action: ActionConfig
    exposures: Callable[[BarSeries], FloatArray]
    warmup_bars: int = 0
    targets: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False)

    def prepare(self, bars: BarSeries) -> None:
        """Compute the target of every row."""
        exposures = np.asarray(self.exposures(bars), dtype=np.float64)
        if exposures.shape != (len(bars),) or not np.isfinite(exposures).all():
            raise DataError(f"{self.name}: needs {len(bars)} finite targets, one a bar, was {exposures.shape}")
        self.targets = nearest_targets(self.action, exposures)

    def act(self, market_state: MarketState) -> Decision:
        """Give every account the target of this row, with full confidence."""
        accounts = market_state.account.shape[0]
        return Decision(np.full(accounts, self.targets[market_state.row]), np.ones(accounts))


class MakeBaseline(Protocol):
    """Builds a baseline for the rules in force; `seed` matters to `random` only."""

    def __call__(self, rules: TradingRules, seed: int = 0) -> Agent: ...


@dataclass(frozen=True)
class Baseline(Pluggable):
    """A baseline by name, built for the rules in force."""

    kind: ClassVar[str] = "baseline"

    make: MakeBaseline


def flat(rules: TradingRules, seed: int = 0) -> Agent:
    """Never trade."""
    return SeriesAgent("flat", rules.action, lambda bars: np.zeros(len(bars)))


def buy_and_hold(rules: TradingRules, seed: int = 0) -> Agent:
    """Buy once with all equity (or the largest exposure up to it) and hold."""
    return SeriesAgent("buy_and_hold", rules.action, lambda bars: np.ones(len(bars)))


def ma_cross(rules: TradingRules, seed: int = 0, fast: int = 20, slow: int = 50) -> Agent:
    """Hold the sign of the fast minus the slow exponential moving average of the close."""

    def exposures(bars: BarSeries) -> FloatArray:
        close = pd.Series(bars.close)
        gap = close.ewm(span=fast, adjust=False).mean() - close.ewm(span=slow, adjust=False).mean()
        return np.sign(np.asarray(gap, dtype=np.float64))

    return SeriesAgent("ma_cross", rules.action, exposures, warmup_bars=slow)


def rsi_reversion(
    rules: TradingRules, seed: int = 0, bars_back: int = 14, low: float = 30.0, high: float = 70.0
) -> Agent:
    """Go long below `low`, short (flat where shorting is off) above `high`, hold in between."""

    def exposures(bars: BarSeries) -> FloatArray:
        rsi = relative_strength(bars.close, bars_back)
        signal = np.where(rsi < low, 1.0, np.where(rsi > high, -1.0, np.nan))
        return np.asarray(pd.Series(signal).ffill().fillna(0.0), dtype=np.float64)

    return SeriesAgent("rsi_reversion", rules.action, exposures, warmup_bars=bars_back)


def random(rules: TradingRules, seed: int = 0, switch_probability: float = 0.05) -> Agent:
    """Hold a random exposure, redrawn with a small probability at each bar."""

    def exposures(bars: BarSeries) -> FloatArray:
        # Two streams, so that a longer series only adds draws at its end.
        switches = generator(seed, "random", "switch").random(len(bars)) < switch_probability
        switches[0] = True
        draws = _draw_targets(rules.action, generator(seed, "random", "target").random(len(bars)))
        return np.asarray(pd.Series(np.where(switches, draws, np.nan)).ffill(), dtype=np.float64)

    return SeriesAgent("random", rules.action, exposures)


def scripted(rules: TradingRules, targets: FloatArray) -> Agent:
    """Replay given targets (T,), one a bar."""
    return SeriesAgent("scripted", rules.action, lambda bars: targets[: len(bars)])


_MAKERS: tuple[MakeBaseline, ...] = (flat, buy_and_hold, ma_cross, rsi_reversion, random)
BASELINES: Mapping[str, Baseline] = {
    name: Baseline(name, make) for name, make in zip(BASELINE_NAMES, _MAKERS, strict=True)
}
INDICATOR_BASELINES = ("ma_cross", "rsi_reversion")
RIVALS = ("buy_and_hold", *INDICATOR_BASELINES)  # what a champion has to beat


def known_baselines(plugins: Iterable[str]) -> Mapping[str, Baseline]:
    """Return the baselines there are, by name: the project's and those that plug-ins hold.

    Raises:
        ConfigError: a plug-in cannot be used, or a name is taken.
    """
    return with_plugins(BASELINES, Baseline, plugins)


def make_baseline(name: str, rules: TradingRules, seed: int = 0, plugins: Iterable[str] = ()) -> Agent:
    """Build a baseline.

    Raises:
        ConfigError: the name is unknown, or a plug-in cannot be used.
    """
    known = known_baselines(plugins)
    require_known("baseline", [name], known)
    return known[name].make(rules, seed)


def relative_strength(close: FloatArray, bars_back: int) -> FloatArray:
    """Return the relative strength index (Wilder 1978) in [0, 100], (T,); 50 before the first price change."""
    change = pd.Series(np.diff(close, prepend=close[0]))
    rises = change.clip(lower=0.0).ewm(alpha=1 / bars_back, adjust=False).mean().to_numpy()
    falls = -change.clip(upper=0.0).ewm(alpha=1 / bars_back, adjust=False).mean().to_numpy()
    moved = rises + falls
    strength = np.full(len(close), 50.0)
    np.divide(100.0 * rises, moved, out=strength, where=moved > 0)
    return strength


def _draw_targets(action: ActionConfig, uniforms: FloatArray) -> FloatArray:
    if action.kind is ActionKind.discrete:
        grid = np.asarray(action.targets, dtype=np.float64)
        drawn: FloatArray = grid[(uniforms * len(grid)).astype(np.int64)]
        return drawn
    low, high = action.bounds
    return low + uniforms * (high - low)
