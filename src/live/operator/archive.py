"""What `archive` does: it moves what is old from the journal into a file beside it, while no bot runs."""

from collections.abc import Iterator

from src.brokerage.clock import SystemClock
from src.config.base import require_known
from src.errors import ConfigError
from src.journal.archive import move_to_archive
from src.journal.journal import Journal
from src.live.assembly import Options, archive_file, hold_journal, read_journal
from src.live.operator.looks import given_time, journaled_symbols
from src.market.quality.findings import utc


def archive(options: Options, before: str) -> Iterator[str]:
    """Move steps and bars of before a time, UTC; yield what was done, in lines of text.

    Raises:
        ConfigError: there is no journal, a symbol is not in it, the archive is another's, or no time was given.
        RunLocked: a bot is running.
        TradingHalted: one of the files cannot be written, or there is no room.
    """
    before_ms = given_time("--before", before)
    read_journal(options.config).close()  # a missing one is said, and not made
    with hold_journal(options):
        path, journal = archive_file(options.config), Journal(options.config.journal)
        symbols, window = journaled_symbols(options, journal), options.config.drift.window_bars
        if not (known := journal.symbols()):
            raise ConfigError(
                f"the journal {options.config.journal} holds no steps yet, so there is nothing to archive"
            )
        require_known("symbol", symbols, known)
        archived = Journal(f"sqlite:///{path}")
        for symbol in symbols:
            steps, bars, until = move_to_archive(journal, archived, symbol, before_ms, window, SystemClock().now_ms())
            yield f"{symbol}: {steps} steps and {bars} bars of before {utc(until)} UTC were moved to {path}"
            if until < before_ms:
                yield f"{symbol}: what is newer stays, since the bot looks back on it"
        archived.close()
        journal.database.give_back_room()
        journal.close()
