"""The data inside a chart's card is that of the report, thinned where bars are many, and small enough to open."""

import json

import numpy as np
import pytest

from src.errors import ConfigError
from src.reporting.html import scripts
from src.reporting.html.charts.chart import Candles, Chart, Line, Marks, Panel, chart_card, chart_plain
from tests.support.html_pages import Page, chart_data
from tests.support.simulated_records import random_walk

DAY = np.datetime64("2024-01-01", "ms")


def times(bars: int, step: str = "D") -> np.ndarray:
    return DAY + np.arange(1, bars + 1) * np.timedelta64(1, step) - np.timedelta64(1, "ms")


def chart(bars: int, **given: object) -> Chart:
    closes = random_walk(bars, seed=3)
    opens = np.roll(closes, 1)
    candles = Candles(opens, np.maximum(opens, closes) * 1.01, np.minimum(opens, closes) * 0.99, closes)
    lines = [Line("up", closes * 2, "strategy"), Line("down", -closes, "benchmark", "dashed")]
    panels = [Panel("price", 300, candles=candles, is_money=True), Panel("lines", 100, lines, unit=" %")]
    return Chart(
        times(bars), panels, Marks((opens < closes) * 1.0, (opens > closes) * 1.0, {1: ["<b>bought</b>"]}), **given
    )  # type: ignore[arg-type]


def test_few_bars_arrive_bit_for_bit() -> None:
    made = chart(500, borders=[100])
    found = chart_data(chart_card("title", made))
    price, lines = found["panels"]
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(price["candles"][name], getattr(made.panels[0].candles, name))
    for line, sent in zip(made.panels[1].lines, lines["lines"], strict=True):
        np.testing.assert_array_equal(sent["columns"]["last"], line.values)
        assert set(sent["columns"]) == {"last"}
    assert made.marks is not None
    np.testing.assert_array_equal(found["marks"]["buys"], made.marks.buys)
    np.testing.assert_array_equal(found["marks"]["sells"], made.marks.sells)
    np.testing.assert_array_equal(found["times"], made.times.astype(np.int64))
    assert found["borders"] == [100]


def test_many_bars_are_gathered_and_no_extreme_is_lost() -> None:
    made = chart(200_000, borders=[100_000])
    found = chart_data(chart_card("title", made))
    size = made.buckets.size
    assert size > 1
    candles, sent = made.panels[0].candles, found["panels"][0]["candles"]
    assert candles is not None
    for row in (0, 17, len(sent["open"]) - 1):
        part = slice(row * size, (row + 1) * size)
        assert sent["open"][row] == candles.open[part][0]
        assert sent["high"][row] == candles.high[part].max()
        assert sent["low"][row] == candles.low[part].min()
        assert sent["close"][row] == candles.close[part][-1]
    for line, drawn in zip(made.panels[1].lines, found["panels"][1]["lines"], strict=True):
        assert drawn["columns"]["low"].min() == line.values.min()
        assert drawn["columns"]["high"].max() == line.values.max()
    assert made.marks is not None
    assert found["marks"]["buys"].sum() == made.marks.buys.sum()
    assert found["times"][-1] == made.times[-1].astype(np.int64)
    assert found["borders"] == [100_000 // size]


@pytest.mark.parametrize("lines", [1, 20])
def test_half_a_million_bars_stay_below_five_megabytes(lines: int) -> None:
    values = random_walk(500_000, seed=1)
    panels = [Panel("many", 100, [Line(str(place), values, "strategy") for place in range(lines)])]
    assert len(chart_card("title", Chart(times(500_000, "m"), panels))) < 4_500_000


def test_what_it_says_cannot_break_out_of_the_page() -> None:
    panels = [Panel("</script><script>alert(1)</script>", 100, [Line("<b>", np.ones(2), "strategy")])]
    card = chart_card("<title>", Chart(times(2), panels, Marks(np.ones(2), np.ones(2), {0: ["</script>"]})))
    assert card.count("</script>") == 1
    assert Page(card).open == []
    assert chart_data(card)["panels"][0]["title"] == "</script><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("values", "is_log"), [([1.0, 2.0], False), ([1.0, 4.0], True), ([-1.0, 4.0], False), ([0.0, 4.0], False)]
)
def test_money_that_differs_much_is_drawn_on_a_log_scale(values: list[float], is_log: bool) -> None:
    panel = Panel("equity", 100, [Line("equity", np.array(values), "strategy")], is_money=True)
    assert chart_plain(Chart(times(2), [panel]))["panels"][0]["is_log"] is is_log


@pytest.mark.parametrize(("step", "expected"), [("D", False), ("h", True)])
def test_hours_are_told_where_bars_are_shorter_than_a_day(step: str, expected: bool) -> None:
    panel = Panel("line", 100, [Line("line", np.ones(5), "strategy")])
    assert chart_plain(Chart(times(5, step), [panel]))["is_intraday"] is expected


def test_nan_is_refused() -> None:
    panel = Panel("line", 100, [Line("line", np.array([1.0, np.nan]), "strategy")])
    with pytest.raises(AssertionError, match="no place for NaN"):
        chart_card("title", Chart(times(2), [panel]))


def test_one_bar_and_numbers_of_any_size_are_plain_data() -> None:
    for value in (0.0, 1e20, -1e20, 1e-20, 1e300):
        panel = Panel("line", 100, [Line("line", np.array([value]), "strategy")], is_money=True)
        plain = chart_plain(Chart(times(1), [panel]))
        json.dumps(plain, allow_nan=False)
        assert plain["panels"][0]["is_log"] is False


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(scripts, "_CHART_LIBRARY", tmp_path)
    with pytest.raises(ConfigError, match=r"chart library of reports is missing.*install the project from a checkout"):
        scripts.chart_script()
