"""What a server runs: the image's files are pinned by hash, and service and container may do no more than they need."""

import configparser
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\\n    --hash=sha256:([0-9a-f]{64})\n", re.MULTILINE)
# Markers speak of the image, wherever the test runs.
IMAGE = {"python_version": "3.11", "python_full_version": "3.11.0", "sys_platform": "linux", "platform_system": "Linux"}
IMAGE |= {"platform_machine": "x86_64", "os_name": "posix", "implementation_name": "cpython"}
IMAGE |= {"platform_python_implementation": "CPython"}


def locked() -> dict[str, str]:
    """The version of each package that the image installs."""
    text = (DEPLOY / "requirements-server.lock").read_text()
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(("#", "--extra-index-url")))
    assert _PINNED.sub("", body) == "", "a line pins nothing"
    found = _PINNED.findall(body)
    assert len({name for name, _, _ in found}) == len(found)
    return {canonicalize_name(name): version for name, version, _ in found}


def needed_by(requirements: Iterable[str], extra: str = "") -> set[tuple[str, str]]:
    """(Package, extra of it) of the requirements that apply in the image."""
    parsed = [Requirement(text) for text in requirements]
    applying = [each for each in parsed if each.marker is None or each.marker.evaluate({**IMAGE, "extra": extra})]
    return {(canonicalize_name(each.name), name) for each in applying for name in ("", *each.extras)}


def closure() -> set[str]:
    """All that the base and `live` need, by what the installed packages say of themselves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = needed_by([*project["dependencies"], *project["optional-dependencies"]["live"]])
    known: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        known.add((name, extra))
        without_cuda = name == "torch"  # its packages of CUDA come with the builds of PyPI alone
        needs = {
            each
            for each in needed_by(requires(name) or [], extra)
            if not (without_cuda and re.match(r"nvidia|cuda|triton", each[0]))
        }
        waiting |= needs - known
    return {name for name, _ in known}


def test_the_lock_holds_what_the_bot_needs_and_nothing_else() -> None:
    assert set(locked()) == closure(), "after a change of pyproject.toml or requirements.lock: make server-lock"


def test_its_versions_are_those_that_are_developed_with() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line and line[0] != "#"]
    developed = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for name, version in locked().items():
        assert Version(version).public == developed[name], (
            f"{name}; after a change of requirements.lock: make server-lock"
        )
    assert Version(locked()["torch"]).local == "cpu"


def test_the_image_installs_nothing_that_is_not_pinned() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11-slim@sha256:[0-9a-f]{64}$", text, flags=re.MULTILINE)
    installs = re.findall(r"^RUN pip install (.*)$", text, flags=re.MULTILINE)
    assert len(installs) == text.count("pip install") == 2
    assert "--require-hashes -r requirements-server.lock" in installs[0]
    assert "--no-index --no-deps" in installs[1]
    assert all("--no-build-isolation" in install for install in installs), "what builds a package would be fetched"
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", text, flags=re.MULTILINE) for word in line.split()}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_service_leaves_no_core_and_asks_the_machine_for_what_it_needs_alone() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "supertrader-live.service")
    service = unit["Service"]
    assert service["LimitCORE"] == "0"
    assert service["SystemCallFilter"] == "@system-service"
    assert set(service["RestrictAddressFamilies"].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert service["ReadWritePaths"] == "/opt/supertrader/state"
    for name in ("NoNewPrivileges", "PrivateTmp", "LockPersonality", "ProtectKernelTunables", "ProtectKernelModules"):
        assert service[name] == "yes"
    assert service["CapabilityBoundingSet"] == ""


def test_the_container_is_bounded_and_started_anew_after_a_fault() -> None:
    bot = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["bot"]
    assert bot["restart"] == "on-failure"
    assert bot["ulimits"] == {"core": 0}
    assert bot["mem_limit"] == "2g"
    assert bot["pids_limit"] == 256
    assert bot["read_only"] is True
    assert bot["cap_drop"] == ["ALL"]


def test_what_holds_keys_is_never_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    files = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["bot"]["env_file"]
    assert {f"/deploy/{each['path']}" for each in files} <= set(ignored)
    assert "*.pem" in ignored
