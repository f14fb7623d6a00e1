"""A Value as text, its order, its equality and its truth."""

from __future__ import annotations

import math
import operator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

# ---- text ----


def test_repr_is_the_notebooks(lib: Any) -> None:
    assert repr(lib.Value(-8.0, label="L")) == "Value(data=-8.0, label=L, grad=0.0)"


@pytest.mark.parametrize("x", [0.1, 1e22, 1e-7, 5e-324, -0.0, math.inf, math.nan], ids=repr)
def test_repr_writes_numbers_as_python_does(lib: Any, x: float) -> None:
    v = lib.Value(x)
    v.grad = x
    assert repr(v) == f"Value(data={x!r}, label=, grad={x!r})"


def test_str_is_repr(lib: Any) -> None:
    v = lib.Value(1.0, label="a")
    assert str(v) == f"{v}" == format(v, "") == repr(v)


@pytest.mark.parametrize("spec", [".4f", ">12.2f", "+.3e", "08.1f", "g", "%"])
def test_format_formats_the_data(lib: Any, spec: str) -> None:
    assert format(lib.Value(-8.03125), spec) == format(-8.03125, spec)


def test_format_with_a_wrong_specification_is_pythons_value_error(lib: Any) -> None:
    v = lib.Value(1.0)
    with pytest.raises(ValueError, match="format"):
        format(v, "d")


# ---- comparing ----

ORDER = [operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("y", [1.0, 2.0, -0.0, math.inf, math.nan], ids=repr)
@pytest.mark.parametrize("x", [1.0, 2.0, 0.0, math.nan], ids=repr)
@pytest.mark.parametrize("compare", ORDER, ids=lambda f: f.__name__)
def test_order_is_that_of_the_data(lib: Any, compare: Any, x: float, y: float) -> None:
    v, w = lib.Value(x), lib.Value(y)
    assert [compare(v, w), compare(v, y), compare(x, w)] == [compare(x, y)] * 3


@pytest.mark.parametrize(
    "number",
    [1, True, Fraction(1, 3), Decimal("0.75"), 10**400, Fraction(-(10**400))],
    ids=lambda number: f"{number!r:.20}",
)
@pytest.mark.parametrize("compare", ORDER, ids=lambda f: f.__name__)
def test_order_with_a_number_is_that_of_the_data(lib: Any, compare: Any, number: Any) -> None:
    v = lib.Value(0.5)
    assert compare(v, number) == compare(0.5, number)
    assert compare(number, v) == compare(number, 0.5)


@pytest.mark.parametrize("compare", ORDER, ids=lambda f: f.__name__)
@pytest.mark.parametrize("x", ["a", None, 1j, []], ids=repr)
def test_order_with_what_is_no_number_is_a_type_error(lib: Any, compare: Any, x: Any) -> None:
    v = lib.Value(0.5)
    with pytest.raises(TypeError, match="not supported between instances"):
        compare(v, x)


def test_max_and_sorted_go_by_the_data(lib: Any) -> None:
    low, mid, top = values = [lib.Value(x) for x in (1.0, 2.0, 3.0)]
    assert max(values) is top
    assert min(values) is low
    assert sorted(values, reverse=True) == [top, mid, low]


def test_equality_is_identity(lib: Any) -> None:
    v, w = lib.Value(1.0), lib.Value(1.0)
    assert v == v
    assert v != w
    assert v != 1.0
    assert not operator.eq(v, 1.0)


def test_hash_goes_with_identity(lib: Any) -> None:
    v, w = lib.Value(1.0), lib.Value(1.0)
    table = {v: "v", w: "w"}
    v.data = 2.0
    assert (table[v], table[w], len({v, w, v})) == ("v", "w", 2)


def test_membership_in_a_list_is_identity(lib: Any) -> None:
    v, w = lib.Value(1.0), lib.Value(1.0)
    assert v in [w, v]
    assert v not in [w]


@pytest.mark.parametrize("x", [0.0, 1.0, math.nan], ids=repr)
def test_every_value_is_true(lib: Any, x: float) -> None:
    assert bool(lib.Value(x)) is True


def test_help_tells_formula_and_errors(mg: Any) -> None:
    assert mg.Value.tanh.__doc__.startswith("Return (e**2x - 1) / (e**2x + 1). Its derivative is")
    assert "Raises ValueError if x is 0 or below." in mg.Value.log.__doc__
    assert "at a tie each of them half" in mg.maximum.__doc__
