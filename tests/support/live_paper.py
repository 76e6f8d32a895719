"""`PaperStage`: the bot of `live_scene` on paper as at an exchange: no key, but the filters it tells."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.brokerage.ccxt_account import CcxtAccount
from src.config.live import PaperConfig, PaperFills
from src.live.candle_feed import CandleFeed
from src.live.trader import Trader
from src.live.venues.order_terms import OrderTerms
from src.live.venues.paper_exchange import PaperExchangeVenue
from src.market.history.exchange_bars import ExchangeBars
from src.trading.rules import TradingRules
from tests.support.fakes.exchange_server import Row
from tests.support.live_scene import Stage
from tests.support.live_setup import CONFIG, HOUR_MS, RULES, START, SYMBOL, desk_of, model_of


def calm_rows(count: int, volume: float = 1e6) -> list[Row]:
    """Candles that stand still at 100."""
    return [(START + place * HOUR_MS, 100.0, 100.1, 99.9, 100.0, volume) for place in range(count)]


class PaperStage(Stage):
    """See the module.

    Args:
        paper: how orders fill.
        rules: of the champion.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[float] = (1.0, 0.0),
        paper: PaperConfig | None = None,
        rules: TradingRules = RULES,
        **others: Any,
    ) -> None:
        paper = paper or PaperConfig(PaperFills.exchange, latency_s=0.0, volume_frac=1.0)
        super().__init__(folder, targets, config=replace(CONFIG, paper=paper), **others)
        self.rules = rules

    def build(self) -> Trader:
        self.services = replace(desk_of(self.folder, self.clock, self.limits, self.config), notifier=self.messages)
        journal = self.services.journal
        source = ExchangeBars("binance", SYMBOL, "1h", self.config.base_url, sleep=self.clock.sleep)
        source.connect()
        markets = CcxtAccount("binance", None, self.clock, self.config.base_url)
        markets.connect()
        last = journal.last_step(SYMBOL)
        feed = CandleFeed(source, journal.bars(SYMBOL, last.close_time if last else 0, 500, HOUR_MS))
        terms = OrderTerms(self.config, self.limits)
        model = model_of(self.agent, self.rules, self.limits)
        return Trader(self.services, model, feed, lambda m: PaperExchangeVenue(m.rules, terms, markets, journal, feed))

    def outcomes(self) -> list[str | None]:
        """What became of each order, in order of time."""
        orders = [self.services.journal.order_of(SYMBOL, step.close_time) for step in self.steps()]
        return [order.outcome for order in orders if order is not None]
