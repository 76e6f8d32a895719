"""From settings to what every stage trains on: bars, splits, fitted features, rules and markets."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from src.config.training import TrainingConfig
from src.errors import DataError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries, symbol_id
from src.market.sources import load_bars
from src.market.splits import MIN_PART_ROWS, Splits
from src.trading.prepared_market import PreparedMarket, prepare_market
from src.trading.rules import TradingRules
from src.trading.setup import make_setup


@dataclass(frozen=True)
class TrainingData:
    """What a run trains and validates on. Scaler and volatility come from training rows alone.

    Attributes:
        bars: the series that is traded: validated on, and tested later.
        training_markets: the training rows of each symbol, and their mirror images where a stage asks for them;
            features are scaled on all, and a stage's algorithm says which of them it learns from.
        fingerprint: of the bars of all symbols.
    """

    bars: BarSeries
    splits: Splits
    pipeline: FeaturePipeline
    rules: TradingRules
    training_markets: tuple[PreparedMarket, ...]
    fingerprint: str


def prepare_data(config: TrainingConfig) -> TrainingData:
    """Load bars, split them, fit features on the training split and gather the rules.

    Raises:
        DataError: the data cannot be read, or is too short for warm-up, window and splits.
    """
    bars = load_bars(config.symbol, config.data, config.seed)
    setup = make_setup(config, bars)
    splits, rules = setup.splits, setup.rules
    learned = [(bars, splits.train), *other_symbols(config, bars, splits)]
    mirrored = any(stage.learns_mirrored for stage in config.sequence.values())
    images = [(own.mirrored(), rows) for own, rows in learned] if mirrored else []
    pipeline = setup.pipeline.fit([*learned, *images])
    markets = (
        *(prepare_market(own, pipeline, config.costs, rows) for own, rows in learned),
        *(replace(prepare_market(own, pipeline, config.costs, rows), is_mirror=True) for own, rows in images),
    )
    return TrainingData(bars, splits, pipeline, rules, markets, _fingerprint(own for own, _ in learned))


def other_symbols(config: TrainingConfig, bars: BarSeries, splits: Splits) -> list[tuple[BarSeries, range]]:
    """Return the bars of the other symbols to learn from, and the rows of each.

    Markets move together, so a bar of one symbol tells of the same hour of another: rows end where the training split
    of the traded symbol ends, by the clock. Before that all of them count, however early they begin.

    Args:
        bars, splits: of the symbol that is traded.

    Raises:
        DataError: bars cannot be used, have another timeframe, or none is left.
    """
    others, found = {symbol_id(symbol): symbol for symbol in config.symbols}, []
    others.pop(symbol_id(bars.symbol), None)
    for symbol in others.values():
        other = load_bars(symbol, config.data, config.seed)
        if other.timeframe != bars.timeframe:
            raise DataError(
                f"symbols: bars of {symbol} are {other.timeframe} long and those of {bars.symbol} {bars.timeframe}; "
                "choose symbols of one timeframe"
            )
        end = bars.close_time[splits.train.stop - 1]
        rows = range(splits.all.start, int(np.searchsorted(other.close_time, end, side="right")))
        if len(rows) < MIN_PART_ROWS:
            raise DataError(
                f"symbols: of {symbol} too few bars close between its warm-up and the end of the training split of "
                f"{bars.symbol}; leave it out or raise data.split.train_frac"
            )
        found.append((other, rows))
    return found


def _fingerprint(learned: Iterable[BarSeries]) -> str:
    return "+".join(dict.fromkeys(own.fingerprint for own in learned))
