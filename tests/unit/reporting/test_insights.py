"""What a backtest's report shows of what the agent knew, and of how it was bred."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from src.errors import DataError
from src.reporting.formats import number
from src.reporting.html.backtest_page import render_page
from src.reporting.html.insights_card import insights_card, insights_plot, regimes_table
from src.reporting.insights import Insights, Pattern
from src.reporting.provenance import Provenance
from src.reporting.summary import Description, Report, make_report, summary_plain
from tests.support.population_run import bred_run
from tests.support.simulated_records import moving_average_targets, random_walk, simulate

NAMES = ("up", "down", "ranging", "volatile")
BARS = 120


def certain(regimes: np.ndarray) -> np.ndarray:
    """Probabilities of 1."""
    return np.eye(4)[regimes]


def make(**known: object) -> Report:
    closes = random_walk(BARS, seed=11)
    account = simulate(moving_average_targets(closes, 20), closes, commission=1e-4)
    about = Description("champion", "SP500", "1d", "test")
    rng = np.random.default_rng(0)
    return make_report(about, account.records, account.bars, 252.0, 1_000.0, rng, **known)  # type: ignore[arg-type]


def knowing(trust: np.ndarray | None = None) -> Insights:
    regimes = certain(np.repeat([0, 1, 3, 3], BARS // 4))
    patterns = [Pattern(5, "double_top", 0.9), Pattern(80, "<b>flag</b>", 0.4), Pattern(81, "double_top", 1.0)]
    return Insights(regimes, NAMES, patterns, trust)


def test_each_regime_is_told_by_what_was_held_and_what_followed() -> None:
    regimes = certain(np.array([0, 0, 1, 0, 3]))
    closes, exposure = np.array([100.0, 101.0, 99.99, 99.99, 110.0]), np.array([0.0, 0.5, -1.0, 1.0, 1.0])
    rows = re.findall(r"<tr>(.*?)</tr>", regimes_table(Insights(regimes, NAMES), exposure, closes))
    found = [re.findall("<td>(.*?)</td>", row) for row in rows[1:]]
    following = np.array([0.01, -0.01, 10.01 / 99.99])  # after bars 0, 1 and 3
    percent = "\N{NO-BREAK SPACE}%"
    up = [
        f"60.0{percent}",
        f"60.0{percent}",
        "0.50",
        number(1e4 * following.mean(), 1),
        number(1e4 * following.std(), 0),
    ]
    assert found[0] == up
    assert found[1] == [f"20.0{percent}", f"20.0{percent}", "−1.00", "0.0", "0"]
    assert found[2] == [f"0.0{percent}", f"0.0{percent}", "–", "–", "–"]
    assert found[3] == [f"20.0{percent}", f"20.0{percent}", "1.00", "–", "–"]  # nothing follows the last bar


def test_the_title_counts_regimes_patterns_and_memories() -> None:
    trust = np.zeros(BARS)
    trust[10:40] = 0.5
    report = make()
    plot = insights_plot(report.times, report.closes, knowing(trust))
    assert plot.title == (
        "What it knew: volatile is the likeliest regime in 50.0\N{NO-BREAK SPACE}% of bars, 3 patterns, "
        "memories recalled in 30 of 120 bars"
    )


def test_every_kind_of_pattern_has_a_lane_with_a_mark_for_each() -> None:
    report = make()
    svg = insights_plot(report.times, report.closes, knowing()).svg
    assert "<b>flag" not in svg
    marks = [unescape(text).split(",")[0] for text in re.findall("<title>(.*?)</title>", svg)]
    assert sorted(marks) == ["<b>flag</b> 0.40", "double_top 0.90", "double_top 1.00"]


def test_neighbours_that_would_be_one_mark_show_the_surest() -> None:
    bars = 8_000  # ten bars share a mark
    patterns = [Pattern(40, "flag", 0.2), Pattern(44, "flag", 0.7), Pattern(49, "flag", 0.3), Pattern(50, "flag", 0.4)]
    times = np.arange(bars).astype("datetime64[D]")
    svg = insights_plot(times, np.full(bars, 100.0), Insights(np.zeros((bars, 0)), (), patterns)).svg
    told = re.findall("<title>(.*?)</title>", svg)
    assert told == ["flag 0.70, 1970-02-10", "flag 0.40, 1970-02-20"]


@pytest.mark.parametrize(
    "insights",
    [
        Insights(np.zeros((BARS, 0)), ()),
        Insights(np.zeros((BARS, 0)), (), trust=np.zeros(BARS)),
        Insights(np.zeros((BARS, 0)), (), [Pattern(0, "flag", 1.0)]),
        Insights(certain(np.zeros(BARS, dtype=int)), NAMES),
    ],
    ids=["nothing", "memory", "patterns", "regimes"],
)
def test_parts_an_agent_lacks_are_left_out(insights: Insights) -> None:
    card = insights_card(replace(make(), insights=insights))
    assert card.startswith('<section id="insights" class="wide">')
    assert ("<table" in card) == bool(insights.regime_names)
    assert not re.search(r"\b(nan|inf)\b", card, re.IGNORECASE)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"regime_names": ("up",)}, "name 1 regimes"),
        ({"trust": np.zeros(3)}, "trust of shape"),
        ({"trust": np.full(BARS, np.nan)}, "hold NaN"),
        ({"patterns": [Pattern(BARS, "flag", 1.0)]}, "flag lies at row 120 of 120 bars"),
    ],
)
def test_insights_that_do_not_fit_the_bars_are_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        replace(knowing(), **change)


def test_a_report_of_more_bars_than_its_insights_is_refused() -> None:
    with pytest.raises(DataError, match="insights hold 10 bars, the report 120"):
        make(insights=Insights(certain(np.zeros(10, dtype=int)), NAMES))


def test_a_bred_model_shows_its_pedigree_and_others_none() -> None:
    run = bred_run()
    record = run["records"][-1]
    dossier = {name: record[name] for name in ("genome", "fitness")}
    dossier |= {"adaptations": run["adaptations"], "promotion": run["promotion"]}
    provenance = Provenance.from_dossier(dossier, run["verdict"], run["lineage"], 51)
    assert Provenance.from_dossier({}, "not judged", [], 12) is None
    page = unescape(render_page(make(provenance=provenance, insights=knowing())))
    sections = re.findall(r'<section id="(\w+)"', page)
    assert [name for name in sections if name in ("insights", "pedigree", "adaptations")] == [
        "insights", "pedigree", "adaptations",
    ]  # fmt: skip
    card = page[page.index('<section id="pedigree"') :]
    assert "<b>not distinguishable from luck</b>" in card
    assert all(reason in card for reason in run["promotion"]["reasons"])
    assert number(run["promotion"]["alpha"]["probability"], 3) in card
    assert " → ".join(run["lineage"]) in card
    assert number(record["fitness"]["total"], 3) in card
    plain = make()
    assert not {"insights", "pedigree"} & set(re.findall(r'<section id="(\w+)"', render_page(plain)))
    assert summary_plain(plain) == summary_plain(make(provenance=provenance))  # programs read the model file for that
