"""Where panels come from: `load_panel`, from the name of an embedded or generated one, or from the bars of symbols."""

import logging
from collections.abc import Iterator, Sequence

from src.config.data import DataConfig, DataSource
from src.errors import DataError
from src.market.bars import BarSeries, symbol_id
from src.market.embedded import US5, embedded_facts, load_embedded_panel
from src.market.instrument import base_and_quote
from src.market.panel import Panel, SymbolFacts
from src.market.reading.frames import cut_by_date
from src.market.sources import load_bars
from src.market.synthetic.planted_panels import PLANTED_PANELS, generate_panel
from src.seeding import generator

logger = logging.getLogger(__name__)


def built_in_panels(source: DataSource) -> list[str]:
    """Return the names of panels that an installation brings with it."""
    return {DataSource.embedded: [US5], DataSource.synthetic: list(PLANTED_PANELS)}.get(source, [])


def panel_source(name: str) -> DataSource | None:
    """Return where a panel of this name comes from; None if it is the name of none."""
    known = {symbol_id(panel): source for source in DataSource for panel in built_in_panels(source)}
    return known.get(symbol_id(name))


def load_panel(name: str, symbols: Sequence[str], data: DataConfig, seed: int = 0) -> Panel:
    """Return a panel, cut to [data.start, data.end).

    Args:
        name: of a panel that is built in, or what the symbols together are called.
        symbols: whose bars `load_bars` finds; none for a panel that is built in, of which symbols that have no two bars
            in that time are left out, and named in the log.
        seed: decides the paths of a generated panel.

    Raises:
        ConfigError, DataError: as `load_bars` and `Panel.of`, or there is no such panel.
    """
    if symbols:
        series = [load_bars(symbol, data, seed) for symbol in symbols]
        facts = {symbol: _facts(symbol, data.source) for symbol in symbols}
    else:
        whole = _built_in(name, data, seed)
        series = list(_within(whole, data))
        facts = dict(zip(whole.symbols, whole.facts, strict=True))
    return Panel.of(name, series, facts)


def _within(whole: Panel, data: DataConfig) -> Iterator[BarSeries]:
    # What has no two bars between the dates was not listed then, unless that is true of all.
    refused: list[DataError] = []
    for symbol in whole.symbols:
        try:
            yield cut_by_date(whole.series(symbol), data.start, data.end)
        except DataError as error:
            refused.append(error)
    if len(refused) == len(whole.symbols):
        raise refused[0]
    for refusal in refused:
        logger.warning("left out of %s: %s", whole.name, refusal)


def _built_in(name: str, data: DataConfig, seed: int) -> Panel:
    if symbol_id(name) == US5:
        return load_embedded_panel(name, data.timeframe)
    known = {symbol_id(panel): panel for panel in PLANTED_PANELS}
    if symbol_id(name) not in known:
        raise DataError(f"there is no panel '{name}'. Valid: {', '.join([US5, *PLANTED_PANELS])}, or name its symbols")
    panel = known[symbol_id(name)]
    return generate_panel(panel, data.synthetic.bars, generator(seed, "panel", panel), data.timeframe or "1h")


def _facts(symbol: str, source: DataSource) -> SymbolFacts:
    if source is DataSource.embedded:
        return embedded_facts(symbol)
    return SymbolFacts(currency=base_and_quote(symbol)[1])
