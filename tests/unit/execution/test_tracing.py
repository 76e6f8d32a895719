"""Tracing: the compiled function computes what the code does on floats, asks what it asked, and does no more."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from src.execution import scalar
from src.execution.tracing import Symbol, Trace

NUMBERS = [-2.5, -0.0, 0.0, 1e-300, 0.3, 7.0, math.nan, math.inf]

FORMULAS = {
    "sums": lambda xp, a, b: (1.0 + a) + (b - 2.0) - (3.0 - a),
    "products": lambda xp, a, b: (2.0 * a) * (b * -0.5) * -a,
    "quotients": lambda xp, a, b: (a / 3.0) / (1.5 + xp.abs(b)) + 1.0 / (xp.abs(a) + 0.5),
    "where": lambda xp, a, b: xp.where(a > b, a, 1.0 - b),
    "claims": lambda xp, a, b: ((a <= b) & (b != 0.0)) | xp.logical_not((a == b) | (a >= 1.0) | (b < -1.0)),
    "minimum": lambda xp, a, b: xp.minimum(a, b) - xp.minimum(b, a),
    "maximum": lambda xp, a, b: xp.maximum(a, xp.maximum(b, 0.0)),
    "functions": lambda xp, a, b: xp.log(xp.abs(a) + 1.0) * xp.sqrt(xp.abs(b)) + xp.zeros_like(a),
    "float32": lambda xp, a, b: xp.astype(xp.stack([a, b, a * b], axis=-1), xp.float32),
}


def traced(formula: Any) -> Any:
    trace = Trace()
    return trace.compile("a, b", trace.pack(formula(trace, trace.apply("a"), trace.apply("b"))))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_traced_formula_equals_the_formula_on_floats(name: str) -> None:
    compiled = traced(FORMULAS[name])
    for a in NUMBERS:
        for b in NUMBERS:
            (got,), expected = compiled(a, b), FORMULAS[name](scalar, a, b)
            np.testing.assert_array_equal(got, expected)
            np.testing.assert_array_equal(np.signbit(np.asarray(got, float)), np.signbit(np.asarray(expected, float)))
            assert type(got) is type(expected)


@pytest.mark.parametrize("usual", ["all", "any"])
def test_unusual_answers_give_none(usual: str) -> None:
    def inverse(xp: ModuleType, a: Any, b: Any) -> Any:
        if not xp.all(a > 0.0) if usual == "all" else xp.any(a <= 0.0):
            return "unusual"
        return b / a

    compiled = traced(inverse)
    assert compiled(2.0, 1.0) == (0.5,)
    assert compiled(0.0, 1.0) is None  # before it would have divided by zero


def test_what_is_asked_before_a_division_is_checked_before_it() -> None:
    def guarded(xp: ModuleType, a: Any, b: Any) -> Any:
        assert xp.all(a != 0.0)
        quotient = b / a
        assert xp.all(quotient > 0.0)
        return quotient + quotient

    compiled = traced(guarded)
    assert compiled(0.0, 1.0) is None
    assert compiled(1.0, -1.0) is None
    assert compiled(1.0, 1.0) == (2.0,)


def test_what_no_output_needs_is_dropped() -> None:
    def wasteful(xp: ModuleType, a: Any, b: Any) -> Any:
        _ = b / (a - a)  # would divide by zero
        return a

    assert traced(wasteful)(3.0, 1.0) == (3.0,)


def test_equal_operations_are_one() -> None:
    trace = Trace()
    a, b = trace.apply("a"), trace.apply("b")
    assert a * b is a * b
    assert a * b is not b * a
    assert a * 1.0 is not a * 2.0
    assert a * 1.0 is not a * b


def test_inputs_may_look_things_up_and_outputs_may_have_names() -> None:
    trace = Trace()
    price = trace.apply("prices[row]")
    compiled = trace.compile("row", trace.label({"price": price, "half": price / 2.0}), prices=[10.0, 30.0])
    assert compiled(1) == {"price": 30.0, "half": 15.0}


def test_branching_on_a_number_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot branch"):
        bool(Trace().apply("a") > 0.0)


def test_constants_must_be_finite() -> None:
    with pytest.raises(AssertionError, match="constant nan"):
        Trace().apply("a") + math.nan
    assert isinstance(Trace().apply("a") + np.float64(0.1), Symbol)
