"""`ExchangeBars`: pages of bars from an exchange's public endpoints, through ccxt, judged before anyone sees them.

An HTTP 200 is not success: ccxt turns an HTML page, `{}` or a cut-off body into an empty list of bars without an error,
so a page without bars is believed only if the body was a list or a non-empty object. Passing faults (network,
throttling, garbage) are retried with growing waits, `Retry-After` obeyed; reading is safe to repeat. What still fails
is refused, never stored. ccxt is imported only here, and only when an exchange is opened.
"""

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from src.command_line import not_installed
from src.errors import ConfigError, DataError, TransientError
from src.market.bars import COLUMNS, SETTLED_IN, symbol_id, timeframe_ms
from src.market.history.bounded_answers import bound_answers
from src.market.history.exchange_pause import ExchangePause
from src.market.history.local_servers import require_local
from src.market.instrument import base_and_quote
from src.market.quality.defects import DAY_MS
from src.market.quality.plain_bars import are_plain
from src.market.quality.verdict import STRICT, Policy, clean
from src.printable import escape

TRIES = 6
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_WAIT_S = 600.0  # bans ask for hours: better to stop and let the user come back
USUAL_PAGE_BARS = 500  # where ccxt does not know the exchange's limit

# What parsers raise on bodies they did not expect; `decimal` errors are ArithmeticErrors.
PARSER_ERRORS = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, RecursionError)

Answer = TypeVar("Answer")


class ExchangeBars:
    """Bars of one market, a page at a time.

    Args:
        name: exchange id as ccxt spells it.
        symbol: unified symbol, `BTC/USDT`, or `BTC/USDT:USDT` for a swap.
        base_url: another server for tests, on this machine only; without throttling.
        policy: what to do with defective bars; the default refuses them.
        sleep: waits between tries. It is also called with 0 before each request, and raises `TransientError` to call
            it off.
        pause: shared with others who ask the same exchange.
        longest_pause_s: a longer one that the exchange asks for is not waited out but reported.

    Raises:
        ConfigError: ccxt is missing, the exchange is unknown, or `base_url` is not local.
    """

    def __init__(
        self,
        name: str,
        symbol: str,
        timeframe: str,
        base_url: str | None = None,
        policy: Policy = STRICT,
        sleep: Callable[[float], None] = time.sleep,
        pause: ExchangePause | None = None,
        longest_pause_s: float = LONGEST_ASKED_WAIT_S,
    ) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self.step_ms = timeframe_ms(timeframe)
        self._policy = policy
        self._sleep = sleep
        self._pause = pause or ExchangePause(lambda: time.monotonic_ns() // 1_000_000)
        self._longest_pause_s = longest_pause_s
        self._ccxt = import_ccxt()
        self._exchange = open_exchange(self._ccxt, name, SETTLED_IN not in symbol_id(symbol), base_url)

    def connect(self) -> None:
        """Load the exchange's markets and check that it has this one.

        Raises:
            ConfigError: the exchange has no such symbol or timeframe, or offers no bars.
            DataError: it cannot be reached.
        """
        name = self._exchange.id
        if self._exchange.has["fetchOHLCV"] is not True:  # some emulate bars from recent trades
            raise ConfigError(f"{name} offers no bars; choose another exchange")
        self._patiently("for its markets", self._exchange.load_markets)
        self.symbol = self._unified(self.symbol)
        if self._exchange.timeframes and self.timeframe not in self._exchange.timeframes:
            known = ", ".join(self._exchange.timeframes)
            raise ConfigError(f"{name} has no {self.timeframe} bars; it has {known}")

    @property
    def markets(self) -> Mapping[str, Any]:
        """The exchange's markets, as ccxt keeps them; `connect` reads them."""
        markets: Mapping[str, Any] = self._exchange.markets
        return markets

    @property
    def page_bars(self) -> int:
        """Most bars the exchange sends at once."""
        return int(self._exchange.feature_value(self.symbol, "fetchOHLCV", "limit") or USUAL_PAGE_BARS)

    def now(self) -> int:
        """Return the exchange's time in UTC milliseconds, so that a wrong local clock cannot pass off an open bar."""
        if self._exchange.has["fetchTime"]:
            answer = self._patiently("for its time", self._exchange.fetch_time)
            return self._sane_time(answer)
        date = (self._exchange.last_response_headers or {}).get("Date")
        if date is None:
            raise DataError(f"{self._exchange.id} does not tell its time; set an end")
        return self._sane_time(parsedate_to_datetime(date).timestamp() * 1000)

    def page(self, since: int) -> pd.DataFrame:
        """Return the next bars that open at or after `since`, judged and in order; empty if there are none.

        The last may be still forming: leave out what has not closed by `now`.

        Raises:
            DataError: the exchange does not answer, or keeps sending what cannot be bars.
        """
        return self._patiently(f"for bars of {self.symbol}", lambda: self._judged(self._fetch(since), since))

    def _unified(self, symbol: str) -> str:
        markets = [known for known in self._exchange.markets if symbol_id(known) == symbol_id(symbol)]
        if len(markets) == 1:
            return str(markets[0])
        base, _ = base_and_quote(symbol)
        near = sorted(known for known in self._exchange.markets if base_and_quote(known)[0] == base)[:5]
        hint = f"; it has {', '.join(near)}" if near else ""
        raise ConfigError(f"{self._exchange.id} has no market '{symbol}'{hint}; symbols look like BTC/USDT")

    def _fetch(self, since: int) -> Any:
        return self._exchange.fetch_ohlcv(self.symbol, self.timeframe, since, self.page_bars)

    def _judged(self, rows: Any, since: int) -> pd.DataFrame:
        if not rows:
            body = self._exchange.last_json_response
            if body != [] and not (isinstance(body, dict) and body):
                raise TransientError("the answer is not what the exchange sends")
            return pd.DataFrame(columns=list(COLUMNS), dtype=float).astype({"open_time": np.int64})
        table = np.array([row[:6] for row in rows], np.float64)
        if are_plain(table, self.step_ms) and table[0, 0] >= since:
            return pd.DataFrame(
                {"open_time": table[:, 0].astype(np.int64), **dict(zip(COLUMNS[1:], table.T[1:], strict=True))}
            )
        frame = pd.DataFrame(table, columns=list(COLUMNS)).astype({"open_time": np.int64})
        if (frame["open_time"] < since).any() or self._is_off_grid(frame):
            raise TransientError(f"bars open at times that were not asked for, first {frame['open_time'].iloc[0]}")
        try:
            return clean("the answer", frame, self.step_ms, self._policy)
        except DataError as error:
            raise TransientError(str(error)) from error

    def _is_off_grid(self, frame: pd.DataFrame) -> bool:
        # Bars up to a day open at multiples of their length; where weeks begin differs.
        return DAY_MS % self.step_ms == 0 and bool((frame["open_time"] % self.step_ms != 0).any())

    def _sane_time(self, answer: Any) -> int:
        if not isinstance(answer, int | float) or not 1e12 < answer < 1e13:
            raise DataError(f"{self._exchange.id} says its time is {answer!r}, which is no time in milliseconds")
        return int(answer)

    def _patiently(self, what: str, call: Callable[[], Answer]) -> Answer:
        for attempt in range(TRIES):
            self._keep_pause()
            try:
                return self._once(call)
            except TransientError as error:
                reason = str(error)
            if attempt < TRIES - 1 and not self._pause.left_s:
                self._sleep(min(FIRST_WAIT_S * 2.0**attempt, LONGEST_WAIT_S))
        raise DataError(
            f"{self._exchange.id} was asked {TRIES} times {what} in vain ({reason}); the same command resumes later"
        )

    def _once(self, call: Callable[[], Answer]) -> Answer:
        # Sorts every error into worth a retry or not.
        self._exchange.last_response_headers = None
        self._exchange.last_json_response = None
        try:
            return call()
        except (self._ccxt.NetworkError, self._ccxt.BadResponse) as error:
            self._pause.heed(str(error), self._exchange.last_response_headers)
            raise TransientError(_short(error)) from error
        except self._ccxt.BaseError as error:
            raise DataError(
                f"{self._exchange.id} refuses ({_short(error)}); check symbol, timeframe and dates"
            ) from error
        except PARSER_ERRORS as error:
            raise TransientError(f"the answer is not what the exchange sends: {_short(error)}") from error

    def _keep_pause(self) -> None:
        # One that others were asked for, too. Short ones are waited out.
        left_s = self._pause.left_s
        if left_s > self._longest_pause_s:
            raise DataError(
                f"{self._exchange.id} asks for a pause of {left_s:.0f} s; the same command resumes after it"
            )
        self._sleep(left_s)


def import_ccxt() -> Any:
    """Return the library.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import ccxt
    except ImportError as error:
        raise ConfigError(not_installed("ccxt")) from error
    return ccxt


def open_exchange(ccxt: Any, name: str, spot_only: bool, base_url: str | None) -> Any:
    """Return an exchange that remembers its last answer, with all its markets or those on the spot.

    A redirect is no answer: followed, it would repeat an order, or carry key and signature to another host. It raises
    `TransientError`. Answers are bounded in time and size.

    Raises:
        ConfigError: it is unknown, or `base_url` is not on this machine.
    """
    if name not in ccxt.exchanges:
        from difflib import get_close_matches

        near = get_close_matches(name, ccxt.exchanges, n=1)
        raise ConfigError(f"exchange '{name}' is unknown to ccxt" + (f"; did you mean '{near[0]}'?" if near else ""))
    exchange = getattr(ccxt, name)({"enableRateLimit": base_url is None, "enableLastJsonResponse": True})
    if spot_only and "fetchMarkets" in exchange.options:
        exchange.options["fetchMarkets"] = {"types": ["spot"]}  # one request instead of one per market type
    if base_url is not None:
        exchange.urls["api"] = urls_at(exchange.urls["api"], base_url)
    exchange.session.hooks["response"].append(_refuse_redirect)
    bound_answers(exchange.session)
    return exchange


def _refuse_redirect(response: Any, *_: object, **__: object) -> None:
    if 300 <= response.status_code < 400:
        response.close()  # or its connection stays open with what was not read
        raise TransientError(f"redirected with status {response.status_code}, which is not followed")


def urls_at(urls: Any, base_url: str) -> Any:
    """Return the same paths on another server.

    Raises:
        ConfigError: it is not on this machine.
    """
    require_local(base_url)
    if isinstance(urls, dict):
        return {key: urls_at(value, base_url) for key, value in urls.items()}
    return base_url.rstrip("/") + urlsplit(urls).path


def _short(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__} {escape(words)[:160]}"
