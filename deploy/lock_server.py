"""Writes deploy/requirements-server.lock anew: `make server-lock`, with Python 3.11 on Linux, x86-64.

The lock holds all that the image of deploy/Dockerfile installs: each package that the base and the extra `live` need,
in the version of requirements.lock, with the hash of the one file that is taken. pip says which that is, and installs
nothing. Arguments are handed to it, such as `--find-links FOLDER` where PyTorch's index cannot be reached.
"""

import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "deploy" / "requirements-server.lock"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_HEAD = f"""\
# What the image of the live bot installs, file by file, on Linux, x86-64, with Python 3.11. PyTorch comes without CUDA,
# from its own index. Written by `make server-lock` after a change of requirements.lock or pyproject.toml.
--extra-index-url {CPU_INDEX}
"""


def main(arguments: Sequence[str]) -> None:
    """Write the lock."""
    here = (platform.system(), platform.machine(), sys.version_info[:2])
    if here != ("Linux", "x86_64", (3, 11)):
        sys.exit(f"error: the lock is of files for Linux, x86_64 and Python 3.11, and this is {here}; write it there")
    packages = sorted(map(_locked, _would_install(arguments or ["--extra-index-url", CPU_INDEX])), key=str.lower)
    LOCK.write_text(_HEAD + "".join(packages))


def _would_install(arguments: Sequence[str]) -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["live"]]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        command += ["--constraint", str(ROOT / "requirements.lock"), *arguments, *needed]
        subprocess.run([sys.executable, "-m", *command], check=True)
        found: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return found


def _locked(package: dict[str, Any]) -> str:
    metadata, digest = package["metadata"], package["download_info"]["archive_info"]["hashes"]["sha256"]
    return f"{metadata['name']}=={metadata['version']} \\\n    --hash=sha256:{digest}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
