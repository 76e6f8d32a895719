"""Orders at the border: on the grid, never more than was decided, never a number that is none."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import OrderRefused
from src.execution.order_filters import MarketFilters, decimal_of, round_down, shape_order
from src.market.instrument import ROUND_THE_CLOCK, Instrument

FILTERS = MarketFilters(
    instrument=Instrument("BTC/USDT", "BTC", "USDT", ROUND_THE_CLOCK, step=Decimal("0.1"), tick=Decimal("0.01")),
    min_amount=Decimal("0.1"),
    max_amount=Decimal(50),
    min_notional=Decimal(5),
    is_trading=True,
)


def test_26_amounts_are_floored_where_float_would_lose_a_step() -> None:
    assert (0.3 // 0.1) * 0.1 == 0.2  # what it guards against
    assert shape_order(FILTERS, 0.3, 100.0, None).amount == Decimal("0.3")
    assert round_down(Decimal("0.29"), Decimal("0.1")) == Decimal("0.2")


@pytest.mark.parametrize(("units", "side", "price"), [(1.0, "buy", "101"), (-1.0, "sell", "99")])
def test_the_limit_price_is_the_reference_and_the_slippage(units: float, side: str, price: str) -> None:
    shape = shape_order(FILTERS, units, 100.0, 0.01)
    assert (shape.side, shape.price, shape.quantity) == (side, Decimal(price), Decimal(str(units)))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_24_numbers_that_are_none_go_nowhere(number: float) -> None:
    for units, reference, slippage in ((number, 100.0, 0.01), (1.0, number, 0.01), (1.0, 100.0, number)):
        with pytest.raises(OrderRefused, match="nothing was sent"):
            shape_order(FILTERS, units, reference, slippage)


@pytest.mark.parametrize("reference", [0.0, -1.0])
def test_a_price_that_is_not_positive_goes_nowhere(reference: float) -> None:
    with pytest.raises(OrderRefused, match="reference price"):
        shape_order(FILTERS, 1.0, reference, 0.01)


@pytest.mark.parametrize(
    ("filters", "units"),
    [
        (FILTERS, 0.05),
        (FILTERS, 0.0),
        (replace(FILTERS, min_notional=Decimal(200)), 1.9),
        (replace(FILTERS, min_amount=Decimal(2)), 1.9),
    ],
)
def test_what_is_too_small_is_refused_with_the_minimum(filters: MarketFilters, units: float) -> None:
    with pytest.raises(OrderRefused, match="below the minimum"):
        shape_order(filters, units, 100.0, 0.01)


def test_a_sell_is_judged_at_the_price_it_may_fetch() -> None:
    # 0.1 at a limit of 49.5 is worth 4.95, though the reference of 50 says 5.
    with pytest.raises(OrderRefused, match="below the minimum"):
        shape_order(FILTERS, -0.1, 50.0, 0.01)
    assert shape_order(FILTERS, -0.1, 50.0, None).amount == Decimal("0.1")


def test_no_more_than_can_be_paid_or_is_owned() -> None:
    bought = shape_order(FILTERS, 10.0, 100.0, 0.01, affordable=Decimal(505))
    assert bought.price is not None
    assert bought.amount * bought.price <= 505 < (bought.amount + FILTERS.instrument.step) * bought.price
    assert shape_order(FILTERS, -10.0, 100.0, 0.01, sellable=Decimal("3.37")).amount == Decimal("3.3")
    assert shape_order(FILTERS, 1000.0, 100.0, None).amount == 50
    with pytest.raises(OrderRefused):
        shape_order(FILTERS, 10.0, 100.0, 0.01, affordable=Decimal(-5))


@given(
    units=st.floats(-1e6, 1e6),
    reference=st.floats(1e-6, 1e6),
    slippage=st.floats(0.0, 0.5),
    step=st.sampled_from(["1", "0.1", "0.00001", "0.00000001"]),
    tick=st.sampled_from(["1", "0.01", "0.00000001"]),
    money=st.floats(0.0, 1e6),
)
def test_whatever_is_asked_an_order_is_on_the_grid_and_within_bounds(
    units: float, reference: float, slippage: float, step: str, tick: str, money: float
) -> None:
    market = replace(FILTERS.instrument, step=Decimal(step), tick=Decimal(tick))
    filters = replace(FILTERS, instrument=market, max_amount=None)
    affordable = decimal_of(money)
    try:
        shape = shape_order(filters, units, reference, slippage, affordable, affordable)
    except OrderRefused:
        return
    assert shape.price is not None
    assert shape.amount > 0
    assert shape.amount % market.step == 0
    assert shape.price % market.tick == 0
    assert shape.amount <= abs(decimal_of(units))
    assert (shape.side == "buy") == (units > 0)
    if shape.side == "buy":
        assert shape.amount * shape.price <= affordable
        assert shape.price <= decimal_of(reference) * (1 + decimal_of(slippage))
    else:
        assert shape.amount <= affordable
        assert shape.price >= decimal_of(reference) * (1 - decimal_of(slippage))
