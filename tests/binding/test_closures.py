"""Closures: _backward is read, called and assigned."""

from __future__ import annotations

import gc
import math
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from conftest import balanced, collect
from values import halved

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


# ---- reading _backward ----


def test_lectures_backward_node_by_node_gives_its_gradients(lib: Any) -> None:
    x1, x2 = lib.Value(2.0), lib.Value(0.0)
    w1, w2, b = lib.Value(-3.0), lib.Value(1.0), lib.Value(6.8813735870195432)
    x1w1, x2w2 = x1 * w1, x2 * w2
    total = x1w1 + x2w2
    n = total + b
    o = n.tanh()
    o.grad = 1.0
    for node in (o, n, b, total, x2w2, x1w1):
        node._backward()
    grads = [v.grad for v in (x1, w1, x2, w2)]
    assert grads == pytest.approx([-1.5, 1.0, 0.5, 0.0], rel=1e-9)


def test_topological_order_by_hand_gives_the_gradients_of_backward(lib: Any) -> None:
    def build() -> tuple[Any, Any, Any]:
        a, b = lib.Value(0.5), lib.Value(-1.5)
        return a, b, (a * b).tanh() * a + b / a

    order: list[Any] = []
    visited = set()

    def visit(v: Any) -> None:
        if v not in visited:
            visited.add(v)
            for child in v._prev:
                visit(child)
            order.append(v)

    a, b, root = build()
    visit(root)
    root.grad = 1.0
    for node in reversed(order):
        node._backward()
    c, d, same = build()
    same.backward()
    assert [a.grad, b.grad] == pytest.approx([c.grad, d.grad], rel=1e-15)


def test_push_adds_each_time_it_is_called(lib: Any) -> None:
    a = lib.Value(2.0)
    out = a * 3.0
    out.grad = 1.0
    push = out._backward
    push()
    push()
    assert a.grad == 6.0


def test_push_uses_the_gradient_of_the_moment(lib: Any) -> None:
    a = lib.Value(2.0)
    out = a * 3.0
    push = out._backward
    out.grad = 5.0
    push()
    assert a.grad == 15.0


def test_push_keeps_its_node_alive(lib: Any) -> None:
    a = lib.Value(2.0)

    def push_of(out: Any) -> Any:
        out.grad = 1.0
        return out._backward

    push = push_of(a * 3.0)
    collect()
    push()
    assert a.grad == 3.0


def test_push_of_a_leaf_does_nothing(lib: Any) -> None:
    v = lib.Value(2.0)
    v._backward()
    assert (v.data, v.grad) == (2.0, 0.0)


def test_push_of_local_gradients_is_one_too(mg: Any) -> None:
    x = mg.Value(3.0)
    v = mg.Value(2.0, (x, x), (0.5, 4.0))
    v.grad = 2.0
    v._backward()
    assert x.grad == 9.0


# ---- assigning _backward ----


def test_added_operator_mixes_with_native_ones(lib: Any) -> None:
    x = lib.Value(4.0)
    (halved(lib, x * x) + halved(lib, halved(lib, x)) * 3.0).backward()
    assert x.grad == 4.75


def test_added_operator_is_pushed_after_all_that_use_it(lib: Any) -> None:
    seen = []
    x = lib.Value(4.0)
    out = x * 1.0
    out._backward = lambda: seen.append(out.grad)
    (out * 2.0 + (out + 1.0) * 3.0 - out).backward()
    assert seen == [4.0]


def test_softmax_by_hand_is_differentiated_like_softmax_by_operators(lib: Any) -> None:
    def log(x: Any) -> Any:
        out = lib.Value(math.log(x.data), (x,), "log")

        def _backward() -> None:
            x.grad += 1.0 / x.data * out.grad

        out._backward = _backward
        return out

    def loss(row: list[Any], log: Callable[[Any], Any]) -> Any:
        counts = [v.exp() for v in row]
        return -log(counts[1] / sum(counts))

    by_hand, native = ([lib.Value(x) for x in (0.5, -1.0, 2.0)] for _ in range(2))
    loss(by_hand, log).backward()
    loss(native, lambda v: v.log()).backward()
    assert [v.grad for v in by_hand] == pytest.approx([v.grad for v in native], rel=1e-15)


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_closure_pushes_to_any_number_of_children(lib: Any, count: int) -> None:
    children = [lib.Value(float(k)) for k in range(count)]
    out = lib.Value(1.0, children, "many")

    def _backward() -> None:
        for k, child in enumerate(children):
            child.grad += k * out.grad

    out._backward = _backward
    (out * 2.0).backward()
    assert [child.grad for child in children] == [2.0 * k for k in range(count)]


def test_closure_of_a_leaf_is_called(lib: Any) -> None:
    called = []
    x = lib.Value(2.0)
    x._backward = lambda: called.append(x.grad)
    (x * 3.0 + x).backward()
    assert called == [4.0]


def test_closure_of_the_root_is_called(lib: Any) -> None:
    called = []
    root = lib.Value(2.0) * 3.0
    root._backward = lambda: called.append(root.grad)
    root.backward()
    assert called == [1.0]


def test_closure_assigned_last_is_called(lib: Any) -> None:
    called = []
    out = lib.Value(2.0) * 3.0
    out._backward = lambda: called.append("first")
    out._backward = lambda: called.append("last")
    out.backward()
    assert called == ["last"]


def test_any_callable_is_a_closure(lib: Any) -> None:
    class Closure:
        calls = 0

        def __call__(self) -> None:
            self.calls += 1

    out = lib.Value(2.0) * 3.0
    out._backward = closure = Closure()
    out.backward()
    assert closure.calls == 1


def test_result_of_a_closure_is_ignored(lib: Any) -> None:
    out = lib.Value(2.0) * 3.0
    out._backward = lambda: 5  # type: ignore[assignment]
    assert out.backward() is None


@pytest.mark.parametrize("closure", [None, 5, "push"])
def test_what_cannot_be_called_is_no_closure(mg: Any, closure: Any) -> None:
    a = mg.Value(2.0)
    out = a * 3.0
    with pytest.raises(TypeError, match="callable"):
        out._backward = closure
    out.backward()
    assert a.grad == 3.0


def test_closure_takes_the_place_of_local_gradients(mg: Any) -> None:
    x = mg.Value(2.0)
    out = mg.Value(6.0, (x,), (3.0,))
    out._backward = lambda: setattr(x, "grad", 100.0)
    out.backward()
    assert x.grad == 100.0


class ClosureError(Exception):
    pass


def test_exception_of_a_closure_leaves_backward_with_its_traceback(lib: Any) -> None:
    def raising_in_the_middle() -> None:
        raise ClosureError("here")

    out = lib.Value(2.0) * 3.0
    out._backward = raising_in_the_middle
    with pytest.raises(ClosureError, match="here") as caught:
        (out * 2.0 + 1.0).backward()
    names = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert names[-1] == "raising_in_the_middle"


def test_exception_of_a_closure_stops_the_gradients_there(lib: Any) -> None:
    a = lib.Value(2.0)
    out = a * 3.0

    def fail() -> None:
        raise ClosureError

    out._backward = fail
    with pytest.raises(ClosureError):
        (out * 2.0).backward()
    assert (out.grad, a.grad) == (2.0, 0.0)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_exception_that_is_no_error_leaves_backward_too(
    lib: Any, kind: type[BaseException]
) -> None:
    def leave() -> None:
        raise kind

    out = lib.Value(2.0) * 3.0
    out._backward = leave
    with pytest.raises(kind):
        out.backward()


def test_endless_backward_is_a_recursion_error(lib: Any) -> None:
    out = lib.Value(2.0) * 3.0
    out._backward = lambda: out.backward()
    with pytest.raises(RecursionError):
        out.backward()


def test_closure_that_captures_its_node_leaks_nothing(mg: Any) -> None:
    with balanced(mg):
        x = mg.Value(4.0)
        for _ in range(10):
            x = halved(mg, x)
        x.backward()
        del x


def test_closure_may_construct_the_root_again(mg: Any) -> None:
    a = mg.Value(1.0)
    root = (a * 2.0).tanh()
    expected = mg.Value(1.0)
    (expected * 2.0).tanh().backward()
    top = root + 0.0

    def again() -> None:
        top.__init__(5.0)
        mg.engine.trim()
        push()

    push = root._backward
    root._backward = again
    del root
    top.backward()
    assert (a.grad, top.data) == (expected.grad, 5.0)


def test_state_given_to_the_root_by_a_closure_leaks_nothing(mg: Any) -> None:
    with balanced(mg):
        inner = mg.Value(1.0) * 2.0
        root = inner * 3.0
        inner._backward = lambda: setattr(root, "label", ("seen",))
        root.backward()
        inner = root = None
