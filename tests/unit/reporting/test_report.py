"""The files of a result: complete, self-contained, and the same figures everywhere."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from src.reporting.formats import number, percent, price
from src.reporting.html.backtest_page import render_page
from src.reporting.html.backtest_plots import rolling_sharpe
from src.reporting.html.canvas import BUCKETS, thinned_rows, thinned_steps
from src.reporting.html.monthly_returns import monthly_returns
from src.reporting.optimum import Optimum
from src.reporting.report import write_report, write_result, write_summary
from src.reporting.steps_file import read_steps
from src.reporting.summary import Description, Report, make_report, summary_rows, verdict
from src.reporting.terminal.tables import print_performance, wide_table
from src.risk.stations.chain import Change
from src.storage import write_atomic
from src.trading.records import Reviews, StepRecord
from tests.support.html_pages import Page, markup, refuse_network_and_nan
from tests.support.long_report import long_report
from tests.support.simulated_records import moving_average_targets, random_walk, simulate

SECTIONS = [
    "chart", "equity", "summary", "drawdown", "position", "rolling_sharpe", "distribution", "costs", "months",
    "trades", "facts",
]  # fmt: skip


def make(bars: int = 400, targets: np.ndarray | None = None, **description: object) -> Report:
    closes = random_walk(bars, seed=11)
    wanted = moving_average_targets(closes, 20) if targets is None else targets
    account = simulate(wanted, closes, 10_000.0, 2e-4, 1e-4, 1e-4, 1e-6)
    about = Description("ma20", "SP500", "1d", "test", **description)  # type: ignore[arg-type]
    return make_report(about, account.records, account.bars, 252.0, 10_000.0, np.random.default_rng(0))


@pytest.fixture(scope="module")
def report() -> Report:
    return make(
        note="asked for <explicitly>",
        data_fingerprint="f00d",
        model_sha256="beef",
        costs={"commission_bps": 2.0},
        config={"symbol": "SP500", "html": "</pre>"},
    )


@pytest.fixture(scope="module")
def html(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(tmp_path_factory.mktemp("report"), report).read_text()


def test_page_is_well_formed_and_holds_every_section(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert page.sections == SECTIONS
    assert html.count("<svg ") == 6


def test_a_mixture_shows_its_gate_under_the_price(report: Report, html: str, tmp_path: Path) -> None:
    gates = np.zeros((len(report.closes), 2))
    gates[:100, 0], gates[100:, 1] = 1.0, 1.0
    page = write_report(tmp_path, replace(report, gates=gates)).read_text()
    assert Page(page).sections == [*SECTIONS[:5], "gates", *SECTIONS[5:]]
    assert "Weights of 2 experts: the busiest leads in 75.0\N{NO-BREAK SPACE}% of bars" in page  # 300 of 400
    share = f"{100 * 100 / 399:.1f}\N{NO-BREAK SPACE}%"  # of the decisions, of which the last is never paid
    assert f'<tr><th scope="row">expert 0</th><td>{share}</td><td>{share}</td>' in page
    assert "gates" not in Page(html).sections


def test_what_stations_did_stands_in_every_file(report: Report, html: str, tmp_path: Path) -> None:
    bars = len(report.closes)
    capped = Change("caps", 1.0, 0.5, "max_leverage=<0.5> allows less")
    kept = Change("price band", 0.5, 0.5, "the close moved")
    changes = tuple([(capped, kept)] + [(capped,)] * 9 + [()] * (bars - 10))
    reviews = Reviews(np.arange(bars) / bars, changes)
    about = replace(report.description, limits={"max_leverage": 0.5})
    page = write_result(tmp_path, replace(report, reviews=reviews, description=about)).read_text()
    assert Page(page).sections == [*SECTIONS[:5], "stations", *SECTIONS[5:]]
    assert "Stations changed 10 of 400 decisions: caps 10, price band 1." in page
    assert "caps: max_leverage=&lt;0.5&gt; allows less; 1 became 0.5" in page
    assert "<td>2.5\N{NO-BREAK SPACE}%</td>" in page  # 10 of 400
    assert "stations" not in Page(html).sections
    steps = pq.read_table(tmp_path / "steps.parquet")
    assert steps.column_names[-2:] == ["wanted", "reason"]
    np.testing.assert_array_equal(steps["wanted"].to_numpy(), reviews.wanted)
    assert steps["reason"].to_pylist()[9:11] == [capped.sentence, ""]
    assert steps["reason"][0].as_py() == f"{capped.sentence} | {kept.sentence}"
    assert kept.sentence == "price band: the close moved; no order is placed"
    assert json.loads((tmp_path / "summary.json").read_text())["stations"] == {
        "decisions": 400, "changed": 10, "by_station": {"caps": 10, "price band": 1},
    }  # fmt: skip


def test_cautions_and_the_look_stand_above_everything_else(report: Report, tmp_path: Path) -> None:
    about = replace(report.description, cautions=("the price <falls> by half",), look=3)
    page = write_report(tmp_path, replace(report, description=about)).read_text()
    header = page.split("<main>")[0]
    assert '<p class="verdict worse">Careful: the price &lt;falls&gt; by half.</p>' in header
    assert "look 3 at these sealed bars: 2 other models or runs were judged on them before" in header


def test_the_share_of_a_known_optimum_stands_at_the_top_and_in_the_summary(
    report: Report, html: str, tmp_path: Path
) -> None:
    known = replace(report, optimum=Optimum("A4", 6.0, 8.0))
    header = write_report(tmp_path, known).read_text().split("<main>")[0]
    assert "<span>Reached of the optimum</span><b>0.75</b><span>6.00 of 8.00 bps a bar, after costs</span>" in header
    written = json.loads(write_summary(tmp_path / "summary.json", known).read_text())["optimum"]
    assert written == {"market": "A4", "earned_bps": 6.0, "best_bps": 8.0, "reached": 0.75}
    assert "optimum" not in html.split("<main>")[0]


def test_page_needs_no_network(html: str) -> None:
    refuse_network_and_nan(html)


def test_page_follows_the_theme(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    pictures = "".join(re.findall(r"<svg .*?</svg>", html, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", pictures)) <= {"#000000"}  # matplotlib's default, overridden by style
    assert set(re.findall(r"var\(--(\w+)\)", pictures)) <= set(re.findall(r"--(\w+):", html))


def test_page_states_its_subject_and_escapes_it(html: str) -> None:
    for expected in ("ma20 on SP500 1d, test", "asked for &lt;explicitly&gt;", "f00d", "beef", "commission_bps"):
        assert expected in html
    assert "&lt;/pre&gt;" in html


def test_same_report_gives_the_same_page(report: Report, html: str, tmp_path: Path) -> None:
    assert write_report(tmp_path, report).read_text() == html


@pytest.mark.parametrize("bars", [1, 2, 3, 25])
def test_narrow_series_make_a_complete_page(bars: int, tmp_path: Path) -> None:
    page = write_result(tmp_path, make(bars, np.ones(bars))).read_text()
    assert Page(page).sections == SECTIONS
    refuse_network_and_nan(page)


def test_idle_and_ruined_accounts_make_a_complete_page(tmp_path: Path) -> None:
    idle = make(60, np.zeros(60))
    assert "Nothing was traded" in write_result(tmp_path, idle).read_text()
    equity = np.linspace(10_000.0, -500.0, 60)
    ruined = make_report(
        idle.description, idle.records._replace(equity=equity), idle.bars, 252.0, 10_000.0, np.random.default_rng(0)
    )
    page = write_result(tmp_path, ruined).read_text()
    assert Page(page).sections == SECTIONS
    assert "−105.0" in page
    refuse_network_and_nan(page)


def test_long_hourly_report_stays_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    page = write_report(tmp_path, make(40_000, rng.choice([-1.0, 0.0, 1.0], 40_000))).read_text()
    assert len(markup(page)) < 1_000_000
    assert len(page) < 5_000_000


def test_a_page_of_very_many_bars_is_made_in_little_more_time_than_one_of_few(report: Report) -> None:
    def seconds(shown: Report) -> float:
        began = process_time()
        render_page(shown)
        return process_time() - began

    few, many = long_report(report, 1_000), long_report(report, 500_000)
    render_page(few)  # what is loaded and cached once
    assert min(seconds(many) for _ in range(2)) < 6 * min(seconds(few) for _ in range(2))


def test_summary_has_stable_keys_and_null_for_undefined(tmp_path: Path) -> None:
    summary = json.loads(write_summary(tmp_path / "summary.json", make(10, np.zeros(10))).read_text())
    assert list(summary) == [
        "description", "first_day", "last_day", "verdict", "performance", "sharpe_interval", "no_sharpe", "stations",
        "stop_fills", "optimum",
    ]  # fmt: skip
    assert summary["performance"]["sharpe"] is None
    assert summary["sharpe_interval"] is None
    assert summary["no_sharpe"] == "nothing was earned or lost"
    assert summary["first_day"] == "1970-01-01"  # the bar that closes at midnight of the 2nd


def test_steps_round_trip_with_their_types(report: Report, tmp_path: Path) -> None:
    write_result(tmp_path, report)
    back = read_steps(tmp_path / "steps.parquet")
    assert all(np.array_equal(old, new) for old, new in zip(report.records, back, strict=True))
    schema = pq.read_schema(tmp_path / "steps.parquet")
    assert set(schema.names) == {*StepRecord._fields, "open_time", "open", "high", "low", "close"}
    assert [str(schema.field(name).type) for name in ("equity", "terminated")] == ["double", "bool"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.html",
        "steps.parquet",
        "summary.json",
        "trades.csv",
    ]


def test_steps_hold_the_candles_and_times_that_pandas_knows(report: Report, tmp_path: Path) -> None:
    write_result(tmp_path, report)
    steps = pd.read_parquet(tmp_path / "steps.parquet")
    assert str(steps["open_time"].dtype) == str(steps["close_time"].dtype) == "datetime64[ms, UTC]"
    assert steps["open_time"].iloc[0] == pd.Timestamp("1970-01-01", tz="UTC")
    assert (steps["close_time"] - steps["open_time"] == pd.Timedelta("1D")).all()
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(steps[name], getattr(report.bars, name))


def test_trades_are_listed_with_times_prices_costs_and_reasons(tmp_path: Path) -> None:
    # Long 100 at 100, cut to 50 at 110 and sold at 120 after the caps said so; then short 55 from 100, open at 90.
    closes = np.array([100.0, 100.0, 110.0, 120.0, 100.0, 100.0, 90.0])
    account = simulate(np.zeros(7), closes)
    units = np.array([0.0, 100.0, 50.0, 0.0, 0.0, -55.0, -55.0])
    fills, prices = np.diff(units, prepend=0.0), np.array([0.0, 100.0, 110.0, 120.0, 0.0, 100.0, 0.0])
    records = account.records._replace(
        units=units, fill_units=fills, fill_price=prices, commission=np.abs(fills) / 10, financing=(units != 0) * 1.0
    )
    capped = Change("caps", 1.0, 0.0, "no more")
    reviews = Reviews(np.ones(7), ((), (), (capped,), (), (), (), ()))
    about = Description("ma20", "X", "1d", "test")
    rng = np.random.default_rng(0)
    made = make_report(about, records, account.bars, 252.0, 10_000.0, rng, reviews=reviews)
    write_result(tmp_path, made)
    lines = list(csv.DictReader((tmp_path / "trades.csv").read_text().splitlines()))
    # Entered 100 at 100; left 50 at 110 and 50 at 120: 1,500 less 20 of commission and 2 of interest.
    assert lines[0] == {
        "entry_time": "1970-01-02T00:00:00Z", "exit_time": "1970-01-04T00:00:00Z", "side": "long", "quantity": "100.0",
        "entry_price": "100.0", "exit_price": "115.0", "profit": "1478.0", "costs": "22.0", "bars": "2",
        "return_frac": "0.1478", "exit_reason": f"order: {capped.sentence}",
    }  # fmt: skip
    # 550 at the last close, less 5.5 and 2.
    assert lines[1] == {
        "entry_time": "1970-01-06T00:00:00Z", "exit_time": "1970-01-08T00:00:00Z", "side": "short", "quantity": "55.0",
        "entry_price": "100.0", "exit_price": "90.0", "profit": "542.5", "costs": "7.5", "bars": "2",
        "return_frac": str(542.5 / 5500.0), "exit_reason": "still open",
    }  # fmt: skip
    assert len(lines) == 2


def test_an_idle_account_lists_no_trades(tmp_path: Path) -> None:
    write_result(tmp_path, make(60, np.zeros(60)))
    assert list(csv.DictReader((tmp_path / "trades.csv").read_text().splitlines())) == []
    assert (tmp_path / "trades.csv").read_text().startswith("entry_time,exit_time,side,quantity,")


def test_failed_write_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_atomic(tmp_path / "report.html", b"old")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("src.storage.os.fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_verdict_says_who_won_and_whether_it_could_be_luck() -> None:
    closes = 100 * 1.01 ** np.arange(300) * np.where(np.arange(300) % 2 == 0, 1.0, 0.995)
    account = simulate(np.zeros(300), closes)
    idle = make_report(
        Description("flat", "X", "1d", "test"), account.records, account.bars, 252.0, 1_000.0, np.random.default_rng(0)
    )
    words = verdict(idle)
    assert words.startswith("Did not beat buy and hold: 0.0")
    assert words.endswith("It has no Sharpe ratio: nothing was earned or lost.")
    doubled = simulate(np.full(300, 2.0), closes, 1_000.0)
    leveraged = make_report(idle.description, doubled.records, doubled.bars, 252.0, 1_000.0, np.random.default_rng(0))
    words = verdict(leveraged)
    assert words.startswith("Beat buy and hold")
    assert words.endswith("excludes 0 and lies above it.")


def test_verdict_of_a_random_walk_does_not_rule_out_luck(report: Report) -> None:
    assert "includes 0" in verdict(report)


def test_console_table_shows_the_same_rows_as_the_page(report: Report, html: str) -> None:
    printed = io.StringIO()
    print_performance("SP500", report.performance, Console(file=printed, width=100))
    for row in summary_rows(report.performance):
        assert all(text in printed.getvalue() for text in row)
        assert all(text in html for text in row)


def test_a_wide_table_wraps_its_headings_and_cuts_nothing_off_at_80_columns() -> None:
    headings = (
        "model",
        "total return",
        "Sharpe ratio",
        "95 % interval",
        "deepest drawdown",
        "turnover per year, × equity",
    )
    rows = [("rsi_reversion", "−1.3 %", "0.05", "−1.03 to 1.13", "31.2 %", "1,004.1")]
    printed = io.StringIO()
    Console(file=printed, width=80).print(wide_table("after costs", headings, rows))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(cell in line for line in lines) for cell in rows[0])
    assert all(any(word in line for line in lines) for heading in headings for word in heading.split())


def test_numbers_are_written_for_people() -> None:
    assert percent(0.1234, sign=True) == "+12.3\N{NO-BREAK SPACE}%"
    assert percent(-0.5) == "−50.0\N{NO-BREAK SPACE}%"
    assert number(-0.001) == "0.00"
    assert number(12345.678) == "12,345.68"
    assert number(None) == percent(None) == "–"
    assert number(1e20) == "1e20"
    assert percent(-1e20) == "−1e22\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"), (100.0, "100"), (2485.74, "2,485.74"), (1_234_567.8, "1,234,568"), (0.000012345678, "0.0000123457"),
        (-0.5, "−0.5"), (1e20, "1e20"), (1.234567e20, "1.23457e20"), (-3e-9, "−3e−9"), (0.99999999, "1"),
    ],
)  # fmt: skip
def test_prices_of_any_size_are_written_to_six_digits(value: float, written: str) -> None:
    assert price(value) == written


def test_monthly_returns_by_hand_compound_to_the_total() -> None:
    days = np.array(["2023-12-30", "2023-12-31", "2024-01-15", "2024-03-01"], dtype="datetime64[ms]")
    months = monthly_returns(days, np.array([105.0, 110.0, 99.0, 198.0]), 100.0)
    assert months == pytest.approx({"2023-12": 0.1, "2024-01": -0.1, "2024-03": 1.0})


def test_rolling_sharpe_agrees_with_each_window() -> None:
    returns = np.random.default_rng(1).normal(1e-3, 1e-2, 50)
    expected = [returns[i : i + 10].mean() / returns[i : i + 10].std(ddof=1) for i in range(41)]
    np.testing.assert_allclose(rolling_sharpe(returns, 10), expected, rtol=1e-9)


def test_thinning_keeps_spikes_and_ends() -> None:
    line = np.random.default_rng(2).normal(size=50_000)
    line[12_345], line[40_001] = 99.0, -99.0
    rows = thinned_rows(line)
    assert {0, 12_345, 40_001, 49_999} <= set(rows.tolist())
    assert len(rows) <= 2 * BUCKETS + 2
    assert (np.diff(rows) > 0).all()
    starts, tops = thinned_steps(line, np.max)
    assert tops.max() == 99.0
    assert len(starts) == len(tops) == 2 * BUCKETS
