"""The operators of Value: what each records, and what each takes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from random_programs import UNARY
from reference import DEPTH_FIRST
from values import NOT_NUMBERS, kind

INFIX = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
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


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_of_more_than_two_is_pairwise_from_the_left(lib: Any, name: str) -> None:
    choose = getattr(lib, name)
    a, b = lib.Value(2.0), lib.Value(4.0)
    pairs = choose(choose(choose(choose(a, b), 3.0), b), 0.5)
    assert described(choose(a, b, 3.0, b, 0.5)) == described(pairs)
    choose(1, a, a, 2, b).backward()
    grads = a.grad, b.grad
    a.grad = b.grad = 0.0
    choose(choose(choose(choose(1, a), a), 2), b).backward()
    assert grads == (a.grad, b.grad)
    assert choose(1, 2, 3).data == (3.0 if name == "maximum" else 1.0)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_choice_of_less_than_two_is_a_type_error(lib: Any, name: str) -> None:
    for arguments in ((), (lib.Value(1.0),)):
        with pytest.raises(TypeError):
            getattr(lib, name)(*arguments)


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
    with pytest.raises(TypeError):
        getattr(lib, name)(v, 1.0, v, "a")


def test_sum_of_values_starts_from_pythons_zero(lib: Any) -> None:
    total = sum([lib.Value(1.0), lib.Value(2.0)])
    total.backward()
    assert (total.data, [c.grad for c in total._children]) == (3.0, [1.0, 1.0])
