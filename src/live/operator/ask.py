"""What the command line does with `pause`, `resume` and `close`: itself while no bot runs, else its bot does.

A bot that runs is asked by a row of its journal, and answers there. A row that it does not take in time is taken back,
so that nothing is done that nobody waits for any more.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from src.brokerage.clock import Clock, SystemClock
from src.config.base import require_known
from src.config.fields import did_you_mean
from src.errors import ConfigError, RunLocked
from src.journal.commands import Command
from src.journal.journal import Journal
from src.journal.queries import JournalQueries
from src.live.assembly import (
    RUNNING,
    Options,
    halts_folder,
    hold_account,
    hold_journal,
    lock_file,
    open_account,
    open_journal,
    read_journal,
)
from src.live.halt_file import halt_file
from src.live.live_guard import LiveGuard
from src.live.operator.carry_out import Desk, Outcome, carry_out
from src.live.operator.looks import journaled_symbols
from src.market.bars import symbol_id
from src.market.history.exchange_pause import ExchangePause
from src.storage import is_locked

ORIGIN = "command line"
PATIENCE_MS = 60_000
LOOK_EVERY_S = 0.2


def ask(options: Options, verb: str) -> Iterator[Outcome]:
    """Yield what came of a verb for each symbol.

    Raises:
        ConfigError: a symbol is not traded, or there is no journal that can be used.
        TransientError, TradingHalted: the account cannot be read, or its key is not accepted.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_journal(options))
        except RunLocked:
            yield from _of_the_bot(options, verb, SystemClock())
            return
        stack.enter_context(hold_account(options))
        yield from _directly(options, verb, SystemClock())


def _directly(options: Options, verb: str, clock: Clock) -> Iterator[Outcome]:
    journal = open_journal(options)
    symbols = journaled_symbols(options, journal)
    if known := journal.symbols():
        require_known("symbol", symbols, known)
    account = open_account(options, clock, ExchangePause(clock.now_ms)) if options.is_live else None
    offset_ms = account.sync_clock() if account is not None else 0
    for symbol in symbols:
        guard = LiveGuard(symbol, options.limits, journal, halt_file(halts_folder(options.config), symbol))
        yield carry_out(verb, Desk(guard, journal, options.config, account, clock, offset_ms))


def _of_the_bot(options: Options, verb: str, clock: Clock) -> Iterator[Outcome]:
    symbols, lock = _running(options, read_journal(options.config), verb), lock_file(options.config)
    journal = Journal(options.config.journal, is_shared=True)
    asked_at, keys = clock.now_ms(), []
    for symbol in symbols:
        keys.append(secrets.token_hex(16))
        journal.commands.append(keys[-1], symbol, verb, ORIGIN, asked_at)
    try:
        yield from _answers(journal, keys, lock, clock)
    finally:  # also after a Ctrl-C
        for key in keys:
            journal.commands.withdraw(key, "whoever asked did not wait", clock.now_ms())
        journal.close()


def _running(options: Options, journal: JournalQueries, verb: str) -> list[str]:
    # The symbols that were asked for, as the bot spells them.
    running = {symbol_id(symbol): symbol for symbol in (journal.pinned(RUNNING) or "").split()}
    if not running:
        raise ConfigError("a bot is starting, or another command is at work on its journal; try again in a minute")
    for symbol in options.symbols:
        if symbol_id(symbol) not in running:
            hint = did_you_mean(symbol, running.values()) or f"; stop it, then {verb} {symbol}"
            raise ConfigError(f"the bot that runs trades {', '.join(running.values())}, and not '{symbol}'{hint}")
    return [running[symbol_id(symbol)] for symbol in options.symbols]


def _answers(journal: Journal, keys: Sequence[str], lock: Path, clock: Clock) -> Iterator[Outcome]:
    until, was_locked, waiting = clock.now_ms() + PATIENCE_MS, is_locked(lock), list(keys)
    while waiting:
        for command in journal.commands.with_keys(waiting):
            if not command.is_open:
                waiting.remove(command.key)
                yield Outcome(command.result, command.state == "done")
        has_ended = was_locked and not is_locked(lock)
        if has_ended or clock.now_ms() > until:
            reason = "the bot has ended" if has_ended else f"no answer within {PATIENCE_MS // 1000} s"
            yield from (_unanswered(journal, command, reason, clock) for command in journal.commands.with_keys(waiting))
            return
        clock.sleep(LOOK_EVERY_S)


def _unanswered(journal: Journal, command: Command, reason: str, clock: Clock) -> Outcome:
    if not command.is_open:  # it has just been answered
        return Outcome(command.result, command.state == "done")
    if journal.commands.withdraw(command.key, reason, clock.now_ms()):
        return Outcome(f"{command.symbol}: {reason}, and nothing was done; say it again", False)
    why = f" ({command.result})" if command.result else ""
    return Outcome(f"{command.symbol}: {reason}, though it began to {command.verb}{why}; see what `status` says", False)
