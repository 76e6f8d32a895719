"""Pages as a browser shows them: no script fails, nothing is wider than a phone, many bars open at once."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.reporting.comparison import make_comparison
from src.reporting.html.backtest_page import render_page
from src.reporting.html.comparison_page import comparison_page
from src.reporting.population.page import population_page
from src.reporting.summary import Description, Report, make_report
from tests.support.population_run import bred_run
from tests.support.simulated_records import moving_average_targets, random_walk, simulate

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE, DESK = 420, 1_400

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

# Errors are gathered from the start; what became of the page is written into the title of the frame around it.
_WATCH = "<script>var errors = []; onerror = text => { errors.push(text); };</script>"
_TELL = """<script>addEventListener("load", () => { parent.document.title = JSON.stringify({
  errors, canvases: document.querySelectorAll("canvas").length, loaded_ms: performance.now(),
  width: innerWidth, wanted: document.documentElement.scrollWidth,
  hidden: [...document.querySelectorAll("section")].filter(one => !one.clientHeight).map(one => one.id),
  first: document.querySelector("table.sortable tbody th")?.textContent,
}); });</script>"""


def opened(page: str, folder: Path, width: int, then: str = "") -> dict[str, Any]:
    """Open a page in a frame so wide, for windows have a least width; returns what became of it.

    `then` is JavaScript to run before that is told.
    """
    asked = f"<script>{then}</script>{_TELL}</body>"
    watched = page.replace("<head>", f"<head>{_WATCH}", 1).replace("</body>", asked)
    file = folder / "page.html"
    file.write_text(
        f'<title></title><iframe width="{width}" height="900" style="border: 0" srcdoc="{escape(watched)}">'
    )
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    command += ["--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert found, done.stdout[:500]
    told: dict[str, Any] = json.loads(unescape(found[1]))
    return told


def report(bars: int = 400, targets: np.ndarray | None = None, scale: float = 1.0) -> Report:
    closes = scale * random_walk(bars, seed=11)
    wanted = moving_average_targets(closes, 20) if targets is None else targets
    account = simulate(wanted, closes, 10_000.0 * scale, 2e-4)
    about = Description("ma20", "SP500", "1d", "test")
    return make_report(about, account.records, account.closes, 252.0, 10_000.0 * scale, np.random.default_rng(0))


def pages() -> dict[str, str]:
    """Return a page of every kind, and reports of accounts that break careless pages."""
    others = report(targets=np.ones(400)), report(targets=-np.ones(400))
    idle = report(60, np.zeros(60))
    ruined = make_report(
        idle.description,
        idle.records._replace(equity=np.linspace(10_000.0, -500.0, 60)),
        idle.closes, 252.0, 10_000.0, np.random.default_rng(0),
    )  # fmt: skip
    constant = make_report(idle.description, idle.records, np.full(60, 7.0), 252.0, 10_000.0, np.random.default_rng(0))
    return {
        "backtest": render_page(report()),
        "comparison": comparison_page(make_comparison([report(), *others], np.random.default_rng(0), ["a remark"])),
        "population": population_page(bred_run()),
        "one bar": render_page(report(1, np.ones(1))),
        "never traded": render_page(idle),
        "ruined": render_page(ruined),
        "constant prices": render_page(constant),
        "enormous prices": render_page(report(scale=1e20)),
        "tiny prices": render_page(report(scale=1e-9)),
    }


KINDS = pages()


@pytest.mark.parametrize("name", KINDS)
def test_a_page_fits_a_phone_and_no_script_fails(name: str, tmp_path: Path) -> None:
    told = opened(KINDS[name], tmp_path, PHONE)
    assert told["errors"] == []
    assert told["wanted"] <= told["width"] == PHONE
    assert told["canvases"] == {"comparison": 2, "population": 0}.get(name, 4)


def test_the_chart_replaces_the_pictures_it_shows_and_no_others(tmp_path: Path) -> None:
    told = opened(KINDS["backtest"], tmp_path, DESK)
    assert told["hidden"] == ["equity", "drawdown", "position"]
    assert told["wanted"] <= told["width"] == DESK


def test_pictures_stay_where_the_chart_cannot_be_drawn(tmp_path: Path) -> None:
    broken = KINDS["backtest"].replace('"panels":[', '"panes":[', 1)
    told = opened(broken, tmp_path, DESK)
    assert told["hidden"] == ["chart"]
    assert len(told["errors"]) == 1


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(tmp_path: Path) -> None:
    heading = "[...document.querySelectorAll('#trials thead th')].find(one => one.textContent === 'fitness')"
    once = opened(KINDS["population"], tmp_path, DESK, f"{heading}.click();")
    twice = opened(KINDS["population"], tmp_path, DESK, f"{heading}.click(); {heading}.click();")
    living = {record["name"]: record["fitness"]["total"] for record in bred_run()["records"] if not record["failure"]}
    assert once["first"] == min(living, key=lambda name: living[name])
    assert twice["first"] not in living  # a dash is above every number
