"""Backward: where gradients go, what they add to, and the slope of each operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest


def test_backward_returns_nothing(lib: Any) -> None:
    assert lib.Value(1.0).backward() is None


def test_backward_of_a_leaf_sets_its_gradient(lib: Any) -> None:
    v = lib.Value(1.0)
    v.grad = 7.0
    v.backward()
    assert v.grad == 1.0


def test_gradients_accumulate_over_separate_graphs(lib: Any) -> None:
    a = lib.Value(2.0)
    (a * 3.0).backward()
    (a * 4.0).backward()
    assert a.grad == 7.0


def test_second_backward_adds_to_inner_gradients_too(lib: Any) -> None:
    a = lib.Value(2.0)
    b = a * 3.0
    c = b * 5.0
    c.backward()
    assert (c.grad, b.grad, a.grad) == (1.0, 5.0, 15.0)
    c.backward()
    assert (c.grad, b.grad, a.grad) == (1.0, 10.0, 45.0)


def test_backward_of_an_inner_node_leaves_the_nodes_above_alone(lib: Any) -> None:
    a = lib.Value(2.0)
    b = a * 3.0
    c = b * 5.0
    b.backward()
    assert (c.grad, b.grad, a.grad) == (0.0, 1.0, 3.0)


def test_backward_leaves_unreachable_values_alone(lib: Any) -> None:
    a = lib.Value(2.0)
    other = a * 7.0
    (a * 3.0).backward()
    assert (other.grad, a.grad) == (0.0, 3.0)


def test_gradient_of_zero_is_pushed_like_any_other(lib: Any) -> None:
    a, infinite = lib.Value(2.0), lib.Value(math.inf)
    (a * infinite * 0.0).backward()
    assert math.isnan(a.grad)


def test_error_in_backward_stops_the_sweep_where_it_is(lib: Any) -> None:
    a = lib.Value(0.0)
    b = a.sqrt()
    c = b * 3.0
    with pytest.raises(ZeroDivisionError):
        c.backward()
    assert (c.grad, b.grad, a.grad) == (1.0, 3.0, 0.0)


def test_graph_is_sound_after_an_error_in_backward(lib: Any) -> None:
    a = lib.Value(0.0)
    b = a.sqrt()
    c = b * 3.0
    with pytest.raises(ZeroDivisionError):
        c.backward()
    b.data, b.grad = 0.5, 0.0
    c.backward()
    assert a.grad == 3.0


BACKWARD_ERRORS: list[tuple[str, float, Callable[[Any], Any], float, type[Exception]]] = [
    ("sqrt", 0.0, lambda v: v.sqrt(), 0.0, ZeroDivisionError),
    ("0**0.5", 0.0, lambda v: v**0.5, 0.0, ZeroDivisionError),
    ("v**-1", 1e-200, lambda v: v**-1, 1e-200, OverflowError),
    ("log", 1.0, lambda v: v.log(), 0.0, ZeroDivisionError),
    ("fraction", 1.0, lambda v: v**0.5, -1.0, ValueError),
    ("base", 1.0, lambda v: v ** v.__class__(0.5), -1.0, ValueError),
    ("sin", 1.0, lambda v: v.sin(), math.inf, ValueError),
    ("cos", 1.0, lambda v: v.cos(), -math.inf, ValueError),
]


@pytest.mark.parametrize(
    ("x", "apply", "moved", "error"),
    [row[1:] for row in BACKWARD_ERRORS],
    ids=[row[0] for row in BACKWARD_ERRORS],
)
def test_error_of_a_derivative_is_pythons(
    lib: Any, x: float, apply: Callable[[Any], Any], moved: float, error: type[Exception]
) -> None:
    v = lib.Value(x)
    result = apply(v)
    v.data = moved
    with pytest.raises(error) as caught:
        result.backward()
    assert caught.type is error
    assert (result.grad, v.grad) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "x", "y", "shares"),
    [
        ("maximum", 2.0, 1.0, (1.0, 0.0)),
        ("maximum", 1.0, 2.0, (0.0, 1.0)),
        ("maximum", 0.0, -0.0, (0.5, 0.5)),
        ("minimum", 2.0, 1.0, (0.0, 1.0)),
        ("minimum", 1.0, 2.0, (1.0, 0.0)),
        ("minimum", 3.0, 3.0, (0.5, 0.5)),
    ],
)
def test_choice_gives_its_gradient_to_the_chosen_and_halves_it_at_a_tie(
    lib: Any, name: str, x: float, y: float, shares: tuple[float, float]
) -> None:
    a, b = lib.Value(x), lib.Value(y)
    getattr(lib, name)(a, b).backward()
    assert (a.grad, b.grad) == shares


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_with_nan_has_the_gradient_nan(lib: Any, name: str) -> None:
    a, b = lib.Value(1.0), lib.Value(math.nan)
    getattr(lib, name)(a, b).backward()
    assert [math.isnan(a.grad), math.isnan(b.grad)] == [True, True]


@pytest.mark.parametrize(("x", "slope"), [(2.0, 1.0), (-2.0, 0.0), (0.0, 0.0), (-0.0, 0.0)])
def test_slope_of_relu(lib: Any, x: float, slope: float) -> None:
    a = lib.Value(x)
    a.relu().backward()
    assert a.grad == slope


@pytest.mark.parametrize(("x", "slope"), [(2.0, 1.0), (-2.0, -1.0), (0.0, 0.0), (-0.0, 0.0)])
def test_slope_of_abs(lib: Any, x: float, slope: float) -> None:
    a = lib.Value(x)
    abs(a).backward()
    assert a.grad == slope


@pytest.mark.parametrize("x", [0.0, -0.0, 2.0, -3.5, 1e-320, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("zero", [0, 0.0, -0.0, "a Value"])
def test_slope_of_a_power_of_zero_is_zero_everywhere(lib: Any, x: float, zero: Any) -> None:
    v = lib.Value(x)
    out = v ** (lib.Value(0.0) if zero == "a Value" else zero)
    out.backward()
    assert (out.data, v.grad) == (1.0, 0.0)


def test_a_polynomial_has_its_slope_at_zero(lib: Any) -> None:
    x = lib.Value(0.0)
    sum(c * x**i for i, c in enumerate([5.0, 3.0, 2.0])).backward()
    assert x.grad == 3.0


@pytest.mark.parametrize("v", [0.5, 1.0, 2.0])
def test_nobody_asks_for_the_slope_of_a_number_to_a_power(lib: Any, v: float) -> None:
    exponent = lib.Value(v)
    out = 0**exponent
    out.backward()
    assert (out.data, exponent.grad) == (0.0, 0.0)
    out = 2.0**exponent
    out.backward()
    assert exponent.grad == 2.0**v * math.log(2.0)
    assert out._children[0].grad == v * 2.0 ** (v - 1)
    out = 2.0**exponent
    out._children[0].data = -0.5  # to which no fractional power has a slope
    out.backward()
    assert math.isnan(exponent.grad)


def test_a_negative_base_has_integer_powers(lib: Any) -> None:
    base, exponent = lib.Value(-2.0), lib.Value(2.0)
    out = base**exponent
    out.backward()
    assert (out.data, base.grad) == (4.0, -4.0)
    assert math.isnan(exponent.grad)
    exponent = lib.Value(3.0)
    out = (-2.0) ** exponent
    out.backward()
    assert out.data == -8.0 and math.isnan(exponent.grad)


def test_slope_of_a_power_in_its_exponent_is_zero_at_base_zero(lib: Any) -> None:
    a, b = lib.Value(0.0), lib.Value(2.0)
    (a**b).backward()
    assert (a.grad, b.grad) == (0.0, 0.0)


@pytest.mark.parametrize("x", [400.0, 1e308, math.inf], ids=repr)
def test_tanh_is_one_where_the_exponential_overflows(lib: Any, x: float) -> None:
    a = lib.Value(x)
    t = a.tanh()
    t.backward()
    assert (t.data, a.grad) == (1.0, 0.0)


@pytest.mark.parametrize("x", [-1000.0, 1000.0])
def test_sigmoid_saturates_without_overflow(lib: Any, x: float) -> None:
    assert lib.Value(x).sigmoid().data == (0.0 if x < 0 else 1.0)
