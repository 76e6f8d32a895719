"""Fault 93: amounts of different currencies are never taken for one another."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from src.config.live import LiveConfig
from src.config.load import load_settings
from src.config.plain import to_plain
from src.config.risk import RiskLimits
from src.errors import ConfigError
from src.journal.inspection import status
from src.journal.inspection_text import status_lines
from src.live import assembly, live_model
from src.live.assembly import Options, make_bot, make_services, require_apart
from src.live.bot import Bot
from src.live.live_guard import limits_hash
from src.live.live_model import LiveModel
from src.live.secrets import Secrets
from src.live.watching.monitor import Monitor
from tests.support.fakes.two_markets import TwoMarkets
from tests.support.live_champion import minutes_until_now
from tests.support.live_scene import KEYS
from tests.support.live_setup import Chooser, model_of, random_rows

MARKETS = ("BTC/USDT", "ETH-EUR")  # the second in a spelling that the exchange understands
CAPITAL = {"USDT": 1000.0, "EUR": 300.0}


@pytest.fixture
def server() -> Iterator[TwoMarkets]:
    with TwoMarkets(minutes_until_now(random_rows(400, sigma=1e-4))) as server:
        yield server


@pytest.fixture(autouse=True)
def buys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the champion of every symbol hold all it can."""

    def load(symbol: str, checkpoints: Path, limits: RiskLimits, capital: float, _: object) -> LiveModel:
        model = model_of(Chooser((1.0,)), limits=limits)
        return replace(model, symbol=symbol, timeframe="1m", rules=replace(model.rules, initial_equity=capital))

    monkeypatch.setattr(live_model, "load_champion", load)
    monkeypatch.setattr(assembly, "require_allowed", lambda model, options: None)


def bot_of(folder: Path, server: TwoMarkets, is_live: bool, limits: RiskLimits | None = None, **settings: Any) -> Bot:
    config = LiveConfig(
        journal=f"sqlite:///{folder / 'journal.db'}",
        state_dir=str(folder),
        base_url=server.url,
        settle_s=0.0,
        decision_window_frac=1.0,
        **{"capital_by_currency": CAPITAL, **settings},
    )
    limits = limits or RiskLimits(max_position=1e6)
    options = Options(MARKETS, config, limits, Secrets(KEYS, ()), folder, is_live, unpromoted=False)
    stop = threading.Event()
    services = make_services(options, stop)
    return make_bot(options, services, stop)


def test_93_each_symbol_starts_with_the_capital_of_its_currency(tmp_path: Path, server: TwoMarkets) -> None:
    bot = bot_of(tmp_path, server, is_live=False)
    for worker in bot.workers:
        worker.once()
        assert worker.trader.view.trouble == ""
    traders = [worker.trader for worker in bot.workers]
    assert [trader.view.equity for trader in traders] == [1000.0, 300.0]
    summary = bot.summary(traders[0].view.last_close - 1)
    assert "equity 1000.00 USDT" in summary
    assert "equity 300.00 EUR" in summary
    assert summary.splitlines()[-1] == "together: 1000.00 USDT, 300.00 EUR"
    found = status(traders[1]._services.journal, "ETH/EUR")
    assert found is not None
    assert any("equity         300.00 EUR" in line for line in status_lines(found))
    metrics = Monitor(traders, traders[0]._services.config, is_live=False).metrics().decode()
    assert 'supertrader_equity_together{currency="USDT"} 1000.0' in metrics
    assert 'supertrader_equity_together{currency="EUR"} 300.0' in metrics


def test_93_real_orders_spend_the_money_of_their_own_market(tmp_path: Path, server: TwoMarkets) -> None:
    server.other.account.balances["USDT"] = Decimal(200)  # EUR, to whoever asks
    bot = bot_of(tmp_path, server, is_live=True)
    for worker in bot.workers:
        worker.once()
        assert worker.trader.view.trouble == ""
    spent = {}
    for name, exchange in (("USDT", server), ("EUR", server.other)):
        (order,) = [order for order in exchange.account.orders if order.side == "BUY"]
        assert order.price is not None
        spent[name] = order.amount * order.price
    assert Decimal(990) < spent["USDT"] <= Decimal(1000)
    assert Decimal(197) < spent["EUR"] <= Decimal(200)
    assert {post["symbol"] for post in server.posts} == {"BTCUSDT"}
    assert {post["symbol"] for post in server.other.posts} == {"ETHEUR"}


def test_93_a_position_is_bounded_in_its_own_currency(tmp_path: Path, server: TwoMarkets) -> None:
    limits = RiskLimits(max_position=500.0, max_position_by_currency={"EUR": 90.0})
    bot = bot_of(tmp_path, server, is_live=True, limits=limits)
    for worker in bot.workers:
        worker.once()
    worth = [exchange.account.orders[0].amount * Decimal(100) for exchange in (server, server.other)]
    assert [float(value) for value in worth] == [pytest.approx(500, rel=0.05), pytest.approx(90, rel=0.05)]


def test_93_coins_that_two_symbols_share_are_refused() -> None:
    require_apart(["BTC/USDT", "ETH/EUR", "SOL/USDT"])
    for symbols in (["BTC/USDT", "BTC/EUR"], ["BTC/USDT", "ETH/BTC"], ["ETH/BTC", "BTC/USDT"]):
        with pytest.raises(ConfigError, match="BTC is in more than one of"):
            require_apart(symbols)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("capital_by_currency: {EUR: 0}", "capital_by_currency.EUR must be > 0"),
        ("capital_by_currency: {eur: 5}", "capital_by_currency.eur must be spelled as USDT is"),
        ("capital_by_currency: 5", "capital_by_currency"),
        ("capital_by_currency: {EUR: much}", "capital_by_currency"),
    ],
)
def test_93_amounts_by_currency_are_checked(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "live.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as told:
        load_settings(LiveConfig, path)
    assert "\n" not in str(told.value)


def test_93_limits_that_name_no_currency_are_those_of_before() -> None:
    before = {name: value for name, value in to_plain(RiskLimits()).items() if name != "max_position_by_currency"}
    assert limits_hash(RiskLimits()) == sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()
    assert limits_hash(RiskLimits(max_position_by_currency={"EUR": 9.0})) != limits_hash(RiskLimits())
