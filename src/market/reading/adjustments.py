"""Prices before and after splits and dividends: which of them a file holds, and which are taken (`data.adjust`).

- `auto`: a whole set of adjusted columns where the file has one; else prices as they stand, and what could adjust them
  is named.
- `none`: prices as they stand.
- `all`: the adjusted columns; else all four prices times adjusted close / close; else divided by the splits that
  follow, by which volume is multiplied.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from src.config.data import Adjust
from src.errors import DataError
from src.market.bars import PRICE_COLUMNS as PRICES
from src.market.bars import FloatArray, TimeArray
from src.market.reading.column_names import Places, plain_name

_ADJUSTED = {
    ours: {f"adj{ours}", f"adjusted{ours}", f"{ours}adj", f"{ours}adjusted", f"adj{ours}price", f"adjusted{ours}price"}
    for ours in (*PRICES, "volume")
}
_ADJUSTED["close"] |= {"adjusted", "adjprice", "adjustedprice"}
_SPLITS = ("splitratio", "splitcoefficient", "splitfactor", "stocksplits", "stocksplit", "splits", "split")

Candles = dict[str, FloatArray]  # open, high, low, close, volume, (T,) each
NamedColumn = tuple[str, FloatArray]  # as the file calls it, (T,)


class AdjustedColumns(NamedTuple):
    """Columns of a file that tell of adjustment, by position."""

    of: dict[str, int]  # adjusted columns under our names
    splits: int | None  # new shares for an old one on the day of a split; 0 or 1 on other days

    @property
    def is_whole(self) -> bool:
        """Whether all four prices are there."""
        return set(PRICES) <= set(self.of)


class Adjusted(NamedTuple):
    """Candles, the column by which they were adjusted (empty: as they stand), and what was assumed."""

    candles: Candles
    by: str
    remarks: tuple[str, ...]


def adjusted_columns(names: Sequence[str]) -> AdjustedColumns:
    """Return which columns are adjusted prices or ratios of splits."""
    plain = [plain_name(name) for name in names]
    of = {ours: place for ours, known in _ADJUSTED.items() for place, name in enumerate(plain) if name in known}
    return AdjustedColumns(of, next((plain.index(name) for name in _SPLITS if name in plain), None))


def take_adjusted_columns(
    found: Places, names: Sequence[str], mapped: Mapping[str, str], adjust: Adjust
) -> tuple[Places, str]:
    """Return the columns to read, and a remark where the adjusted ones take the place of the others.

    Prices that the user mapped stay as mapped.
    """
    columns = adjusted_columns(names)
    if adjust is Adjust.none or not columns.is_whole or set(PRICES) & set(mapped):
        return dict(found), ""
    taken = {ours: place for ours, place in columns.of.items() if ours not in mapped}
    replaced = [found[ours][0] for ours in taken if ours in found]
    adjusted, others = _quoted(names, taken.values()), _quoted(names, replaced)
    told = f"adjusted prices are taken, {adjusted}, not {others}; data.adjust=none takes those"
    return {**found, **{ours: (place,) for ours, place in taken.items()}}, told


def adjust_candles(
    candles: Candles,
    open_time: TimeArray,
    adjusted_close: NamedColumn | None,
    splits: NamedColumn | None,
    adjust: Adjust,
) -> Adjusted:
    """Return candles adjusted as asked, or as they stand with a remark that names what could adjust them.

    Args:
        candles: prices as they stand.
        open_time: of the candles, which may be in any order, (T,).
        adjusted_close: name and values (T,) of a column of adjusted closes that was not taken.
        splits: name and values (T,) of a column of split ratios.

    Raises:
        DataError: `all` is asked for, and the file holds nothing that adjusts.
    """
    if adjust is Adjust.none:
        return Adjusted(candles, "", ())
    open_splits = None if splits is None else _not_contained(candles["close"], open_time, splits[1])
    if adjust is Adjust.auto:
        told = (_of_close(candles["close"], adjusted_close), _of_splits(open_time, splits, open_splits))
        return Adjusted(candles, "", tuple(remark for remark in told if remark))
    if adjusted_close is not None:
        factor = adjusted_close[1] / candles["close"]
        remark = f"all four prices are multiplied by '{adjusted_close[0]}' / close; data.adjust=none takes them raw"
        return Adjusted({**candles, **{name: candles[name] * factor for name in PRICES}}, adjusted_close[0], (remark,))
    if splits is not None and open_splits is not None:
        shares = _later_shares(open_time, open_splits)
        changed = {name: candles[name] / shares for name in PRICES} | {"volume": candles["volume"] * shares}
        remark = f"prices before a split of '{splits[0]}' are divided by it; data.adjust=none takes them raw"
        return Adjusted({**candles, **changed}, splits[0], (remark,))
    raise DataError("data.adjust=all finds neither adjusted prices nor ratios of splits; leave it at auto")


def mixing_error(candles: Candles, mapped: Mapping[str, str], names: Sequence[str], close: int) -> str:
    """Return why candles (T,) are refused whose mapped close is adjusted and whose other prices are not, else ''."""
    columns = adjusted_columns(names)
    if "close" not in mapped or columns.of.get("close") != close or set(mapped) & {"open", "high", "low"}:
        return ""
    outside = (candles["close"] > candles["high"]) | (candles["close"] < candles["low"])
    if not outside.any():
        return ""
    return (
        f"data.columns.close names '{names[close]}', which is adjusted, while open, high and low are not:"
        f" {outside.sum():,} closes lie outside of their bars; leave close out of"
        " data.columns, and adjust all four with data.adjust=all"
    )


def _of_close(close: FloatArray, adjusted: NamedColumn | None) -> str:
    if adjusted is None:
        return ""
    with np.errstate(all="ignore"):
        apart = np.nanmax(np.abs(adjusted[1] / close - 1.0), initial=0.0)
    if apart < 1e-4:
        return ""
    return (
        f"prices are taken as they stand; '{adjusted[0]}' differs from close by up to {apart:.1%}, and data.adjust=all"
        " adjusts all four by it"
    )


def _of_splits(open_time: TimeArray, splits: NamedColumn | None, not_contained: FloatArray | None) -> str:
    if splits is None or not_contained is None or not (rows := np.flatnonzero(not_contained != 1.0)).size:
        return ""
    day = str(open_time[rows[0]].astype("datetime64[ms]").astype("datetime64[D]"))
    return (
        f"'{splits[0]}' tells of {rows.size} split(s), first {not_contained[rows[0]]:g} for 1 at {day}, which prices do"
        " not contain; data.adjust=all adjusts for them"
    )


def _not_contained(close: FloatArray, open_time: TimeArray, ratios: FloatArray) -> FloatArray:
    # Ratios of splits (T,) at which the price jumps by them; 1 elsewhere, also where a price was adjusted before.
    order = np.argsort(open_time, kind="stable")
    ratio = np.where(np.isfinite(ratios) & (ratios > 0), ratios, 1.0)[order]
    with np.errstate(all="ignore"):
        jump = np.diff(np.log(close[order]), prepend=np.nan)
        is_raw = np.abs(jump + np.log(ratio)) < np.abs(jump)
    found = np.ones(len(ratio))
    found[order] = np.where(is_raw & (ratio != 1.0), ratio, 1.0)
    return found


def _later_shares(open_time: TimeArray, ratios: FloatArray) -> FloatArray:
    # Shares at the end for one at each bar, (T,).
    order = np.argsort(open_time, kind="stable")
    after = np.append(np.cumprod(ratios[order][::-1])[::-1][1:], 1.0)
    shares = np.empty(len(after))
    shares[order] = after
    return shares


def _quoted(names: Sequence[str], places: Iterable[int]) -> str:
    return ", ".join(f"'{names[place]}'" for place in places)
