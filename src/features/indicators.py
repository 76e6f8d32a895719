"""Every feature the project ships, and `FEATURES`, the table that names them.

All prices are log prices. So features know no currency, and a mirrored market (every log price negated) turns exactly
the sign of the directional columns and leaves the others alone; oscillators are centred on 0 and bounded by 1 for that
reason. Standard indicators come from `ta` 0.11 where it is fast and forgets its start. They are computed here, and
tested against it, where it is slow (ADX, ATR and CCI loop in Python, RSI takes a millisecond a call) or where sums kept
up by adding and subtracting carry rounding residue of a storm into the quiet after it (Bollinger bands, Chaikin money
flow).

Not used: KST and the "visual" Ichimoku spans of `ta`, which see the future, nor its `fillna=True`, which carries the
last value forward without end.

Exponential averages are cut off after four spans: `exponential_average`. What is older cannot be felt at all, so a live
bot that holds `lookback_bars` of history sees the features of a backtest over years.
"""

import math
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from ta.momentum import StochasticOscillator
from ta.trend import MACD
from ta.volatility import DonchianChannel

from src.features.base import Feature
from src.market.bars import BarSeries, FloatArray

Columns = tuple[FloatArray, ...]

# Log-price units. Keeps ratios of decaying averages from remembering what happened before a market stood still.
FLOOR = 1e-8
CUTOFF_SPANS = 4

RETURN_LAGS = (0, 1, 2, 3)
DEVIATION_SPANS = (10, 40, 160)
MOMENTUM_BARS = (20, 60)
AVERAGE_SPAN = 40  # range and volume are compared with their average of this span
LONG_SPAN = 160
WILDER_WINDOW = 14  # RSI, ATR, ADX, stochastic
WILDER_SPAN = 2 * WILDER_WINDOW - 1  # 1 / window = 2 / (span + 1)
MACD_SPANS = (12, 26, 9)
BAND_WINDOW = 20  # Bollinger, CCI, Chaikin
CHANNEL_WINDOW = 55

DAY_MS = 86_400_000
MONDAY_MS = 4 * DAY_MS  # the first Monday after 1970-01-01, a Thursday


def exponential_average(values: FloatArray, span: int) -> FloatArray:
    """Return the exponential average of the last `4 * span` values, (T,).

    Weights fall by 1 - 2 / (span + 1) a bar; the cut leaves out less than 0.04 % of them. At the start the average is
    over what there is, as pandas' `ewm(span, adjust=True)`. Each value is a sum over its own window, so no rounding
    residue outlives the window, and its bits do not depend on where in a series it lies.
    """
    length, decay = CUTOFF_SPANS * span, 1.0 - 2.0 / (span + 1.0)
    # The sum over 2n bars is that over the last n and, decayed, that over the n before: log2(length) doublings in all.
    total, width = values, 1
    for bit in f"{length:b}"[1:]:
        total, width = _joined(total, total, decay, width), 2 * width
        if bit == "1":
            total, width = _joined(values, total, decay, 1), width + 1
    return total / _weight(length, decay)[np.minimum(np.arange(values.size), length - 1)]


def latest_average(values: FloatArray, span: int) -> float:
    """Return the last value of `exponential_average` of values (T,), to rounding, without computing the others."""
    length, decay = CUTOFF_SPANS * span, 1.0 - 2.0 / (span + 1.0)
    seen = values[-length:]
    return float(seen.dot(_decays(length, decay)[length - seen.size :]) / _weight(length, decay)[seen.size - 1])


@lru_cache(maxsize=256)
def _decays(length: int, decay: float) -> FloatArray:
    # Of the last bars, oldest first.
    return decay ** np.arange(length - 1.0, -1.0, -1.0)


def _joined(newer: FloatArray, older: FloatArray, decay: float, bars: int) -> FloatArray:
    # Sums over the last `bars` bars, and decayed ones of the bars before.
    total = newer.copy()
    total[bars:] += decay**bars * older[: max(0, older.size - bars)]
    return total


@lru_cache(maxsize=256)
def _weight(length: int, decay: float) -> FloatArray:
    # Of all bars after 1, 2, ... of them.
    return np.cumsum(decay ** np.arange(length))


def relative_level(values: FloatArray, reference: FloatArray) -> FloatArray:
    """Return log((value + reference) / (2 * reference)), (T,): 0 when equal or reference is 0, never below -log 2.

    A plain log ratio would make every bar without range or volume an outlier.
    """
    return np.log(_ratio(values + reference, 2.0 * reference, empty=1.0))


def _ratio(numerator: FloatArray, denominator: FloatArray, empty: float = 0.0) -> FloatArray:
    # `denominator` is >= 0 or NaN; where it is not positive the ratio is `empty`.
    return np.divide(numerator, denominator, out=np.full_like(numerator, empty), where=denominator > 0)


def _forgets(span: float) -> int:
    # Bars after which a recursive average of this span gives its start a weight below 1e-15.
    return math.ceil(math.log(1e-15) / math.log1p(-2.0 / (span + 1.0)))


def _lagged(values: FloatArray, lag: int) -> FloatArray:
    # values[t - lag]; the first `lag` rows repeat the first value.
    return np.concatenate([np.repeat(values[:1], lag), values])[: values.size]


def _windows(values: FloatArray, window: int) -> FloatArray:
    # (T, window): the trailing window of each row; before the start the first value is repeated.
    return sliding_window_view(np.concatenate([np.repeat(values[:1], window - 1), values]), window)


def _above_past(values: FloatArray, window: int) -> FloatArray:
    # (T, window): how far each row stands above each value of its window; exactly 0 where nothing moved.
    return values[:, None] - _windows(values, window)


def _wilder(values: FloatArray) -> FloatArray:
    # An average that starts at the first value and moves a 14th of the way to each one that follows.
    from scipy.signal import lfilter  # slow to load, and not needed to know the names of features

    kept = 1.0 - 1.0 / WILDER_WINDOW
    averaged: FloatArray = lfilter([1.0 / WILDER_WINDOW], [1.0, -kept], values, zi=kept * values[:1])[0]
    return averaged


def _log_series(prices: FloatArray) -> pd.Series:
    return pd.Series(np.log(prices))


def _log_range(bars: BarSeries) -> FloatArray:
    return np.log(bars.high) - np.log(bars.low)


def _true_range(bars: BarSeries) -> FloatArray:
    # Range including the gap from the prior close (Wilder, 1978), in log prices.
    prior = _lagged(np.log(bars.close), 1)
    return np.maximum(np.log(bars.high), prior) - np.minimum(np.log(bars.low), prior)


def _returns(bars: BarSeries) -> Columns:
    return tuple(_lagged(bars.log_returns, lag) for lag in RETURN_LAGS)


def _deviations(bars: BarSeries) -> Columns:
    price = np.log(bars.close)
    return tuple((price - exponential_average(price, span)) / math.sqrt(span) for span in DEVIATION_SPANS)


def _volatility(bars: BarSeries) -> Columns:
    # Absolute rather than squared returns: one crash must not fill the long average.
    short, middle, long = (exponential_average(np.abs(bars.log_returns), span) for span in DEVIATION_SPANS)
    return relative_level(short, middle), relative_level(middle, long)


def _volatility_level(bars: BarSeries) -> Columns:
    return (np.log1p(exponential_average(np.abs(bars.log_returns), LONG_SPAN) / FLOOR),)


def _last_deviations(bars: BarSeries) -> tuple[float, ...]:
    price = np.log(bars.close)
    return tuple((price[-1] - latest_average(price, span)) / math.sqrt(span) for span in DEVIATION_SPANS)


def _last_volatility(bars: BarSeries) -> tuple[float, ...]:
    sizes = np.abs(bars.log_returns)
    short, middle, long = (np.array(latest_average(sizes, span)) for span in DEVIATION_SPANS)
    return float(relative_level(short, middle)), float(relative_level(middle, long))


def _last_volatility_level(bars: BarSeries) -> tuple[float]:
    return (math.log1p(latest_average(np.abs(bars.log_returns), LONG_SPAN) / FLOOR),)


def _last_range(bars: BarSeries) -> tuple[float]:
    return (_last_over_average(_log_range(bars)),)


def _last_volume(bars: BarSeries) -> tuple[float]:
    return (_last_over_average(bars.volume),)


def _last_over_average(values: FloatArray) -> float:
    return float(relative_level(values[-1:], np.array([latest_average(values, AVERAGE_SPAN)]))[0])


def _rsi(bars: BarSeries) -> Columns:
    # From -1 to 1 rather than 0 to 100; the floor makes it 0 where nothing moved, and after a long standstill.
    return (_wilder(bars.log_returns) / (_wilder(np.abs(bars.log_returns)) + FLOOR),)


def _bollinger(bars: BarSeries) -> Columns:
    above = _above_past(np.log(bars.close), BAND_WINDOW)
    return (above.mean(axis=1) / (2.0 * above.std(axis=1) + FLOOR),)


def _range(bars: BarSeries) -> Columns:
    size = _log_range(bars)
    return (relative_level(size, exponential_average(size, AVERAGE_SPAN)),)


def _volume(bars: BarSeries) -> Columns:
    return (relative_level(bars.volume, exponential_average(bars.volume, AVERAGE_SPAN)),)


def _calendar(bars: BarSeries) -> Columns:
    day = 2.0 * np.pi * (bars.open_time % DAY_MS) / DAY_MS
    week = 2.0 * np.pi * ((bars.open_time - MONDAY_MS) % (7 * DAY_MS)) / (7 * DAY_MS)
    return np.sin(day), np.cos(day), np.sin(week), np.cos(week)


def _momentum(bars: BarSeries) -> Columns:
    price = np.log(bars.close)
    return tuple((price - _lagged(price, lag)) / math.sqrt(lag) for lag in MOMENTUM_BARS)


def _macd(bars: BarSeries) -> Columns:
    fast, slow, signal = MACD_SPANS
    macd = MACD(_log_series(bars.close), window_slow=slow, window_fast=fast, window_sign=signal)
    return macd.macd().to_numpy(dtype=np.float64), macd.macd_diff().to_numpy(dtype=np.float64)


def _stochastic(bars: BarSeries) -> Columns:
    high, low, close = (_log_series(prices) for prices in (bars.high, bars.low, bars.close))
    percent = StochasticOscillator(high, low, close, window=WILDER_WINDOW).stoch().to_numpy(dtype=np.float64)
    fast = np.nan_to_num(percent / 50.0 - 1.0, nan=0.0)  # NaN: warm-up, or no range in the whole window
    return fast, _windows(fast, 3).mean(axis=1)


def _donchian(bars: BarSeries) -> Columns:
    high, low, close = (_log_series(prices) for prices in (bars.high, bars.low, bars.close))
    channel = DonchianChannel(high, low, close, window=CHANNEL_WINDOW)
    position = 2.0 * channel.donchian_channel_pband().to_numpy(dtype=np.float64) - 1.0
    return (np.nan_to_num(position, nan=0.0),)  # NaN: warm-up, or no range in the whole window


def _adx(bars: BarSeries) -> Columns:
    high, low = np.log(bars.high), np.log(bars.low)
    up, down = high - _lagged(high, 1), _lagged(low, 1) - low
    plus = _wilder(np.where((up > down) & (up > 0), up, 0.0))
    minus = _wilder(np.where((down > up) & (down > 0), down, 0.0))
    difference = (plus - minus) / (_wilder(_true_range(bars)) + FLOOR)
    return _wilder(np.abs(plus - minus) / (plus + minus + FLOOR)), difference


def _atr(bars: BarSeries) -> Columns:
    size = _true_range(bars)
    return (relative_level(exponential_average(size, WILDER_SPAN), exponential_average(size, LONG_SPAN)),)


def _cci(bars: BarSeries) -> Columns:
    typical = (np.log(bars.high) + np.log(bars.low) + np.log(bars.close)) / 3.0
    above = _above_past(typical, BAND_WINDOW)
    middle = above.mean(axis=1)
    spread = np.abs(above - middle[:, None]).mean(axis=1)
    return (middle / (1.5 * spread + FLOOR),)  # 1.5 mean absolute deviations are the classic 100


def _chaikin(bars: BarSeries) -> Columns:
    high, low, close = np.log(bars.high), np.log(bars.low), np.log(bars.close)
    place = _ratio(2.0 * close - high - low, high - low)
    flow = _windows(place * bars.volume, BAND_WINDOW).sum(axis=1)
    return (_ratio(flow, _windows(bars.volume, BAND_WINDOW).sum(axis=1)),)


def _candle(bars: BarSeries) -> Columns:
    opened, high, low, close = (np.log(prices) for prices in (bars.open, bars.high, bars.low, bars.close))
    wicks = high + low - opened - close  # upper wick minus lower wick
    return _ratio(close - opened, high - low), _ratio(wicks, high - low)


RETURN_COLUMNS = tuple(f"return_lag_{lag}" for lag in RETURN_LAGS)
DEVIATION_COLUMNS = tuple(f"deviation_{span}" for span in DEVIATION_SPANS)
MOMENTUM_COLUMNS = tuple(f"momentum_{lag}" for lag in MOMENTUM_BARS)
MACD_COLUMNS = ("macd", "macd_histogram")
STOCHASTIC_COLUMNS = ("stochastic_k", "stochastic_d")
CALENDAR_COLUMNS = ("day_sin", "day_cos", "week_sin", "week_cos")
CANDLE_COLUMNS = ("candle_body", "candle_wicks")
LONG_LOOKBACK = CUTOFF_SPANS * LONG_SPAN
AVERAGE_LOOKBACK = CUTOFF_SPANS * AVERAGE_SPAN
WILDER_LOOKBACK = _forgets(WILDER_SPAN) + 1
MACD_LOOKBACK = _forgets(MACD_SPANS[1])

# name: Feature(name, columns, look-back, warm-up, formula, odd columns, last values). See `docs/features.md`.
FEATURES: dict[str, Feature] = {
    "returns": Feature("returns", RETURN_COLUMNS, 5, 4, _returns, RETURN_COLUMNS),
    "deviations": Feature(
        "deviations", DEVIATION_COLUMNS, LONG_LOOKBACK, 160, _deviations, DEVIATION_COLUMNS, _last_deviations
    ),
    "volatility": Feature(
        "volatility",
        ("volatility_10_40", "volatility_40_160"),
        LONG_LOOKBACK + 1,
        161,
        _volatility,
        (),
        _last_volatility,
    ),
    "volatility_level": Feature(
        "volatility_level",
        ("volatility_160",),
        LONG_LOOKBACK + 1,
        161,
        _volatility_level,
        (),
        _last_volatility_level,
    ),
    "rsi": Feature("rsi", ("rsi",), WILDER_LOOKBACK, 28, _rsi, ("rsi",)),
    "bollinger": Feature("bollinger", ("bollinger",), 20, 19, _bollinger, ("bollinger",)),
    "range": Feature("range", ("range",), AVERAGE_LOOKBACK, 40, _range, (), _last_range),
    "volume": Feature("volume", ("volume",), AVERAGE_LOOKBACK, 40, _volume, (), _last_volume),
    "calendar": Feature("calendar", CALENDAR_COLUMNS, 1, 0, _calendar),
    "momentum": Feature("momentum", MOMENTUM_COLUMNS, 61, 60, _momentum, MOMENTUM_COLUMNS),
    "macd": Feature("macd", MACD_COLUMNS, MACD_LOOKBACK, 35, _macd, MACD_COLUMNS),
    "stochastic": Feature("stochastic", STOCHASTIC_COLUMNS, 16, 15, _stochastic, STOCHASTIC_COLUMNS),
    "donchian": Feature("donchian", ("donchian",), 55, 54, _donchian, ("donchian",)),
    "adx": Feature("adx", ("adx", "di_difference"), WILDER_LOOKBACK, 55, _adx, ("di_difference",)),
    "atr": Feature("atr", ("atr",), LONG_LOOKBACK + 1, 161, _atr),
    "cci": Feature("cci", ("cci",), 20, 19, _cci, ("cci",)),
    "chaikin": Feature("chaikin", ("chaikin",), 20, 19, _chaikin, ("chaikin",)),
    "candle": Feature("candle", CANDLE_COLUMNS, 1, 0, _candle, CANDLE_COLUMNS),
}
