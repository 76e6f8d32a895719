"""Folders, disks, sockets and keys are looked at before training, not after."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.config.runtime import TrackingConfig
from src.config.training import TrainingConfig
from src.errors import ConfigError
from src.training.requirements import machine, tracking
from src.training.requirements.machine import check_machine
from src.training.requirements.tracking import check_tracking


def config(folder: Path, **run: str) -> TrainingConfig:
    settings = TrainingConfig()
    places = {"runs_dir": str(folder / "runs"), "checkpoints_dir": str(folder / "models")} | run
    return replace(settings, run=replace(settings.run, **places))


@pytest.fixture(autouse=True)
def short_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")


def test_a_fit_machine_is_accepted_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    check_machine(config(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("setting", ["runs_dir", "checkpoints_dir"])
def test_a_folder_that_cannot_be_written_is_named_with_its_setting(setting: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for place in (tmp_path / "taken" / "deep", Path("/proc/nowhere")):  # no file can be made in either, by anyone
        with pytest.raises(ConfigError, match=rf"{place.parent} cannot be written .*run\.{setting}$"):
            check_machine(config(tmp_path, **{setting: str(place)}))


def test_a_full_disk_is_named_with_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=12e6))
    with pytest.raises(ConfigError, match="has 12 MB left and a run needs 300"):
        check_machine(config(tmp_path))


def test_a_folder_too_long_for_sockets_is_refused_and_the_longest_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=1e12))
    for count, is_refused in ((39, False), (40, True)):  # 107 bytes less the 68 of Ray's own
        monkeypatch.setenv("RAY_TMPDIR", "/tmp/".ljust(count, "x"))
        if is_refused:
            with pytest.raises(ConfigError, match=r"too long for the sockets.*at most 39 bytes"):
                check_machine(config(tmp_path))
        else:
            check_machine(config(tmp_path))


def test_a_missing_key_is_asked_for_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _: object())
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    online = TrackingConfig(wandb=True)
    with pytest.raises(ConfigError, match=r"there is no key .*wandb_mode=offline"):
        check_tracking(online)
    check_tracking(replace(online, wandb_mode="offline"))
    check_tracking(TrackingConfig())
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    check_tracking(online)
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    check_tracking(online)


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"tensorboard is not installed .*, or set tracking\.tensorboard=false$"):
        check_tracking(TrackingConfig())
