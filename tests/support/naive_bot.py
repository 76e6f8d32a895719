"""A bot as it is often written: market orders in floats, sent again after an error, state in memory.

It exists to show that the faults our bot survives can be failed: both go through the same matrix of troubles.
"""

from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from src.live.live_guard import RiskState
from src.market.history.exchange_bars import open_exchange
from tests.support.fakes.exchange_server import cut_connection, rows
from tests.support.live_scene import FATES, KEYS, Stage

Trouble = Callable[[Stage], None]
TOLERANCE = 1e-4  # in coins: what is left of rounding to steps


def fate(name: str) -> Trouble:
    """Let the order fare like this."""
    return lambda stage: stage.server.fates.append(name)


def setting(**values: Any) -> Trouble:
    """Let the exchange be like this."""
    return lambda stage: vars(stage.server).update(deepcopy(values))


def clock_off(skew_ms: int) -> Trouble:
    return lambda stage: setattr(stage.clock, "skew_ms", skew_ms)


def balance(coin: str, amount: str) -> Trouble:
    return lambda stage: stage.server.account.balances.update({coin: Decimal(amount)})


def candles(fault: Any) -> Trouble:
    return lambda stage: stage.server.faults["klines"].append(fault)


ENDS_THE_PROCESS = ("32 killed after the order", "35 power lost after the order")
MATRIX: dict[str, Trouble] = {
    **{name: fate(kind) for name, kind in FATES.items()},
    "11 a part fills, the rest later": setting(fill_plan=[0.4], keeps_rest=True),
    "12 a part fills, the rest lapses": setting(fill_plan=[0.4]),
    "12 nothing fills": setting(fill_plan=[0.0]),
    "15 fee in base coin": setting(fee_coin="base on buy"),
    "16 clock 20 s behind": clock_off(-20_000),
    "16 clock 20 s ahead": clock_off(20_000),
    "19 candles twice": candles(rows(lambda found: [each for row in found for each in (row, row)])),
    "22 a close that is no number": candles(rows(lambda found: [[*row[:4], "NaN", *row[5:]] for row in found])),
    "22 candles cut off": candles(cut_connection),
    "27 less money than capital": balance("USDT", "500"),
    **{name: fate("ok") for name in ENDS_THE_PROCESS},
}


class NaiveBot:
    """Trades targets on the exchange of a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.units, self.target = stage, 0.0, 0.0
        self.exchange: Any = open_exchange(ccxt, "binance", True, stage.server.url)
        self.exchange.apiKey, self.exchange.secret = KEYS.api_key, KEYS.api_secret
        self.exchange.timeout = 1_500
        self.exchange.options["fetchMargins"] = False
        self.exchange.has["fetchCurrencies"] = False
        self.exchange.milliseconds = stage.clock.now_ms
        self.exchange.load_markets()

    def look(self, target: float) -> None:
        """Trade the newest candle at once."""
        candle = self.exchange.fetch_ohlcv("BTC/USDT", "1h")[-2]
        if target != self.target:
            units = target * 990.0 / candle[4] - self.units
            self.trade("buy" if units > 0 else "sell", abs(units))
            self.units, self.target = self.units + units, target

    def trade(self, side: str, amount: float) -> None:
        for _ in range(3):
            try:
                self.exchange.create_order("BTC/USDT", "market", side, amount)
                return
            except ccxt.NetworkError:
                continue

    def forget(self) -> None:
        """Start again, which is to begin anew."""
        self.units, self.target = 0.0, 0.0


def naive_fails(folder: Path, name: str) -> bool:
    """Say whether the naive bot breaks an invariant: books that differ from the balance, or two orders a decision."""
    with Stage(folder) as stage:
        bot = NaiveBot(stage)
        MATRIX[name](stage)
        for decisions, target in enumerate((1.0, 0.0), start=1):
            stage.at_candle(stage.candle + 1)
            try:
                bot.look(target)
            except Exception:
                bot.forget()
            if name in ENDS_THE_PROCESS:
                bot.forget()
            stage.server.deliver_late()
            held = float(stage.server.account.balances["BTC"])
            if abs(bot.units - held) > TOLERANCE or len(stage.server.account.orders) > decisions:
                return True
        return False


def ours_survives(folder: Path, name: str) -> None:
    """Assert that our bot keeps the invariants, and comes to hold nothing, as its targets say."""
    with Stage(folder, [1.0, 1.0, 0.0, 0.0]) as stage:
        MATRIX[name](stage)
        stage.play(1)
        stage.server.deliver_late()
        if name in ENDS_THE_PROCESS:
            stage.restart()
        stage.check()
        stage.play(4)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=TOLERANCE)
        assert stage.state is RiskState.ACTIVE
