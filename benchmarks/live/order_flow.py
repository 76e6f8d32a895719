"""`OrderFlow`: a market that comes and goes at its best prices, drawn by a generator that is passed in.

- Buyers and sellers who take come as two Hawkes processes, each exciting itself, so that trades cluster and their signs
  persist (Bacry, Mastromatteo and Muzy, Market Microstructure and Liquidity 1, 2015).
- The fair price is a martingale: a part of its variance is news that nobody traded on, the rest is what the unexpected
  part of each trade tells (Hasbrouck, Review of Financial Studies 4, 1991, finds a third of the variance carried by
  trades). That part is the adverse selection of whoever is traded with.
- Best prices keep their distance, and follow the fair price as soon as it lies more than a tick from their middle. What
  is shown at a new price is drawn anew; at a price that stays, orders join and leave.
"""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.live.order_book import BookEvent

MINUTE_S = 60.0


@dataclass(frozen=True)
class OrderFlow:
    """One kind of market. Sizes are in lots.

    Attributes:
        tick_bp: a tick, in basis points of the price.
        spread_ticks: between the best prices.
        volatility_bp: standard deviation of the fair price over a minute.
        trade_share: part of its variance that trades carry.
        trades_s: takers of each side a second, in the long run.
        trade_size: mean.
        shown: mean size at a best price.
        changes_s: orders that join or leave the two queues, a second.
        branching: trades that each trade brings about.
        decay_s: how fast that wears off, per second.
        drift_bp: of the fair price, a minute; positive is up.
    """

    tick_bp: float
    spread_ticks: int
    volatility_bp: float
    trade_share: float
    trades_s: float
    trade_size: float
    shown: float
    changes_s: float
    branching: float = 0.6
    decay_s: float = 5.0
    drift_bp: float = 0.0

    def generate(self, seconds: float, price: int, rng: np.random.Generator) -> list[BookEvent]:
        """Return what happens in so many seconds, from time 0 and a price in ticks on."""
        return _Market(self, price, rng).run(seconds)


class _Market:
    # What changes while events are drawn.

    def __init__(self, flow: OrderFlow, price: int, rng: np.random.Generator) -> None:
        self._flow, self._rng, self._time = flow, rng, 0.0
        deviation = flow.volatility_bp / flow.tick_bp / math.sqrt(MINUTE_S)  # ticks over a second
        self._news = deviation * math.sqrt(1 - flow.trade_share)
        self._told = deviation * math.sqrt(flow.trade_share / (2 * flow.trades_s)) if flow.trades_s else 0.0
        self._drift = flow.drift_bp / flow.tick_bp / MINUTE_S
        self._base = flow.trades_s * (1 - flow.branching)
        self._excited = [0.0, 0.0]  # what buyers and sellers come more often by
        self._bid = price - flow.spread_ticks // 2
        self._fair = self._bid + flow.spread_ticks / 2
        self._sizes = [self._draw(flow.shown), self._draw(flow.shown)]

    def run(self, seconds: float) -> list[BookEvent]:
        events = [self._event(0)]
        while True:
            # Between events intensities only fall, so they may be thinned (Ogata, IEEE Transactions 27, 1981).
            buyers, sellers = (self._base + excess for excess in self._excited)
            most = buyers + sellers + self._flow.changes_s
            elapsed = float(self._rng.exponential(1 / most))
            self._time += elapsed
            if self._time > seconds:
                return events
            self._move(elapsed)
            place = float(self._rng.random()) * most
            buyers, sellers = (self._base + excess for excess in self._excited)
            traded = 0
            if place < buyers:
                traded = self._trade(1)
            elif place < buyers + sellers:
                traded = self._trade(-1)
            elif place > most - self._flow.changes_s:
                self._change()
            self._requote()
            events.append(self._event(traded))

    def _event(self, traded: int) -> BookEvent:
        bid, ask = self._bid, self._bid + self._flow.spread_ticks
        return BookEvent(self._time * 1000, bid, self._sizes[0], ask, self._sizes[1], traded)

    def _draw(self, mean: float) -> int:
        return 1 + int(self._rng.exponential(mean))

    def _move(self, elapsed: float) -> None:
        # News, and that those did not trade who were expected to.
        kept = math.exp(-self._flow.decay_s * elapsed)
        expected = (self._excited[0] - self._excited[1]) * (1 - kept) / self._flow.decay_s
        self._fair += self._news * math.sqrt(elapsed) * float(self._rng.standard_normal())
        self._fair += self._drift * elapsed - self._told * expected
        self._excited = [excess * kept for excess in self._excited]

    def _trade(self, sign: int) -> int:
        lots, side = self._draw(self._flow.trade_size), 1 if sign > 0 else 0
        self._sizes[side] -= lots
        if self._sizes[side] <= 0:
            self._sizes[side] = self._draw(self._flow.shown)
        self._fair += sign * self._told
        self._excited[0 if sign > 0 else 1] += self._flow.branching * self._flow.decay_s
        return sign * lots

    def _change(self) -> None:
        # As much joins as leaves where the size is what it is on average.
        side = int(self._rng.integers(2))
        if self._rng.random() < 0.5:
            self._sizes[side] += int(self._rng.exponential(self._flow.shown / 4))
        else:
            self._sizes[side] = max(1, int(self._sizes[side] * (1 - self._rng.random() / 2)))

    def _requote(self) -> None:
        middle = self._bid + self._flow.spread_ticks / 2
        if abs(self._fair - middle) > 1:
            self._bid += int(self._fair - middle)
            self._sizes = [self._draw(self._flow.shown), self._draw(self._flow.shown)]
