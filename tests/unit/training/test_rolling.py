"""A rolling retrain: which bars each step learns from and trades, what it cannot see, and how the record adds up."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from src.config.training import TrainingConfig
from src.errors import ConfigError, DataError, TraderError
from src.evaluation.walk_forward import stitch
from src.market.bars import BarSeries
from src.market.sources import load_bars
from src.reporting.html.rolling_page import rolling_page, write_rolling
from src.reporting.rolling import RollingRecord
from src.reporting.summary import Description, Report, make_report
from src.reporting.terminal.tables import print_rolling
from src.trading.setup import make_setup
from src.training.rolling import RollingStep, rolling_steps
from src.training.training_data import prepare_data
from tests.support.html_pages import chart_data, refuse_network_and_nan
from tests.support.simulated_records import moving_average_targets, random_walk, simulate
from tests.support.tiny_training import tiny_config

WARMUP = 175  # bars before the first decision, with the features and the window of the tiny settings


def bars_of(config: TrainingConfig) -> BarSeries:
    return load_bars(config.symbol, config.data, config.seed)


def steps_of(config: TrainingConfig, steps: int) -> list[RollingStep]:
    return rolling_steps(config, bars_of(config), steps, Path("models"))


def test_steps_tile_the_test_split_and_share_the_past_as_configured(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    # 1325 rows less two embargoes of 5 are 1315: train 789, validation 263, test 263 from row 1237. Four steps of 65
    # leave 3 rows over. Before step 1 lie 1240 - 175 - 10 = 1055 rows, three quarters of which are 791.
    assert make_setup(config, bars_of(config)).splits.test == range(1237, 1500)
    plan = steps_of(config, 4)
    assert [step.rows for step in plan] == [range(start, start + 65) for start in (1240, 1305, 1370, 1435)]
    splits = [make_setup(step.config, bars_of(step.config)).splits for step in plan]
    assert splits[0].train == range(WARMUP, 966)
    assert splits[0].validation == range(971, 1235)
    assert splits[3].train == range(WARMUP, 1113)  # 938 of 1250
    assert splits[3].validation == range(1118, 1430)
    assert [split.test for split in splits] == [step.rows for step in plan]
    assert [Path(step.config.run.checkpoints_dir) for step in plan] == [Path(f"models/step_{k}") for k in range(1, 5)]


def test_a_step_ends_before_the_first_bar_left_out(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    first, last = steps_of(config, 2)
    # Hourly bars from 2000-01-01; two steps of 131 bars end at rows 1369 and 1500.
    assert first.config.data.end == "2000-02-27T01:00:00.000"  # 57 days and an hour later
    assert last.config.data.end == "2000-03-03T12:00:00.000"
    assert len(bars_of(first.config)) == 1369
    assert len(bars_of(last.config)) == 1500


@pytest.mark.parametrize("steps", [1, 3, 50])
@pytest.mark.parametrize("split", [(0.6, 0.2, 5), (0.5, 0.1, 0), (0.33, 0.33, 1)])
def test_every_stretch_is_exactly_the_test_split_of_its_run(
    steps: int, split: tuple[float, float, int], tmp_path: Path
) -> None:
    names = ("train_frac", "validation_frac", "embargo_bars")
    overrides = [f"data.split.{name}={value}" for name, value in zip(names, split, strict=True)]
    config = tiny_config(tmp_path, *overrides)
    plan = steps_of(config, steps)
    whole = make_setup(config, bars_of(config)).splits.test
    assert plan[-1].rows.stop == whole.stop
    assert len(whole) - sum(len(step.rows) for step in plan) in range(steps)
    assert len({len(step.rows) for step in plan}) == 1
    for step in plan:
        found = make_setup(step.config, bars_of(step.config)).splits
        assert found.test == step.rows
        assert found.all.start == WARMUP
        learned = len(found.train) + len(found.validation)
        assert abs(len(found.train) - learned * split[0] / (split[0] + split[1])) <= 0.5


def from_file(config: TrainingConfig, bars: BarSeries, path: Path, altered_from: int) -> TrainingConfig:
    """Return the settings with the bars read from a file in which prices from a row on are others."""
    factor = np.where(np.arange(len(bars)) < altered_from, 1.0, np.linspace(1.5, 3.0, len(bars)))
    prices = {name: getattr(bars, name) * factor for name in ("open", "high", "low", "close")}
    pd.DataFrame({"timestamp": bars.open_time, **prices, "volume": bars.volume}).to_parquet(path)
    source = type(config.data.source).files
    return replace(config, data=replace(config.data, source=source, path=str(path), timeframe=bars.timeframe))


def test_no_step_sees_anything_of_its_stretch_or_later(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    bars = bars_of(config)
    as_it_is = from_file(config, bars, tmp_path / "one.parquet", altered_from=len(bars))
    for place, (start, stop) in enumerate([(1238, 1369), (1369, 1500)]):
        plain = prepare_data(steps_of(as_it_is, 2)[place].config)
        later = from_file(config, bars, tmp_path / "two.parquet", altered_from=stop)
        assert prepare_data(steps_of(later, 2)[place].config).fingerprint == plain.fingerprint
        within = from_file(config, bars, tmp_path / "three.parquet", altered_from=start)
        data = prepare_data(steps_of(within, 2)[place].config)
        assert data.fingerprint != plain.fingerprint, "the stretch itself is traded"
        assert data.splits == plain.splits
        assert data.splits.validation.stop <= start
        assert data.pipeline.to_plain() == plain.pipeline.to_plain()
        assert data.rules == plain.rules
        seen = slice(0, data.splits.validation.stop)
        assert data.bars[seen].fingerprint == plain.bars[seen].fingerprint
        for mine, other in zip(data.training_markets, plain.training_markets, strict=True):
            assert mine.rows == other.rows
            assert np.array_equal(mine.features[seen], other.features[seen])


@pytest.mark.parametrize(
    ("steps", "overrides", "error", "says"),
    [
        (0, [], ConfigError, "--rolling must be >= 1, was 0"),
        (-3, [], ConfigError, "--rolling must be >= 1, was -3"),
        (132, [], DataError, "test split of A4 holds 263 bars, too few for --rolling 132"),
        (2, ["data.synthetic.bars=180"], DataError, "too few to split"),
        (2, ["sequence.stage_1_ppo.init_from=old.pth"], ConfigError, "init_from='old.pth' is a model from outside"),
        (
            20,
            ["data.split.train_frac=0.9", "data.split.validation_frac=0"],
            ConfigError,
            "steps of 6 bars after 1205 are too short: data.split.train_frac must lie in [0.05, 0.95]",
        ),
    ],
)
def test_what_cannot_be_rolled_is_refused(
    steps: int, overrides: list[str], error: type[TraderError], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=re.escape(says)):
        steps_of(tiny_config(tmp_path, *overrides), steps)


def test_returns_are_chained_and_measured_as_one_record() -> None:
    found = stitch([np.array([0.0, 0.1, -0.05]), np.array([0.0, 0.2])], 100.0, np.random.default_rng(0))
    np.testing.assert_allclose(found.equity, [1.0, 1.1, 1.045, 1.045, 1.254])
    assert found.metrics.bars == 5
    assert found.metrics.total_return == pytest.approx(0.254)
    assert found.metrics.max_drawdown == pytest.approx(0.05)
    # Mean 0.05; deviations -0.05, 0.05, -0.1, -0.05, 0.15, squares 0.0400 in all, variance 0.01.
    assert found.metrics.sharpe == pytest.approx(0.05 / 0.1 * 10.0)
    assert found.sharpe_interval is None, "five bars have no interval"


def test_money_that_is_gone_stays_gone() -> None:
    found = stitch([np.array([0.0, -1.2]), np.array([0.0, 0.5])], 100.0, np.random.default_rng(0))
    np.testing.assert_allclose(found.equity, [1.0, 0.0, 0.0, 0.0])
    assert found.metrics.total_return == -1.0


def report(place: int, closes: np.ndarray, start: int) -> Report:
    times = (np.arange(len(closes)) + 1 + start) * 3_600_000
    account = simulate(moving_average_targets(closes, 5 + place), closes, commission=1e-4, close_time=times)
    about = Description(f"A <{place}>", "A", "1h", f"step_{place}")
    return make_report(about, account.records, account.bars, 8766.0, 1_000.0, np.random.default_rng(0))


def rolling_record(looks: int = 1) -> RollingRecord:
    closes = random_walk(300, seed=4)
    steps = tuple(report(place, closes[100 * place : 100 * place + 100], 100 * place) for place in range(3))
    returns = [np.diff(step.equity, prepend=1_000.0) / np.append(1_000.0, step.equity[:-1]) for step in steps]
    held = np.diff(closes, prepend=closes[0]) / np.append(closes[0], closes[:-1])
    ours, market, rule = (stitch(parts, 8766.0, np.random.default_rng(0)) for parts in (returns, [held], returns[::-1]))
    return RollingRecord(steps, ("promoted", None, "<luck>"), ours, market, {"ma_cross": rule}, looks)


def test_the_record_is_the_product_of_the_steps_and_the_market_is_held_throughout() -> None:
    record = rolling_record()
    product = np.prod([1.0 + step.performance.total_return for step in record.steps])
    assert record.stitched.metrics.total_return == pytest.approx(product - 1.0)
    closes = np.concatenate([step.closes for step in record.steps])
    assert record.market.metrics.total_return == pytest.approx(closes[-1] / closes[0] - 1.0)


def test_the_page_shows_every_figure_of_the_console_and_needs_no_network() -> None:
    record = rolling_record()
    page, printed = rolling_page(record), io.StringIO()
    print_rolling(record, Console(file=printed, width=200))
    assert re.findall(r'<section id="(\w+)"', page) == ["chart", "stitched", "records", "steps"]
    cells = set(re.findall(r"<td>([^<]*)</td>", page))
    assert len(cells) > 15
    assert {cell for cell in cells if cell.replace("&lt;", "<").replace("&gt;", ">") not in printed.getvalue()} == set()
    assert "<luck>" not in page
    refuse_network_and_nan(page)
    used, defined = set(re.findall(r"var\(--(\w+)\)", page)), set(re.findall(r"--(\w+):", page))
    assert {"strategy", "benchmark"} <= used <= defined


def test_the_borders_of_the_steps_are_drawn() -> None:
    page = rolling_page(rolling_record())
    picture = page.split('id="stitched"')[1].split("</section>")[0]
    assert len(re.findall("stroke-dasharray", picture)) == 2  # between three steps
    assert chart_data(page)["borders"] == [100, 200]


def test_more_than_one_look_is_owned_up_to() -> None:
    assert "judged on these bars" not in rolling_record(looks=1).verdict
    assert "5 runs were judged on these bars" in rolling_record(looks=5).verdict


def test_the_files_hold_plain_data(tmp_path: Path) -> None:
    record = rolling_record()
    page = write_rolling(tmp_path, record)
    plain = json.loads((tmp_path / "rolling.json").read_text(), parse_constant=pytest.fail)
    assert page == tmp_path / "rolling.html"
    assert plain["stitched"]["total_return"] == record.stitched.metrics.total_return
    assert plain["stitched"]["sharpe_interval"]["level"] == 0.95
    assert [step["promotion_verdict"] for step in plain["steps"]] == ["promoted", None, "<luck>"]
    assert plain["bars"] == 300
