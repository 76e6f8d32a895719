"""A panel holds what its series hold, where they hold it, and nothing else."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.market.bars import COLUMNS, BarSeries
from src.market.panel import DELISTED_AFTER_BARS, Panel, SymbolFacts

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def series(
    symbol: str, days: list[int], timeframe: str = "1d", start: float = 100.0, step_ms: int = DAY_MS
) -> BarSeries:
    close = start + np.arange(len(days), dtype=np.float64)
    return BarSeries(
        symbol, timeframe, np.array(days, np.int64) * step_ms, close, close + 1, close - 1, close, close * 10
    )


HISTORIES = st.lists(
    st.lists(st.integers(0, 60), min_size=2, max_size=40, unique=True).map(sorted), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_each_symbol_comes_back_as_it_went_in_and_nothing_is_filled(histories: list[list[int]]) -> None:
    whole = [series("ALL", list(range(61))), *(series(f"S{n}", days) for n, days in enumerate(histories))]
    panel = Panel.of("P", whole)
    for bars in whole:
        back = panel.series(bars.symbol)
        assert all(np.array_equal(getattr(back, name), getattr(bars, name)) for name in COLUMNS)
    assert panel.has_bar.sum() == sum(map(len, whole))
    for name in COLUMNS[1:]:
        assert np.array_equal(np.isfinite(getattr(panel, name)), panel.has_bar)


@settings(max_examples=60, deadline=None)
@given(HISTORIES, st.integers(2, 60))
def test_marks_and_listings_of_the_past_do_not_change_with_the_future(histories: list[list[int]], now: int) -> None:
    whole = [series("ALL", list(range(61))), *(series(f"S{n}", days) for n, days in enumerate(histories))]
    panel = Panel.of("P", whole)
    past = [
        bars[: int(np.searchsorted(bars.open_time, now * DAY_MS))] for bars in whole if bars.open_time[0] < now * DAY_MS
    ]
    earlier = Panel.of("P", [bars for bars in past if len(bars) > 1])
    columns = [panel.symbols.index(symbol) for symbol in earlier.symbols]
    assert np.array_equal(earlier.last_close, panel.last_close[:now, columns], equal_nan=True)
    assert np.array_equal(earlier.has_bar, panel.has_bar[:now, columns])


def test_a_holding_is_marked_by_the_last_close() -> None:
    panel = Panel.of("P", [series("A", [0, 1, 2, 3, 4]), series("B", [1, 3])])
    assert np.array_equal(panel.last_close[:, 1], [np.nan, 100, 100, 101, 101], equal_nan=True)


def test_a_symbol_is_listed_from_its_first_bar_to_its_last_if_that_is_long_before_the_end() -> None:
    gone = DELISTED_AFTER_BARS + 2
    panel = Panel.of("P", [series("A", list(range(5 + gone))), series("B", [2, 4]), series("C", [2, 7])])
    assert panel.listed[:, 1].tolist() == [2 <= day <= 4 for day in range(5 + gone)]
    assert panel.listed[:, 2].tolist() == [day >= 2 for day in range(5 + gone)]


def test_a_share_is_not_taken_for_delisted_on_a_weekend_on_which_its_neighbours_trade() -> None:
    hours = list(range(14 * 24))  # from Thursday; the share trades seven hours of each working day
    open_hours = [hour for hour in hours if (hour // 24 + 3) % 7 < 5 and 14 <= hour % 24 < 21]
    sunday = 10 * 24 + 20
    panel = Panel.of(
        "P",
        [
            series("COIN", hours[: sunday + 1], "1h", step_ms=HOUR_MS),
            series("SHARE", [hour for hour in open_hours if hour <= sunday], "1h", step_ms=HOUR_MS),
            series("GONE", [hour for hour in open_hours if hour < 4 * 24], "1h", step_ms=HOUR_MS),
        ],
    )
    assert panel.listed[-1].tolist() == [True, True, False]


def test_a_stretch_keeps_every_symbol() -> None:
    panel = Panel.of("P", [series("A", list(range(20))), series("B", [2, 4])])[10:]
    assert panel.symbols == ("A", "B")
    assert len(panel) == 10
    assert not panel.has_bar[:, 1].any()
    with pytest.raises(DataError, match="holds no bars"):
        panel[10:]


def test_facts_are_kept_and_identify_the_panel() -> None:
    bars = [series("A", [0, 1]), series("B", [0, 1])]
    known = Panel.of("P", bars, {"A": SymbolFacts("Energy", "USD", "XNYS")})
    assert known.facts == (SymbolFacts("Energy", "USD", "XNYS"), SymbolFacts())
    assert known.fingerprint != Panel.of("P", bars).fingerprint
    assert Panel.of("Q", bars).fingerprint == Panel.of("P", bars).fingerprint


@pytest.mark.parametrize(
    ("whole", "sentence"),
    [
        ([], "holds no symbol"),
        ([series("BTC/USDT", [0, 1]), series("btcusdt", [0, 1])], r"twice \(as BTC/USDT and btcusdt\)"),
        ([series("A", [0, 1]), series("B", [0, 1], "1h")], "B has 1h bars and A has 1d"),
        ([series("A", [0, 1]), series("B", [1])], "B has a single bar"),
        ([series("A", [0, 1]), series("B", [0, 1]), series("C", [5, 6])], "C shares no bar with any other"),
    ],
)
def test_what_makes_no_panel_is_refused_in_one_sentence(whole: list[BarSeries], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        Panel.of("P", whole)


def test_years_are_counted_over_the_axis() -> None:
    days = [day for day in range(3650) if date.fromordinal(719_163 + day).weekday() < 5]  # 1970-01-01 is day 719,163
    assert Panel.of("P", [series("A", days), series("B", days[:400])]).bars_per_year == pytest.approx(261, abs=0.5)
