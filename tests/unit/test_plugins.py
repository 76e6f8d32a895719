"""Plug-ins are found by what they hold; whatever is wrong with one is said in one sentence."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import ConfigError, ModelFileError
from src.features.base import Feature
from src.features.indicators import FEATURES
from src.plugins import import_plugin, plugged_in, require_sources, source_hash, source_hashes, with_plugins
from tests.support.plugin_modules import write_plugin

MakeModule = Callable[[str, str], str]

HOLDS_ONE = """
from src.features.base import Feature
MINE = Feature("mine", ("mine",), 1, 0, lambda bars: [bars.close * 0])
NAMED = {MINE.name: MINE}
"""


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeModule:
    return lambda name, text: write_plugin(tmp_path, monkeypatch, name, text)


def test_records_are_found_by_their_type(make_module: MakeModule) -> None:
    module = make_module("one", HOLDS_ONE)
    known = with_plugins(FEATURES, Feature, [module])
    assert list(known) == [*FEATURES, "mine"]
    assert plugged_in("feature", [module]) == {"mine": module}
    assert plugged_in("reward", [module]) == {}


def test_a_package_may_hold_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / f"package_{tmp_path.name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text(HOLDS_ONE)
    assert plugged_in("feature", [f"{package.name}.inner"]) == {"mine": f"{package.name}.inner"}


def test_names_are_taken_once(make_module: MakeModule) -> None:
    one, two = make_module("one", HOLDS_ONE), make_module("two", HOLDS_ONE)
    with pytest.raises(ConfigError, match=f"{two} holds a feature called 'mine', and there is one already"):
        with_plugins(FEATURES, Feature, [one, two])
    taken = make_module("taken", HOLDS_ONE.replace('"mine"', '"rsi"'))
    with pytest.raises(ConfigError, match=f"{taken} holds a feature called 'rsi', and the program has one"):
        with_plugins(FEATURES, Feature, [taken])


def test_a_record_may_be_passed_on(make_module: MakeModule) -> None:
    one = make_module("one", HOLDS_ONE)
    text = f"from {one} import MINE\nfrom src.features.indicators import FEATURES\nRSI = FEATURES['rsi']\n"
    two = make_module("two", text)
    assert set(with_plugins(FEATURES, Feature, [one, two])) == {*FEATURES, "mine"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "holds nothing that can be plugged in; give it a value such as Feature(...)"),
        ("import numpy\n\nnumpy.zeros('a')\n", "cannot be imported: TypeError: .* (.*FILE, line 3)"),
        ("x = 1\ny = (\n", "cannot be imported: SyntaxError: '(' was never closed (.*FILE, line 2)"),
        ("import no_such_thing\n", "cannot be imported: ModuleNotFoundError: No module named .* (.*FILE, line 1)"),
        ("raise SystemExit(3)\n", "cannot be imported: SystemExit: 3 (.*FILE, line 1)"),
    ],
)
def test_a_broken_module_is_refused_with_its_line(text: str, says: str, make_module: MakeModule) -> None:
    module = make_module("broken", text)
    pattern = re.escape(says).replace(re.escape(".*"), ".*").replace("FILE", f"{module}.py")
    with pytest.raises(ConfigError, match=pattern) as refusal:
        import_plugin(module)
    assert "\n" not in str(refusal.value)


def test_a_missing_module_is_refused_with_the_path_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"no module 'my\.thing' in .*PYTHONPATH") as refusal:
        import_plugin("my.thing")
    assert str(tmp_path) in str(refusal.value)
    assert "site-packages" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "dotted"), [("examples/my_feature.py", "examples.my_feature"), ("", "my_package.my_module"), (".x", "x")]
)
def test_a_path_is_refused_with_the_name_of_the_module(given: str, dotted: str) -> None:
    with pytest.raises(ConfigError, match=f"must be written as Python imports it, such as {re.escape(dotted)}$"):
        import_plugin(given)


def test_the_hash_covers_what_a_plug_in_imports_of_the_users_own(tmp_path: Path, make_module: MakeModule) -> None:
    helper = make_module("helper", "PRICE = 1.0\n")
    module = make_module("mine", f"def later():\n    from {helper} import PRICE\n{HOLDS_ONE}")
    before = source_hash.__wrapped__(module)
    assert source_hash.__wrapped__(module) == before
    make_module("helper", "PRICE = 2.0\n")
    assert source_hash.__wrapped__(module) != before


def test_a_model_refuses_another_source(tmp_path: Path, make_module: MakeModule) -> None:
    module = make_module("mine", HOLDS_ONE)
    hashes = source_hashes([module])
    require_sources("a model", hashes)
    with pytest.raises(ModelFileError, match=f"a model was trained with another source of the plug-in {module}"):
        require_sources("a model", {module: "0" * 64})
    with pytest.raises(
        ModelFileError,
        match=r"a model was trained with the plug-in gone, which cannot be used: plugins: no module 'gone'",
    ):
        require_sources("a model", {"gone": "0" * 64})


def test_the_hash_is_that_of_the_source_that_runs(tmp_path: Path, make_module: MakeModule) -> None:
    module = make_module("mine", HOLDS_ONE)
    import_plugin(module)
    before = source_hash(module)
    (tmp_path / f"{module}.py").write_text(HOLDS_ONE + "CHANGED = 'while the program runs'\n")
    assert source_hash(module) == before
