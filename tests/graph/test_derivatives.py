"""Each operator: its gradient is the derivative, and its bits are the reference's."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_programs import BINARY, FUNCTIONS, UNARY
from reference import Library, on_reference

# ---- derivatives ----

positive = st.floats(0.2, 3.0)
signed = positive | st.floats(-3.0, -0.2)
inside = st.floats(-0.9, 0.9)
DERIVATIVES: list[tuple[str, Callable[..., Any], list[Any]]] = [
    ("x + y", lambda lib, x, y: x + y, [signed, signed]),
    ("x - y", lambda lib, x, y: x - y, [signed, signed]),
    ("x * y", lambda lib, x, y: x * y, [signed, signed]),
    ("x / y", lambda lib, x, y: x / y, [signed, signed]),
    ("x ** y", lambda lib, x, y: x**y, [positive, signed]),
    ("2.5 ** x", lambda lib, x: 2.5**x, [signed]),
    ("x ** 3", lambda lib, x: x**3, [signed]),
    ("x ** -2", lambda lib, x: x**-2, [signed]),
    ("x ** 0.5", lambda lib, x: x**0.5, [positive]),
    ("2 - x", lambda lib, x: 2 - x, [signed]),
    ("2 / x", lambda lib, x: 2 / x, [signed]),
    ("-x", lambda lib, x: -x, [signed]),
    ("abs", lambda lib, x: abs(x), [signed]),
    ("tanh", lambda lib, x: x.tanh(), [signed]),
    ("exp", lambda lib, x: x.exp(), [signed]),
    ("log", lambda lib, x: x.log(), [positive]),
    ("relu", lambda lib, x: x.relu(), [signed]),
    ("sigmoid", lambda lib, x: x.sigmoid(), [signed]),
    ("sin", lambda lib, x: x.sin(), [signed]),
    ("cos", lambda lib, x: x.cos(), [signed]),
    ("sqrt", lambda lib, x: x.sqrt(), [positive]),
    ("log1p", lambda lib, x: x.log1p(), [positive]),
    ("expm1", lambda lib, x: x.expm1(), [signed]),
    ("tan", lambda lib, x: x.tan(), [inside]),
    ("asin", lambda lib, x: x.asin(), [inside]),
    ("acos", lambda lib, x: x.acos(), [inside]),
    ("atan", lambda lib, x: x.atan(), [signed]),
    ("sinh", lambda lib, x: x.sinh(), [signed]),
    ("cosh", lambda lib, x: x.cosh(), [signed]),
    ("asinh", lambda lib, x: x.asinh(), [signed]),
    ("acosh", lambda lib, x: x.acosh(), [st.floats(1.2, 3.0)]),
    ("atanh", lambda lib, x: x.atanh(), [inside]),
    ("erf", lambda lib, x: x.erf(), [signed]),
    ("erfc", lambda lib, x: x.erfc(), [signed]),
    ("log2", lambda lib, x: x.log2(), [positive]),
    ("log10", lambda lib, x: x.log10(), [positive]),
    ("softplus", lambda lib, x: x.softplus(), [signed]),
    ("gelu", lambda lib, x: x.gelu(), [signed]),
    ("silu", lambda lib, x: x.silu(), [signed]),
    ("lgamma", lambda lib, x: x.lgamma(), [positive]),
    ("digamma", lambda lib, x: x.digamma(), [positive]),
    ("maximum", lambda lib, x, y: lib.maximum(x, y), [signed, signed]),
    ("minimum", lambda lib, x, y: lib.minimum(x, y), [signed, signed]),
    ("atan2", lambda lib, x, y: lib.atan2(x, y), [signed, positive]),
    ("hypot", lambda lib, x, y: lib.hypot(x, y), [signed, signed]),
]


@pytest.mark.long
@pytest.mark.parametrize(
    ("function", "domains"), [row[1:] for row in DERIVATIVES], ids=[row[0] for row in DERIVATIVES]
)
@settings(max_examples=settings().max_examples // 3)  # on each of three classes
@given(data=st.data())
def test_gradient_is_the_derivative(
    lib: Any, function: Callable[..., Any], domains: list[Any], data: Any
) -> None:
    step = 1e-5
    point = [data.draw(domain) for domain in domains]
    assume(len(point) == 1 or abs(point[0] - point[1]) > 4 * step)  # maximum has a kink at a tie
    inputs = [lib.Value(x) for x in point]
    function(lib, *inputs).backward()
    for i, v in enumerate(inputs):
        above, below = list(point), list(point)
        above[i] += step
        below[i] -= step
        difference = (
            function(lib, *map(lib.Value, above)).data - function(lib, *map(lib.Value, below)).data
        ) / (2 * step)
        assert v.grad == pytest.approx(difference, rel=1e-6, abs=1e-7)


# ---- many operands ----

Operation = Callable[[Any, Any, Any], Any]


def of_one(apply: Callable[[Any], Any]) -> Operation:
    return lambda lib, x, y: apply(x)


def to_power(n: float) -> Operation:
    return lambda lib, x, y: x**n


# A compiler may replace pow(x, -1.0) by 1 / x and pow(x, 2.0) by x * x, which differ in the last
# bit about once in a thousand times.
OPERATIONS: dict[str, Operation] = {
    **BINARY,
    **{name + "(x)": of_one(UNARY[name]) for name in FUNCTIONS},
    **{f"x ** {n}": to_power(n) for n in (-2, -1, 0, 1, 2, 3, -1.0, 0.5, 2.0)},
    "2.0 / x": lambda lib, x, y: 2.0 / x,
    "x / number": lambda lib, x, y: x / y.data,
    "number - x": lambda lib, x, y: y.data - x,
    "number ** x": lambda lib, x, y: abs(y.data) ** x,
}
OPERANDS = [
    (choose.gauss(0, 10.0 ** choose.randint(-6, 6)), choose.gauss(0, 3))
    for choose in [random.Random(3)]
    for _ in range(5000)
]


def outcomes(lib: Library, name: str) -> list[Any]:
    seen: list[Any] = []
    for numbers in OPERANDS:
        x, y = map(lib.Value, numbers)
        try:
            z = OPERATIONS[name](lib, x, y)
            z.backward()
        except (ArithmeticError, ValueError) as error:
            seen.append(type(error))
        else:
            seen.append((z.data.hex(), x.grad.hex(), y.grad.hex()))
    return seen


@pytest.mark.long
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_on_many_operands_agrees_with_the_reference_bit_for_bit(
    mg: Any, name: str
) -> None:
    assert outcomes(mg, name) == on_reference(outcomes, name)
