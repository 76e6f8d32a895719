"""Learning from several symbols: whose bars, which of them, and that no later bar of another symbol is among them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config.load import load_training_config
from src.config.training import TrainingConfig
from src.errors import ConfigError, DataError
from src.training.rollout.training_market import TrainingMarket
from src.training.stage_run import run_folder
from src.training.tasks import whole_markets
from src.training.training_data import TrainingData, prepare_data
from tests.support.random_bars import random_bars

HOUR = 3_600_000
SETTINGS = (
    "symbol=ONE/USDT",
    "symbols=[TWO/USDT,two-usdt,one-usdt]",
    "features.names=[returns]",
    "model.core.window=8",
    "sequence.stage_1_ppo.horizon=16",
    "sequence.stage_2_moe=null",
    "sequence.stage_3_maml=null",
    "sequence.stage_4_autonomous=null",
)


def write(
    folder: Path, symbol: str, first_hour: int, rows: int = 600, seed: int = 0, changed_from: int = 10_000
) -> None:
    bars = random_bars(rows, seed=seed)
    other = random_bars(rows, seed=99, first_price=bars.close[min(changed_from, rows) - 1])
    late = np.arange(rows) >= changed_from
    columns = {
        name: np.where(late, getattr(other, name), getattr(bars, name))
        for name in ("open", "high", "low", "close", "volume")
    }
    times = (first_hour + np.arange(rows)) * HOUR + 1_500_001_200_000
    pd.DataFrame({"open_time": times, **columns}).to_csv(folder / f"{symbol}.csv", index=False)


def config(folder: Path, *overrides: str) -> TrainingConfig:
    path = f"data.path='{folder}/{{symbol}}.csv'"
    return load_training_config([*SETTINGS, "data.source=files", path, f"run.runs_dir={folder / 'runs'}", *overrides])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ONE, and TWO that begins 100 bars later."""
    write(tmp_path, "ONEUSDT", first_hour=0, seed=1)
    write(tmp_path, "TWOUSDT", first_hour=100, seed=2)
    return tmp_path


def closing_times(data: TrainingData) -> list[tuple[int, int]]:
    return [(int(m.bars.close_time[m.rows[0]]), int(m.bars.close_time[m.rows[-1]])) for m in data.training_markets]


def test_other_symbols_end_where_the_training_split_ends_by_the_clock(folder: Path) -> None:
    data = prepare_data(config(folder))
    assert [market.bars.symbol for market in data.training_markets] == ["ONE/USDT", "two-usdt"]
    (first, end), (other_first, other_end) = closing_times(data)
    assert end == other_end == int(data.bars.close_time[data.splits.train.stop - 1])
    assert other_first - first == 100 * HOUR
    assert data.bars.symbol == "ONE/USDT"
    alone = prepare_data(config(folder, "symbols=[]"))
    assert data.splits == alone.splits
    assert data.rules == alone.rules


def test_the_scaler_pools_the_training_rows_of_all_symbols(folder: Path) -> None:
    data = prepare_data(config(folder))
    moves = [m.bars.log_returns[m.rows.start : m.rows.stop] for m in data.training_markets]
    scaler = data.pipeline.scaler
    assert scaler is not None
    assert scaler.mean[0] == pytest.approx(np.concatenate(moves).mean())
    assert scaler.scale[0] == pytest.approx(np.concatenate(moves).std())


def test_later_bars_of_another_symbol_change_nothing(folder: Path) -> None:
    before = prepare_data(config(folder))
    cut = before.training_markets[1].rows.stop
    write(folder, "TWOUSDT", first_hour=100, seed=2, changed_from=cut)
    after = prepare_data(config(folder))
    assert after.fingerprint != before.fingerprint
    ours, theirs = (TrainingMarket.from_markets(d.training_markets, d.rules, 7) for d in (before, after))
    np.testing.assert_array_equal(ours.features, theirs.features)
    np.testing.assert_array_equal(np.stack(ours.tape), np.stack(theirs.tape))
    write(folder, "TWOUSDT", first_hour=100, seed=2, changed_from=cut - 1)  # a bar earlier is learned from
    changed = prepare_data(config(folder))
    assert not np.array_equal(
        ours.features, TrainingMarket.from_markets(changed.training_markets, changed.rules, 7).features
    )


def test_what_was_learned_from_tells_runs_apart_and_spelling_does_not(folder: Path) -> None:
    def place(*overrides: str) -> Path:
        settings = config(folder, *overrides)
        return run_folder(settings, prepare_data(settings))

    assert place("symbols=[TWO/USDT]") == place("symbols=[two-usdt]")
    assert place() != place("symbols=[]")
    known = place()
    write(folder, "TWOUSDT", first_hour=100, seed=3)
    assert place() != known


def test_mirrored_each_symbol_has_both_sides(folder: Path) -> None:
    data = prepare_data(config(folder, "sequence.stage_1_ppo.mirror=true"))
    assert len(data.training_markets) == 4
    scaler = data.pipeline.scaler
    assert scaler is not None
    np.testing.assert_allclose(scaler.mean, 0.0, atol=1e-12)


def test_a_stage_that_does_not_mirror_learns_from_no_image(folder: Path) -> None:
    settings = config(folder, "sequence.stage_1_ppo.mirror=true")
    mirroring = settings.sequence["stage_1_ppo"]
    data = prepare_data(settings)
    for stage, images in ((mirroring, 2), (replace(mirroring, mirror=False), 0)):
        learned = whole_markets(stage, data.training_markets)
        assert [len(learned), sum(market.is_mirror for market in learned)] == [2 + images, images]


def test_embedded_symbols_go_together() -> None:
    data = prepare_data(load_training_config(["symbols=[NASDAQ]", "features.names=[returns]"]))
    ends = closing_times(data)
    assert [market.bars.symbol for market in data.training_markets] == ["SP500", "NASDAQ"]
    assert ends[0][1] >= ends[1][1] > ends[0][1] - 7 * 24 * HOUR


def test_symbols_that_do_not_fit_are_refused(folder: Path) -> None:
    write(folder, "LATEUSDT", first_hour=500)
    with pytest.raises(DataError, match="of LATE/USDT too few bars close"):
        prepare_data(config(folder, "symbols=[LATE/USDT]"))
    with pytest.raises(DataError, match="GONEUSDT"):
        prepare_data(config(folder, "symbols=[GONE/USDT]"))
    with pytest.raises(ConfigError, match=r"have to differ in data\.path"):
        config(folder, f"data.path={folder}/ONEUSDT.csv")
    frame = pd.read_csv(folder / "TWOUSDT.csv")[::2]
    frame.to_csv(folder / "SLOWUSDT.csv", index=False)
    with pytest.raises(DataError, match="bars of SLOWUSDT are 2h long and those of ONE/USDT 1h"):
        prepare_data(config(folder, "symbols=[SLOWUSDT]"))
