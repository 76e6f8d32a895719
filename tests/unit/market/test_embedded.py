"""The five shares that come with the installation, against what is known of them from elsewhere."""

import numpy as np
import pytest

from src.errors import DataError
from src.market.embedded import SECTORS, US5, load_embedded, load_embedded_panel


def day(text: str) -> int:
    return int(np.datetime64(text, "ms").astype(np.int64))


def test_us5_holds_five_shares_of_which_two_were_listed_late() -> None:
    panel = load_embedded_panel(US5, None)
    assert panel.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    first = {symbol: panel.series(symbol).open_time[0] for symbol in panel.symbols}
    assert first["GOOG"] == day("2004-08-19")
    assert first["FB"] == day("2012-05-18")
    assert first["AAPL"] == first["IBM"] == first["MSFT"] == day("2000-03-01")
    assert all(panel.listed[-1])
    assert {fact.currency for fact in panel.facts} == {"USD"}


@pytest.mark.parametrize(
    ("symbol", "split"), [("AAPL", "2000-06-21"), ("AAPL", "2005-02-28"), ("MSFT", "2003-02-18")]
)  # each two for one
def test_a_split_leaves_no_jump_in_prices_and_none_in_dollars_traded(symbol: str, split: str) -> None:
    from bokeh_sampledata.stocks import data

    bars = load_embedded(symbol, None)
    row = int(np.searchsorted(bars.open_time, day(split)))
    assert bars.open_time[row] == day(split)
    assert abs(bars.log_returns[row]) < 0.1
    raw = data[(data["ticker"] == symbol)].iloc[row]
    assert bars.close[row] * bars.volume[row] == pytest.approx(raw["close"] * raw["volume"])


def test_a_dividend_is_no_loss() -> None:
    # Microsoft paid 3.08 dollars a share to holders of 2004-11-15, when it closed at 27.39 after 29.97 the day before.
    bars = load_embedded("MSFT", None)
    row = int(np.searchsorted(bars.open_time, day("2004-11-15")))
    assert np.expm1(bars.log_returns[row]) == pytest.approx((27.39 + 3.08) / 29.97 - 1, abs=0.004)


def test_shares_are_asked_for_by_any_spelling_and_in_days_only() -> None:
    assert load_embedded("aapl", "1d").symbol == "aapl"
    assert len(SECTORS) == 5
    with pytest.raises(DataError, match="1h"):
        load_embedded("AAPL", "1h")
    with pytest.raises(DataError, match="no embedded panel"):
        load_embedded_panel("US6", None)
