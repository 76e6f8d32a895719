"""A reading judged under the settings of the data: the rows that are asked for, with every reason against them."""

from dataclasses import replace

from src.config.data import DataConfig
from src.market.quality.several_markets import several_markets, take_symbol
from src.market.quality.verdict import DROP, STRICT, Judgement, QualityVerdict, Usability, judge
from src.market.reading.frames import rows_by_date
from src.market.reading.understanding import Reading


def judge_reading(reading: Reading, symbol: str, data: DataConfig) -> Judgement:
    """Judge the rows of a market between `data.start` and `data.end`, so that what is cut away refuses nothing.

    Args:
        data: its `columns`, `drop_defective`, `start` and `end`.

    Raises:
        ConfigError: a date is not ISO.
        DataError: the symbol is not in the column that `data.columns.symbol` names, or there is nothing to judge.
    """
    if "symbol" in data.columns:
        reading = take_symbol(reading, data.columns["symbol"], symbol)
    if data.start or data.end:
        reading = reading.of_rows(rows_by_date(reading.frame["open_time"].to_numpy(), data.start, data.end))
    judged = judge(reading.frame, policy=DROP if data.drop_defective else STRICT)
    if several := several_markets(reading):  # what else is found follows from it
        return replace(judged, verdict=QualityVerdict(Usability.refused, (several,), ()))
    return judged
