"""The surface of Value: what a program can write with one, and what it gets back."""

from __future__ import annotations

import copy
import gc
import math
import operator
import pickle
import sys
import weakref
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from conftest import balanced, collect
from reference import DEPTH_FIRST

# ---- what a Value can be made of ----

NUMBERS = [2, 2.5, True, -0.0, 2**100, 5e-324, math.inf, Fraction(1, 3), Decimal("0.1")]
NOT_NUMBERS = ["a", "1.0", b"1", None, 1j, [], (1.0,), {}, {1.0}, object(), int, range(3)]


def kind(x: Any) -> str:
    return type(x).__name__


def first(v: Any) -> Any:
    return next(iter(v._prev))


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


# ---- the graph ----


def test_prev_holds_the_operands_in_order(lib: Any) -> None:
    a, b = lib.Value(1.0), lib.Value(2.0)
    assert list((b - a + a)._prev)[1] is a
    assert list((a * b)._prev) == [a, b]
    assert list((b * a)._prev) == [b, a]


def test_prev_holds_a_repeated_operand_once(lib: Any) -> None:
    a = lib.Value(1.0)
    assert list((a + a)._prev) == [a]


def test_children_hold_a_repeated_operand_twice(lib: Any) -> None:
    a = lib.Value(1.0)
    assert (a + a)._children == (a, a)


def test_prev_is_a_set(lib: Any) -> None:
    a, b, c = lib.Value(1.0), lib.Value(2.0), lib.Value(3.0)
    prev = (a * b)._prev
    assert prev == {b, a}
    assert len(prev) == 2
    assert a in prev
    assert c not in prev
    assert prev & {a, c} == {a}
    assert set(prev) == {a, b}


def test_prev_gives_back_the_objects_that_were_operated_on(lib: Any) -> None:
    a, b = lib.Value(1.0), lib.Value(2.0)
    x, y = (a * b)._prev
    assert x is a
    assert y is b


def test_operand_that_nobody_holds_comes_back_as_the_same_object_while_held(mg: Any) -> None:
    v = mg.Value(2.0) * mg.Value(3.0) + mg.Value(4.0)
    product, leaf = v._prev
    assert first(v) is product
    assert list(v._prev)[1] is leaf
    assert (product._op, product.data, leaf.data) == ("*", 6.0, 4.0)


def test_operand_that_comes_back_is_the_node_itself(mg: Any) -> None:
    v = mg.Value(2.0) * mg.Value(3.0) + mg.Value(4.0)
    first(v).data = 10.0
    first(v).grad = 5.0
    assert [(p.data, p.grad) for p in v._prev] == [(10.0, 5.0), (4.0, 0.0)]


def test_operand_shared_by_two_results_is_one_object(mg: Any) -> None:
    def make() -> tuple[Any, Any]:
        shared = mg.Value(2.0) * 3.0
        return shared + 1.0, shared.tanh()

    one, other = make()
    assert first(one) is first(other)


def test_number_in_an_expression_is_a_leaf_of_the_graph(lib: Any) -> None:
    _, constant = (lib.Value(1.0) * 3)._prev
    assert (constant.data, constant._op, constant.grad, list(constant._prev)) == (3.0, "", 0.0, [])


def test_number_in_an_expression_gets_a_gradient(lib: Any) -> None:
    v = lib.Value(5.0) * 3
    v.backward()
    assert [p.grad for p in v._prev] == [3.0, 5.0]


def _labelled(v: Any) -> None:
    v.label = "hidden"


def _marked(v: Any) -> None:
    v.colour = "hidden"


@pytest.mark.parametrize(
    ("put", "get"),
    [(_labelled, lambda v: v.label), (_marked, lambda v: v.colour)],
    ids=["label", "attribute"],
)
@pytest.mark.parametrize(
    "make", [lambda mg: mg.Value(2.0), lambda mg: mg.Value(2.0) * 3.0], ids=["leaf", "result"]
)
def test_state_of_an_operand_lives_as_long_as_the_graph(
    mg: Any,
    make: Callable[[Any], Any],
    put: Callable[[Any], None],
    get: Callable[[Any], Any],
) -> None:
    operand = make(mg)
    result = operand.tanh()
    put(operand)
    del operand
    gc.collect()
    assert get(first(result)) == "hidden"


def test_state_put_before_the_operation_lives_as_long_as_the_graph(mg: Any) -> None:
    result = mg.Value(2.0, label="hidden").tanh()
    gc.collect()
    assert first(result).label == "hidden"


# ---- operators ----

INFIX = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "-": lambda v: -v,
    "abs": abs,
    "tanh": lambda v: v.tanh(),
    "exp": lambda v: v.exp(),
    "log": lambda v: v.log(),
    "relu": lambda v: v.relu(),
    "sigmoid": lambda v: v.sigmoid(),
    "sin": lambda v: v.sin(),
    "cos": lambda v: v.cos(),
    "sqrt": lambda v: v.sqrt(),
}
OPERANDS = [3, 3.0, 0.5, True, 0, -2.0, Fraction(1, 4), Decimal("0.75")]
DATA = [2.0, 0.7, 1.0, -0.0, 400.0, -3.5, math.inf, -math.inf, math.nan]


def described(v: Any) -> Any:
    """A graph as nested tuples: operator, data to the last bit, operands."""
    return v._op, v.data.hex(), [described(c) for c in v._children]


def outcome(apply: Callable[..., Any], *operands: Any) -> Any:
    try:
        return described(apply(*operands))
    except (ArithmeticError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("name", UNARY)
def test_unary_operator_records_what_the_reference_records(mg: Any, name: str) -> None:
    def outcomes(lib: Any) -> Any:
        return {x: outcome(UNARY[name], lib.Value(x)) for x in DATA}

    assert outcomes(mg) == outcomes(DEPTH_FIRST)


@pytest.mark.parametrize("y", DATA, ids=repr)
@pytest.mark.parametrize("name", INFIX)
def test_operator_on_values_records_what_the_reference_records(
    mg: Any, name: str, y: float
) -> None:
    def outcomes(lib: Any) -> Any:
        return {x: outcome(INFIX[name], lib.Value(x), lib.Value(y)) for x in DATA}

    assert outcomes(mg) == outcomes(DEPTH_FIRST)


@pytest.mark.parametrize("number", OPERANDS, ids=repr)
@pytest.mark.parametrize("name", INFIX)
def test_operator_with_a_number_right_records_what_the_reference_records(
    mg: Any, name: str, number: Any
) -> None:
    def outcomes(lib: Any) -> Any:
        return {x: outcome(INFIX[name], lib.Value(x), number) for x in DATA}

    assert outcomes(mg) == outcomes(DEPTH_FIRST)


@pytest.mark.parametrize("number", OPERANDS, ids=repr)
@pytest.mark.parametrize("name", INFIX)
def test_operator_with_a_number_left_records_what_the_reference_records(
    mg: Any, name: str, number: Any
) -> None:
    def outcomes(lib: Any) -> Any:
        return {x: outcome(INFIX[name], number, lib.Value(x)) for x in DATA}

    assert outcomes(mg) == outcomes(DEPTH_FIRST)


@pytest.mark.parametrize("y", DATA, ids=repr)
@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_of_values_records_what_the_reference_records(mg: Any, name: str, y: float) -> None:
    def outcomes(lib: Any) -> Any:
        choose = getattr(lib, name)
        return {x: outcome(choose, lib.Value(x), lib.Value(y)) for x in DATA}

    assert outcomes(mg) == outcomes(DEPTH_FIRST)


@pytest.mark.parametrize("number", OPERANDS, ids=repr)
@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_takes_a_number_on_either_side(mg: Any, name: str, number: Any) -> None:
    def outcomes(lib: Any) -> Any:
        choose, v = getattr(lib, name), lib.Value(0.5)
        return described(choose(v, number)), described(choose(number, v))

    assert outcomes(mg) == outcomes(DEPTH_FIRST)


# The graph of an expression, written out: (operator, data, operands).
GRAPHS: list[tuple[str, Callable[[Any, Any], Any], Any]] = [
    ("a + b", lambda a, b: a + b, ("+", 6.0, "a", "b")),
    ("a * b", lambda a, b: a * b, ("*", 8.0, "a", "b")),
    ("-a", lambda a, b: -a, ("*", -2.0, "a", -1.0)),
    ("a - b", lambda a, b: a - b, ("+", -2.0, "a", ("*", -4.0, "b", -1.0))),
    ("a / b", lambda a, b: a / b, ("*", 0.5, "a", ("**-1", 0.25, "b"))),
    ("a ** b", lambda a, b: a**b, ("**", 16.0, "a", "b")),
    ("a + 4", lambda a, b: a + 4, ("+", 6.0, "a", 4.0)),
    ("4 + a", lambda a, b: 4 + a, ("+", 6.0, "a", 4.0)),
    ("a - 4", lambda a, b: a - 4, ("+", -2.0, "a", -4.0)),
    ("4 - a", lambda a, b: 4 - a, ("+", 2.0, ("*", -2.0, "a", -1.0), 4.0)),
    ("4 * a", lambda a, b: 4 * a, ("*", 8.0, "a", 4.0)),
    ("a / 4", lambda a, b: a / 4, ("*", 0.5, "a", 0.25)),
    ("4 / a", lambda a, b: 4 / a, ("*", 2.0, ("**-1", 0.5, "a"), 4.0)),
    ("a ** 3", lambda a, b: a**3, ("**3", 8.0, "a")),
    ("3 ** a", lambda a, b: 3**a, ("**", 9.0, 3.0, "a")),
    ("a.relu()", lambda a, b: a.relu(), ("ReLU", 2.0, "a")),
    ("abs(-a)", lambda a, b: abs(-a), ("abs", 2.0, ("*", -2.0, "a", -1.0))),
]


@pytest.mark.parametrize(
    ("expression", "graph"), [row[1:] for row in GRAPHS], ids=[r[0] for r in GRAPHS]
)
def test_expression_records_this_graph(
    lib: Any, expression: Callable[[Any, Any], Any], graph: Any
) -> None:
    a, b = lib.Value(2.0, label="a"), lib.Value(4.0, label="b")

    def drawn(v: Any) -> Any:
        if v._op:
            return (v._op, v.data, *(drawn(child) for child in v._children))
        return v.label or v.data

    assert drawn(expression(a, b)) == graph


@pytest.mark.parametrize(
    ("name", "op"),
    [("maximum", "max"), ("minimum", "min")],
)
def test_choice_is_named_in_the_graph(lib: Any, name: str, op: str) -> None:
    assert getattr(lib, name)(lib.Value(1.0), 2.0)._op == op


@pytest.mark.parametrize("name", ["tanh", "exp", "log", "sigmoid", "sin", "cos", "sqrt"])
def test_function_is_named_in_the_graph(lib: Any, name: str) -> None:
    assert getattr(lib.Value(0.5), name)()._op == name


@pytest.mark.parametrize(
    "n",
    [
        2,
        -1,
        0,
        2.0,
        0.5,
        -1.5,
        1e22,
        1e-7,
        10**15,
        2**53 + 1,
        True,
        Fraction(1, 2),
        Decimal("0.50"),
    ],
    ids=repr,
)
def test_power_is_named_with_the_exponent_as_python_formats_it(lib: Any, n: Any) -> None:
    assert (lib.Value(1.0) ** n)._op == f"**{n}"


def test_plus_gives_the_value_itself(lib: Any) -> None:
    v = lib.Value(1.0)
    assert +v is v


BINARY_METHODS = ["add", "sub", "mul", "truediv", "pow"]
BINARY_METHODS += ["r" + name for name in BINARY_METHODS]


@pytest.mark.parametrize("x", NOT_NUMBERS, ids=kind)
@pytest.mark.parametrize("name", BINARY_METHODS)
def test_operator_method_returns_not_implemented_for_what_is_no_number(
    lib: Any, name: str, x: Any
) -> None:
    assert getattr(lib.Value(2.0), f"__{name}__")(x) is NotImplemented


UNSUPPORTED = "unsupported operand type"


@pytest.mark.parametrize("x", [None, 1j, object(), {}, range(3)], ids=kind)
@pytest.mark.parametrize("name", INFIX)
def test_operator_with_what_is_no_number_is_pythons_type_error(lib: Any, name: str, x: Any) -> None:
    v = lib.Value(2.0)
    with pytest.raises(TypeError, match=UNSUPPORTED):
        INFIX[name](v, x)
    with pytest.raises(TypeError, match=UNSUPPORTED):
        INFIX[name](x, v)


@pytest.mark.parametrize("x", ["a", b"a", [], ()], ids=kind)
@pytest.mark.parametrize("name", INFIX)
def test_operator_with_a_sequence_is_a_type_error(lib: Any, name: str, x: Any) -> None:
    v = lib.Value(2.0)
    with pytest.raises(TypeError):
        INFIX[name](v, x)
    with pytest.raises(TypeError):
        INFIX[name](x, v)


@pytest.mark.parametrize("name", BINARY_METHODS[:5])
def test_operator_leaves_an_unknown_right_operand_its_turn(lib: Any, name: str) -> None:
    class Other:
        pass

    setattr(Other, f"__r{name}__", lambda self, left: ("reflected", left))
    v = lib.Value(2.0)
    assert getattr(operator, name)(v, Other()) == ("reflected", v)


def test_power_with_a_modulus_is_a_type_error(lib: Any) -> None:
    v = lib.Value(2.0)
    with pytest.raises(TypeError):
        pow(v, 2, 3)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_with_what_is_no_number_is_a_type_error(lib: Any, name: str) -> None:
    v = lib.Value(2.0)
    with pytest.raises(TypeError):
        getattr(lib, name)(v, "a")
    with pytest.raises(TypeError):
        getattr(lib, name)(None, v)


def test_sum_of_values_starts_from_pythons_zero(lib: Any) -> None:
    total = sum([lib.Value(1.0), lib.Value(2.0)])
    total.backward()
    assert (total.data, [c.grad for c in total._children]) == (3.0, [1.0, 1.0])


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


# ---- an open class ----


def test_method_can_be_added_to_the_class(lib: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        lib.Value, "sinh", lambda self: (self.exp() - (-self).exp()) / 2, raising=False
    )
    v = lib.Value(1.0)
    assert v.sinh().data == pytest.approx(math.sinh(1.0), rel=1e-15)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("__rmul__", lambda v: 2.0 * v),
        ("__mul__", lambda v: v * 2.0),
        ("__radd__", lambda v: 2.0 + v),
        ("__add__", lambda v: v + 2.0),
        ("__rsub__", lambda v: 2.0 - v),
        ("__pow__", lambda v: v**2.0),
        ("__rpow__", lambda v: 2.0**v),
        ("__truediv__", lambda v: v / 2.0),
    ],
)
def test_operator_can_be_replaced_on_the_class(
    lib: Any, monkeypatch: pytest.MonkeyPatch, name: str, use: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(lib.Value, name, lambda self, other: (name, other))
    assert use(lib.Value(3.0)) == (name, 2.0)


def test_replaced_operator_leaves_the_others_alone(
    lib: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lib.Value, "__rmul__", lambda self, other: self * other * 10)
    v = lib.Value(3.0)
    assert [(2.0 * v).data, (v * 2.0).data, (v * v).data, (2.0 + v).data] == [60.0, 6.0, 9.0, 5.0]


def test_operator_works_again_after_the_original_is_put_back(lib: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lib.Value, "__mul__", lambda self, other: "replaced")
        patch.setattr(lib.Value, "__rmul__", lambda self, other: "replaced")
    v = lib.Value(3.0)
    assert [(v * 2.0).data, (2.0 * v).data, (v * v).data] == [6.0, 6.0, 9.0]


def test_repr_can_be_replaced_on_the_class(lib: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.Value, "__repr__", lambda self: f"<{self.data}>")
    assert repr(lib.Value(3.0)) == "<3.0>"


# ---- subclasses, attributes, references ----


def test_subclass_has_methods_and_a_constructor_of_its_own(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        def __init__(self, x: float, size: int) -> None:
            super().__init__(x, label="w")
            self.size = size

        def scaled(self) -> float:
            return float(self.data * self.size)

    w = Weight(2.0, size=3)
    assert (w.scaled(), w.label, isinstance(w, lib.Value)) == (6.0, "w", True)


def test_instance_of_a_subclass_comes_back_from_the_graph(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc]
        pass

    v = mg.Value(3.0) * Weight(2.0)
    gc.collect()
    assert type(list(v._prev)[1]) is Weight


def test_gradient_reaches_an_instance_of_a_subclass(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        pass

    w = Weight(2.0)
    (lib.Value(3.0) * w).backward()
    assert w.grad == 3.0


@pytest.mark.parametrize(
    "apply",
    [
        lambda v: v * 2.0,
        lambda v: 2.0 * v,
        lambda v: v - 1.0,
        lambda v: 1.0 - v,
        lambda v: v / v,
        lambda v: v**2,
        lambda v: 2.0**v,
        lambda v: -v,
        lambda v: abs(v),
        lambda v: v.tanh(),
    ],
    ids=["v*2", "2*v", "v-1", "1-v", "v/v", "v**2", "2**v", "-v", "abs", "tanh"],
)
def test_result_from_a_subclass_is_of_the_subclass(lib: Any, apply: Callable[[Any], Any]) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        pass

    assert type(apply(Weight(2.0))) is Weight


def test_result_is_of_the_left_operands_class(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        pass

    v, w = lib.Value(1.0), Weight(2.0)
    assert [type(v + w), type(w + v)] == [lib.Value, Weight]


def test_result_from_a_subclass_is_made_by_its_own_constructor(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc]
        def __init__(self, data: float, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op)
            self.origin = (data, op, len(self._children))

    w = Weight(2.0)
    result: Any = w * 3.0
    result.backward()
    assert (result.origin, w.grad) == ((6.0, "*", 2), 3.0)


def test_operator_overridden_in_a_subclass_is_called(lib: Any) -> None:
    class Loud(lib.Value):  # type: ignore[misc]
        def __add__(self, other: Any) -> Any:
            return "mine"

        def __rmul__(self, other: Any) -> Any:
            return "reflected"

    loud = Loud(1.0)
    assert [loud + 1.0, loud + loud, 2.0 * loud] == ["mine", "mine", "reflected"]
    assert lib.Value(2.0) * loud == "reflected"


def test_attributes_are_free(lib: Any) -> None:
    v = lib.Value(1.0)
    v.momentum = 0.5
    v.momentum += 0.25
    assert v.momentum == 0.75
    del v.momentum
    assert not hasattr(v, "momentum")


def test_missing_attribute_is_an_attribute_error(lib: Any) -> None:
    v = lib.Value(1.0)
    with pytest.raises(AttributeError, match="nothing"):
        _ = v.nothing


def test_weak_reference_dies_with_the_value(lib: Any) -> None:
    v = lib.Value(1.0)
    reference = weakref.ref(v)
    assert reference() is v
    del v
    gc.collect()
    assert reference() is None


def test_values_are_weak_keys(lib: Any) -> None:
    v = lib.Value(1.0)
    table: Any = weakref.WeakKeyDictionary({v: "moment"})
    assert table[v] == "moment"
    del v
    gc.collect()
    assert len(table) == 0


def test_reference_to_the_value_survives_the_use_in_a_graph(mg: Any) -> None:
    v = mg.Value(1.0)
    reference = weakref.ref(v)
    result = v.tanh()
    assert reference() is first(result)


# ---- backward ----


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


# ---- one node at a time ----


def test_backward_of_one_node_pushes_its_gradient_to_its_operands_once(lib: Any) -> None:
    a, b = lib.Value(2.0), lib.Value(3.0)
    c = a * b
    c.grad = 10.0
    c._backward()
    assert (a.grad, b.grad) == (30.0, 20.0)
    c._backward()
    assert (a.grad, b.grad) == (60.0, 40.0)


def test_backward_of_one_leaf_does_nothing(lib: Any) -> None:
    a = lib.Value(2.0)
    a.grad = 5.0
    a._backward()
    assert (a.data, a.grad) == (2.0, 5.0)


def _cube(lib: Any, v: Any) -> Any:
    """v**3 as an operator of the program's own."""
    out = lib.Value(v.data**3, (v,), "cube")

    def _backward() -> None:
        v.grad += 3 * v.data**2 * out.grad

    out._backward = _backward
    return out


def test_closure_is_called_in_its_turn(lib: Any) -> None:
    a = lib.Value(2.0)
    b = a * 3.0
    c = _cube(lib, b)
    d = c * 5.0 + b
    d.backward()
    assert (c.grad, b.grad, a.grad) == (5.0, 541.0, 1623.0)


def test_closure_is_read_back(lib: Any) -> None:
    def closure() -> None:
        pass

    v = lib.Value(2.0)
    v._backward = closure
    assert v._backward is closure


def test_closure_replaces_the_operators_own_rule(lib: Any) -> None:
    a = lib.Value(2.0)
    b = a * 3.0
    b._backward = lambda: None
    (b + a).backward()
    assert (b.grad, a.grad) == (1.0, 1.0)


def test_closure_of_a_dropped_operand_is_called(lib: Any) -> None:
    a = lib.Value(2.0)
    c = _cube(lib, a) * 2.0
    gc.collect()
    c.backward()
    assert a.grad == 24.0


def test_exception_of_a_closure_leaves_backward(lib: Any) -> None:
    def fail() -> None:
        raise KeyError("closure")

    a = lib.Value(2.0)
    b = a * 3.0
    b._backward = fail
    c = b * 5.0
    with pytest.raises(KeyError, match="closure") as caught:
        c.backward()
    assert caught.traceback[-1].name == "fail"
    assert (c.grad, b.grad, a.grad) == (1.0, 5.0, 0.0)


def test_graph_is_sound_after_an_exception_of_a_closure(lib: Any) -> None:
    def fail() -> None:
        raise KeyError("closure")

    a = lib.Value(2.0)
    b = a * 3.0
    b._backward = fail
    c = b * 5.0
    with pytest.raises(KeyError):
        c.backward()
    b._backward = lambda: None
    b.grad = 0.0
    c.backward()
    assert (c.grad, b.grad, a.grad) == (1.0, 5.0, 0.0)


def test_closure_may_record_and_differentiate_another_graph(lib: Any) -> None:
    a, other = lib.Value(2.0), lib.Value(3.0)
    b = a * 3.0

    def closure() -> None:
        (other * other).backward()
        a.grad += 100.0

    b._backward = closure
    (b * 5.0 + a).backward()
    assert (a.grad, other.grad) == (101.0, 6.0)


LOCAL_GRADS: list[tuple[str, Callable[[Any, Any], Any], tuple[float, ...]]] = [
    ("a + b", lambda a, b: a + b, (1.0, 1.0)),
    ("a * b", lambda a, b: a * b, (0.5, 2.0)),
    ("a * a", lambda a, b: a * a, (2.0, 2.0)),
    ("a ** 3", lambda a, b: a**3, (12.0,)),
    ("a ** b", lambda a, b: a**b, (0.5 * 2.0**-0.5, 2.0**0.5 * math.log(2.0))),
    ("exp", lambda a, b: a.exp(), (math.exp(2.0),)),
    ("log", lambda a, b: a.log(), (0.5,)),
    ("relu", lambda a, b: a.relu(), (1.0,)),
    ("sin", lambda a, b: a.sin(), (math.cos(2.0),)),
    ("leaf", lambda a, b: a, ()),
]


@pytest.mark.parametrize(
    ("apply", "partials"), [row[1:] for row in LOCAL_GRADS], ids=[row[0] for row in LOCAL_GRADS]
)
def test_local_gradients_are_the_partial_derivatives(
    mg: Any, apply: Callable[[Any, Any], Any], partials: tuple[float, ...]
) -> None:
    assert tuple(apply(mg.Value(2.0), mg.Value(0.5))._local_grads) == partials


def test_copy_of_a_list_of_values_holds_the_same_values(lib: Any) -> None:
    values = [lib.Value(1.0), lib.Value(2.0)]
    assert copy.copy(values) == values


# ---- foreign code in the middle of things ----


def test_looking_up_a_power_may_construct_the_exponent_again(mg: Any) -> None:
    class Descriptor:
        def __get__(self, instance: Any, owner: Any) -> Any:
            exponent.__init__(7.0)
            return mg.Value.__pow__

    class Own(mg.Value):  # type: ignore[misc,name-defined]
        __pow__ = Descriptor()

    exponent = Own(2.0)
    assert (2.0**exponent).data == 128.0


def test_a_finalizer_may_construct_its_value_again(mg: Any) -> None:
    mg.Value.__del__ = lambda self: self.__init__(9.0)
    try:
        for _ in range(10):
            mg.Value(1.0) * 2.0
        collect()
    finally:
        del mg.Value.__del__
    assert [type(mg.Value(1.0)) for _ in range(20)] == [mg.Value] * 20


# ---- many labels ----

MANY_LABELS = [f"one of many: {i}" for i in range(600)]


@pytest.mark.parametrize("kind", ["leaf", "result", "custom"])
def test_each_of_many_labels_is_what_was_assigned_last(mg: Any, kind: str) -> None:
    a = mg.Value(1.0)
    make = {"leaf": mg.Value, "result": a.__mul__, "custom": lambda x: mg.Value(x, (a,))}[kind]
    values = [make(1.0) for _ in MANY_LABELS]
    for labels in (MANY_LABELS, MANY_LABELS[::-1], ["", *MANY_LABELS[:-1]], [("a", "tuple")] * 600):
        for v, label in zip(values, labels):
            v.label = label
        assert [v.label for v in values] == labels
    for v in values:
        v.label = ""
    assert {v.label for v in values} == {""}


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_each_of_many_labels_is_copied(mg: Any, copied: Any) -> None:
    leaves = [mg.Value(1.0, label=label) for label in MANY_LABELS]
    results = [v * 2.0 for v in leaves]
    for v, label in zip(results, MANY_LABELS):
        v.label = label
    assert [v.label for v in map(copied, leaves)] == MANY_LABELS
    assert [v.label for v in map(copied, results)] == MANY_LABELS


def test_a_value_with_one_of_many_labels_may_be_constructed_again(mg: Any) -> None:
    a = mg.Value(1.0)
    values = [mg.Value(1.0, label=label) for label in MANY_LABELS]
    results = [v + 1.0 for v in values]
    for v, label in zip(values, MANY_LABELS):
        v.__init__(2.0, (a,), "", label + "!")
    assert [v.label for v in values] == [label + "!" for label in MANY_LABELS]
    assert {v._children[0].label for v in results} == {""}


def test_one_of_many_labels_may_be_given_by_a_subclass_to_its_results(mg: Any) -> None:
    labels = iter(MANY_LABELS)

    class Labelled(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: float, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op, next(labels))

    v = Labelled(1.0)
    assert [(v * 2.0).label for _ in MANY_LABELS[1:]] == MANY_LABELS[1:]
    assert v.label == MANY_LABELS[0]


LONG_LABELS = {
    "megabyte": "x" * 1_000_000,
    "sentence": "the weight from the last hidden neuron to the first of the two outputs",
    "not ascii": "θ" * 65,
}


@pytest.mark.parametrize("kind", LONG_LABELS)
@pytest.mark.parametrize("result", [False, True])
def test_a_long_label_lives_as_long_as_its_values(mg: Any, kind: str, result: bool) -> None:
    label = LONG_LABELS[kind] + "!"
    unused = sys.getrefcount(label)
    v = mg.Value(2.0)
    v = v * 1.0 if result else v
    v.label = label
    above = v + 1.0
    del v
    assert above._children[0].label == label
    del above
    assert sys.getrefcount(label) == unused


@pytest.mark.parametrize("kind", LONG_LABELS)
def test_a_long_label_gives_way_to_a_short_one(mg: Any, kind: str) -> None:
    v = mg.Value(2.0, label=LONG_LABELS[kind])
    v.label = "short"
    assert v.label == "short"
    v.label = LONG_LABELS[kind]
    assert v.label == LONG_LABELS[kind]
    v.label = ""
    assert v.label == ""


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
@pytest.mark.parametrize("kind", LONG_LABELS)
def test_a_long_label_is_copied(mg: Any, kind: str, copied: Any) -> None:
    v = mg.Value(2.0, label=LONG_LABELS[kind])
    assert copied(v).label == LONG_LABELS[kind]
