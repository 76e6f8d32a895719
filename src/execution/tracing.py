"""Array code as one straight function of floats: run once on symbols, written down, compiled.

The ledger is written for arrays, and a single account pays for that with calls and tuples that cost more than its sums.
A `Trace` is an array namespace whose numbers are symbols. The same lines, run on it once, leave behind what they do:
the expressions of `scalar`, in the same order, so results are equal bit for bit. Rules that are switched off leave
nothing, what no output needs is dropped, and what is asked for twice is computed once.

Code that is traced cannot branch on numbers, except by asking `all` and `any`. It goes on with the usual answers, "all
do" and "none does"; the compiled function checks them and returns None where a bar is not usual.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from src.execution import scalar

Traced = Any  # a Symbol, or a plain number where no symbol had a part in it


class Trace(ModuleType):
    """An array namespace of symbols for one account, `()`-shaped like those of `scalar`; used for one function."""

    float32, float64 = scalar.float32, scalar.float64

    def __init__(self) -> None:
        super().__init__("trace")
        self._known: dict[str, Symbol] = {}
        self._steps: list[Symbol | _Guard] = []

    def apply(self, template: str, *operands: Traced) -> "Symbol":
        """Return the symbol of an expression over operands; without operands, of an input."""
        key = template.format(*[f"#{id(each)}" if isinstance(each, Symbol) else _literal(each) for each in operands])
        if key not in self._known:
            self._known[key] = Symbol(self, template, operands)
            self._steps.append(self._known[key])
        return self._known[key]

    def compile(self, signature: str, outputs: "Symbol", **names: object) -> Callable[..., Any]:
        """Return a function of the outputs, or of None where `all` or `any` has an unusual answer.

        Args:
            signature: parameters, in which inputs are expressed.
            outputs: what it returns.
            names: objects that the inputs refer to besides parameters.
        """
        body = _written(self._steps, outputs)
        source = "\n    ".join([f"def traced({signature}):", *body])
        namespace: dict[str, Any] = {**vars(scalar), **names}
        exec(compile(source, "<traced>", "exec"), namespace)
        function: Callable[..., Any] = namespace["traced"]
        return function

    def pack(self, *values: Traced) -> "Symbol":
        """Return a tuple."""
        return self.apply(f"({'{}, ' * len(values)})", *values)

    def label(self, values: Mapping[str, Traced]) -> "Symbol":
        """Return a dictionary."""
        items = ", ".join(f"{name!r}: {{}}" for name in values)
        return self.apply(f"{{{{{items}}}}}", *values.values())

    def all(self, claim: Traced) -> bool:
        """Suppose that the claim holds."""
        self._steps.append(_Guard(claim))
        return True

    def any(self, claim: Traced) -> bool:
        """Suppose that the claim does not hold."""
        self._steps.append(_Guard(self.logical_not(claim)))
        return False

    def where(self, condition: Traced, chosen: Traced, otherwise: Traced) -> Traced:
        return self.apply("({} if {} else {})", chosen, condition, otherwise)

    def minimum(self, a: Traced, b: Traced) -> Traced:
        return self.apply("({} if {} < {} else {})", a, a, b, b)

    def maximum(self, a: Traced, b: Traced) -> Traced:
        return self.apply("({} if {} > {} else {})", a, a, b, b)

    def abs(self, x: Traced) -> Traced:
        return self.apply("abs({})", x)

    def sqrt(self, x: Traced) -> Traced:
        return self.apply("sqrt({})", x)

    def log(self, x: Traced) -> Traced:
        return self.apply("log({})", x)

    def logical_not(self, claim: Traced) -> Traced:
        return self.apply("(not {})", claim)

    def zeros_like(self, value: Traced) -> float:
        return 0.0

    def stack(self, values: Sequence[Traced], axis: int = -1) -> Traced:
        return self.pack(*values)

    def astype(self, values: Traced, dtype: type[np.float32]) -> Traced:
        # Straight from the tuple that `stack` wrote down: rounding to double first would change nothing.
        return self.apply("np.array({}, float32)", values)


def _operator(sign: str, *, reflected: bool = False) -> Callable[["Symbol", Traced], "Symbol"]:
    def apply(symbol: "Symbol", other: Traced) -> "Symbol":
        pair = (other, symbol) if reflected else (symbol, other)
        return symbol.trace.apply(f"({{}} {sign} {{}})", *pair)

    return apply


class Symbol:
    """A number yet unknown: an expression over other numbers, or an input."""

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("operands", "template", "trace")

    def __init__(self, trace: Trace, template: str, operands: tuple[Traced, ...]) -> None:
        self.trace, self.template, self.operands = trace, template, operands

    def __bool__(self) -> bool:
        raise TypeError("traced code cannot branch on a number; use where, all or any")

    def __neg__(self) -> "Symbol":
        return self.trace.apply("(-{})", self)

    __add__, __radd__ = _operator("+"), _operator("+", reflected=True)
    __sub__, __rsub__ = _operator("-"), _operator("-", reflected=True)
    __mul__, __rmul__ = _operator("*"), _operator("*", reflected=True)
    __truediv__, __rtruediv__ = _operator("/"), _operator("/", reflected=True)
    __and__, __rand__ = _operator("&"), _operator("&", reflected=True)
    __or__, __ror__ = _operator("|"), _operator("|", reflected=True)
    __lt__, __le__, __gt__, __ge__ = _operator("<"), _operator("<="), _operator(">"), _operator(">=")
    __eq__, __ne__ = _operator("=="), _operator("!=")  # type: ignore[assignment]


class _Guard(NamedTuple):
    claim: Traced


def _written(steps: list[Symbol | _Guard], outputs: Symbol) -> list[str]:
    # Lines of Python: what is used more than once gets a name, the rest is written where it is used.
    uses = _count_uses([*[step.claim for step in steps if isinstance(step, _Guard)], outputs])
    names: dict[int, str] = {}

    def text(value: Traced) -> str:
        if not isinstance(value, Symbol):
            return _literal(value)
        return names.get(id(value)) or value.template.format(*map(text, value.operands))

    lines = []
    for step in steps:
        if isinstance(step, _Guard):
            lines.append(f"if not {text(step.claim)}: return None")
        elif uses[id(step)] > 1 and not step.template.isidentifier():
            lines.append(f"v{len(names)} = {text(step)}")
            names[id(step)] = f"v{len(names)}"
    return [*lines, f"return {text(outputs)}"]


def _count_uses(roots: list[Traced]) -> Counter[int]:
    uses: Counter[int] = Counter()
    waiting = roots
    while waiting:
        value = waiting.pop()
        if isinstance(value, Symbol):
            uses[id(value)] += 1
            if uses[id(value)] == 1:
                waiting.extend(value.operands)
    return uses


def _literal(value: bool | float) -> str:
    assert math.isfinite(value), f"traced code holds the constant {value}"
    return str(value) if isinstance(value, bool) else repr(float(value))
