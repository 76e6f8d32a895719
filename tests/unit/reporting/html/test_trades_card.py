"""The list of trades says what became of each, and why it began and ended."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from src.reporting.html.backtest_chart import backtest_chart
from src.reporting.html.trades_card import MOST_TRADES, trades_card
from src.reporting.summary import Description, Report, make_report
from src.risk.stations.chain import Change
from src.trading.records import Reviews
from tests.support.html_pages import Page, chart_data
from tests.support.simulated_records import simulate

CLOSES = np.array([100.0, 100.0, 110.0, 110.0, 99.0, 99.0, 99.0])
TARGETS = np.array([1.0, 1.0, 0.0, -1.0, -1.0, -1.0, 0.0])


def made(targets: np.ndarray = TARGETS, closes: np.ndarray = CLOSES) -> Report:
    account, about = simulate(targets, closes), Description("scripted", "X", "1d", "test")
    return make_report(about, account.records, account.bars, 252.0, 1_000.0, np.random.default_rng(0))


def rows(card: str) -> list[list[str]]:
    """Cells of each trade."""
    body = card.split("<tbody>")[1].split("</tbody>")[0]
    return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>([^<]*)<", row)] for row in body.split("</tr>")[:-1]]


def test_two_trades_by_hand() -> None:
    # 10 units bought at 100 are sold at 110: 1,100. A short of 10 at 110 stands at 99 when the bars end.
    card = trades_card(made())
    gain = "+10.0\N{NO-BREAK SPACE}%"
    assert rows(card) == [
        ["1970-01-02", "1970-01-04", "long", "10", "100", "110", "100.00", gain, "2", "target 1.00", "target 0.00"],
        ["1970-01-05", "1970-01-07", "short", "10", "110", "99", "110.00", gain, "3", "target −1.00", "still open"],
    ]
    assert "<h2>Trades: 2</h2>" in card
    assert Page(card).open == []


def test_what_stations_said_stands_beside_the_trade_and_over_the_chart() -> None:
    capped = Change("caps", 2.0, 1.0, "max_leverage=<1> allows less")
    reviews = Reviews(TARGETS * 2, ((capped,), (), (capped,), (), (), (), ()))
    shown = replace(made(), reviews=reviews)
    first = rows(trades_card(shown))[0]
    assert first[-2] == "target 1.00; caps: max_leverage=<1> allows less; 2 became 1"
    assert first[-1] == "target 0.00; caps: max_leverage=<1> allows less; 2 became 1"
    marks = chart_data(backtest_chart(shown))["marks"]
    assert marks["notes"]["1"] == ["bought 10 at 100 (target 1.00; caps: max_leverage=<1> allows less; 2 became 1)"]
    assert marks["notes"]["3"] == ["sold 10 at 110 (target 0.00; caps: max_leverage=<1> allows less; 2 became 1)"]
    assert marks["notes"]["4"] == ["sold 10 at 110 (target −1.00)"]
    assert marks["buys"].tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert marks["sells"].tolist() == [0, 0, 0, 1, 1, 0, 0]


def test_a_margin_call_and_a_stop_are_named() -> None:
    report = made()
    units = report.records.units.copy()
    units[5:] = 0.0
    called, paid = np.zeros(7), np.zeros(7)
    called[5], paid[5] = 10.0, 99.0
    ended = np.arange(7) == 5
    records = report.records._replace(units=units, call_units=called, call_price=paid, terminated=ended)
    again = replace(report, records=records)
    assert rows(trades_card(again))[-1][-1] == "margin call"
    assert chart_data(backtest_chart(again))["marks"]["notes"]["5"] == ["bought 10 at 99 (margin call)"]
    stopped = replace(report, records=records._replace(terminated=np.zeros(7, dtype=bool)))
    assert rows(trades_card(stopped))[-1][-1] == "protective stop"
    assert chart_data(backtest_chart(stopped))["marks"]["notes"]["5"] == ["bought 10 at 99 (protective stop)"]


def test_changes_within_a_trade_are_told_but_not_marked() -> None:
    halved = np.array([1.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0])
    marks = chart_data(backtest_chart(made(halved)))["marks"]
    assert marks["notes"]["2"][0].startswith("sold 5 at 100")
    assert marks["sells"].tolist() == [0, 0, 0, 0, 1, 0, 0]


def test_of_very_many_trades_the_heaviest_are_listed_and_the_rest_named() -> None:
    bars = 4 * MOST_TRADES
    closes = 100.0 * np.exp(np.cumsum(np.random.default_rng(5).normal(0.0, 0.01, bars)))
    report = made(np.arange(bars) % 2.0, closes)
    card, profit = trades_card(report), np.abs(report.trades.profit)
    assert len(profit) > MOST_TRADES
    listed = [abs(float(row[6].replace("−", "-").replace(",", ""))) for row in rows(card)]
    assert len(listed) == MOST_TRADES
    assert sorted(listed)[0] == pytest.approx(np.sort(profit)[-MOST_TRADES], abs=0.01)
    assert f"<h2>{MOST_TRADES} of {len(profit)} trades" in card
    assert "trades.csv" in card
    assert [row[0] for row in rows(card)] == sorted(row[0] for row in rows(card))


def test_an_account_that_never_traded_says_so() -> None:
    assert "The account never held a position." in trades_card(made(np.zeros(7)))
