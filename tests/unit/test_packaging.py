"""The shape of the project: what may load what, what is locked, and that every experiment works."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from src.config.data import DataSource
from src.config.load import load_training_config
from src.market.synthetic.known_markets import market_costs

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / "src").rglob("__init__.py"))
EXPERIMENTS = sorted((ROOT / "config" / "experiment").glob("*.yaml"))
HEAVY = ("torch", "ray", "hydra", "omegaconf", "gymnasium")


def loaded_by(statement: str, watched: tuple[str, ...]) -> set[str]:
    """Run a statement in a fresh interpreter and return which of the watched modules it loaded."""
    script = f"import sys\n{statement}\nprint(*(set({watched!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


def modules_of(package: str) -> list[str]:
    files = (ROOT / "src" / package).rglob("*.py")
    return sorted(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files)


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_package_files_hold_a_docstring_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_everything_below_the_models_loads_without_torch_ray_or_hydra() -> None:
    packages = ("market", "features", "execution", "risk", "trading", "evaluation")
    names = [module for package in packages for module in modules_of(package)]
    assert len(names) > len(packages)
    assert loaded_by(f"import {', '.join(names)}", HEAVY) == set()


def test_the_check_above_would_notice() -> None:
    assert loaded_by("import omegaconf", HEAVY) == {"omegaconf"}


def test_settings_are_loaded_without_anything_heavy() -> None:
    assert loaded_by("import src.config.load, src.config.reference", ("torch", "ray", "pandas", "numpy")) == set()


def test_the_schema_needs_python_only() -> None:
    assert loaded_by("import src.config.training, src.config.fields", (*HEAVY, "pandas", "numpy", "yaml")) == set()


def test_help_answers_before_anything_is_loaded() -> None:
    statement = "import run_training\ntry: run_training.main(['--help'])\nexcept SystemExit as end: assert not end.code"
    assert loaded_by(statement, (*HEAVY, "numpy", "pandas")) == set()


# Experiments.


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_composes_and_says_what_it_is(path: Path) -> None:
    config = load_training_config([f"+experiment={path.stem}"])
    assert config != load_training_config()
    assert config.sequence
    header = path.read_text().split("\n\n")[0]
    assert header.startswith("# @package _global_\n")
    for word in ("Purpose:", f"python run_training.py +experiment={path.stem}", "Expected:", "Cost:"):
        assert word in header


def test_market_a4_is_the_market_its_optimum_is_stated_for() -> None:
    config = load_training_config(["+experiment=market_a4"])
    assert (config.symbol, config.data.source, config.environment.reward.kind) == (
        "A4",
        DataSource.synthetic,
        "linear",
    )
    assert config.costs == market_costs("A4")
    assert config.environment.action.targets == (-1.0, 0.0, 1.0)


def test_market_a4_trains_on_8000_bars() -> None:
    from src.features.pipeline import FeaturePipeline
    from src.market.splits import chronological_splits

    config = load_training_config(["+experiment=market_a4"])
    pipeline = FeaturePipeline(config.features.names, config.features.clip)
    first = pipeline.warmup_bars + config.model.core.window - 1
    splits = chronological_splits(range(first, config.data.synthetic.bars), config.data.split)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [8_000, 8_000, 64_000]


# Installation.


def locked() -> dict[str, Version]:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def test_every_requirement_is_locked_at_a_version_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in groups for text in group]
    versions = locked()
    assert [r.name for r in requirements if not r.specifier.contains(versions[canonicalize_name(r.name)])] == []


def test_the_lock_holds_for_any_machine() -> None:
    assert [name for name, version in locked().items() if version.local] == []
    assert not [name for name in locked() if re.match(r"nvidia|cuda|triton", name)]
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_continuous_integration_runs_the_tests_of_the_makefile() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    assert "make test" in script.read_text()


RUNS = {"true": 0, "echo x > state/journal.db": 0, "echo x > left": 1, "echo x >> kept": 1, "rm kept": 1, "false": 2}


@pytest.mark.parametrize("recipe", RUNS)
def test_continuous_integration_fails_where_a_run_leaves_files_changed_or_behind(tmp_path: Path, recipe: str) -> None:
    for folder in (".ci", "state", ".git/browser"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".git/browser/chromium").touch(mode=0o755)  # so that none is installed
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    shutil.copy(ROOT / ".gitignore", tmp_path / ".gitignore")
    (tmp_path / "kept").write_text("as it was\n")
    (tmp_path / "Makefile").write_text(f"test:\n\t{recipe}\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "all")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    path = {"PATH": f"{tmp_path / '.git/browser'}:{os.environ['PATH']}"}
    done = subprocess.run([tmp_path / ".ci/run"], capture_output=True, text=True, check=False, env=os.environ | path)
    assert done.returncode == RUNS[recipe], done.stderr
    assert ("left some behind" in done.stderr) == (RUNS[recipe] == 1)
