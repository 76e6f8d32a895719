"""Symbols are taken apart in one place."""

import pytest

from src.market.instrument import base_and_quote


@pytest.mark.parametrize(
    ("symbol", "coins"),
    [
        ("BTC/USDT", ("BTC", "USDT")),
        ("BTC/USDT:USDT", ("BTC", "USDT")),  # a swap that is settled in USDT
        ("SPY", ("SPY", "")),
    ],
)
def test_base_and_quote(symbol: str, coins: tuple[str, str]) -> None:
    assert base_and_quote(symbol) == coins
