"""Which column of a file is its volume: chosen among several, behind an average price, in pieces, or a sum of two."""

from collections.abc import Mapping
from itertools import chain

from src.config.data import DataConfig
from src.errors import DataError
from src.market.bars import PRICE_COLUMNS, FloatArray
from src.market.reading.column_names import Places, candidates
from src.market.reading.files.raw_table import RawTable
from src.market.reading.numbers import read_numbers
from src.market.reading.volume import Volume, choose_volume, is_average_price, is_money_for, summed_volume

_SAMPLED = 1_000  # rows in which money is told from pieces


def volume_places(table: RawTable, found: Places, data: DataConfig) -> list[int]:
    """Return what the user, an adjusted set or the order of rows names, else every column that could be volume."""
    known = candidates("volume", table.names)
    first = found.get("volume", ())
    if "volume" in data.columns or (first and first[0] not in known):
        return list(first)
    taken = set(chain.from_iterable(found.values())) - set(first)
    return [place for place in known if place not in taken]


def read_volume(
    table: RawTable,
    found: Places,
    columns: Mapping[int, FloatArray],
    prices: Mapping[str, FloatArray],
    data: DataConfig,
) -> Volume:
    """Return the volume of a file; what the user names is taken as it stands.

    Args:
        table: cells and names.
        found: where each of our columns stands.
        columns: values (T,) at `volume_places`.
        prices: open, high, low and close, (T,) each.
        data: settings.

    Raises:
        DataError: the column holds no numbers.
    """
    if len(found.get("volume", ())) > 1:
        return summed_volume(columns, table.names, "volume" in data.columns)
    volume = choose_volume(columns, table.names, len(table.cells))
    if "volume" in data.columns or not volume.places:
        return volume
    return _in_pieces(table, found, _behind_average(table, prices, volume, data), data)


def _behind_average(table: RawTable, prices: Mapping[str, FloatArray], volume: Volume, data: DataConfig) -> Volume:
    # Rows without names may hold an average price where most hold volume, and volume behind it (Kraken).
    behind = volume.places[0] + 1
    is_usual = "volume" in table.by_position and behind < len(table.names)
    if not is_usual or not is_average_price(volume.values, prices):
        return volume
    told = f"'{behind - 1}' holds an average price: volume is taken from '{behind}'; data.columns.volume names another"
    return Volume(read_numbers(table.columns([behind]), data.decimal).columns[behind], (behind,), told)


def _in_pieces(table: RawTable, found: Places, volume: Volume, data: DataConfig) -> Volume:
    # Volume in money, such as shares times their price, gives way to another column that holds the shares.
    place = volume.places[0]
    taken = {place, *chain.from_iterable(found[ours] for ours in found if ours != "volume")}
    sample = table._replace(cells=table.cells.iloc[:: max(1, -(-len(table.cells) // _SAMPLED))])
    prices = {ours: found[ours][0] for ours in PRICE_COLUMNS if ours in found}
    for other in range(len(table.names)):
        if other not in taken and _is_money_for(sample, prices, place, other, data.decimal):
            told = (
                f"'{table.names[place]}' is money, '{table.names[other]}' times the price: volume is taken from"
                f" '{table.names[other]}'; data.columns.volume names another"
            )
            wanted = [*prices.values(), other]  # prices show how its numbers are written
            return Volume(read_numbers(table.columns(wanted), data.decimal).columns[other], (other,), told)
    return volume


def _is_money_for(sample: RawTable, prices: Mapping[str, int], place: int, other: int, decimal: str | None) -> bool:
    try:
        numbers = read_numbers(sample.columns([*prices.values(), place, other]), decimal).columns
    except DataError:  # a column of something else
        return False
    return is_money_for(numbers[place], numbers[other], {ours: numbers[at] for ours, at in prices.items()})
