"""The gradient checker."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from conftest import balanced
from values import OPERATIONS, halved


def wrong_square(mg: Any) -> Callable[[Any], Any]:
    """A custom rule with a closure that is off by a factor."""

    def square(x: Any) -> Any:
        out = mg.Value(x.data**2, (x,), "square")

        def _backward() -> None:
            x.grad += x.data * out.grad  # 2 x is right

        out._backward = _backward
        return out

    return square


WRONG: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "closure off by a factor": wrong_square,
    "closure of the wrong sign": lambda mg: lambda x: mg.Value(-x.data, (x,), (1.0,)),
    "local gradients off by a little": lambda mg: lambda x: mg.Value(x.data**2, (x,), (4.002,)),
    "no rule at all": lambda mg: lambda x: mg.Value(x.data**2, (x,), "square"),
    "graph that is cut": lambda mg: lambda x: mg.Value(x.data) * 2.0,
    "gradient that is nan": lambda mg: lambda x: mg.Value(x.data, (x,), (math.nan,)),
    "gradient that is infinite": lambda mg: lambda x: mg.Value(x.data, (x,), (math.inf,)),
    "wrong only within a graph": lambda mg: lambda x: (wrong_square(mg)(x) * 3.0 + x).tanh(),
}


@pytest.mark.parametrize("rule", WRONG)
def test_gradcheck_rejects_a_wrong_rule(mg: Any, rule: str) -> None:
    with pytest.raises(AssertionError):
        mg.gradcheck(WRONG[rule](mg), 2.0 if rule != "wrong only within a graph" else 0.25)


@pytest.mark.parametrize(
    "name", [name for name in OPERATIONS if name not in ("maximum(w, 1)", "minimum(1, w)")]
)
def test_gradcheck_accepts_every_operator(mg: Any, name: str) -> None:
    assert mg.gradcheck(lambda w, x: OPERATIONS[name](mg, w, x), 1.5, 2.5) is True


def test_gradcheck_accepts_a_right_closure(mg: Any) -> None:
    assert mg.gradcheck(lambda x: halved(mg, x) * x, 3.0) is True


def test_gradcheck_names_the_input_both_numbers_and_the_difference(mg: Any) -> None:
    def product(x: Any, y: Any) -> Any:
        return mg.Value(x.data * y.data, (x, y), (y.data, 5.0))

    with pytest.raises(AssertionError) as caught:
        mg.gradcheck(product, 2.0, 3.0)
    message = str(caught.value)
    assert "input 1" in message
    assert "at 3.0" in message
    assert "5.0" in message
    assert "1.99999" in message or "2.00000" in message
    assert "0.6" in message  # |5 - 2| / 5


def test_gradcheck_leaves_its_inputs_alone(mg: Any) -> None:
    x = mg.Value(2.0, label="x")
    x.grad = 7.0
    mg.gradcheck(lambda v: v * v, x)
    assert (x.data, x.grad, x.label) == (2.0, 7.0, "x")


def test_gradcheck_leaves_no_node_behind(mg: Any) -> None:
    with balanced(mg):
        mg.gradcheck(lambda x, y: (x * y).tanh() + halved(mg, x), 0.5, -0.25)


def test_gradcheck_takes_values_and_numbers(mg: Any) -> None:
    assert mg.gradcheck(lambda x, y, z: x * y + z, mg.Value(2.0), 3, Fraction(1, 2))


def test_gradcheck_of_no_input_has_nothing_to_find(mg: Any) -> None:
    assert mg.gradcheck(lambda: mg.Value(1.0))


def test_gradcheck_passes_on_what_the_function_raises(mg: Any) -> None:
    with pytest.raises(ValueError, match="log"):
        mg.gradcheck(lambda x: x.log(), -1.0)


@pytest.mark.parametrize("result", [None, 1.0, "x"])
def test_gradcheck_wants_a_value_from_the_function(mg: Any, result: Any) -> None:
    with pytest.raises(TypeError, match="must return a Value"):
        mg.gradcheck(lambda x: result, 1.0)


@pytest.mark.parametrize("names", [{"eps": 0.0}, {"eps": -1.0}, {"tol": 0.0}, {"tol": math.nan}])
def test_gradcheck_wants_positive_steps_and_tolerances(mg: Any, names: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        mg.gradcheck(lambda x: x, 1.0, **names)


def test_gradcheck_judges_by_the_tolerance(mg: Any) -> None:
    def rule(x: Any) -> Any:
        return mg.Value(x.data**2, (x,), (2 * x.data + 0.01,))

    assert mg.gradcheck(rule, 2.0, tol=0.1)
    with pytest.raises(AssertionError):
        mg.gradcheck(rule, 2.0, tol=1e-3)
