"""Operators of subclasses: every kind of subclass with every kind of operand, on either side.

A cell of this table is what an operator returns or raises, and which of the subclass's own methods
it calls with what. The pure-Python class says what the cell holds, with micrograd's reflected
operators, which ask a subclass's own operators for whatever is on the left.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from reference import DEPTH_FIRST
from reference import Value as Reference
from values import own

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


class Value(Reference):
    """The reference, with micrograd's reflected operators where a subclass has one to be asked."""

    def __radd__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Value) else self.__add__(other)

    def __rmul__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Value) else self.__mul__(other)

    def __rsub__(self, other: Any) -> Any:
        asks = self._has_own("__add__", "__radd__")
        return other + (-self) if asks else super().__rsub__(other)

    def __rtruediv__(self, other: Any) -> Any:
        asks = self._has_own("__mul__", "__rmul__")
        return other * self**-1 if asks else super().__rtruediv__(other)

    def _has_own(self, *names: str) -> bool:
        return any(getattr(type(self), name) is not getattr(Value, name) for name in names)


MICROGRAD = DEPTH_FIRST._replace(Value=Value)

OWN_METHODS: dict[str, tuple[str, ...]] = {
    "add": ("__add__",),
    "mul": ("__mul__",),
    "pow": ("__pow__",),
    "neg": ("__neg__",),
    "radd, rmul": ("__radd__", "__rmul__"),
    "rsub, rtruediv, rpow": ("__rsub__", "__rtruediv__", "__rpow__"),
    "all": ("__add__", "__mul__", "__pow__", "__neg__", "__sub__", "__truediv__", "__radd__"),
}


def noting(base: Any, names: tuple[str, ...], log: list[Any]) -> Any:
    """A subclass whose methods of these names note what they are called with."""

    def noted(name: str) -> Any:
        def method(self: Any, *others: Any) -> Any:
            log.append((name, *map(described, others)))
            return getattr(base, name)(self, *others)

        return method

    return type("Weight", (base,), {name: noted(name) for name in names})


def answering(base: Any, log: list[Any]) -> Any:
    """A subclass whose sums and products are whatever they are asked for."""
    body = {
        "__add__": lambda self, other: ["sum", described(other)],
        "__mul__": lambda self, other: ["product", described(other)],
    }
    return type("Weight", (base,), body)


KINDS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "bare": lambda base, log: type("Weight", (base,), {}),
    "slots": lambda base, log: type("Weight", (base,), {"__slots__": ("moment",)}),
    "constructor": lambda base, log: own(base),
    "answering": answering,
    **{
        name: lambda base, log, methods=methods: noting(base, methods, log)
        for name, methods in OWN_METHODS.items()
    },
}

CONSTANTS = [3, 0, 3.0, -0.0, True, Fraction(3, 4), None, "str", 1j, [1]]
try:
    import numpy as np

    CONSTANTS += [np.float64(3.0), np.int64(3), np.array([3.0, 2], dtype=object)]
except ImportError:
    pass

Operands = Callable[[Any, Any, list[Any]], Any]  # of the library, the subclass and the log
OTHERS: dict[str, Operands] = {
    "Value": lambda lib, cls, log: lib.Value(3.0),
    "same class": lambda lib, cls, log: cls(3.0),
    "another class": lambda lib, cls, log: noting(lib.Value, OWN_METHODS["all"], log)(3.0),
    "subclass": lambda lib, cls, log: noting(cls, OWN_METHODS["mul"], log)(3.0),
    **{
        f"{type(x).__name__} {str(x)[:4]}": lambda lib, cls, log, x=x: x  # type: ignore[misc]
        for x in CONSTANTS
    },
}


def described(x: Any) -> Any:
    """What is equal for equal graphs of Values on all backends, and for other objects that are."""
    if type(x).__name__ == "ndarray":
        return [described(item) for item in x]
    if not hasattr(x, "_children"):
        return x
    if not x._children:  # a number in an expression is of the subclass in pure Python alone
        return x.data.hex()
    return type(x).__name__, x._op, x.data.hex(), [described(child) for child in x._children]


def cell(lib: Any, kind: str, apply: Callable[..., Any], other: Operands, on_left: bool) -> Any:
    log: list[Any] = []
    cls = KINDS[kind](lib.Value, log)
    operands = [cls(2.0), other(lib, cls, log)]
    log.clear()
    try:
        result = described(apply(*(reversed(operands) if on_left else operands)))
    except Exception as error:
        result = type(error)
    return result, log


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("kind", KINDS)
def test_operator_of_a_subclass_does_what_micrograd_does(mg: Any, kind: str, other: str) -> None:
    def row(lib: Any) -> dict[str, Any]:
        return {
            f"{name}{' reflected' * on_left}": cell(lib, kind, apply, OTHERS[other], on_left)
            for name, apply in OPERATORS.items()
            for on_left in (False, True)
        }

    assert row(mg) == row(MICROGRAD)


@pytest.mark.parametrize("kind", KINDS)
def test_negative_of_a_subclass_is_what_micrograd_makes_it(mg: Any, kind: str) -> None:
    def row(lib: Any) -> Any:
        return cell(lib, kind, lambda w, _: -w, OTHERS["Value"], False)

    assert row(mg) == row(MICROGRAD)


@pytest.mark.parametrize("left", [None, "str", 1j, 10**400, [1]], ids=lambda x: str(x)[:4])
def test_subclass_with_a_sum_and_a_product_of_its_own_is_asked_for_any_operand(
    mg: Any, left: Any
) -> None:
    w = answering(mg.Value, [])(2.0)
    assert [left + w, left * w, left / w] == [["sum", left], ["product", left], ["product", left]]


@pytest.mark.parametrize("x", [2.0, 0.0])
@pytest.mark.parametrize("name", OPERATORS)
def test_error_of_a_bare_subclass_names_the_operator_and_the_operands_in_their_order(
    lib: Any, name: str, x: float
) -> None:
    w = KINDS["bare"](lib.Value, [])(x)
    with pytest.raises(TypeError) as caught:
        OPERATORS[name](None, w)
    written = "** or pow()" if name == "**" else name
    message = f"unsupported operand type(s) for {written}: 'NoneType' and 'Weight'"
    assert str(caught.value) == message


@pytest.mark.parametrize("name", OPERATORS)
def test_int_too_large_for_a_float_is_an_overflow_error_of_a_bare_subclass(
    mg: Any, name: str
) -> None:
    w = KINDS["bare"](mg.Value, [])(2.0)
    for operands in ((w, 10**400), (10**400, w)):
        with pytest.raises(OverflowError):
            OPERATORS[name](*operands)


def test_sum_of_subclasses_of_different_libraries_is_a_type_error(mg: Any) -> None:
    ours, theirs = (noting(lib.Value, OWN_METHODS["all"], [])(2.0) for lib in (mg, DEPTH_FIRST))
    for operands in ((ours, theirs), (theirs, ours)):
        for apply in OPERATORS.values():
            with pytest.raises(TypeError):
                apply(*operands)
