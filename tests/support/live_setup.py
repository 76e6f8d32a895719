"""Parts of a live bot for tests: an agent that needs no model, recorded candles, clocks moved by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from src.agents.streaming_agent import StreamingAgent
from src.config.live import DriftConfig, LiveConfig
from src.config.risk import RiskLimits
from src.config.trading import ActionConfig, CostsConfig, EnvironmentConfig, RiskConfig
from src.journal.journal import Journal
from src.live.candle_feed import CandleFeed
from src.live.live_model import LiveModel
from src.live.shared_services import SharedServices
from src.live.trader import Trader
from src.live.venues.paper import PaperVenue
from src.live.watching.notify import Notifier
from src.market.bars import COLUMNS, Bar, BarSeries, timeframe_ms
from src.trading.records import Decision, MarketState
from src.trading.rules import TradingRules, make_rules
from tests.support.fakes.exchange_server import Row

HOUR_MS = 3_600_000
START = 1_600_000_000_000 // HOUR_MS * HOUR_MS
SYMBOL = "BTC/USDT"
HISTORY = 5
GRID = ActionConfig(grid=[0.0, 0.5, 1.0], allow_short=False)
RULES = make_rules(EnvironmentConfig(action=GRID), CostsConfig(slippage_volatility=0.1), RiskConfig(), 0.01)
LIMITS = RiskLimits(
    max_position=1e9, max_daily_loss_frac=None, max_drawdown_frac=None, max_orders_per_hour=1000, price_band_frac=10.0
)
CONFIG = LiveConfig(http_port=0, settle_s=0.0, drift=DriftConfig(window_bars=10_000))


class Chooser:
    """Wants one of the targets, as the hash of the bar's price says; a pure function of the bar."""

    def __init__(self, targets: Sequence[float] = (0.0, 0.5, 1.0), history_bars: int = HISTORY) -> None:
        self.name, self.history_bars, self.targets = "chooser", history_bars, targets
        self.warmup_bars = history_bars - 1

    def prepare(self, bars: BarSeries) -> None:
        self._bars = bars

    def act(self, market_state: MarketState) -> Decision:
        mean = self._bars.close[market_state.row - self.history_bars + 1 : market_state.row + 1].mean()
        target = self.targets[int(mean * 1e6) % len(self.targets)]
        accounts = market_state.account.shape[0]
        return Decision(np.full(accounts, target), np.full(accounts, 0.9))

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        return {"features": {"close": 0.1 * float(self._bars.close[market_state.row] > 100)}}


class Planned(Chooser):
    """Wants target i at the i-th bar after `START`, the last one for ever."""

    def act(self, market_state: MarketState) -> Decision:
        place = (market_state.close_time - START) // HOUR_MS - HISTORY
        target = self.targets[int(np.clip(place, 0, len(self.targets) - 1))]
        return Decision(np.full(1, float(target)), np.ones(1))


class Recording:
    """A `BarSource` of bars that are known ahead; time is moved by hand."""

    def __init__(self, rows: Sequence[Row], symbol: str = SYMBOL, timeframe: str = "1h") -> None:
        self.symbol, self.timeframe, self.step_ms = symbol, timeframe, timeframe_ms(timeframe)
        self.rows, self.now_ms = list(rows), int(rows[0][0])

    def now(self) -> int:
        return self.now_ms

    def page(self, since: int) -> pd.DataFrame:
        found = [row for row in self.rows if since <= row[0] <= self.now_ms][:500]
        frame = pd.DataFrame(found, columns=list(COLUMNS), dtype=float)
        return frame.astype({"open_time": np.int64})


class RecordingClock:
    """The recording's time as the local time."""

    def __init__(self, source: Recording) -> None:
        self.source = source

    def now_ms(self) -> int:
        return self.source.now_ms

    def sleep(self, seconds: float) -> None:
        self.source.now_ms += int(seconds * 1000)


def random_rows(count: int, seed: int = 0, sigma: float = 0.01, step_ms: int = HOUR_MS) -> list[Row]:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, sigma, count)))
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(rng.normal(0, sigma / 10, count))
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    times = START + np.arange(count) * step_ms
    volume = rng.lognormal(3, 1, count)
    return [(int(t), *map(float, rest)) for t, *rest in zip(times, opened, high, low, close, volume, strict=True)]


def bars_of(rows: Iterable[Row], step_ms: int = HOUR_MS) -> list[Bar]:
    """Return rows as an exchange sends them as candles."""
    return [Bar(int(row[0]), int(row[0]) + step_ms, *map(float, row[1:])) for row in rows]


def model_of(
    agent: Any = None, rules: TradingRules = RULES, limits: RiskLimits = LIMITS, sha256: str = "a" * 64
) -> LiveModel:
    agent = agent or Chooser()
    live_rules = replace(rules.under(limits), initial_equity=1000.0)
    return LiveModel(SYMBOL, "1h", StreamingAgent(agent), live_rules, {}, "promoted", sha256)


def desk_of(folder: Path, clock: Any, limits: RiskLimits = LIMITS, config: LiveConfig = CONFIG) -> SharedServices:
    journal = Journal(f"sqlite:///{folder / 'journal.db'}")
    return SharedServices(config, limits, journal, Notifier(), clock, folder / "halts", clock.now_ms)


def paper_trader(folder: Path, source: Recording, model: LiveModel | None = None, **services: Any) -> Trader:
    model = model or model_of(limits=services.get("limits", LIMITS))
    shared = desk_of(folder, RecordingClock(source), **services)
    last = shared.journal.last_step(SYMBOL)
    until = last.close_time if last is not None else 0
    feed = CandleFeed(source, shared.journal.bars(SYMBOL, until, 1000, source.step_ms))
    return Trader(shared, model, feed, lambda m: PaperVenue(m.rules, "main"))
