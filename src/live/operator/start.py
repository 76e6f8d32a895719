"""`start`: a bot and what is around it, from the locks to the last message."""

import logging
import os
import signal
import threading
from contextlib import suppress

from src.brokerage.redaction import redact_logs
from src.errors import TransientError
from src.live.assembly import RUNNING, Options, hold_locks, lock_file, make_bot, make_services
from src.live.operator.chat import Chat
from src.live.operator.looks import symbol_status
from src.live.operator.messenger import Messenger, open_telegram
from src.live.shared_services import SharedServices
from src.live.watching.monitor import Monitor
from src.reporting.terminal.log_lines import set_up_logging

logger = logging.getLogger(__name__)


def start(options: Options) -> None:
    """Trade until SIGTERM or SIGINT.

    Raises:
        TraderError: a symbol cannot be traded; nothing is.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # twice is as once
    set_up_logging()
    redact_logs()
    with hold_locks(options):
        try:
            _trade(options, stop)
        except TransientError:
            if not stop.is_set():
                raise
            return
    logger.info("stopped; the next start goes on from here")


def _trade(options: Options, stop: threading.Event) -> None:
    services = make_services(options, stop)
    telegram = open_telegram(options.config.telegram, options.secrets.telegram_token)
    bot = make_bot(options, services, stop)
    traders = [worker.trader for worker in bot.workers]
    services.journal.pin(RUNNING, " ".join(trader.symbol for trader in traders))
    monitor = Monitor(traders, options.config, options.is_live)
    port = monitor.serve() if options.config.http_port else None
    messenger = None if telegram is None else Messenger(telegram, _chat(options, services, monitor))
    names = ", ".join(trader.symbol for trader in traders)
    where = f"; http://{options.config.http_host}:{port}/health" if port else ""
    logger.info("%s trading %s%s", "REAL ORDERS:" if options.is_live else "paper", names, where)

    def give_sign() -> None:
        with suppress(OSError):  # its age says so
            os.utime(lock_file(options.config))

    bot.run(give_sign)
    if messenger is not None:
        messenger.close()
    monitor.close()
    services.notifier.close()
    services.journal.close()


def _chat(options: Options, services: SharedServices, monitor: Monitor) -> Chat:
    journal = services.journal

    def status(symbol: str) -> list[str]:
        complaints = [text for text in monitor.complaints() if text.startswith(f"{symbol}: ")]
        return [*symbol_status(options, journal, symbol), *complaints]

    users, symbols = options.config.telegram.users, list(monitor.states())
    return Chat("telegram", users, symbols, journal.commands, status, services.clock)
