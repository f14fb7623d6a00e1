"""Errors of the domain, and conversions that would cut the graph."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from conftest import balanced

# ---- errors of the domain ----

ERRORS: list[tuple[str, float, Callable[[Any], Any], type[Exception]]] = [
    ("0**-1", 0.0, lambda v: v**-1, ZeroDivisionError),
    ("0**-0.5", 0.0, lambda v: v**-0.5, ZeroDivisionError),
    ("v/0", 1.0, lambda v: v / 0, ZeroDivisionError),
    ("v/0.0", 1.0, lambda v: v / 0.0, ZeroDivisionError),
    ("1/v", 0.0, lambda v: 1 / v, ZeroDivisionError),
    ("v/v", 0.0, lambda v: v / v, ZeroDivisionError),
    ("0.0**v", -1.0, lambda v: 0.0**v, ZeroDivisionError),
    ("(-8)**(1/3)", -8.0, lambda v: v ** (1 / 3), ValueError),
    ("(-8.0)**v", 0.5, lambda v: (-8.0) ** v, ValueError),
    ("v**v", -0.5, lambda v: v**v, ValueError),
    ("1e200**2", 1e200, lambda v: v**2, OverflowError),
    ("1e200**3", 1e200, lambda v: v**3, OverflowError),
    ("1e200**v", 2.0, lambda v: 1e200**v, OverflowError),
    ("exp", 1000.0, lambda v: v.exp(), OverflowError),
    ("log(0)", 0.0, lambda v: v.log(), ValueError),
    ("log(-1)", -1.0, lambda v: v.log(), ValueError),
    ("sqrt(-1)", -1.0, lambda v: v.sqrt(), ValueError),
    ("sin(inf)", math.inf, lambda v: v.sin(), ValueError),
    ("cos(-inf)", -math.inf, lambda v: v.cos(), ValueError),
]


@pytest.mark.parametrize(
    ("x", "apply", "error"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS]
)
def test_domain_error_is_pythons(
    lib: Any, x: float, apply: Callable[[Any], Any], error: type[Exception]
) -> None:
    v = lib.Value(x)
    with pytest.raises(error) as caught:
        apply(v)
    assert caught.type is error


@pytest.mark.parametrize(
    ("x", "apply", "error"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS]
)
def test_domain_error_records_nothing(
    mg: Any, x: float, apply: Callable[[Any], Any], error: type[Exception]
) -> None:
    v = mg.Value(x)
    v.grad = 0.5
    with balanced(mg), pytest.raises(error):
        apply(v)
    assert (v.data, v.grad) == (x, 0.5)


# ---- conversions that would cut the graph ----


@pytest.mark.parametrize("convert", [float, int, complex, operator.index], ids=lambda f: f.__name__)
def test_conversion_to_a_number_is_a_type_error(lib: Any, convert: Callable[[Any], Any]) -> None:
    v = lib.Value(1.0)
    with pytest.raises(TypeError):
        convert(v)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "sin", "floor", "isnan"])
def test_function_of_math_is_a_type_error(lib: Any, name: str) -> None:
    v = lib.Value(1.0)
    with pytest.raises(TypeError):
        getattr(math, name)(v)


@pytest.mark.parametrize("convert", [float, math.exp], ids=lambda f: f.__name__)
@pytest.mark.parametrize("hint", [".data", ".exp()"])
def test_conversion_error_points_to_what_to_write_instead(
    mg: Any, convert: Callable[[Any], Any], hint: str
) -> None:
    v = mg.Value(1.0)
    with pytest.raises(TypeError) as caught:
        convert(v)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "count", "text"),
    [
        *(("maximum", 1, "at least"), ("minimum", 0, "at least")),
        *(("hypot", 1, "exactly"), ("atan2", 3, "exactly")),
    ],
)
def test_a_function_of_two_says_how_many_operands_it_takes(
    mg: Any, name: str, count: int, text: str
) -> None:
    with pytest.raises(TypeError, match=rf"{name}\(\) takes {text} 2 arguments \({count} given\)"):
        getattr(mg, name)(*[1.0] * count)
