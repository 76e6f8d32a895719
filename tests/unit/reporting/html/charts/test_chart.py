"""The data inside a chart's card is that of the report, thinned where bars are many, and small enough to open."""

import json

import numpy as np
import pytest

from src.errors import ConfigError
from src.market.bars import BarSeries, timeframe_ms
from src.reporting.html import scripts
from src.reporting.html.charts.bar_times import bar_name
from src.reporting.html.charts.chart import Candles, Chart, Line, Marks, Panel, chart_card, chart_plain
from tests.support.html_pages import Page, chart_data
from tests.support.simulated_records import random_walk

OPENED = 1_704_067_200_000  # 2024-01-01


def series(bars: int, timeframe: str = "1d", first: int = OPENED) -> BarSeries:
    closes = random_walk(bars, seed=3)
    opens = np.append(closes[0], closes[:-1])
    high, low = np.maximum(opens, closes) * 1.01, np.minimum(opens, closes) * 0.99
    times = first + timeframe_ms(timeframe) * np.arange(bars)
    return BarSeries("TEST", timeframe, times, opens, high, low, closes, np.ones(bars))


def chart(bars: int, **given: object) -> Chart:
    found = series(bars)
    opens, closes = found.open, found.close
    candles = Candles(opens, found.high, found.low, closes)
    lines = [Line("up", closes * 2, "strategy"), Line("down", -closes, "benchmark", "dashed")]
    panels = [Panel("price", 300, candles=candles, is_money=True), Panel("lines", 100, lines, unit=" %")]
    marks = Marks((opens < closes) * 1.0, (opens > closes) * 1.0, {1: ["<b>bought</b>"]})
    return Chart(found, panels, marks, **given)  # type: ignore[arg-type]


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
    np.testing.assert_array_equal(found["times"], made.parts[0].close_time - 1)  # the day that a bar covers
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
    np.testing.assert_array_equal(found["times"], made.parts[0].close_time[::size] - 1)
    assert found["borders"] == [100_000 // size]


@pytest.mark.parametrize("lines", [1, 20])
def test_half_a_million_bars_stay_below_five_megabytes(lines: int) -> None:
    values = random_walk(500_000, seed=1)
    panels = [Panel("many", 100, [Line(str(place), values, "strategy") for place in range(lines)])]
    assert len(chart_card("title", Chart(series(500_000, "1m"), panels))) < 4_500_000


def test_what_it_says_cannot_break_out_of_the_page() -> None:
    panels = [Panel("</script><script>alert(1)</script>", 100, [Line("<b>", np.ones(2), "strategy")])]
    card = chart_card("<title>", Chart(series(2), panels, Marks(np.ones(2), np.ones(2), {0: ["</script>"]})))
    assert card.count("</script>") == 1
    assert Page(card).open == []
    assert chart_data(card)["panels"][0]["title"] == "</script><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("values", "is_log"), [([1.0, 2.0], False), ([1.0, 4.0], True), ([-1.0, 4.0], False), ([0.0, 4.0], False)]
)
def test_money_that_differs_much_is_drawn_on_a_log_scale(values: list[float], is_log: bool) -> None:
    panel = Panel("equity", 100, [Line("equity", np.array(values), "strategy")], is_money=True)
    assert chart_plain(Chart(series(2), [panel]))["panels"][0]["is_log"] is is_log


@pytest.mark.parametrize(
    ("timeframe", "names"), [("1d", ["2024-01-01", "2024-01-02"]), ("1h", ["2024-01-01 00:00", "2024-01-01 01:00"])]
)
def test_bars_are_called_by_the_day_they_cover_or_the_minute_they_open(timeframe: str, names: list[str]) -> None:
    assert [bar_name(series(2, timeframe), row) for row in range(2)] == names


def test_a_daily_bar_that_opens_on_the_evening_before_is_called_by_the_day_it_covers() -> None:
    evening = series(1, first=OPENED - 2 * 3_600_000)
    assert bar_name(evening, 0) == "2024-01-01"


def test_series_that_follow_one_another_make_one_chart() -> None:
    first, second = series(10), series(5, first=OPENED + 10 * 86_400_000)
    panel = Panel("line", 100, [Line("line", np.arange(15.0), "strategy")])
    found = chart_data(chart_card("title", Chart([first, second], [panel], borders=[10])))
    assert found["times"].tolist() == [*(first.close_time - 1), *(second.close_time - 1)]


def test_nan_is_refused() -> None:
    panel = Panel("line", 100, [Line("line", np.array([1.0, np.nan]), "strategy")])
    with pytest.raises(AssertionError, match="no place for NaN"):
        chart_card("title", Chart(series(2), [panel]))


def test_one_bar_and_numbers_of_any_size_are_plain_data() -> None:
    for value in (0.0, 1e20, -1e20, 1e-20, 1e300):
        panel = Panel("line", 100, [Line("line", np.array([value]), "strategy")], is_money=True)
        plain = chart_plain(Chart(series(1), [panel]))
        json.dumps(plain, allow_nan=False)
        assert plain["panels"][0]["is_log"] is False


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(scripts, "_CHART_LIBRARY", tmp_path)
    with pytest.raises(ConfigError, match=r"chart library of reports is missing.*install the project from a checkout"):
        scripts.chart_script()
