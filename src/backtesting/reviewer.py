"""`Reviewer`: passes the decisions of a backtest through the stations of a risk file, as the bot passes its own."""

from collections import deque

import numpy as np

from src.config.risk import RiskLimits
from src.execution import scalar
from src.execution.ledger import Accounts
from src.market.bars import BarSeries
from src.market.instrument import base_and_quote
from src.risk.stations.chain import Change, Reviewed, make_chain
from src.risk.stations.order_limits import HOUR_MS
from src.risk.stations.station import ReviewContext
from src.trading.records import Reviews
from src.trading.rules import TradingRules


class Reviewer:
    """The chain of one account.

    Args:
        limits: of the risk file.
        rules: of the run, under these limits.
        bars: the series that is traded.
    """

    def __init__(self, limits: RiskLimits, rules: TradingRules, bars: BarSeries) -> None:
        own = limits.in_currency(base_and_quote(bars.symbol)[1])
        self._chain = make_chain(own, rules.action, rules.risk)
        self._band = rules.action.rebalance_band
        self._close = bars.close
        self._ordered: deque[int] = deque()  # closes of the last hour at which an order was decided on
        self._wanted: list[float] = []
        self._changes: list[tuple[Change, ...]] = []

    def review(self, target: float, confidence: float, accounts: Accounts, row: int, close_time: int) -> Reviewed:
        """Return what becomes of a decision at the close of bar `row`; every bar is asked about once, in order."""
        while self._ordered and self._ordered[0] <= close_time - HOUR_MS:
            self._ordered.popleft()
        prior = self._close.item(max(row - 1, 0))
        context = ReviewContext(scalar, accounts, confidence, prior, len(self._ordered), self._band)
        reviewed = self._chain.review(target, context)
        if not reviewed.hold and context.order(reviewed.target) != 0:
            self._ordered.append(close_time)
        self._wanted.append(target)
        self._changes.append(reviewed.changes)
        return reviewed

    @property
    def reviews(self) -> Reviews:
        """What was reviewed so far."""
        return Reviews(np.array(self._wanted), tuple(self._changes))
