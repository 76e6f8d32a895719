"""`doctor`: looks at everything a bot needs before it is started, and says what to do about what is missing."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from src.brokerage.clock import Clock
from src.errors import RunLocked, TraderError
from src.live.assembly import (
    Options,
    hold_locks,
    open_account,
    open_journal,
    open_source,
    read_journal,
    require_allowed,
    require_spot,
    require_vouched,
)
from src.market.bar_source import BarSource
from src.market.history.exchange_pause import ExchangePause
from src.market.instrument import base_and_quote

if TYPE_CHECKING:
    from src.live.live_model import LiveModel

LITTLE_ROOM_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `text` says what was found, and what to do if it is not well."""

    what: str
    is_well: bool
    text: str


def examine(options: Options, clock: Clock) -> Iterator[Finding]:
    """Yield what was found, the cheapest first."""
    yield _journal(options)
    yield _room(Path(options.config.state_dir))
    yield _kill_switch(Path(options.limits.kill_switch_file))
    yield _notifications(options)
    yield _messenger(options)
    timeframes, pause = {}, ExchangePause(clock.now_ms)
    for symbol in options.symbols:
        finding, model = _model(options, symbol)
        yield finding
        if model is not None:
            timeframes[symbol] = model.timeframe
    symbols = []
    for symbol, timeframe in timeframes.items():
        finding, source = _market(options, clock, symbol, timeframe, pause)
        yield finding
        symbols.append(symbol if source is None else source.symbol)
        if source is not None:  # who does not answer would not tell the time either, and asking takes a minute
            yield _clock(source, clock)
    if options.secrets.keys.api_key or options.is_live:
        yield from _account(options, clock, symbols, pause)
    else:
        yield Finding("keys", True, "none given; paper trading needs none")


def _checked(what: str, well: Callable[[], str], *checks: Callable[[], object]) -> Finding:
    try:
        for check in checks:
            check()
        return Finding(what, True, well())
    except TraderError as error:
        return Finding(what, False, str(error))


def _journal(options: Options) -> Finding:
    url = options.config.journal
    try:
        with hold_locks(options):
            open_journal(options).close()
    except RunLocked:  # a bot that runs proves that it can be written
        return _checked("journal", lambda: f"{url} is written by a bot", lambda: read_journal(options.config).close())
    except TraderError as error:
        return Finding("journal", False, str(error))
    return Finding("journal", True, f"{url} can be written")


def _room(folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free"
    return Finding("disk", free >= LITTLE_ROOM_BYTES, text if free >= LITTLE_ROOM_BYTES else f"{text}; free some")


def _kill_switch(path: Path) -> Finding:
    if path.exists():
        return Finding("kill switch", False, f"{path} exists; delete it, then run the command resume")
    return Finding("kill switch", True, f"create {path} to stop opening positions")


def _notifications(options: Options) -> Finding:
    from src.live.watching.notify import apprise_sender

    count = len(options.secrets.notify_urls)
    text = f"{count} services" if count else "none; set SUPERTRADER_NOTIFY_URLS to be told of errors"
    return _checked("notifications", lambda: text, lambda: apprise_sender(options.secrets.notify_urls))


def _messenger(options: Options) -> Finding:
    from src.live.operator.messenger import open_telegram

    config, none = options.config.telegram, "none; set SUPERTRADER_TELEGRAM_TOKEN and telegram.users to command the bot"
    try:
        api = open_telegram(config, options.secrets.telegram_token)
        text = none if api is None else f"{api.name()} at Telegram obeys {len(config.users)} users"
        return Finding("messenger", True, text)
    except TraderError as error:
        return Finding("messenger", False, str(error))


def _model(options: Options, symbol: str) -> "tuple[Finding, LiveModel | None]":
    from src.live.live_model import load_champion

    try:
        capital = options.config.capital_in(base_and_quote(symbol)[1])
        require = require_vouched(options, symbol)
        model = load_champion(symbol, options.checkpoints, options.limits, capital, require)
        require_spot([symbol])
        require_allowed(model, options)
    except TraderError as error:
        return Finding("model", False, str(error)), None
    text = f"{symbol}: {model.timeframe} champion {model.sha256[:12]}, verdict '{model.verdict}'"
    return Finding("model", True, f"{text}, {_signed(model, options.config.verification_key)}"), model


def _signed(model: "LiveModel", key: str | None) -> str:
    if key in model.signers:
        return "signed by verification_key"
    if not model.signers:
        return "not signed, so on paper only"
    return f"signed by {', '.join(sorted(model.signers))}{'' if key is None else ', not by verification_key'}"


def _market(
    options: Options, clock: Clock, symbol: str, timeframe: str, pause: ExchangePause
) -> tuple[Finding, BarSource | None]:
    try:
        source = open_source(options, clock, symbol, timeframe, pause)
    except TraderError as error:
        return Finding("market", False, str(error)), None
    return Finding("market", True, f"{options.config.exchange} has {source.symbol} in {source.timeframe}"), source


def _clock(source: BarSource, clock: Clock) -> Finding:
    try:
        offset_s = (source.now() - clock.now_ms()) / 1000
    except TraderError as error:
        return Finding("clock", False, str(error))
    is_well = abs(offset_s) < 1.0
    text = f"the exchange is {offset_s:+.1f} s ahead"
    return Finding("clock", is_well, text if is_well else f"{text}; synchronise the clock (timedatectl set-ntp true)")


def _account(options: Options, clock: Clock, symbols: Sequence[str], pause: ExchangePause) -> Iterator[Finding]:
    try:
        account, needs = open_account(options, clock, pause), defaultdict[str, Decimal](Decimal)
        for symbol in symbols:
            filters = account.filters(symbol)
            market = filters.instrument
            yield Finding(
                "filters",
                filters.is_trading,
                f"{symbol}: step {market.step}, tick {market.tick}, minimum {filters.min_notional} {market.quote}"
                + ("" if filters.is_trading else "; it does not trade now"),
            )
            needs[market.quote] += Decimal(repr(options.config.capital_in(market.quote)))
        for currency, need in needs.items():
            free = account.balance(currency).free
            enough = free >= need
            yield Finding(
                "keys",
                enough,
                f"accepted; {free:f} {currency} free"
                + ("" if enough else f", and capital is {need:f}; lower it or add {currency}"),
            )
    except TraderError as error:
        yield Finding("keys", False, str(error))
