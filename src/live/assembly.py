"""From settings to a bot: what every command of `run_live_bot.py` is made of. Importing this module loads no torch."""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from src.brokerage.broker_account import BrokerAccount
from src.brokerage.ccxt_account import CcxtAccount
from src.brokerage.clock import Clock, SystemClock
from src.config.live import Candles, LiveConfig, PaperFills
from src.config.risk import RiskLimits
from src.errors import ConfigError
from src.journal.journal import Journal
from src.journal.queries import JournalReader
from src.live.live_guard import limits_hash
from src.live.secrets import Secrets, keep_password_secret, read_secrets
from src.live.watching.notify import Notifier, apprise_sender
from src.live.watching.pulse import PulseClock
from src.market.bars import SETTLED_IN, symbol_id
from src.market.history.candle_stream import CandleStream
from src.market.history.exchange_bars import ExchangeBars
from src.market.history.exchange_pause import ExchangePause
from src.market.instrument import base_and_quote
from src.risk.protective_stop import stop_loss_frac
from src.storage import locked, locked_on_machine

if TYPE_CHECKING:
    from src.live.bot import Bot, Worker
    from src.live.live_model import LiveModel
    from src.live.shared_services import SharedServices
    from src.live.venues.venue import OrderKind

ACKNOWLEDGEMENT = "SUPERTRADER_REAL_ORDERS"
ACKNOWLEDGED = "I accept that this program trades real money"
RUNNING = "running symbols"  # key under which the journal keeps what its bot trades
_BUSY = "another process is working on this journal or account ({} is in use); stop it first"
LONGEST_PAUSE_S = 5.0  # a longer one is waited out between looks, so that people are heard meanwhile
SCRATCH_BYTES = 100_000_000  # less free space than this is too little to start with


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line, with the settings read."""

    symbols: tuple[str, ...]
    config: LiveConfig
    limits: RiskLimits
    secrets: Secrets
    checkpoints: Path
    is_live: bool
    unpromoted: bool


def read_options(
    symbols: tuple[str, ...],
    config: LiveConfig,
    limits: RiskLimits,
    checkpoints: Path,
    environment: Mapping[str, str],
    is_live: bool,
    unpromoted: bool,
) -> Options:
    """Gather options; real orders need all three opt-ins.

    Raises:
        ConfigError: an opt-in or a key is missing, or the secrets cannot be read.
    """
    if is_live and not config.real_orders:
        raise ConfigError("--live needs real_orders: true in the settings; leave out --live to trade on paper")
    if is_live and environment.get(ACKNOWLEDGEMENT) != ACKNOWLEDGED:
        raise ConfigError(
            f"--live needs {ACKNOWLEDGEMENT}='{ACKNOWLEDGED}' in the environment; leave out --live to trade on paper"
        )
    keep_password_secret(config.journal)
    secrets = read_secrets(Path(config.secrets_file) if config.secrets_file else None, environment)
    if is_live and not (secrets.keys.api_key and secrets.keys.api_secret):
        raise ConfigError("--live needs an API key and its secret; docs/live.md says where they are read from")
    return Options(symbols, config, limits, secrets, checkpoints, is_live, unpromoted)


def require_spot(symbols: Sequence[str]) -> None:
    """Refuse contracts.

    Raises:
        ConfigError: a symbol is no spot market.
    """
    for symbol in symbols:
        if SETTLED_IN in symbol_id(symbol):
            base, quote = base_and_quote(symbol.replace(SETTLED_IN, ":"))
            spot = f"{base}/{quote}" if quote else base
            raise ConfigError(f"'{symbol}' is a contract, and the bot trades spot markets only, such as {spot}")


def lock_file(config: LiveConfig) -> Path:
    """Return the file that a bot locks while it runs, beside the journal; it touches it as a sign of life."""
    journal = _journal_file(config)
    path = Path(config.state_dir) / "journal" if journal is None else journal.resolve()
    return path.with_name(f"{path.name}.lock")


def archive_file(config: LiveConfig) -> Path:
    """Return where the past of the journal lies once it was archived: beside it."""
    journal = lock_file(config).with_suffix("")
    return journal.with_name(f"{journal.stem}_archive.db")


@contextmanager
def hold_locks(options: Options) -> Iterator[None]:
    """Hold the lock of the journal, beside it, and with real orders that of the account, on the whole machine.

    Neither depends on the folder, the user or the environment a bot is started with.

    Raises:
        RunLocked: a bot is running.
        ConfigError: the journal's folder cannot be used, or has no room.
    """
    with hold_journal(options), hold_account(options):
        yield


@contextmanager
def hold_journal(options: Options) -> Iterator[None]:
    """Hold the first of these locks."""
    path = lock_file(options.config)
    _require_room(path.parent)
    with locked(path, _BUSY.format(path.with_suffix(""))):
        yield


@contextmanager
def hold_account(options: Options) -> Iterator[None]:
    """Hold the second."""
    with ExitStack() as stack:
        if options.is_live:
            account = sha256(f"{options.config.exchange}|{options.secrets.keys.api_key}".encode()).hexdigest()[:16]
            stack.enter_context(locked_on_machine(f"supertrader_{account}", _BUSY.format("the key")))
        yield


def read_journal(config: LiveConfig) -> JournalReader:
    """Open the journal of the settings, whoever it belongs to and whether or not a bot is running, to look at it.

    Raises:
        ConfigError: it is missing or cannot be read.
    """
    _journal_file(config)
    return JournalReader(config.journal)


def open_journal(options: Options) -> Journal:
    """Open the journal to trade with, which belongs to one account and one kind of orders; only under `hold_locks`.

    Raises:
        ConfigError: it cannot be used, or belongs to another account.
    """
    config, journal = options.config, Journal(options.config.journal)
    mode = order_kind(options).value
    for key, value in {"mode": mode, "exchange": config.exchange, "account": config.account}.items():
        pinned = journal.pinned(key)
        if pinned not in (None, value):
            raise ConfigError(
                f"the journal {config.journal} belongs to {key} '{pinned}', not '{value}'; name another with `journal`"
            )
        if pinned is None:
            journal.pin(key, value)
    return journal


def halts_folder(config: LiveConfig) -> Path:
    """Return where the risk states are kept that the journal cannot take."""
    path = _journal_file(config)
    name = config.journal if path is None else str(path.resolve())  # as the lock
    return Path(config.state_dir) / f"halts_{sha256(name.encode()).hexdigest()[:12]}"


def make_services(options: Options, stop: threading.Event) -> "SharedServices":
    """Open what all symbols share, and pin the limits in the journal.

    Raises:
        ConfigError: a symbol is no spot market, or the journal cannot be used.
    """
    from src.live.shared_services import SharedServices

    require_spot(options.symbols)
    journal, clock = open_journal(options), SystemClock(stop)
    notifier = Notifier(apprise_sender(options.secrets.notify_urls))
    found, pinned = limits_hash(options.limits), journal.pinned("risk_sha256")
    if found != pinned:
        journal.pin("risk_sha256", found)
        journal.note(clock.now_ms(), "", "limits", f"sha256 {found}")
        if pinned is not None:
            notifier.error(f"the risk limits have changed since the last run (sha256 {pinned[:12]}, now {found[:12]})")
    return SharedServices(options.config, options.limits, journal, notifier, clock, halts_folder(options.config))


def make_bot(options: Options, services: "SharedServices", stop: threading.Event) -> "Bot":
    """Load the champions, connect, and recover.

    Raises:
        ModelFileError, ConfigError, DataError: a symbol cannot be traded; nothing is.
    """
    from src.live.bot import FINISH_S, Bot

    account_clock, pause = SystemClock(stop, FINISH_S), ExchangePause(services.clock.now_ms)
    workers = [make_worker(options, services, symbol, account_clock, pause) for symbol in options.symbols]
    if options.is_live:
        require_apart([worker.trader.symbol for worker in workers])
    return Bot(workers, services, stop)


def require_apart(symbols: Sequence[str]) -> None:
    """Refuse real orders where what one symbol holds is bought, sold or paid with by another.

    Raises:
        ConfigError: with the coin.
    """
    coins = [coin for symbol in symbols for coin in base_and_quote(symbol)]
    for symbol in symbols:
        base = base_and_quote(symbol)[0]
        if coins.count(base) > 1:
            raise ConfigError(
                f"{base} is in more than one of {', '.join(symbols)}, so that their positions could not be told apart; "
                "give each an account and a journal of its own"
            )


def make_worker(
    options: Options, services: "SharedServices", symbol: str, account_clock: Clock, pause: ExchangePause
) -> "Worker":
    """Build the worker of one symbol.

    Args:
        account_clock: goes on waiting for a while when the bot stops, since a sent order is asked about.
        pause: shared by all who ask the exchange.
    """
    from src.agents.model_file import CHAMPION_STAGE, model_path
    from src.live.bot import Worker
    from src.live.candle_feed import CandleFeed
    from src.live.live_model import ChampionWatch, load_champion
    from src.live.trader import Trader
    from src.live.trader_view import TraderView
    from src.live.venues.exchange import ExchangeVenue
    from src.live.venues.order_terms import OrderTerms
    from src.live.venues.paper import PaperVenue
    from src.live.venues.paper_exchange import PaperExchangeVenue
    from src.live.venues.venue import OrderKind, Venue

    def load() -> "LiveModel":
        capital, require = options.config.capital_in(currency), require_vouched(options, symbol)
        model = load_champion(symbol, options.checkpoints, options.limits, capital, require)
        require_allowed(model, options)
        return model

    currency = base_and_quote(symbol)[1]
    model, view = load(), TraderView()
    source = open_source(options, PulseClock(services.clock, view.pulse), symbol, model.timeframe, pause)
    if (spelled := base_and_quote(source.symbol)[1]) != currency:
        currency = spelled
        model = load()
    limits = options.limits.in_currency(currency)
    account = open_account(options, PulseClock(account_clock, view.pulse), pause) if options.is_live else None
    is_at_exchange = order_kind(options) is OrderKind.PAPER_EXCHANGE
    markets = open_markets(options, PulseClock(services.clock, view.pulse), pause) if is_at_exchange else None

    def venue(model: "LiveModel") -> Venue:
        if markets is not None:
            terms = OrderTerms(options.config, limits)
            return PaperExchangeVenue(model.rules, terms, markets, services.journal, feed)
        if account is None:
            return PaperVenue(model.rules, options.config.account)
        loss_frac = stop_loss_frac(model.rules.risk, options.limits.protective_stop)
        return ExchangeVenue(account, services.journal, source.symbol, options.config, limits, loss_frac)

    last = services.journal.last_step(source.symbol)
    until, count = last.close_time if last else 0, model.agent.history_bars + 1000
    known = services.journal.bars(source.symbol, until, count, source.step_ms)
    watch = ChampionWatch(model_path(symbol, CHAMPION_STAGE, options.checkpoints), load, services.notifier.error)
    stream = open_stream(options, source)
    feed = CandleFeed(source, known, int(options.config.settle_s * 1000), stream)
    return Worker(Trader(services, model.of(source.symbol), feed, venue, watch.newer, view), services, stream)


def require_vouched(options: Options, symbol: str) -> Callable[[frozenset[str]], None] | None:
    """Return what refuses a champion that nobody vouches for, before anything of it is used; None on paper."""
    from src.live.live_model import require_signed

    key = options.config.verification_key
    return (lambda signed_by: require_signed(symbol, signed_by, key)) if options.is_live else None


def require_allowed(model: "LiveModel", options: Options) -> None:
    """Refuse real orders to a champion that nobody vouches for, that needs a margin account, or was not promoted.

    Raises:
        ConfigError, ModelFileError: with the reason.
    """
    from src.live.live_model import require_long_only, require_promoted, require_signed

    if options.is_live:
        require_signed(model.symbol, model.signers, options.config.verification_key)
        require_long_only(model)
        if not options.unpromoted:
            require_promoted(model)


def open_source(options: Options, clock: Clock, symbol: str, timeframe: str, pause: ExchangePause) -> ExchangeBars:
    """Connect to the exchange's candles.

    Raises:
        ConfigError, DataError: the exchange has no such market or candles, or cannot be reached.
    """
    source = ExchangeBars(
        options.config.exchange,
        symbol,
        timeframe,
        options.config.base_url,
        sleep=clock.sleep,
        pause=pause,
        longest_pause_s=LONGEST_PAUSE_S,
    )
    source.connect()
    return source


def open_stream(options: Options, source: ExchangeBars) -> CandleStream | None:
    """Return what tells early that a candle has finished, not yet started; None where candles are polled only.

    Raises:
        ConfigError: the exchange streams no candles.
    """
    if options.config.candles is Candles.poll:
        return None
    config = options.config
    return CandleStream(config.exchange, source.symbol, source.timeframe, source.markets, config.base_url)


def open_account(options: Options, clock: Clock, pause: ExchangePause) -> BrokerAccount:
    """Connect to the account.

    Raises:
        ConfigError, TransientError: the exchange is unknown, or cannot be reached.
    """
    account = CcxtAccount(options.config.exchange, options.secrets.keys, clock, options.config.base_url, pause)
    account.connect()
    return account


def open_markets(options: Options, clock: Clock, pause: ExchangePause) -> BrokerAccount:
    """Connect to what the exchange says of its markets, without a key.

    Raises:
        ConfigError, TransientError: the exchange is unknown, or cannot be reached.
    """
    markets = CcxtAccount(options.config.exchange, None, clock, options.config.base_url, pause)
    markets.connect()
    return markets


def order_kind(options: Options) -> "OrderKind":
    """Return of which kind the orders are."""
    from src.live.venues.venue import OrderKind

    if options.is_live:
        return OrderKind.REAL
    is_backtest = options.config.paper.fills is PaperFills.backtest
    return OrderKind.PAPER if is_backtest else OrderKind.PAPER_EXCHANGE


def _journal_file(config: LiveConfig) -> Path | None:
    # None for a database that is no file.
    try:
        url = make_url(config.journal)
    except ArgumentError as error:
        raise ConfigError(f"journal '{config.journal}' is no database URL; write sqlite:///state/journal.db") from error
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _require_room(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigError(
            f"the folder {folder} cannot be used ({error.strerror}); check `journal` and its rights"
        ) from error
    if free < SCRATCH_BYTES:
        raise ConfigError(
            f"the disk of {folder} has {free / 1e6:.0f} MB left; free at least {SCRATCH_BYTES / 1e6:.0f} MB"
        )
