"""Which model file a request means."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from src.agents.model_file import load_model, model_path, save_model
from src.errors import ConfigError, ModelFileError
from src.runs.model_choice import resolve_model
from tests.support.model_files import EXAMPLE


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = model_path("BTC/USDT", "stage_1_ppo", tmp_path)
    save_model(path, EXAMPLE)
    return path


def test_the_champion_comes_first_and_alone(saved: Path) -> None:
    folder = saved.parent
    assert resolve_model("BTCUSDT", None, folder).role == "newest stage model"
    best = model_path("BTC/USDT", "autonomous_final", folder)
    best.write_bytes(b"broken")
    choice = resolve_model("BTC-USDT", None, folder)
    assert (choice.path, choice.role) == (best, "champion")
    with pytest.raises(ModelFileError, match="not a model file"):  # and no other file steps in
        load_model(choice.path)


def test_the_newest_stage_model_is_by_modification_time_then_stage(saved: Path) -> None:
    folder = saved.parent
    second = model_path("BTC/USDT", "stage_2_moe", folder)
    save_model(second, replace(EXAMPLE, kind="moe", stage="stage_2_moe"))
    for path, modified in ((saved, 1_000), (second, 1_000)):
        os.utime(path, (modified, modified))
    assert resolve_model("BTC/USDT", None, folder).path == second
    os.utime(saved, (2_000, 2_000))
    assert resolve_model("BTC/USDT", None, folder).path == saved


def test_names_mean_paths_stages_and_algorithms(saved: Path) -> None:
    folder = saved.parent
    again = model_path("BTC/USDT", "stage_2_again", folder)
    save_model(again, replace(EXAMPLE, stage="stage_2_again"))
    os.utime(saved, (1_000, 1_000))
    for name, path in ((str(saved), saved), ("stage_1_ppo", saved), ("ppo", again), ("PPO", again)):
        choice = resolve_model("BTC/USDT", name, folder)
        assert (choice.path, choice.role) == (path, "comparison")


def test_unknown_names_get_the_nearest(saved: Path) -> None:
    with pytest.raises(ConfigError, match="stage_1_ppo"):
        resolve_model("BTC/USDT", "stage_1_pp0", saved.parent)
    with pytest.raises(ConfigError, match="did you mean flat"):
        resolve_model("BTC/USDT", "flatt", saved.parent, ["flat", "random"])
    with pytest.raises(ModelFileError, match="no model of ETH/USDT"):
        resolve_model("ETH/USDT", None, saved.parent)


def test_spot_and_swap_do_not_answer_for_each_other(saved: Path) -> None:
    folder, swap = saved.parent, "BTC/USDT:USDT"
    with pytest.raises(ModelFileError, match=f"there are models of BTCUSDT, but {swap} is another market"):
        resolve_model(swap, None, folder)
    other = model_path(swap, "stage_1_ppo", folder)
    save_model(other, replace(EXAMPLE, symbol=swap))
    assert resolve_model("btc/usdt:usdt", None, folder).path == other
    for name in ("stage_1_ppo", "ppo", None):
        assert resolve_model("BTC/USDT", name, folder).path == saved
