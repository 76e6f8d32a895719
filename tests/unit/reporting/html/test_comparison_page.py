"""The page of a comparison is complete, self-contained and says what the figures say."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from src.errors import DataError
from src.reporting.comparison import Comparison, comparison_plain, make_comparison
from src.reporting.html.comparison_page import comparison_page
from src.reporting.summary import Description, Report, make_report
from src.reporting.terminal.tables import print_comparison
from tests.support.html_pages import chart_data, markup, refuse_network_and_nan
from tests.support.simulated_records import moving_average_targets, random_walk, simulate


def report(name: str, targets: np.ndarray, closes: np.ndarray) -> Report:
    account = simulate(targets, closes, commission=1e-4)
    about = Description(name, "SP500", "1d", "test")
    return make_report(about, account.records, account.bars, 252.0, 1_000.0, np.random.default_rng(0))


def compared(names: list[str], bars: int = 400) -> Comparison:
    closes = random_walk(bars, seed=11)
    reports = [report(name, moving_average_targets(closes, 5 + 5 * place), closes) for place, name in enumerate(names)]
    return make_comparison(reports, np.random.default_rng(0), ["one < two"])


def test_page_names_every_model_and_every_figure_of_the_console() -> None:
    comparison = compared(["first", "<second>", "third"])
    page = comparison_page(comparison)
    assert re.findall(r'<section id="(\w+)"', page) == ["chart", "growth", "models", "differences"]
    assert "<second>" not in page
    assert page.count("&lt;second&gt;") >= 2
    assert "Careful: one &lt; two." in page
    printed = io.StringIO()
    print_comparison(comparison, Console(file=printed, width=200))
    for model in ("first", "<second>", "third", "Careful: one < two."):
        assert model in printed.getvalue()
    cells = set(re.findall(r"<td>([^<]*)</td>", page))
    assert len(cells) > 10
    assert {cell for cell in cells if cell not in printed.getvalue()} == set()


def test_how_much_of_the_best_is_choice_is_said_alike_by_page_console_and_file() -> None:
    comparison = compared(["first", "second", "third"])
    assert comparison.best is not None
    assert comparison.choice.startswith("The best of 2 less first, by mean return: by luck alone as far ahead with")
    assert comparison.choice in comparison_page(comparison).replace("&#x27;", "'")
    printed = io.StringIO()
    print_comparison(comparison, Console(file=printed, width=400))
    assert comparison.choice in printed.getvalue()
    assert comparison_plain(comparison)["best_of_many"] == {
        "luck": comparison.best.luck,
        "overfitting": comparison.best.overfitting,
    }
    pair = compared(["first", "second"])
    assert (pair.best, pair.choice, comparison_plain(pair)["best_of_many"]) == (None, "", None)


def test_page_needs_no_network_and_follows_the_theme() -> None:
    page = comparison_page(compared(["first", "second"]))
    refuse_network_and_nan(page)
    used, defined = set(re.findall(r"var\(--(\w+)\)", page)), set(re.findall(r"--(\w+):", page))
    assert {"series1", "series2"} <= used <= defined


def test_the_chart_holds_every_curve_and_its_falls() -> None:
    comparison = compared(["first", "second"])
    growth, falls = chart_data(comparison_page(comparison))["panels"]
    for shown, equity, fall in zip(comparison.reports, growth["lines"], falls["lines"], strict=True):
        curve = shown.equity / 1_000.0
        np.testing.assert_array_equal(equity["columns"]["last"], curve)
        peak = np.maximum(1.0, np.maximum.accumulate(curve))
        np.testing.assert_allclose(fall["columns"]["last"], 100 * (curve / peak - 1.0), atol=1e-12)
        assert equity["label"] == fall["label"] == shown.description.model


def test_every_curve_looks_different_from_the_others() -> None:
    page = comparison_page(compared([f"seed {number}" for number in range(10)]))
    swatches = re.findall(r'class="swatch" style="([^"]*)"', page.split('id="differences"')[0])
    assert len(set(swatches)) == len(swatches) == 10


def test_luck_is_named_where_both_intervals_hold_zero_and_only_there() -> None:
    closes = random_walk(400, seed=11)
    rng = np.random.default_rng(0)
    held, better = np.ones(400), np.sign(np.diff(closes, append=closes[-1]))  # knows the next close
    lucky = compared(["first", "second"])
    assert "Luck alone could explain how second differs from first." in comparison_page(lucky)
    assert lucky.verdicts[0].endswith("Luck alone could explain the difference.")
    sure = make_comparison([report("held", held, closes), report("seer", better, closes)], rng)
    assert "excludes 0" in sure.verdicts[0]
    assert "Luck alone could" not in sure.verdicts[0]
    assert "Luck alone is an unlikely reason for any difference to held." in comparison_page(sure)
    less = comparison_plain(sure)["models"][1]["less_the_first"]
    assert less["sharpe"]["low"] > 0
    assert not less["sharpe"]["includes_zero"]


def test_accounts_that_never_traded_compare_too() -> None:
    closes = random_walk(60, seed=1)
    idle = [report(name, np.zeros(60), closes) for name in ("first", "second")]
    page = comparison_page(make_comparison(idle, np.random.default_rng(0)))
    assert not re.search(r"\b(nan|inf)\b", markup(page), re.IGNORECASE)


def test_too_few_bars_are_refused() -> None:
    with pytest.raises(DataError, match="19 bars are too few to tell models apart, at least 20"):
        compared(["first", "second"], bars=19)
