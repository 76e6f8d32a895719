"""The page of a breeding run says what `population.json` says, in every state a run can be in."""

import json
import re
from copy import deepcopy
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.reporting.formats import number
from src.reporting.population.family_tree import changes_from_parent, tree_positions
from src.reporting.population.page import population_page, write_population_page
from src.reporting.population.plots import fitness_plot, overfitting_plot
from src.reporting.population.record import PopulationRecord
from src.reporting.provenance import architecture_label
from tests.support.html_pages import markup, refuse_network_and_nan
from tests.support.population_run import bred_run

RUN = bred_run()
LIVING = [record for record in RUN["records"] if not record["failure"]]
CHAMPION = next(record for record in RUN["records"] if record["name"] == RUN["champion"])
HOSTILE = '<script>alert("$x_1$")</script>&amp;'


@pytest.fixture(scope="module")
def page() -> str:
    return population_page(RUN)


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    assert found, f"no section {name}"
    return found[0]


def cells(html: str) -> list[list[str]]:
    """Rows of the first table, tags stripped."""
    rows = re.findall(r"<tr>(.*?)</tr>", html.split("</table>")[0], re.DOTALL)
    return [[unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def test_the_page_needs_no_network_and_follows_the_theme(page: str) -> None:
    refuse_network_and_nan(page)
    assert set(re.findall(r"#[0-9a-f]{6}\b", "".join(re.findall(r"<svg .*?</svg>", page, re.DOTALL)))) <= {"#000000"}


def test_verdict_and_every_reason_stand_at_the_top(page: str) -> None:
    header = page.split("<main>")[0]
    assert f"{RUN['champion']}: not distinguishable from luck" in header
    for reason in RUN["promotion"]["reasons"]:
        assert reason in unescape(header)
    assert 'class="verdict worse"' in header
    promoted = bred_run(1, 2, failures=0) | {"verdict": "promoted"}
    assert 'class="verdict better"' in population_page(promoted).split("<main>")[0]


def test_a_run_that_goes_on_says_how_far_it_is() -> None:
    header = population_page(bred_run(2, 3, planned=9, is_judged=False)).split("<main>")[0]
    assert "Still running, generation 2 of 9; the fittest so far is g" in header


def test_all_trials_are_counted(page: str) -> None:
    # Six generations of eight, a changed champion, and two further trials that the gate knew of.
    assert RUN["promotion"]["trials"] == 6 * 8 + 1 + 2
    assert "<b>51</b><span>49 members, of which 2 failed</span>" in page
    running = bred_run(is_judged=False)  # before the gate
    assert PopulationRecord.from_plain(running).num_evaluations == running["evaluations"] == 51
    rows = cells(section(page, "trials"))[1:]
    assert [row[0] for row in rows] == [record["name"] for record in RUN["records"]]
    for row, record in zip(rows, RUN["records"], strict=True):
        if record["failure"]:
            assert row[3:7] == ["–"] * 4
            assert row[-1] == f"failed: {record['failure']}"
            continue
        folds = [fold["sharpe"] for fold in record["folds"]]
        assert row[3] == number(record["fitness"]["total"], 3)
        assert row[4:6] == [number(sum(folds) / len(folds)), number(record["training"]["sharpe"])]
        assert row[6] == f"{100 * max(fold['max_drawdown'] for fold in record['folds']):.1f}\N{NO-BREAK SPACE}%"


def test_champion_card_holds_the_parts_of_its_fitness_and_its_folds(page: str) -> None:
    card = unescape(section(page, "champion"))
    for name in ("spread", "overfitting", "drawdown", "complexity"):
        assert f"less {name}</th><td>{number(-CHAMPION['fitness'][name], 3)}" in card
    assert "less turnover" not in card  # a penalty of 0 was not charged
    for place, fold in enumerate(CHAMPION["folds"], start=1):
        assert f"fold {place}</th><td>{number(fold['sharpe'])}</td>" in card


def test_lineage_is_oldest_first_and_says_what_changed(page: str) -> None:
    rows = cells(section(page, "lineage"))[1:]
    assert [row[0] for row in rows] == RUN["lineage"]
    assert rows[0][-1] == "from an earlier stage"
    by_name = {record["name"]: record for record in RUN["records"]}
    for row in rows[1:]:
        assert row[1:3] == [str(by_name[row[0]]["generation"]), number(by_name[row[0]]["fitness"]["total"], 3)]
        assert row[3] == architecture_label(by_name[row[0]]["genome"])


def test_genomes_mark_exactly_what_differs_from_the_parent(page: str) -> None:
    rows = cells(section(page, "genomes"))
    by_name = {record["name"]: record for record in RUN["records"]}
    ranked = sorted(LIVING, key=lambda record: -record["fitness"]["total"])[:8]
    assert rows[0][1:] == [record["name"] for record in ranked]
    genes = {row[0]: row[1:] for row in rows[1:]}
    arrows = 0
    for column, record in enumerate(ranked):
        parent = by_name.get(record["parent"])
        for name in ("lr", "window", "clip"):
            shown = genes[name][column].split(" ← ")
            assert float(shown[0]) == pytest.approx(record["genome"][name], rel=1e-3)
            changed = parent is not None and parent["genome"][name] != record["genome"][name]
            assert len(shown) == 1 + changed
            arrows += changed
    assert arrows > 0
    assert "norm rmsnorm" in section(page, "genomes").split("The same in all living members")[1]


def test_what_changed_against_the_parent_is_spelt_out() -> None:
    run = deepcopy(RUN)
    one, other = run["records"][0], run["records"][-1]
    other |= {"parent": one["name"], "genome": one["genome"] | {"lr": 2.5e-4, "module_regime": True}}
    one["genome"] |= {"lr": 1e-3, "module_regime": False}
    found = PopulationRecord.from_plain(run)
    assert changes_from_parent(found, found.trials[-1]) == "module_regime no → yes, lr 0.001 → 0.00025"


def test_adaptations_tell_outcome_and_reason(page: str) -> None:
    card = section(page, "adaptations")
    assert "3, of which 1 accepted" in card
    rows = cells(card)[1:]
    assert [row[2:5] for row in rows] == [
        ["reduce_risk", "0.412 → 0.455", "accepted"],
        ["search_architecture", "0.455 → 0.310", "rolled back"],
        ["end of reduce_risk", "0.455 → –", "failed"],
    ]
    assert [row[5] for row in rows] == [plain["reason"] for plain in RUN["adaptations"]]


def test_the_tree_ties_children_to_parents_in_earlier_columns() -> None:
    run = PopulationRecord.from_plain(RUN)
    positions = tree_positions(run)
    assert positions["SP500_stage_1_ppo"][0] == -1.0
    assert len({positions[trial.name] for trial in run.trained}) == len(run.trained)  # none hides another
    for trial in run.trained:
        assert trial.parent is not None
        assert positions[trial.parent][0] < positions[trial.name][0]
    changed = run.by_name[run.champion]
    assert positions[changed.name][1] == positions[changed.parent or ""][1]  # beside what it was
    assert changed.generation < positions[changed.name][0] < changed.generation + 1


def test_marks_say_their_names_in_the_order_they_are_drawn() -> None:
    run = PopulationRecord.from_plain(RUN)
    for plot, judged in ((fitness_plot(run), run.trained), (overfitting_plot(run), run.trained)):
        told = [text.split(":")[0] for text in re.findall("<title>(.*?)</title>", plot.svg)]
        assert told == [trial.name for trial in judged]
    marks = re.findall(r'<use [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*><title>', overfitting_plot(run).svg)
    x_positions = np.array(marks, dtype=float)
    inside = np.array([trial.in_sample for trial in run.trained])
    outside = np.array([trial.out_of_sample for trial in run.trained])
    np.testing.assert_allclose(np.corrcoef(x_positions[:, 0], inside)[0, 1], 1.0, atol=1e-9)
    np.testing.assert_allclose(np.corrcoef(x_positions[:, 1], outside)[0, 1], -1.0, atol=1e-9)  # SVG counts downwards


def test_titles_state_the_figures() -> None:
    run = PopulationRecord.from_plain(RUN)
    inside = float(np.mean([record["training"]["sharpe"] for record in LIVING]))
    outside = float(np.mean([fold["sharpe"] for record in LIVING for fold in record["folds"]]))  # four folds each
    title = overfitting_plot(run).title
    assert title.startswith(f"Mean Sharpe ratio {number(inside)} in training, {number(outside)} on folds")
    best = max(LIVING, key=lambda record: record["fitness"]["total"])
    expected = f"Fitness: {number(best['fitness']['total'], 3)} of {best['name']} is the best of 47 in 6 generations"
    assert fitness_plot(run).title == expected


def test_hostile_text_is_shown_as_text() -> None:
    run = deepcopy(bred_run(2, 4, failures=1, ancestor=HOSTILE))
    run |= {"symbol": HOSTILE, "verdict": HOSTILE}
    run["promotion"]["reasons"] = [HOSTILE]
    run["promotion"]["rivals"][0]["name"] = HOSTILE
    run["adaptations"][0] |= {"reason": HOSTILE, "rule": HOSTILE}
    old = run["champion"]
    for record in run["records"]:
        record["genome"] |= {"norm": HOSTILE, HOSTILE: 1}
        record["changes"] = [HOSTILE]
        record["failure"] = record["failure"] and HOSTILE
        record |= {"name": HOSTILE, "arch_id": HOSTILE} if record["name"] == old else {}
    run |= {"champion": HOSTILE, "lineage": [HOSTILE]}
    page = population_page(run)
    assert "<script" not in markup(page)
    assert page.count("&lt;script&gt;") > 10
    assert "$x_1$" in page  # not read as mathematics


@pytest.mark.parametrize(
    "run",
    [
        bred_run(1, 1, failures=0, is_judged=False, ancestor=None, is_changed=False),
        bred_run(1, 3, failures=1, planned=4, is_judged=False),
        bred_run(1, 2, failures=0) | {"promotion": None, "champion": "unknown", "lineage": ["unknown"]},
    ],
    ids=["one member", "one generation", "unjudged"],
)
def test_small_runs_make_a_complete_page(run: dict[str, Any]) -> None:
    page = population_page(run)
    for name in ("fitness", "overfitting", "family", "diversity", "drift", "genomes", "adaptations", "trials"):
        assert section(page, name)
    assert not re.search(r"\b(nan|inf)\b", markup(page), re.IGNORECASE)
    if run["verdict"] and not run["promotion"]:
        assert "There are too few bars to judge it." in page


@pytest.mark.parametrize("is_empty", [True, False])
def test_without_survivors_the_page_says_so(is_empty: bool) -> None:
    run = bred_run(1, 3, failures=1, is_judged=False, is_changed=False, planned=4)
    for record in run["records"]:
        record |= {"failure": "the loss is not finite", "fitness": {}, "folds": [], "training": {}}
    run |= {"champion": None, "lineage": []} | ({"records": []} if is_empty else {})
    page = population_page(run)
    assert re.findall(r'<section id="(\w+)"', page) == ["fitness", "trials"]
    assert "no member lives yet" in page
    assert page.count("failed: the loss is not finite") == (0 if is_empty else 3)


def test_two_hundred_members_stay_readable_and_small() -> None:
    run = bred_run(20, 10, failures=5)
    page = population_page(run)
    assert len(page) < 2_000_000
    assert len(cells(section(page, "genomes"))[0]) == 1 + 8
    assert len(cells(section(page, "trials"))) == 1 + len(run["records"])


def test_the_page_is_written_whole_from_what_json_gives_back(tmp_path: Path, page: str) -> None:
    path = write_population_page(json.loads(json.dumps(RUN)), tmp_path / "run" / "population.html")
    assert path.read_text() == page
    assert [found.name for found in path.parent.iterdir()] == ["population.html"]
