"""The operands of a Value: _prev and _children, and the state that they keep."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import pytest
from values import first


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


def test_copy_of_a_list_of_values_holds_the_same_values(lib: Any) -> None:
    values = [lib.Value(1.0), lib.Value(2.0)]
    assert copy.copy(values) == values
