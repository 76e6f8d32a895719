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
from src.reporting.formats import price
from src.reporting.html.backtest_page import render_page
from src.reporting.html.comparison_page import comparison_page
from src.reporting.html.scripts import chart_script
from src.reporting.population.page import population_page
from src.reporting.summary import Description, Report, make_report
from src.trading.fills import fills_of
from tests.support.html_pages import refuse_network_and_nan
from tests.support.long_report import long_report
from tests.support.population_run import bred_run
from tests.support.simulated_records import Simulated, moving_average_targets, random_walk, simulate

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
  readout: document.querySelector(".readout")?.textContent,
  values: [...document.querySelectorAll(".panels b")].map(one => one.textContent),
}); });</script>"""


def opened(page: str, folder: Path, width: int, *steps: str) -> dict[str, Any]:
    """Open a page in a frame so wide, for windows have a least width; returns what became of it.

    `steps` are scripts to run before that is told, one after the other.
    """
    asked = "".join(f"<script>{step}</script>" for step in steps) + f"{_TELL}</body>"
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
    """Return the report of a small account; prices and money are `scale` times as large."""
    closes = scale * random_walk(bars, seed=11)
    wanted = moving_average_targets(closes, 20) if targets is None else targets
    return measured(simulate(wanted, closes, 10_000.0 * scale, 2e-4), 10_000.0 * scale)


def measured(account: Simulated, initial_equity: float = 10_000.0) -> Report:
    about, rng = Description("ma20", "SP500", "1d", "test"), np.random.default_rng(0)
    return make_report(about, account.records, account.bars, 252.0, initial_equity, rng)


def pages() -> dict[str, str]:
    """Return a page of every kind, and reports of accounts and prices that break careless pages."""
    idle = simulate(np.zeros(60), random_walk(60, seed=11), 10_000.0)
    ruined = idle._replace(records=idle.records._replace(equity=np.linspace(10_000.0, -500.0, 60)))
    constant = simulate(np.ones(60), np.full(60, 7.0), 10_000.0, 2e-4)
    compared = [report(), report(targets=np.ones(400)), report(targets=-np.ones(400))]
    reports = {
        "backtest": report(),
        "one bar": report(1, np.ones(1)),
        "never traded": measured(idle),
        "ruined": measured(ruined),
        "constant prices": measured(constant),
        "enormous prices": report(scale=1e20),
        "tiny prices": report(scale=1e-9),
    }
    return {
        "comparison": comparison_page(make_comparison(compared, np.random.default_rng(0), ["a remark"])),
        "population": population_page(bred_run()),
        **{name: render_page(one) for name, one in reports.items()},
    }


KINDS = pages()


@pytest.mark.parametrize("name", KINDS)
def test_a_page_fits_a_phone_and_no_script_fails(name: str, tmp_path: Path) -> None:
    told = opened(KINDS[name], tmp_path, PHONE)
    assert told["errors"] == []
    assert told["wanted"] <= told["width"] == PHONE
    assert told["canvases"] == {"comparison": 2, "population": 0}.get(name, 4)


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_loaded_and_no_figure_is_nan(name: str) -> None:
    refuse_network_and_nan(KINDS[name])


def test_the_chart_replaces_the_pictures_it_shows_and_no_others(tmp_path: Path) -> None:
    told = opened(KINDS["backtest"], tmp_path, DESK)
    assert told["hidden"] == ["equity", "drawdown", "position"]
    assert told["wanted"] <= told["width"] == DESK


def test_pictures_stay_where_the_chart_cannot_be_drawn(tmp_path: Path) -> None:
    broken = KINDS["backtest"].replace('"panels":[', '"panes":[', 1)
    told = opened(broken, tmp_path, DESK)
    assert told["hidden"] == ["chart"]
    assert len(told["errors"]) == 1


_HELP = """function hover(share) {
  const over = document.querySelector(".u-over"), box = over.getBoundingClientRect();
  const where = {clientX: box.left + share * box.width, clientY: box.top + 9, bubbles: true};
  over.dispatchEvent(new MouseEvent("mouseenter", where));
  over.dispatchEvent(new MouseEvent("mousemove", where));
}
function drag(from, to) {
  const over = document.querySelector(".u-over"), box = over.getBoundingClientRect();
  const send = (type, share, target) => target.dispatchEvent(new MouseEvent(type, {
    clientX: box.left + share * box.width, clientY: box.top + 9, bubbles: true, button: 0, movementX: 1,
  }));
  send("mouseenter", from, over);
  send("mousemove", from, over);
  send("mousedown", from, over);
  send("mousemove", to, over);
  send("mouseup", to, over);
}
const press = (...names) => names.forEach(name => document.querySelector(`.buttons [name=${name}]`).click());
"""


def test_pointing_at_a_bar_tells_its_date_and_its_figures_in_every_panel(tmp_path: Path) -> None:
    shown, bar = report(), 100
    told = opened(
        KINDS["backtest"], tmp_path, DESK, _HELP, f"hover({(bar + 0.5) / 400});"
    )  # a bar reaches half a bar out
    assert told["readout"].startswith(day(shown, bar))
    assert price(float(shown.closes[bar])) in told["values"]
    assert price(float(shown.equity[bar])) in told["values"]


def test_a_candle_of_several_bars_tells_what_was_filled_at_any_of_them(tmp_path: Path) -> None:
    shown = report()
    bar = next(row for row in fills_of(shown.records).row.tolist() if row % 2)  # a desk shows two bars as one candle
    told = opened(KINDS["backtest"], tmp_path, DESK, _HELP, f"hover({(bar - 1 + 0.5) / 400});")
    assert told["readout"].startswith(day(shown, bar - 1))
    assert re.search(rf"{day(shown, bar)}: (bought|sold) [\d.,]+ at [\d.,]+ \(target −?1.00\)", told["readout"])


@pytest.mark.parametrize(
    ("done", "first"),
    [
        (["press('in', 'in');"], 150),
        (["press('in', 'in', 'on');"], 200),
        (["press('in', 'in', 'back', 'out');"], 50),
        (["press('in', 'all');"], 0),
        (["drag(0.25, 0.5);"], 100),
        (["drag(0.25, 0.5);", "document.querySelector('.u-over').dispatchEvent(new MouseEvent('dblclick'));"], 0),
    ],
)
def test_the_view_can_be_narrowed_and_moved(done: list[str], first: int, tmp_path: Path) -> None:
    told = opened(KINDS["backtest"], tmp_path, DESK, _HELP, *done, "hover(0.001);")
    assert told["errors"] == []
    assert told["readout"].startswith(day(report(), first))


def day(shown: Report, bar: int) -> str:
    """Return the date of a bar."""
    return str(shown.times[bar].astype("datetime64[D]"))


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(tmp_path: Path) -> None:
    heading = "[...document.querySelectorAll('#trials thead th')].find(one => one.textContent === 'fitness')"
    once = opened(KINDS["population"], tmp_path, DESK, f"{heading}.click();")
    twice = opened(KINDS["population"], tmp_path, DESK, f"{heading}.click(); {heading}.click();")
    living = {record["name"]: record["fitness"]["total"] for record in bred_run()["records"] if not record["failure"]}
    assert once["first"] == min(living, key=lambda name: living[name])
    assert twice["first"] not in living  # a dash is above every number


def test_half_a_million_bars_open_about_as_fast_as_few(tmp_path: Path) -> None:
    page = render_page(long_report(report(), 500_000))
    assert len(page) < 5_000_000 + len(chart_script())
    told = [opened(page, tmp_path, DESK) for _ in range(3)]
    few = min(opened(KINDS["backtest"], tmp_path, DESK)["loaded_ms"] for _ in range(3))
    assert all(one["errors"] == [] for one in told)
    assert min(one["loaded_ms"] for one in told) < 12 * few
