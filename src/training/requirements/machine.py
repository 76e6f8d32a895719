"""What a run needs of the machine: folders that can be written, space on the disk, paths short enough for sockets."""

import os
import shutil
import tempfile
from pathlib import Path

from src.config.runtime import RunConfig
from src.config.training import TrainingConfig
from src.errors import ConfigError

_NEEDED_BYTES = 300e6  # models, states, metrics and Ray's own logs of a run of usual size
_SOCKET_BYTES = 107  # longest path of a socket on Linux
_SESSION = "/ray/session_2026-01-31_13-00-00_000000_4194304/sockets/plasma_store"  # longest of Ray's below its folder


def check_machine(config: TrainingConfig) -> None:
    """Refuse a machine on which the run could not be written down to its end.

    Raises:
        ConfigError: a folder cannot be written, its disk is full, or Ray's folder has too long a path.
    """
    _check_folders(config.run)
    if config.runtime.ray_address is None:
        folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
        _check_space(Path(folder), "TMPDIR")
        longest = _SOCKET_BYTES - len(_SESSION)
        if len(os.fsencode(folder)) > longest:
            raise ConfigError(
                f"TMPDIR={folder} is too long for the sockets Ray makes in it; name a folder of at most {longest} "
                "bytes, such as TMPDIR=/tmp"
            )


def _check_folders(run: RunConfig) -> None:
    for setting, folder in (("run.runs_dir", Path(run.runs_dir)), ("run.checkpoints_dir", run.models_dir)):
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            reason = f"{existing} cannot be written ({error.strerror})"
            raise ConfigError(f"{reason}; name another folder with {setting}") from error
        _check_space(existing, setting)


def _check_space(folder: Path, setting: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise ConfigError(
            f"the disk of {folder} has {free / 1e6:.0f} MB left and a run needs {_NEEDED_BYTES / 1e6:.0f}; free some, "
            f"or name a folder on another with {setting}"
        )
