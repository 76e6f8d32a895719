"""The public surface: what it names, what it promises to readers and type checkers, and what importing it loads."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import supertrader as st

ROOT = Path(__file__).resolve().parents[3]
FUNCTIONS = [name for name in st.__all__ if inspect.isfunction(getattr(st, name))]


def test_every_name_exists_once_in_order() -> None:
    assert st.__all__ == sorted(set(st.__all__))
    assert all(hasattr(st, name) for name in st.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_types_and_an_example(name: str) -> None:
    function = getattr(st, name)
    signature = inspect.signature(function)
    annotated = [part.annotation for part in signature.parameters.values()] + [signature.return_annotation]
    assert inspect.Parameter.empty not in annotated
    assert f">>> {name}(" in (function.__doc__ or "") or f"= {name}(" in (function.__doc__ or "")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_tour_shows_every_function(name: str) -> None:
    assert f"st.{name}(" in (ROOT / "docs" / "api.md").read_text()


def test_type_checkers_may_read_the_types() -> None:
    assert (Path(st.__file__).parent / "py.typed").exists()


def test_neither_ray_nor_torch_is_loaded_for_baselines() -> None:
    check = """
import sys
import supertrader as st
bars = st.load_bars("SP500")
st.plot_equity(st.compare(["buy_and_hold", lambda bars: bars.close * 0.0], bars))
st.list_runs(), st.list_models(), st.list_reports()
loaded = {"ray", "torch", "gymnasium"} & sys.modules.keys()
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


def test_ray_is_not_loaded_before_settings_are_found_possible() -> None:
    check = """
import sys
import supertrader as st
try:
    st.train({"symbl": "SP500"})
except st.ConfigError as error:
    assert "did you mean 'symbol'" in str(error)
else:
    raise AssertionError
assert not {"ray", "torch"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
