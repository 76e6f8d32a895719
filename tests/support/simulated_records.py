"""Step records of a small account, written as a plain loop so that tests do not lean on the ledger they check."""

from typing import NamedTuple

import numpy as np

from src.market.bars import BarSeries, timeframe_name
from src.trading.records import CALL_FIELDS, StepRecord

DAY_MS = 86_400_000


class Simulated(NamedTuple):
    """Records of one account and the closes they were marked at."""

    records: StepRecord
    closes: np.ndarray

    @property
    def bars(self) -> BarSeries:
        """Candles that open at the prior close and go straight to their own."""
        times, opened = np.asarray(self.records.close_time), np.append(self.closes[0], self.closes[:-1])
        step = int(np.diff(times).min()) if len(times) > 1 else DAY_MS
        high, low = np.maximum(opened, self.closes), np.minimum(opened, self.closes)
        volume = np.ones(len(times))
        return BarSeries("TEST", timeframe_name(step), times - step, opened, high, low, self.closes, volume)


def simulate(
    targets: np.ndarray,
    closes: np.ndarray,
    initial_equity: float = 1_000.0,
    commission: float = 0.0,
    half_spread: float = 0.0,
    slippage: float = 0.0,
    financing_per_bar: float = 0.0,
    close_time: np.ndarray | None = None,
) -> Simulated:
    """Trade `targets` on bars that open at the prior close; costs are fractions of traded or held value."""
    times = close_time if close_time is not None else (np.arange(len(closes), dtype=np.int64) + 1) * DAY_MS
    cash, units, rows = initial_equity, 0.0, []
    wanted, sized_for, equity = 0.0, 0.0, initial_equity
    for row, close in enumerate(closes):
        opened = closes[max(row - 1, 0)]
        fill = 0.0 if wanted == sized_for else wanted * equity / opened - units
        sized_for, side = wanted, np.sign(fill)
        price = opened * (1 + side * (half_spread + slippage))
        paid = abs(fill) * price * commission
        units += fill
        held = abs(units) * close * financing_per_bar
        cash -= fill * price + paid + held
        before, equity = equity, cash + units * close
        wanted = targets[row]
        spread, slip = abs(fill) * opened * half_spread, abs(fill) * opened * slippage
        reward = np.log(equity / before)
        rows.append(
            (times[row], wanted, units, fill, price * (side != 0), paid, spread, slip, held, equity, reward, False)
        )
    columns, no_call = (np.array(column) for column in zip(*rows, strict=True)), np.zeros((len(CALL_FIELDS), len(rows)))
    return Simulated(StepRecord(*columns, *no_call), np.asarray(closes, float))


def random_walk(bars: int, seed: int, volatility: float = 0.01) -> np.ndarray:
    """Return closes of a driftless log-normal walk that starts near 100."""
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, volatility, bars)))


def moving_average_targets(closes: np.ndarray, span: int) -> np.ndarray:
    """Return 1 above the mean of the last `span` closes and -1 below; flat until there are that many."""
    means = np.convolve(closes, np.ones(span) / span, mode="full")[: len(closes)]
    return np.where(np.arange(len(closes)) < span - 1, 0.0, np.where(closes > means, 1.0, -1.0))
