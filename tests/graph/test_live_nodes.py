"""Nothing leaks: no node outlives its use."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import pytest
from conftest import balanced, live


def plain(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    ((a * b + 1.0).tanh() / (a - b) ** 2).backward()


def backward_three_times(mg: Any) -> None:
    root = mg.Value(2.0) * 3.0
    for _ in range(3):
        root.backward()


def constants_only(mg: Any) -> None:
    v = mg.Value(2.0)
    for _ in range(10):
        v = 1.0 - 2.0 / (3.0 + v * 4.0) ** 2


def labels(mg: Any) -> None:
    a = mg.Value(2.0, label="a")
    b = a * 3.0
    b.label = "b"
    c = b + a
    c.label = "c"
    c.backward()


def labels_on_what_nobody_holds(mg: Any) -> None:
    v = mg.Value(2.0)
    for i in range(10):
        v.label = str(i)
        v = v * 2.0


def attributes(mg: Any) -> None:
    a = mg.Value(2.0)
    a.moment = [1.0]
    b = a.exp()
    b.moment = a.moment
    (a + b).backward()


def attribute_that_is_the_value_itself(mg: Any) -> None:
    a = mg.Value(2.0)
    a.me = a
    b = a * 3.0
    b.me = b
    del a, b


def attribute_that_is_a_value_above(mg: Any) -> None:
    a = mg.Value(2.0)
    b = a * 3.0
    c = b * 4.0
    a.above, b.above = c, c
    del a, b, c


def closure_that_captures_its_node(mg: Any) -> None:
    a = mg.Value(2.0)
    out = mg.Value(a.data**3, (a,), "cube")

    def _backward() -> None:
        a.grad += 3 * a.data**2 * out.grad

    out._backward = _backward
    (out * 2.0).backward()


def closure_over_the_root(mg: Any) -> None:
    a = mg.Value(2.0)
    b = a * 3.0
    root = b + a
    b._backward = lambda: setattr(a, "grad", root.grad)
    root.backward()


def reading_closures(mg: Any) -> None:
    root = mg.Value(2.0) * 3.0
    pushes = [root._backward, *(v._backward for v in root._prev)]
    for push in pushes:
        push()


def subclass_instances(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc]
        pass

    w = Weight(2.0)
    w.moment = 1.0
    ((w * 3.0) + mg.Value(1.0) * w).backward()


def slotted_subclass_instances(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc]
        __slots__ = ("moment",)

    w: Any = Weight(2.0)
    w.moment = [1.0]
    (w * 3.0).backward()


def looking_at_operands(mg: Any) -> None:
    root = (mg.Value(2.0) * 3.0 + 4.0).tanh()
    for v in root._prev:
        assert [len(u._prev) for u in v._prev] == [2, 0]


def exception_of_the_domain(mg: Any) -> None:
    a = mg.Value(-2.0)
    with pytest.raises(ValueError, match="log"):
        (a * 2.0).log()
    with pytest.raises(ValueError, match=r"0\.5"):
        2.0 * (a + 1.0) ** 0.5
    with pytest.raises(ZeroDivisionError):
        1 / (a + 2.0)


def exception_in_backward(mg: Any) -> None:
    root = mg.Value(0.0).sqrt() * 3.0
    with pytest.raises(ZeroDivisionError):
        root.backward()


def exception_in_a_closure(mg: Any) -> None:
    def fail() -> None:
        raise KeyError

    b = mg.Value(2.0) * 3.0
    b._backward = fail
    root = b * 2.0
    with pytest.raises(KeyError):
        root.backward()


def exception_in_a_constructor(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(2.0)
            raise KeyError

    with pytest.raises(KeyError):
        Weight()


def rejected_arguments(mg: Any) -> None:
    a = mg.Value(2.0)
    for arguments in (("x",), (1.0, (a, 2.0)), (1.0, (a,), "", "", "more")):
        with pytest.raises(TypeError):
            mg.Value(*arguments)


def rejected_operands(mg: Any) -> None:
    a = mg.Value(2.0)
    others: list[Any] = ["x", None, [], 1j]
    for other in others:
        with pytest.raises(TypeError):
            a + other
        with pytest.raises(TypeError):
            other / a


def called_constructor_again(mg: Any) -> None:
    a = mg.Value(2.0)
    b = a * 3.0
    b.__init__(5.0)
    b.__init__(6.0, (a,), "again")
    (b * b).backward()


def subclass_that_never_calls_the_constructor(mg: Any) -> None:
    class Weight(mg.Value):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

    w = Weight()
    w.anything = 1
    (mg.Value(1.0) + w).backward()


def leaves_dropped_first(mg: Any) -> None:
    values = [mg.Value(float(i)) for i in range(100)]
    root: Any = sum(values)
    values.clear()
    gc.collect()
    root.backward()


def root_dropped_first(mg: Any) -> None:
    chain = [mg.Value(1.0)]
    for _ in range(100):
        chain.append(chain[-1] * 1.5 + chain[len(chain) // 2])
    while chain:
        chain.pop()


def middle_kept(mg: Any) -> None:
    a = mg.Value(1.0)
    middle = a * 2.0
    top = middle * 3.0
    del top
    (middle + 1.0).backward()


def many_operands(mg: Any) -> None:
    leaf = mg.Value(1.0)
    root = mg.Value(0.0, [leaf] * 1000 + [mg.Value(2.0) for _ in range(1000)], "many")
    root._backward = lambda: None
    (root + 1.0).backward()


USES: list[Callable[[Any], None]] = [
    plain,
    backward_three_times,
    constants_only,
    labels,
    labels_on_what_nobody_holds,
    attributes,
    attribute_that_is_the_value_itself,
    attribute_that_is_a_value_above,
    closure_that_captures_its_node,
    closure_over_the_root,
    reading_closures,
    subclass_instances,
    slotted_subclass_instances,
    looking_at_operands,
    exception_of_the_domain,
    exception_in_backward,
    exception_in_a_closure,
    exception_in_a_constructor,
    rejected_arguments,
    rejected_operands,
    called_constructor_again,
    subclass_that_never_calls_the_constructor,
    leaves_dropped_first,
    root_dropped_first,
    middle_kept,
    many_operands,
]


@pytest.mark.parametrize("use", USES, ids=lambda f: f.__name__)
def test_no_node_outlives_its_use(mg: Any, use: Callable[[Any], None]) -> None:
    with balanced(mg):
        use(mg)


@pytest.mark.parametrize("use", [plain, constants_only, backward_three_times, root_dropped_first])
def test_plain_graph_is_freed_without_the_garbage_collector(
    mg: Any, use: Callable[[Any], None]
) -> None:
    gc.collect()
    gc.disable()
    try:
        before = live(mg)
        use(mg)
        assert live(mg) == before
    finally:
        gc.enable()


def test_labels_and_attributes_are_freed_without_the_garbage_collector(mg: Any) -> None:
    gc.collect()
    gc.disable()
    try:
        before = live(mg)
        labels(mg)
        labels_on_what_nobody_holds(mg)
        attributes(mg)
        assert live(mg) == before
    finally:
        gc.enable()


def test_every_operation_counts_one_node(mg: Any) -> None:
    nodes, leaves = live(mg)
    a, b = mg.Value(1.0), mg.Value(2.0)
    c = a * b
    d = c.tanh()
    assert live(mg) == (nodes + 2, leaves + 2)
    del d
    assert live(mg) == (nodes + 1, leaves + 2)


def test_operand_that_nobody_holds_lives_as_long_as_its_result(mg: Any) -> None:
    nodes, leaves = live(mg)
    d = (mg.Value(1.0) * mg.Value(2.0)).tanh()
    assert live(mg) == (nodes + 2, leaves + 2)
    del d
    assert live(mg) == (nodes, leaves)


def test_constant_counts_beside_its_operation(mg: Any) -> None:
    nodes, leaves = live(mg)
    a = mg.Value(1.0)
    b = a * 2.0
    assert live(mg) == (nodes + 2, leaves + 1)
    del b
    assert live(mg) == (nodes, leaves + 1)


def interwoven(mg: Any) -> tuple[list[Any], list[Any]]:
    """Leaves, and roots grown from them in turns, each using the others now and then."""
    draw = random.Random(3)
    leaves = [mg.Value(1.0) for _ in range(6)]
    roots = list(leaves)
    for _ in range(800):
        for i, root in enumerate(roots):
            other = roots[draw.randrange(6)] if draw.random() < 0.1 else root
            roots[i] = root * 0.5 + other * 0.5 + mg.Value(draw.random())
    return leaves, roots


def test_a_graph_that_dies_leaves_those_it_is_interwoven_with_whole(mg: Any) -> None:
    with balanced(mg):
        leaves, roots = interwoven(mg)
        roots[5].backward()
        expected = [leaf.grad for leaf in leaves]
        del leaves, roots
        leaves, roots = interwoven(mg)
        survivor = roots.pop()
        roots.clear()
        others = [leaves[0] + 1.0 for _ in range(5000)]  # where the dead have been
        survivor.backward()
        assert [leaf.grad for leaf in leaves] == expected
        del leaves, roots, survivor, others
