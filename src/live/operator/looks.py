"""What `status`, `explain` and `replay` say, in lines of text: read from the journal, without a trace."""

from collections.abc import Iterable, Iterator
from itertools import chain

import pandas as pd

from src.brokerage.clock import SystemClock
from src.config.fields import did_you_mean
from src.errors import ConfigError, DataError
from src.journal.inspection import decision_at, status
from src.journal.inspection_text import status_lines, trace_lines
from src.journal.queries import JournalQueries
from src.live.assembly import Options, archive_file, halts_folder, lock_file, read_journal
from src.live.halt_file import halt_file
from src.live.venues.venue import OrderKind
from src.market.bars import symbol_id
from src.market.instrument import base_and_quote
from src.market.quality.findings import utc
from src.market.reading.times.timestamps import to_milliseconds
from src.storage import is_locked

SIGNS_EVERY_S = 60  # a bot that lives gives a sign more often


def looked_at(options: Options, command: str, when: str | None) -> tuple[Iterable[str], bool]:
    """Return what one of the three says of all symbols, and whether all is well.

    Args:
        when: time of `explain`, day of `replay`, both UTC.

    Raises:
        ConfigError: there is no journal, or it cannot be read, or no time was given.
        DataError: nothing is recorded of the day.
    """
    time_ms = given_time(command, when) if when is not None else 0
    journal = read_journal(options.config)
    symbols = journaled_symbols(options, journal)
    if command == "replay":
        replayed = [_replayed(options, journal, symbol, time_ms) for symbol in symbols]
        return chain.from_iterable(lines for lines, _ in replayed), all(is_same for _, is_same in replayed)
    if command == "explain":
        return chain.from_iterable(_explained(options, journal, symbol, time_ms) for symbol in symbols), True
    of_symbols = chain.from_iterable(symbol_status(options, journal, symbol) for symbol in symbols)
    return chain(of_symbols, [bot_status(options)]), True


def given_time(what: str, text: str) -> int:
    """Return a time that a person wrote, UTC unless it says otherwise, as milliseconds.

    Raises:
        ConfigError: it is none.
    """
    try:
        return int(to_milliseconds(pd.Series([text], name="time"))[0])
    except DataError as error:
        raise ConfigError(
            f"{what} '{text}' is no time; write a day or a time in UTC, such as 2026-01-31T13:00"
        ) from error


def journaled_symbols(options: Options, journal: JournalQueries) -> list[str]:
    """Return the symbols that were asked for, spelled as the journal spells them where it knows them."""
    known = {symbol_id(symbol): symbol for symbol in journal.symbols()}
    return [known.get(symbol_id(symbol), symbol) for symbol in options.symbols]


def symbol_status(options: Options, journal: JournalQueries, symbol: str) -> Iterator[str]:
    """Yield where a symbol stands."""
    found, beside = status(journal, symbol), halt_file(halts_folder(options.config), symbol).read()
    if beside is not None:
        yield f"{symbol}: {': '.join(beside)} (kept beside the journal, which could not take it)"
    hint = did_you_mean(symbol, journal.symbols()) if found is None else ""
    yield from status_lines(found) if found is not None else [f"{symbol}: no candle was processed yet{hint}"]


def bot_status(options: Options) -> str:
    """Return whether a bot is running, and when it last gave a sign of life."""
    path, nobody = lock_file(options.config), "no bot is seen to run on this machine"
    if not is_locked(path):
        return nobody
    try:
        silent_s = SystemClock().now_ms() / 1000 - path.stat().st_mtime
    except FileNotFoundError:  # it has just ended
        return nobody
    if silent_s > SIGNS_EVERY_S:
        return f"a process holds {path}, and has given no sign of life for {silent_s:.0f} s"
    return "a bot is running"


def _explained(options: Options, journal: JournalQueries, symbol: str, time_ms: int) -> Iterable[str]:
    if (found := decision_at(journal, symbol, time_ms)) is not None:
        return trace_lines(found)
    path = archive_file(options.config)
    hint = f"; --journal {path} looks into the archive" if path.exists() else ""
    return [f"{symbol}: nothing was decided at or before {utc(time_ms)} UTC{hint}"]


def _replayed(options: Options, journal: JournalQueries, symbol: str, day_ms: int) -> tuple[list[str], bool]:
    from src.live.day_replay import replay_day
    from src.live.live_model import load_champion

    capital = options.config.capital_in(base_and_quote(symbol)[1])
    model = load_champion(symbol, options.checkpoints, options.limits, capital)
    kind = OrderKind(journal.pinned("mode") or OrderKind.PAPER)
    count, differences = replay_day(journal, model.of(symbol), options.config, options.limits, day_ms, kind)
    text = f"{symbol}: {count} candles processed again, {len(differences)} differences"
    return [*differences, text], not differences
