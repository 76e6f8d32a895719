"""The drawing of docs/architecture.md is that of the code, and the code keeps to what the page says of it."""

import re
from pathlib import Path

import grimp
import pytest

from docs.site.drawing import DRAWING, PACKAGES, drawing, imports, layers, without_implied

ROOT = Path(__file__).resolve().parents[3]
MOST_MODULES = 16


@pytest.fixture(scope="module")
def true_imports() -> dict[str, set[str]]:
    """Imports between packages, by the library that import-linter goes by."""
    graph = grimp.build_graph("src")
    found: dict[str, set[str]] = {name.removeprefix("src."): set() for name in graph.find_children("src")}
    for module in graph.modules - {"src"}:
        package = module.split(".")[1]
        imported = {name.split(".")[1] for name in graph.find_modules_directly_imported_by(module)}
        found[package] |= imported - {package}
    return found


def test_the_drawing_shows_every_package_and_only_those() -> None:
    drawn = re.findall(r'font-weight="bold"[^>]*>(\w+)<', DRAWING.read_text())
    there = {path.stem for path in (ROOT / "src").iterdir() if not path.stem.startswith("__")}
    assert sorted(drawn) == sorted(there) == sorted(PACKAGES)


def test_every_layer_of_the_contract_is_in_the_drawing() -> None:
    assert {name for layer in layers() for name in layer} == set(PACKAGES)


def test_the_drawing_goes_by_the_true_imports(true_imports: dict[str, set[str]]) -> None:
    assert imports() == true_imports


def test_every_arrow_is_an_import_and_points_down(true_imports: dict[str, set[str]]) -> None:
    arrows = re.findall(r"<title>(\w+) imports from (\w+)</title>", DRAWING.read_text())
    height = {name: place for place, layer in enumerate(layers()) for name in layer}
    assert len(arrows) > len(PACKAGES)
    for package, target in arrows:
        assert target in true_imports[package]
        assert height[package] < height[target]


def test_every_import_runs_along_arrows(true_imports: dict[str, set[str]]) -> None:
    drawn = {name: set() for name in PACKAGES}
    for package, target in re.findall(r"<title>(\w+) imports from (\w+)</title>", DRAWING.read_text()):
        drawn[package].add(target)

    def along(package: str) -> set[str]:
        return drawn[package].union(*(along(target) for target in drawn[package]))

    for package, targets in true_imports.items():
        assert targets <= along(package)


def test_implied_arrows_are_left_out() -> None:
    assert without_implied({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_drawing_is_up_to_date() -> None:
    assert DRAWING.read_text() == drawing(), "run python docs/site/drawing.py and commit docs/architecture.svg"


def test_no_folder_holds_more_modules_than_one_can_survey() -> None:
    counts = {
        folder: sum(path.suffix == ".py" and path.stem != "__init__" for path in folder.iterdir())
        for folder in [ROOT / "src", *(path.parent for path in (ROOT / "src").rglob("__init__.py"))]
    }
    assert {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_MODULES} == {}
