"""Trade the champion of a symbol on closed candles: `python run_live_bot.py --symbol BTC/USDT`. On paper by default.

Loads `checkpoints/{symbol}_autonomous_final.pth` and nothing else. Settings come from `config/live.yaml`, limits from
`config/risk.yaml`; docs/live.md leads from a champion to a bot on a server.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import Parser, add_version, exit_code, found_file
from src.errors import ConfigError, TraderError, TransientError

if TYPE_CHECKING:  # what is heavy is imported where it is used: --help and refusals answer at once
    from src.journal.queries import JournalQueries
    from src.live.assembly import Options

COMMANDS = ("run", "doctor", "status", "explain", "replay", "close", "resume")
_WITH_ARGUMENT = {"explain": "a time, such as 2026-01-31T13:00", "replay": "a day, such as 2026-01-31"}

_EXAMPLES = """\
examples:
  python run_live_bot.py --symbol BTC/USDT                       paper, until it is told to stop
  python run_live_bot.py --symbol BTC/USDT ETH/USDT              several symbols, each for itself
  python run_live_bot.py doctor --symbol BTC/USDT                is everything ready?
  python run_live_bot.py status --symbol BTC/USDT
  python run_live_bot.py explain 2026-01-31T13:00 --symbol BTC/USDT
  python run_live_bot.py replay 2026-01-31 --symbol BTC/USDT     does the day come out the same again?
  python run_live_bot.py close --symbol BTC/USDT                 halt and sell; `resume` lets it go on
  python run_live_bot.py --symbol BTC/USDT --live                real orders; docs/live.md says what else they need"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _dispatch(_parser().parse_intermixed_args(arguments)), shown=_redacted)


def _redacted(error: TraderError) -> str:
    from src.brokerage.redaction import redact

    return redact(error)


def _say(text: object) -> None:
    from src.brokerage.redaction import redact

    print(redact(text), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_live_bot.py",
        description="Trade the champion of each symbol on closed candles, on paper unless told otherwise.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="run", help="default: run")
    parser.add_argument("when", nargs="?", help="time of explain, day of replay, both UTC")
    parser.add_argument("--symbol", nargs="+", required=True, metavar="SYMBOL", help="markets, such as BTC/USDT")
    parser.add_argument("--live", action="store_true", help="real orders; also needs real_orders and the environment")
    parser.add_argument("--unpromoted", action="store_true", help="real orders for a champion that was not promoted")
    parser.add_argument("--config", type=Path, metavar="FILE", default=Path("config/live.yaml"), help="settings")
    parser.add_argument("--risk", type=Path, metavar="FILE", default=Path("config/risk.yaml"), help="limits")
    parser.add_argument(
        "--checkpoints", type=Path, metavar="DIR", default=Path("checkpoints"), help="where champions are"
    )
    add_version(parser)
    return parser


def _dispatch(given: argparse.Namespace) -> int:
    if (given.when is not None) != (given.command in _WITH_ARGUMENT):
        need = _WITH_ARGUMENT.get(given.command)
        raise ConfigError(f"{given.command} needs {need}" if need else f"{given.command} takes no '{given.when}'")
    if swallowed := [symbol for symbol in given.symbol if symbol in COMMANDS]:
        raise ConfigError(f"'{swallowed[0]}' is a command; write it before --symbol, which takes all that follows")
    options = _options(given)
    if given.command == "run":
        return _run(options)
    if given.command == "doctor":
        return _doctor(options)
    if given.command in ("close", "resume"):
        return _by_hand(options, given.command)
    return _inspect(options, given.command, given.when)


def _options(given: argparse.Namespace) -> Options:
    from src.config.live import LiveConfig
    from src.config.load import load_settings
    from src.config.risk import RiskLimits
    from src.live.assembly import read_options
    from src.market.bars import symbol_id

    config, limits = (
        load_settings(LiveConfig, found_file(given.config)),
        load_settings(RiskLimits, found_file(given.risk)),
    )
    symbols = tuple({symbol_id(symbol): symbol for symbol in given.symbol}.values())
    return read_options(symbols, config, limits, given.checkpoints, os.environ, given.live, given.unpromoted)


def _set_up_logging() -> None:
    from src.brokerage.redaction import redact_logs
    from src.reporting.terminal.log_lines import set_up_logging

    set_up_logging()
    redact_logs()


def _run(options: Options) -> int:
    from src.live.assembly import hold_locks, make_bot, make_services

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # twice is as once
    _set_up_logging()
    with hold_locks(options):
        services = make_services(options, stop)
        try:
            bot = make_bot(options, services, stop)
        except TransientError:
            if not stop.is_set():
                raise
            return 0

        from src.live.watching.monitor import Monitor

        monitor = Monitor([worker.trader for worker in bot.workers], options.config, services.clock, options.is_live)
        port = monitor.serve() if options.config.http_port else None
        names = ", ".join(worker.trader.symbol for worker in bot.workers)
        where = f"; http://{options.config.http_host}:{port}/health" if port else ""
        logging.info("%s trading %s%s", "REAL ORDERS:" if options.is_live else "paper", names, where)
        bot.run()
        monitor.close()
        services.notifier.close()
        services.journal.close()
    logging.info("stopped; the next start goes on from here")
    return 0


def _doctor(options: Options) -> int:
    from src.brokerage.clock import SystemClock
    from src.live.watching.doctor import examine

    is_well = True
    for finding in examine(options, SystemClock()):
        is_well &= finding.is_well
        _say(f"{'ok' if finding.is_well else 'NO':3s} {finding.what:14s} {finding.text}")
    return 0 if is_well else 1


def _inspect(options: Options, command: str, when: str | None) -> int:
    import pandas as pd

    from src.live.assembly import read_journal
    from src.market.reading.times.timestamps import to_milliseconds

    time_ms = int(to_milliseconds(pd.Series([when], name=command))[0]) if when is not None else 0
    journal = read_journal(options.config)
    symbols = _journaled_symbols(options, journal)
    if command == "replay":
        return max(_replay(options, journal, symbol, time_ms) for symbol in symbols)
    for symbol in symbols:
        for line in _status(options, journal, symbol) if command == "status" else _explained(journal, symbol, time_ms):
            _say(line)
    return 0


def _status(options: Options, journal: JournalQueries, symbol: str) -> Iterable[str]:
    from src.journal.inspection import status
    from src.journal.inspection_text import status_lines
    from src.live.assembly import halts_folder
    from src.live.halt_file import halt_file

    found, beside = status(journal, symbol), halt_file(halts_folder(options.config), symbol).read()
    if beside is not None:
        yield f"{symbol}: {': '.join(beside)} (kept beside the journal, which could not take it)"
    yield from status_lines(found) if found is not None else [f"{symbol}: no candle was processed yet"]


def _explained(journal: JournalQueries, symbol: str, time_ms: int) -> Iterable[str]:
    from src.journal.inspection import decision_at
    from src.journal.inspection_text import trace_lines
    from src.market.quality.findings import utc

    found = decision_at(journal, symbol, time_ms)
    return (
        trace_lines(found) if found is not None else [f"{symbol}: nothing was decided at or before {utc(time_ms)} UTC"]
    )


def _replay(options: Options, journal: JournalQueries, symbol: str, day_ms: int) -> int:
    from src.live.assembly import REAL
    from src.live.day_replay import replay_day
    from src.live.live_model import load_champion

    model = load_champion(symbol, options.checkpoints, options.limits, options.config.capital)
    is_live = journal.pinned("mode") == REAL
    count, differences = replay_day(journal, model.of(symbol), options.config, options.limits, day_ms, is_live)
    for line in differences:
        _say(line)
    _say(f"{symbol}: {count} candles processed again, {len(differences)} differences")
    return 1 if differences else 0


def _by_hand(options: Options, command: str) -> int:
    from src.brokerage.clock import SystemClock
    from src.live.assembly import halts_folder, hold_locks, open_account, open_journal
    from src.live.halt_file import halt_file
    from src.live.live_guard import LiveGuard
    from src.live.operator.by_hand import close_at_exchange, close_on_paper, resume

    with hold_locks(options):
        journal, clock = open_journal(options), SystemClock()
        account = open_account(options) if options.is_live else None
        offset_ms, is_well = account.sync_clock() if account is not None else 0, True
        for symbol in _journaled_symbols(options, journal):
            guard = LiveGuard(symbol, options.limits, journal, halt_file(halts_folder(options.config), symbol))
            if command == "resume":
                _say(resume(guard, journal, clock.now_ms() + offset_ms))
            elif account is None:
                _say(close_on_paper(guard, journal, clock.now_ms()))
            else:
                closing = close_at_exchange(account, guard, journal, options.config, lambda: clock.now_ms() + offset_ms)
                _say(closing)
                is_well &= closing.is_well
    return 0 if is_well else 1


def _journaled_symbols(options: Options, journal: JournalQueries) -> list[str]:
    from src.market.bars import symbol_id

    known = {symbol_id(symbol): symbol for symbol in journal.symbols()}
    return [known.get(symbol_id(symbol), symbol) for symbol in options.symbols]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
