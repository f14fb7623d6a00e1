"""What a Value can be made of, and what can be assigned to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from reference import DEPTH_FIRST
from values import NOT_NUMBERS, first, kind

# ---- what a Value can be made of ----

NUMBERS = [2, 2.5, True, -0.0, 2**100, 5e-324, math.inf, Fraction(1, 3), Decimal("0.1")]
TOO_LARGE = [10**400, -(10**400), Fraction(10**400)]


@pytest.mark.parametrize("x", NUMBERS, ids=repr)
def test_real_number_is_stored_as_float(lib: Any, x: Any) -> None:
    data = lib.Value(x).data
    assert type(data) is float
    assert data.hex() == float(x).hex()


@pytest.mark.parametrize("x", NUMBERS, ids=repr)
@pytest.mark.parametrize("name", ["data", "grad"])
def test_assigned_number_reads_as_float(mg: Any, name: str, x: Any) -> None:
    v = mg.Value(1.0)
    setattr(v, name, x)
    assert type(getattr(v, name)) is float
    assert getattr(v, name).hex() == float(x).hex()


@pytest.mark.parametrize("name", ["data", "grad"])
def test_assignment_reaches_a_property_put_in_the_place_of_a_number(mg: Any, name: str) -> None:
    v, seen = mg.Value(1.0), []
    own = vars(mg.Value)[name]
    setattr(v, name, 2.0)
    setattr(mg.Value, name, property(lambda self: 7.0, lambda self, x: seen.append(x)))
    try:
        setattr(v, name, 3.0)
        assert (seen, getattr(v, name)) == ([3.0], 7.0)
    finally:
        setattr(mg.Value, name, own)
    assert getattr(v, name) == 2.0
    setattr(v, name, 4)
    assert getattr(v, name) == 4.0


@pytest.mark.parametrize("x", NOT_NUMBERS, ids=kind)
def test_constructor_rejects_what_is_no_number_and_names_its_type(lib: Any, x: Any) -> None:
    with pytest.raises(TypeError, match=type(x).__name__):
        lib.Value(x)


def test_constructor_rejects_a_value_and_names_its_type(lib: Any) -> None:
    v = lib.Value(1.0)
    with pytest.raises(TypeError, match="Value"):
        lib.Value(v)


@pytest.mark.parametrize("x", NOT_NUMBERS, ids=kind)
@pytest.mark.parametrize("name", ["data", "grad"])
def test_assignment_rejects_what_is_no_number_and_changes_nothing(
    mg: Any, name: str, x: Any
) -> None:
    v = mg.Value(1.0)
    v.grad = 1.0
    with pytest.raises(TypeError, match=type(x).__name__):
        setattr(v, name, x)
    assert getattr(v, name) == 1.0


@pytest.mark.parametrize("x", TOO_LARGE, ids=["int", "negative int", "fraction"])
def test_constructor_raises_overflow_error_for_a_number_too_large(lib: Any, x: Any) -> None:
    with pytest.raises(OverflowError):
        lib.Value(x)


@pytest.mark.parametrize("x", TOO_LARGE, ids=["int", "negative int", "fraction"])
@pytest.mark.parametrize(
    "apply",
    [
        lambda v, x: v + x,
        lambda v, x: x + v,
        lambda v, x: v - x,
        lambda v, x: x - v,
        lambda v, x: v * x,
        lambda v, x: x * v,
        lambda v, x: v / x,
        lambda v, x: x / v,
        lambda v, x: v**x,
    ],
    ids=["v+x", "x+v", "v-x", "x-v", "v*x", "x*v", "v/x", "x/v", "v**x"],
)
def test_operator_raises_overflow_error_for_a_number_too_large(
    lib: Any, apply: Callable[[Any, Any], Any], x: Any
) -> None:
    with pytest.raises(OverflowError):
        apply(lib.Value(2.0), x)


def test_arguments_go_by_position(lib: Any) -> None:
    a, b = lib.Value(1.0), lib.Value(2.0)
    v = lib.Value(3.0, (a, b), "+", "sum")
    assert (v.data, list(v._prev), v._op, v.label) == (3.0, [a, b], "+", "sum")


def test_arguments_go_by_keyword(lib: Any) -> None:
    a, b = lib.Value(1.0), lib.Value(2.0)
    v = lib.Value(data=3.0, children=(a, b), op="+", label="sum")
    assert (v.data, list(v._prev), v._op, v.label) == (3.0, [a, b], "+", "sum")


def test_fresh_value_has_the_defaults(lib: Any) -> None:
    v = lib.Value(1.5)
    assert (v.grad, v.label, v._op, list(v._prev), v._children) == (0.0, "", "", [], ())


def test_constructor_without_a_number_is_a_type_error(lib: Any) -> None:
    with pytest.raises(TypeError):
        lib.Value()


def test_unknown_keyword_is_a_type_error_naming_it(lib: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        lib.Value(1.0, colour="red")


@pytest.mark.parametrize("make", [tuple, list, iter], ids=["tuple", "list", "iterator"])
def test_children_are_any_iterable_of_values(lib: Any, make: Callable[[Any], Any]) -> None:
    a, b = lib.Value(1.0), lib.Value(2.0)
    assert lib.Value(3.0, make((a, b)), "+")._children == (a, b)


@pytest.mark.parametrize("children", [(1.0, 2.0), "ab", 1.0, (None,)], ids=repr)
def test_children_that_are_no_values_are_a_type_error(mg: Any, children: Any) -> None:
    with pytest.raises(TypeError):
        mg.Value(3.0, children, "+")


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_node_made_by_hand_pushes_nothing_of_its_own_accord(lib: Any, count: int) -> None:
    children = [lib.Value(float(i)) for i in range(count)]
    lib.Value(3.0, children, "*").backward()
    assert [c.grad for c in children] == [0.0] * count


# ---- data, gradient, label ----


def test_data_and_gradient_are_updated_in_place(lib: Any) -> None:
    p = lib.Value(1.0)
    p.grad = 2.0
    p.data += -0.1 * p.grad
    p.grad = 0.0
    assert (p.data, p.grad) == (0.8, 0.0)


def test_label_is_read_and_written(lib: Any) -> None:
    v = lib.Value(1.0, label="a")
    v.label = v.label + "b"
    assert v.label == "ab"


def test_later_operation_sees_assigned_data(lib: Any) -> None:
    a = lib.Value(2.0)
    b = a * 3.0
    b.data = 10.0
    assert (b + 1.0).data == 11.0


def test_derivative_sees_data_assigned_to_an_operand(lib: Any) -> None:
    a, b = lib.Value(2.0), lib.Value(3.0)
    c = a * b
    b.data = 7.0
    c.backward()
    assert a.grad == 7.0


def test_derivative_sees_data_assigned_to_the_result(lib: Any) -> None:
    a = lib.Value(0.0)
    b = a.exp()
    b.data = 5.0
    b.backward()
    assert a.grad == 5.0


def test_augmented_assignment_makes_a_new_value(lib: Any) -> None:
    a = b = lib.Value(1.0)
    b += 1.0
    assert (a.data, b.data, first(b) is a) == (1.0, 2.0, True)


# ---- data assigned after construction ----

DATA: dict[str, Callable[[Any], Any]] = {
    "x * x": lambda x: x * x,
    "x ** 2": lambda x: x**2,
    "tanh": lambda x: x.tanh(),
    "exp": lambda x: x.exp(),
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "sqrt": lambda x: x.sqrt(),
    "log": lambda x: x.log(),
}


@pytest.mark.parametrize("name", DATA)
def test_later_operation_and_its_derivative_see_assigned_data(lib: Any, name: str) -> None:
    x, fresh = lib.Value(0.25), lib.Value(0.75)
    x.data = 0.75
    out, same = DATA[name](x), DATA[name](fresh)
    out.backward()
    same.backward()
    assert (out.data, x.grad) == (same.data, fresh.grad)


@pytest.mark.parametrize("name", DATA)
def test_derivative_sees_data_assigned_to_operand_and_result(mg: Any, name: str) -> None:
    def outcome(lib: Any) -> float:
        x = lib.Value(0.25)
        out = DATA[name](x)
        x.data, out.data = 0.75, 0.3
        out.backward()
        return float(x.grad)

    assert outcome(mg) == outcome(DEPTH_FIRST)


def test_wrong_numbers_of_arguments_are_told_alike(mg: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^Value\(\) missing 1 required positional argument: 'data'"
    ):
        mg.Value()
    with pytest.raises(
        TypeError, match=r"^Value\(\) missing 1 required positional argument: 'data'"
    ):
        mg.Value(label="x")
    with pytest.raises(TypeError, match=r"^Value\(\) takes from 1 to 4 positional arguments but 5"):
        mg.Value(1.0, (), "", "", None)
