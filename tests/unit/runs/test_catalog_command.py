"""`python -m src.runs`: the tables, one entry in detail, and refusals."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.agents.model_file import model_path, save_model
from src.config.load import load_training_config, save_resolved
from src.runs.__main__ import main
from src.runs.run_folder import CONFIG_FILE, StageFolder, StageResult
from tests.support.model_files import EXAMPLE


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Options that name folders with a run of BTC/USDT and models of two symbols, one of them damaged."""
    run = tmp_path / "runs" / "BTCUSDT_0123456789ab"
    save_resolved(
        load_training_config(["symbol=BTC/USDT", "run.name=wide", "run.note='a wider grid'"]), run / CONFIG_FILE
    )
    stage = StageFolder(run / "stage_1_ppo")
    save_model(stage.model, EXAMPLE)
    stage.complete(StageResult(Path("published.pth"), 120, 12, 40_960, 6.5, {"sharpe": 0.75, "total_return": 0.125}))
    models = tmp_path / "checkpoints"
    save_model(model_path("BTC/USDT", "stage_1_ppo", models), EXAMPLE)
    save_model(model_path("ETH/USDT", "stage_1_ppo", models), replace(EXAMPLE, symbol="ETH/USDT"))
    save_model(model_path("BTC/USDT", "stage_1_ppo", models / "wide"), replace(EXAMPLE, timeframe="4h"))
    (models / "broken.pth").write_bytes(b"")
    return ["--runs", str(run.parent), "--checkpoints", str(models), "--reports", str(tmp_path / "reports")]


def test_the_tables_name_everything_and_what_is_damaged(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(folders) == 0
    out = capsys.readouterr().out
    for part in ("BTCUSDT_0123456789ab", "interrupted", "1 of 4", "+12.5", "0.75", "ETHUSDT_stage_1_ppo.pth"):
        assert part in out
    for part in ("wide", "a wider grid", "wide/BTCUSDT_stage_1_ppo.pth"):
        assert part in out
    assert "damaged: " in out
    assert "broken.pth is empty" in out


def test_one_symbol_however_it_is_spelt(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*folders, "--symbol", "ethusdt"]) == 0
    out = capsys.readouterr().out
    assert "ETHUSDT_stage_1_ppo.pth" in out
    assert "BTCUSDT" not in out


def test_models_of_named_runs_are_told_apart(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    models = Path(folders[folders.index("--checkpoints") + 1])
    save_model(model_path("ETH/USDT", "stage_1_ppo", models / "wide"), replace(EXAMPLE, symbol="ETH/USDT"))
    assert main([*folders, "--symbol", "ethusdt"]) == 0
    out = capsys.readouterr().out
    assert out.count("ETHUSDT_stage_1_ppo.pth") == 2
    assert out.count("wide/ETHUSDT_stage_1_ppo.pth") == 1


def test_a_run_is_shown_stage_by_stage(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*folders, "BTCUSDT_0123456789ab"]) == 0
    out = capsys.readouterr().out
    for part in ("stage_1_ppo", "published.pth", "Validation: Sharpe ratio", "stage_4_autonomous", "waiting"):
        assert part in out


def test_a_model_is_shown_as_inspect_shows_it(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*folders, "ETHUSDT_stage_1_ppo.pth"]) == 0
    assert "Numbers in its weights  " in capsys.readouterr().out


def test_a_model_of_a_named_run_is_told_from_one_of_no_name(
    folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, timeframe in (("BTCUSDT_stage_1_ppo.pth", "1h"), ("wide/BTCUSDT_stage_1_ppo.pth", "4h")):
        assert main([*folders, name]) == 0
        assert timeframe in capsys.readouterr().out


def test_what_is_damaged_can_be_asked_for(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*folders, "broken.pth"]) == 0
    assert "is empty" in capsys.readouterr().out


def test_an_unknown_name_gets_the_nearest(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*folders, "BTCUSDT_0123456789"]) == 2
    assert "did you mean 'BTCUSDT_0123456789ab'?" in capsys.readouterr().err
