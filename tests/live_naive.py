"""A bot as it is often written: market orders in floats, sent again after an error, state in memory.

It exists to show that the faults of `test_live_faults.py` can be failed.
"""

from pathlib import Path
from typing import Any

import ccxt

from src.market.ccxt_source import open_exchange
from tests.live_stage import FIRST, KEYS, FromFirst, Stage


class NaiveBot:
    """Trades the plan of a stage on its exchange."""

    def __init__(self, stage: Stage, agent: FromFirst) -> None:
        self.stage, self.agent, self.units, self.target, self.orders = stage, agent, 0.0, 0.0, 0
        self.exchange: Any = open_exchange(ccxt, "binance", "", stage.server.url)
        self.exchange.apiKey, self.exchange.secret = KEYS.api_key, KEYS.api_secret
        self.exchange.timeout = 1_500
        self.exchange.options["fetchMargins"] = False
        self.exchange.has["fetchCurrencies"] = False
        self.exchange.milliseconds = stage.clock.now_ms

    def look(self) -> None:
        """Decide on the newest candle and trade at once."""
        candle = self.exchange.fetch_ohlcv("BTC/USDT", "1h")[-2]
        target = self.agent.targets[min(self.stage.candle - FIRST + len(self.agent.targets) - 4, 99) % 99]
        if target != self.target:
            units = target * 990.0 / candle[4] - self.units
            self.trade("buy" if units > 0 else "sell", abs(units))
            self.units, self.target = self.units + units, target

    def trade(self, side: str, amount: float) -> None:
        for _ in range(3):
            try:
                self.orders += 1
                self.exchange.create_order("BTC/USDT", "market", side, amount)
                return
            except ccxt.NetworkError:
                continue


def fails(folder: Path, fate: str) -> bool:
    """Say whether the naive bot breaks an invariant: books that differ from the balance, or two orders a decision."""
    with Stage(folder, [1.0, 1.0, 0.0, 0.0]) as stage:
        bot = NaiveBot(stage, FromFirst([1.0, 1.0, 0.0, 0.0]))
        bot.exchange.load_markets()
        stage.server.fates = [fate]
        decisions = 0
        for target in (1.0, 0.0):
            stage.at_candle(stage.candle + 1)
            bot.agent.targets = [target] * 100
            try:
                decisions += 1
                bot.look()
            except Exception:
                bot.units, bot.target = 0.0, 0.0  # it is started again, and begins anew
            stage.server.deliver_late()
            held = float(stage.server.account.balances["BTC"])
            if abs(bot.units - held) > 1e-4 or len(stage.server.account.orders) > decisions:
                return True
        return False
