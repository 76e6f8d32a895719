"""A price file as a picture: prices, volume, and where gaps, splits and spikes lie."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from src.market.bars import FloatArray, TimeArray
from src.market.quality.defects import CandleColumns, Mask, bad_prices, candle_columns, missing_before
from src.market.quality.inspection import in_time
from src.market.quality.spikes import outliers, tenfold_spikes
from src.market.quality.split_jumps import find_split_jumps
from src.market.quality.verdict import Judgement

POINTS = 2_000  # of a line; of more, the lowest and highest of each stretch are drawn
GAPS = 20  # longest gaps that are shaded
LOG_FROM = 5.0  # highest over lowest price, from which on the scale is logarithmic


def draw_picture(judged: Judgement, name: str, out: Path) -> None:
    """Draw the sound rows of a file as a PNG."""
    every = candle_columns(judged.frame)
    path = in_time(every, ~bad_prices(every)).columns
    figure = Figure(figsize=(10, 6), layout="constrained")
    price, volume = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    price.set_title(f"{name}: {len(path.open_time):,} rows, {judged.verdict.outcome.value}")
    if len(path.open_time):
        rows = extremes(path.prices[:, 3], POINTS)
        price.plot(_dates(path.open_time[rows]), path.prices[rows, 3], lw=0.8, label="close")
        rows = extremes(path.volume, POINTS)
        volume.vlines(_dates(path.open_time[rows]), 0, path.volume[rows], lw=0.8)
        _mark(price, path, judged.report.timeframe_ms)
        if path.prices[:, 1].max() > LOG_FROM * path.prices[:, 2].min():
            price.set_yscale("log")
    price.set_ylabel("price")
    volume.set_ylabel("volume")
    price.legend(loc="upper left", fontsize="small")
    figure.savefig(out, format="png", dpi=110)


def extremes(values: FloatArray, points: int) -> NDArray[np.intp]:
    """Return the rows of the lowest and highest value of each stretch, in order; all rows (T,) of few values."""
    if len(values) <= points:
        return np.arange(len(values))
    stretches = np.array_split(np.arange(len(values)), points // 2)
    return np.unique([pick(values[rows]) + rows[0] for rows in stretches for pick in (np.argmin, np.argmax)])


def _mark(axes: Axes, path: CandleColumns, step: int) -> None:
    missing = missing_before(path, step)
    for row in np.argsort(-missing, kind="stable")[:GAPS]:
        if missing[row]:
            axes.axvspan(*_dates(path.open_time[[row - 1, row]]), color="0.9", lw=0, label="_")
    for jump in find_split_jumps(path):
        when = _dates(path.open_time[[jump.row]])[0]
        axes.axvline(when, color="tab:orange", ls="--", lw=1, label=f"{jump.ratio} split?")
    _dot(axes, path, outliers(path, step), "outlier", "tab:purple")
    _dot(axes, path, tenfold_spikes(path), "ten times off", "tab:red")


def _dot(axes: Axes, path: CandleColumns, marked: Mask, label: str, colour: str) -> None:
    if marked.any():
        axes.scatter(_dates(path.open_time[marked]), path.prices[marked, 3], s=18, color=colour, label=label, zorder=3)


def _dates(times: TimeArray) -> NDArray[np.datetime64]:
    return times.astype("datetime64[ms]")
