"""Local gradients: as given, and as the partial derivatives of an operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from dialects import CreationOrderedLocalGrads

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


def test_given_local_gradients_are_read_as_given(mg: Any) -> None:
    given = (1, Fraction(1, 3))
    v = mg.Value(2.0, (mg.Value(1.0), mg.Value(2.0)), given)
    assert v._local_grads == given
    assert [type(partial) for partial in v._local_grads] == [int, Fraction]


def test_given_local_gradients_do_not_follow_the_data(mg: Any) -> None:
    x = mg.Value(3.0)
    v = mg.Value(9.0, (x,), (6.0,))
    x.data = 100.0
    v.backward()
    assert (v._local_grads, x.grad) == ((6.0,), 6.0)


def test_partials_of_an_operator_follow_the_data(mg: Any) -> None:
    x = mg.Value(3.0)
    v = x**2
    x.data = 5.0
    assert v._local_grads == (10.0,)


def test_partials_of_a_product_with_itself_are_two(mg: Any) -> None:
    x = mg.Value(3.0)
    assert (x * x)._local_grads == (3.0, 3.0)


def test_partial_that_does_not_exist_is_pythons_error(mg: Any) -> None:
    v = mg.Value(0.0).sqrt()
    with pytest.raises(ZeroDivisionError):
        v._local_grads  # noqa: B018


def test_leaf_has_no_local_gradients(mg: Any) -> None:
    assert mg.Value(1.0)._local_grads == ()


def test_gradients_by_hand_from_local_gradients_are_those_of_backward(mg: Any) -> None:
    def build(cls: Any) -> tuple[Any, Any, Any]:
        a, b = cls(0.5), cls(1.5)
        return a, b, ((a * b).exp() + (a + b).log() * a).relu() ** 2 / b

    def by_hand(root: Any) -> None:
        order: list[Any] = []
        visited = set()

        def visit(v: Any) -> None:
            if v not in visited:
                visited.add(v)
                for child in v._children:
                    visit(child)
                order.append(v)

        visit(root)
        root.grad = 1
        for v in reversed(order):
            for child, local in zip(v._children, v._local_grads):
                child.grad += local * v.grad

    a, b, root = build(mg.Value)
    by_hand(root)
    c, d, same = build(CreationOrderedLocalGrads)
    same.backward()
    assert (root.data, same.data) == (same.data, root.data)
    assert [a.grad, b.grad] == pytest.approx([c.grad, d.grad], rel=1e-14)


def test_logarithm_by_local_gradients_is_the_operators(mg: Any) -> None:
    x, y = mg.Value(3.0), mg.Value(3.0)
    mg.Value(math.log(x.data), (x,), (1 / x.data,)).backward()
    y.log().backward()
    assert x.grad == y.grad


def test_node_keeps_its_local_gradients_when_its_value_is_constructed_again(mg: Any) -> None:
    a = mg.Value(0.5)
    v = mg.Value(2.0, (a, a), (3.0, 4.0))
    out = v * 2.0
    v.__init__(1.0)
    assert out._children[0]._local_grads == (3.0, 4.0)
    out.backward()
    assert a.grad == 14.0
