"""A rule of your own to compare models with: Donchian's breakout, the rule of the turtle traders.

    python run_backtest.py --symbol SP500 --model breakout "plugins=[examples.my_baseline]"
    python run_backtest.py --symbol SP500 --compare buy_and_hold ma_cross breakout "plugins=[examples.my_baseline]"

With `plugins: [examples.my_baseline]` in config/training_sequence.yaml the name alone will do. docs/howto/own_rule.md
explains every part.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.agents.baselines import Baseline, SeriesAgent
from src.market.bars import BarSeries, FloatArray
from src.trading.agent import Agent
from src.trading.rules import TradingRules

ENTRY_BARS, EXIT_BARS = 55, 20


def breakout(bars: BarSeries) -> FloatArray:
    """Return the exposure wanted at each close, (T,).

    1 from a close above the highest of 55 bars to one below the lowest of 20; -1 the other way round; else 0.
    """
    long = position(enter=bars.close > highest(bars.high, ENTRY_BARS), leave=bars.close < lowest(bars.low, EXIT_BARS))
    short = position(enter=bars.close < lowest(bars.low, ENTRY_BARS), leave=bars.close > highest(bars.high, EXIT_BARS))
    return long - short


def highest(prices: FloatArray, bars_back: int) -> FloatArray:
    """Return the highest price of so many bars before each bar, (T,); NaN until there are as many."""
    return pd.Series(prices).rolling(bars_back).max().shift(1).to_numpy()


def lowest(prices: FloatArray, bars_back: int) -> FloatArray:
    """Return the lowest price of so many bars before each bar, (T,); NaN until there are as many."""
    return pd.Series(prices).rolling(bars_back).min().shift(1).to_numpy()


def position(enter: NDArray[np.bool_], leave: NDArray[np.bool_]) -> FloatArray:
    """Return 1 from where `enter` holds to where `leave` holds, else 0, (T,)."""
    signal = np.where(enter, 1.0, np.where(leave, 0.0, np.nan))
    return np.asarray(pd.Series(signal).ffill().fillna(0.0), dtype=np.float64)


def make(rules: TradingRules, seed: int = 0) -> Agent:
    """Build the rule; a `SeriesAgent` puts what is wanted onto the exposures that the rules allow."""
    return SeriesAgent("breakout", rules.action, breakout, warmup_bars=ENTRY_BARS)


# Found because it is a Baseline at the top level of a module named under `plugins`.
BREAKOUT = Baseline("breakout", make)
