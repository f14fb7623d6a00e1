"""One Value for every family of programs: the constructors, closures, local gradients, subclasses.

Where pure Python has the surface, a test runs on a pure-Python class too: `lib` has the reference,
`dialects.py` the classes with the other families' constructors.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import math
import re
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
from conftest import BACKENDS, balanced, collect
from dialects import CreationOrderedLocalGrads, Lecture, LocalGrads, Prev
from reference import DEPTH_FIRST

# ---- the constructors of the families ----

FAMILIES: dict[str, Callable[[Any, Any], Any]] = {
    "notebook, positions": lambda cls, x: cls(2.0, (x,), "op", "name"),
    "notebook, keywords": lambda cls, x: cls(data=2.0, children=(x,), op="op", label="name"),
    "lecture, positions": lambda cls, x: cls(2.0, (x,), "op", label="name"),
    "lecture, keywords": lambda cls, x: cls(2.0, _children=(x,), _op="op", label="name"),
    "EurekaLabs, keywords": lambda cls, x: cls(2.0, _prev=(x,), _op="op"),
    "EurekaLabs, a set": lambda cls, x: cls(2.0, {x}, "op"),
    "mixed keywords": lambda cls, x: cls(2.0, _op="op", children=[x], label="name"),
}
PURE = {"notebook": DEPTH_FIRST.Value, "lecture": Lecture, "EurekaLabs": Prev}


def look(v: Any) -> list[Any]:
    return [v.data, v.grad, v._op, [child.data for child in v._prev], getattr(v, "label", "")]


@pytest.mark.parametrize("family", FAMILIES)
def test_constructor_takes_the_familys_spelling(mg: Any, family: str) -> None:
    v = FAMILIES[family](mg.Value, mg.Value(3.0))
    label = "" if family.startswith("EurekaLabs") else "name"
    assert look(v) == [2.0, 0.0, "op", [3.0], label]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name.split(",")[0] in PURE])
def test_constructor_makes_what_the_familys_pure_class_makes(mg: Any, family: str) -> None:
    pure = PURE[family.split(",")[0]]
    expected = look(FAMILIES[family](pure, pure(3.0)))
    assert look(FAMILIES[family](mg.Value, mg.Value(3.0))) == expected


LOCAL_GRADS: dict[str, Callable[[Any, Any], Any]] = {
    "third position, tuple": lambda cls, x: cls(2.0, (x, x), (0.5, 3.0)),
    "third position, list": lambda cls, x: cls(2.0, [x, x], [0.5, 3.0]),
    "keyword": lambda cls, x: cls(2.0, children=(x, x), local_grads=(0.5, 3.0)),
}
SPELLED: dict[str, Callable[[Any, Any], Any]] = {
    **LOCAL_GRADS,
    "third position, iterator": lambda cls, x: cls(2.0, iter([x, x]), iter([0.5, 3.0])),
    "keyword with an underscore": lambda cls, x: cls(2.0, (x, x), _local_grads=(0.5, 3.0)),
    "beside the operator's name": lambda cls, x: cls(2.0, (x, x), "op", local_grads=(0.5, 3.0)),
    "with all names": lambda cls, x: cls(
        2.0, _prev=(x, x), _op="op", label="name", _local_grads=(0.5, 3.0)
    ),
}


@pytest.mark.parametrize("spelling", SPELLED)
def test_local_gradients_are_taken_in_every_spelling(mg: Any, spelling: str) -> None:
    x = mg.Value(3.0)
    v = SPELLED[spelling](mg.Value, x)
    v.backward()
    assert (tuple(v._local_grads), v._children, x.grad) == ((0.5, 3.0), (x, x), 3.5)


@pytest.mark.parametrize("spelling", LOCAL_GRADS)
def test_local_gradients_do_what_they_do_in_the_pure_class(mg: Any, spelling: str) -> None:
    def outcome(cls: Any) -> list[Any]:
        x = cls(3.0)
        v = LOCAL_GRADS[spelling](cls, x * 2)
        v.backward()
        return [list(v._local_grads), len(v._children), x.grad]

    assert outcome(mg.Value) == outcome(LocalGrads)


def test_operators_name_beside_local_gradients_is_kept(mg: Any) -> None:
    assert mg.Value(2.0, (mg.Value(3.0),), "op", local_grads=(1.0,))._op == "op"


def test_label_stands_fourth_behind_local_gradients(mg: Any) -> None:
    assert mg.Value(2.0, (mg.Value(3.0),), (1.0,), "name").label == "name"


@pytest.mark.parametrize("number", [2, True, Fraction(1, 2)])
def test_local_gradients_are_any_real_numbers(mg: Any, number: Any) -> None:
    x = mg.Value(3.0)
    mg.Value(2.0, (x,), (number,)).backward()
    assert x.grad == float(number)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_number_of_children_is_free(mg: Any, count: int) -> None:
    children = [mg.Value(float(k)) for k in range(count)]
    v = mg.Value(2.0, children, [float(k) for k in range(count)])
    v.backward()
    assert v._children == tuple(children)
    assert [child.grad for child in children] == [float(k) for k in range(count)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_number_of_local_gradients_is_a_value_error(mg: Any, count: int) -> None:
    if count == 0:
        children, partials = (), (1.0,)
    else:
        children, partials = (mg.Value(1.0), mg.Value(2.0)), (1.0,) * count
    with pytest.raises(ValueError, match=f"{len(partials)} local gradients for {len(children)} ch"):
        mg.Value(2.0, children, partials)


REJECTED: dict[str, Callable[[Any, Any], Any]] = {
    "unknown keyword": lambda cls, x: cls(2.0, colour="red"),
    "unknown keyword like a known one": lambda cls, x: cls(2.0, __children=(x,)),
    "children in two spellings": lambda cls, x: cls(2.0, children=(x,), _children=(x,)),
    "empty children in two spellings": lambda cls, x: cls(2.0, children=(), _prev=()),
    "children by position and keyword": lambda cls, x: cls(2.0, (x,), _prev=(x,)),
    "no children by position, and keyword": lambda cls, x: cls(2.0, (), _children=(x,)),
    "operator in two spellings": lambda cls, x: cls(2.0, (x,), op="a", _op="a"),
    "operator by position and keyword": lambda cls, x: cls(2.0, (x,), "", _op="a"),
    "local gradients in two spellings": lambda cls, x: cls(
        2.0, (x,), local_grads=(1.0,), _local_grads=(1.0,)
    ),
    "local gradients by position and keyword": lambda cls, x: cls(
        2.0, (x,), (1.0,), local_grads=(1.0,)
    ),
    "label by position and keyword": lambda cls, x: cls(2.0, (x,), "a", "b", label="b"),
    "data by position and keyword": lambda cls, x: cls(2.0, data=2.0),
    "too many positions": lambda cls, x: cls(2.0, (x,), "a", "b", "c"),
    "no data": lambda cls, x: cls(children=(x,)),
    "nothing": lambda cls, x: cls(),
    "children that are no iterable": lambda cls, x: cls(2.0, 5),
    "children that are a Value": lambda cls, x: cls(2.0, x),
    "children that are a string": lambda cls, x: cls(2.0, "ab"),
    "children that are None": lambda cls, x: cls(2.0, None),
    "a child that is a number": lambda cls, x: cls(2.0, (x, 3.0)),
    "third argument a number": lambda cls, x: cls(2.0, (x,), 5),
    "third argument None": lambda cls, x: cls(2.0, (x,), None),
    "a local gradient that is a string": lambda cls, x: cls(2.0, (x,), ("1",)),
    "a local gradient that is a Value": lambda cls, x: cls(2.0, (x,), (x,)),
    "data that is a string": lambda cls, x: cls("2"),
    "data that is a Value": lambda cls, x: cls(x),
}


@pytest.mark.parametrize("how", REJECTED)
def test_wrong_arguments_are_a_type_error(mg: Any, how: str) -> None:
    with balanced(mg), pytest.raises(TypeError):
        REJECTED[how](mg.Value, mg.Value(3.0))


@pytest.mark.parametrize("how", REJECTED)
def test_wrong_arguments_leave_a_value_constructed_again_as_it_was(mg: Any, how: str) -> None:
    x = mg.Value(3.0)
    v = x * 2.0
    v.label = "v"

    def again(*args: Any, **names: Any) -> None:
        v.__init__(*args, **names)

    with pytest.raises(TypeError):
        REJECTED[how](again, x)
    assert (v.data, v.label, v._op, v._children[0]) == (6.0, "v", "*", x)


def test_error_of_an_unknown_keyword_names_it(lib: Any) -> None:
    with pytest.raises(TypeError, match="colour"):
        lib.Value(2.0, colour="red")


# ---- the families' habits ----


def test_zero_put_into_gradients_is_theirs(lib: Any) -> None:
    v = lib.Value(2.0)
    v.backward()
    v.grad = 0
    assert v.grad == 0.0


def test_values_are_made_by_map(lib: Any) -> None:
    assert [v.data for v in map(lib.Value, [1.0, 2.0])] == [1.0, 2.0]


def test_moments_are_kept_on_values(lib: Any) -> None:
    p = lib.Value(2.0)
    p.m, p.v = 0.0, 0.0
    (p * 3.0).backward()
    p.m = 0.9 * p.m + 0.1 * p.grad
    assert p.m == pytest.approx(0.3, rel=1e-15)


def test_largest_of_a_row_is_found_by_the_data(lib: Any) -> None:
    assert max(v.data for v in map(lib.Value, [1.0, 3.0, 2.0])) == 3.0


def test_attribute_set_while_walking_the_graph_is_found_on_the_next_walk(lib: Any) -> None:
    root = (lib.Value(1.0) * 2.0 + 3.0).tanh()

    def walk(v: Any) -> Iterator[Any]:
        yield v
        for child in v._prev:
            yield from walk(child)

    for v in walk(root):
        v._vis_color = "red"
    assert {v._vis_color for v in walk(root)} == {"red"}


# ---- _backward: reading ----


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


# ---- _backward: assigning ----


def halved(lib: Any, x: Any) -> Any:
    """An operator added outside the class, as the exercise adds them."""
    out = lib.Value(0.5 * x.data, (x,), "half")

    def _backward() -> None:
        x.grad += 0.5 * out.grad

    out._backward = _backward
    return out


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


# ---- _local_grads ----


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


# ---- subclasses: the results' class ----

OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "w + w": lambda lib, w, x: w + w,
    "w + x": lambda lib, w, x: w + x,
    "x + w": lambda lib, w, x: x + w,
    "w + 1": lambda lib, w, x: w + 1,
    "1 + w": lambda lib, w, x: 1 + w,
    "w - w": lambda lib, w, x: w - w,
    "w - x": lambda lib, w, x: w - x,
    "x - w": lambda lib, w, x: x - w,
    "w - 1": lambda lib, w, x: w - 1,
    "1 - w": lambda lib, w, x: 1 - w,
    "w * w": lambda lib, w, x: w * w,
    "w * x": lambda lib, w, x: w * x,
    "x * w": lambda lib, w, x: x * w,
    "w * 2": lambda lib, w, x: w * 2,
    "2 * w": lambda lib, w, x: 2 * w,
    "w / w": lambda lib, w, x: w / w,
    "w / x": lambda lib, w, x: w / x,
    "x / w": lambda lib, w, x: x / w,
    "w / 2": lambda lib, w, x: w / 2,
    "2 / w": lambda lib, w, x: 2 / w,
    "w ** w": lambda lib, w, x: w**w,
    "w ** x": lambda lib, w, x: w**x,
    "x ** w": lambda lib, w, x: x**w,
    "w ** 2": lambda lib, w, x: w**2,
    "2 ** w": lambda lib, w, x: 2**w,
    "-w": lambda lib, w, x: -w,
    "+w": lambda lib, w, x: +w,
    "abs": lambda lib, w, x: abs(w),
    "sum": lambda lib, w, x: sum([w, w, x]),
    "tanh": lambda lib, w, x: w.tanh(),
    "exp": lambda lib, w, x: w.exp(),
    "log": lambda lib, w, x: w.log(),
    "relu": lambda lib, w, x: w.relu(),
    "sigmoid": lambda lib, w, x: w.sigmoid(),
    "sin": lambda lib, w, x: w.sin(),
    "cos": lambda lib, w, x: w.cos(),
    "sqrt": lambda lib, w, x: w.sqrt(),
    "maximum(w, x)": lambda lib, w, x: lib.maximum(w, x),
    "maximum(x, w)": lambda lib, w, x: lib.maximum(x, w),
    "maximum(w, 1)": lambda lib, w, x: lib.maximum(w, 1),
    "minimum(1, w)": lambda lib, w, x: lib.minimum(1, w),
}


def plain(base: Any) -> Any:
    return type("Weight", (base,), {})


def slotted(base: Any) -> Any:
    return type("Weight", (base,), {"__slots__": ("moment",)})


def own(base: Any) -> Any:
    def __init__(self: Any, data: Any, children: Any = (), op: str = "") -> None:  # noqa: N807
        base.__init__(self, data, children, op)
        self.made = True

    return type("Weight", (base,), {"__init__": __init__})


MAKERS = [plain, slotted, own]
each_class = pytest.mark.parametrize("make", MAKERS, ids=lambda f: f.__name__)


def classes_of(lib: Any, make: Callable[[Any], Any], name: str) -> list[str]:
    """The classes of a result and of the operands that are no constants."""
    cls = make(lib.Value)
    out = OPERATIONS[name](lib, cls(1.5), lib.Value(2.5))
    return [type(out).__name__, *(type(v).__name__ for v in out._children if v._children)]


@each_class
@pytest.mark.parametrize("name", OPERATIONS)
def test_result_is_of_the_class_that_pure_python_gives_it(
    mg: Any, make: Callable[[Any], Any], name: str
) -> None:
    assert classes_of(mg, make, name) == classes_of(DEPTH_FIRST, make, name)


@each_class
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_on_a_subclass_computes_the_same_numbers(
    mg: Any, make: Callable[[Any], Any], name: str
) -> None:
    def outcome(cls: Any) -> list[str]:
        w, x = cls(1.5), mg.Value(2.5)
        out = OPERATIONS[name](mg, w, x)
        out.backward()
        return [out.data.hex(), w.grad.hex(), x.grad.hex(), out._op]

    assert outcome(make(mg.Value)) == outcome(mg.Value)


@each_class
def test_operations_on_a_subclass_leave_no_node_behind(mg: Any, make: Callable[[Any], Any]) -> None:
    with balanced(mg):
        cls = make(mg.Value)
        for operation in OPERATIONS.values():
            operation(mg, cls(1.5), mg.Value(2.5)).backward()


@each_class
def test_class_of_what_nobody_holds_is_kept_by_the_graph(
    lib: Any, make: Callable[[Any], Any]
) -> None:
    cls = make(lib.Value)
    root = lib.Value(1.0) + cls(2.0) * 3.0
    collect()
    assert type(root._children[1]) is cls
    assert type(root._children[1]._children[0]) is cls


def test_base_class_stays_what_it_is_beside_a_subclass(lib: Any) -> None:
    plain(lib.Value)(1.0) * 2.0
    assert type(lib.Value(1.0) * 2.0) is lib.Value


def test_subclass_of_a_subclass_decides_its_results(lib: Any) -> None:
    cls = slotted(own(plain(lib.Value)))
    assert type(cls(1.0) * 2.0 + 1.0) is cls


# ---- subclasses: their constructors ----


def test_own_constructor_is_called_with_data_children_and_operator(lib: Any) -> None:
    calls: list[Any] = []

    class Weight(lib.Value):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any) -> None:
            calls.append(args)
            super().__init__(*args)

    w, x = Weight(2.0), lib.Value(3.0)
    calls.clear()
    w * x
    assert [(data, tuple(children), op) for data, children, op in calls] == [(6.0, (w, x), "*")]


def test_class_without_a_constructor_of_its_own_is_not_called(mg: Any) -> None:
    class Meta(type(mg.Value)):  # type: ignore[misc]
        calls = 0

        def __call__(cls, *args: Any, **names: Any) -> Any:
            Meta.calls += 1
            return super().__call__(*args, **names)

    class Weight(mg.Value, metaclass=Meta):  # type: ignore[misc,name-defined]
        pass

    w = Weight(2.0)
    w * 3.0 + w
    assert Meta.calls == 1


def test_number_that_a_constructor_changes_is_the_results(lib: Any) -> None:
    class Rounded(lib.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(round(data, 1), children, op)

    assert (Rounded(0.25) * Rounded(0.5)).data == 0.1


def test_closure_that_a_constructor_assigns_gives_way_to_the_operators_rule(lib: Any) -> None:
    class Weight(lib.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op)
            self._backward = lambda: None

    w = Weight(2.0)
    (w * 3.0 + w).backward()
    assert w.grad == 4.0


def test_exception_of_a_constructor_leaves_the_operator_and_no_node(mg: Any) -> None:
    class Picky(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            if op:
                raise KeyError(op)
            super().__init__(data)

    w = Picky(2.0)
    with balanced(mg):
        for operation in (lambda: w * 3.0, lambda: w.tanh(), lambda: -w, lambda: w**2):
            with pytest.raises(KeyError):
                operation()


@pytest.mark.parametrize("exponent", [2, 2.0, Fraction(1, 2), True])
def test_object_that_a_class_makes_in_its_instances_place_is_the_result(
    mg: Any, exponent: Any
) -> None:
    class Odd(mg.Value):  # type: ignore[misc,name-defined]
        def __new__(cls, *args: Any) -> Any:
            return "odd" if len(args) == 3 else super().__new__(cls)

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)

    assert Odd(2.0) ** exponent == "odd"


def test_value_that_a_class_gives_out_again_is_the_result(mg: Any) -> None:
    class Single(mg.Value):  # type: ignore[misc,name-defined]
        kept: Any = None

        def __new__(cls, *args: Any) -> Any:
            if cls.kept is None:
                cls.kept = super().__new__(cls)
            return cls.kept

    with balanced(mg):
        v = Single(2.0)
        assert v * 3.0 is v
        assert (v.data, v._children[0].data) == (6.0, 2.0)
        Single.kept = None
        del v


# ---- subclasses: operators of their own ----


def overriding(base: Any, log: list[str]) -> Any:
    """A subclass that notes which of its operators are called."""

    def noted(name: str) -> Any:
        def method(self: Any, *args: Any) -> Any:
            log.append(name)
            return getattr(base, name)(self, *args)

        return method

    names = ("__add__", "__mul__", "__pow__", "__neg__", "__sub__", "__truediv__", "__abs__")
    return type("Weight", (base,), {name: noted(name) for name in names})


def calls_of(lib: Any, name: str) -> list[str]:
    log: list[str] = []
    cls = overriding(lib.Value, log)
    OPERATIONS[name](lib, cls(1.5), lib.Value(2.5))
    return log


# Pure Python's derived operators call the ones they are made of.
@pytest.mark.parametrize("name", OPERATIONS)
def test_overridden_operators_are_called_as_in_pure_python(mg: Any, name: str) -> None:
    assert calls_of(mg, name) == calls_of(DEPTH_FIRST, name)


@pytest.mark.parametrize("operator", ["add", "mul", "sub", "truediv", "pow"])
def test_reflected_operator_of_a_subclass_on_the_right_comes_first(lib: Any, operator: str) -> None:
    body = {f"__r{operator}__": lambda self, other: ("mine", other)}
    cls = type("Weight", (lib.Value,), body)
    x, w = lib.Value(2.0), cls(3.0)
    operation = {
        "add": lambda: x + w,
        "mul": lambda: x * w,
        "sub": lambda: x - w,
        "truediv": lambda: x / w,
        "pow": lambda: x**w,
    }[operator]
    assert operation() == ("mine", x)


def test_operator_of_a_subclass_may_return_anything(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"__add__": lambda self, other: "sum"})
    assert cls(1.0) + 2.0 == "sum"


def test_operator_of_a_subclass_may_say_it_does_not_know(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"__add__": lambda self, other: NotImplemented})
    with pytest.raises(TypeError):
        cls(1.0) + "x"


def test_matrix_product_added_to_a_subclass_works(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"__matmul__": lambda self, other: self * other})
    assert (cls(2.0) @ lib.Value(3.0)).data == 6.0


def test_property_of_a_subclass_is_seen_through_the_graph(lib: Any) -> None:
    cls = type("Weight", (lib.Value,), {"double": property(lambda self: 2 * self.data)})
    assert (lib.Value(1.0) * cls(3.0))._children[1].double == 6.0


# ---- subclasses: state ----


def test_slot_of_a_subclass_holds_its_state(lib: Any) -> None:
    w = slotted(lib.Value)(2.0)
    w.moment = [1.0]
    root = lib.Value(1.0) * w
    del w
    collect()
    assert root._children[1].moment == [1.0]


def test_slot_of_a_result_is_empty(lib: Any) -> None:
    w = slotted(lib.Value)(2.0)
    w.moment = 1.0
    with pytest.raises(AttributeError):
        (w * 2.0).moment  # noqa: B018


def test_attribute_of_a_subclass_instance_is_its_own(lib: Any) -> None:
    w = plain(lib.Value)(2.0)
    w.moment = 1.0
    assert not hasattr(w * 2.0, "moment")


def test_subclass_instances_are_weakly_referenced(mg: Any) -> None:
    w = plain(mg.Value)(2.0)
    reference = weakref.ref(w)
    assert reference() is w
    del w
    collect()
    assert reference() is None


def test_finalizer_of_a_subclass_sees_its_node(mg: Any) -> None:
    seen: list[Any] = []

    def finish(self: Any) -> None:
        out = mg.Value(1.0, (self, self), "last", local_grads=(2.0, 3.0))
        out.backward()
        seen.append((self.data, self.grad))

    cls = type("Weight", (mg.Value,), {"__del__": finish})
    with balanced(mg):
        w = cls(7.0)
        box = [w]
        box.append(box)  # a cycle, so that the garbage collector finishes it
        del w, box
        collect()
    assert seen == [(7.0, 5.0)]


def test_finalizer_may_keep_the_value(mg: Any) -> None:
    kept: list[Any] = []
    cls = type("Weight", (mg.Value,), {"__del__": lambda self: kept.append(self)})
    with balanced(mg):
        w = cls(7.0)
        w.box = [w]
        del w
        collect()
        assert (kept[0] * 2.0).data == 14.0
        kept[0].box = None
        while kept:  # the product came, too
            kept.clear()
            collect()


def test_finalizer_of_another_object_may_keep_the_value(mg: Any) -> None:
    kept: list[Any] = []
    holder_class = type("Holder", (), {"__del__": lambda self: kept.append(self.out)})
    with balanced(mg):
        holder = holder_class()
        holder.out = mg.Value(2.0) * mg.Value(3.0)
        holder.itself = holder
        del holder
        collect()
        others = [mg.Value(float(k)) * 2.0 for k in range(10)]
        out = kept.pop()
        assert (out * out).data == 36.0
        out.backward()
        assert [v.grad for v in out._prev] == [3.0, 2.0]
        out.__init__(5.0)
        assert (out * 2.0).data == 10.0
        del out, others
        collect()


def test_finalizer_finds_operands_with_their_state(mg: Any) -> None:
    seen: list[Any] = []

    class Last:
        def __del__(self) -> None:
            (self.out * 1.0).backward()
            leaf = self.out._children[0]._children[0]
            seen.append((leaf.name, leaf.grad))

    def network() -> None:
        a, last = mg.Value(2.0), Last()
        middle = a * 3.0
        last.out = middle + 1.0
        a.name, middle.name = ["a"], ["middle"]
        a.last = last  # a cycle that leads through the arena

        def push() -> None:
            a.grad += 100.0

        middle._backward = push

    with balanced(mg):
        network()
        collect()
        assert seen == [(["a"], 100.0)]
        for _ in range(3):
            collect()


def test_state_given_to_operands_that_a_finalizer_kept_dies_with_them(mg: Any) -> None:
    kept: list[Any] = []

    class Last:
        def __del__(self) -> None:
            kept.extend((self.out, self.a, self.middle, self.out._children[0]))

    with balanced(mg):
        last = Last()
        last.a = mg.Value(2.0)
        last.middle = last.a * 3.0
        last.out = last.middle + 1.0
        last.itself = last
        del last
        collect()
        out, a, middle, operand = kept
        a.up = middle.up = operand.up = [out * out]
        assert [v.data for v in out._children] == [6.0, 1.0]
        kept.clear()
        del out, a, middle, operand
        collect()


def kept_with_closures(mg: Any) -> tuple[Any, Any]:
    """A graph of closures that the collector has found dead, kept by a finalizer: leaf and root."""
    kept: list[Any] = []
    holder_class = type("Holder", (), {"__del__": lambda self: kept.extend(self.ends)})

    def make() -> None:
        leaf, holder = mg.Value(2.0), holder_class()
        holder.ends = leaf, (halved(mg, halved(mg, leaf) * 3.0) + 1.0).tanh()
        holder.itself = holder

    make()
    collect()
    leaf, root = kept
    kept.clear()
    return leaf, root


KEPT_ROOTS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda root: root,
    "with more on top": lambda root: root * 1.0,
    "found from above": lambda root: (root * 1.0)._children[0],
}


@pytest.mark.parametrize("name", KEPT_ROOTS)
def test_backward_of_a_kept_graph_calls_its_closures(mg: Any, name: str) -> None:
    with balanced(mg):
        leaf, root = kept_with_closures(mg)
        top = KEPT_ROOTS[name](root)
        top.backward()
        below = top
        while below._prev:
            below = next(iter(below._prev))
        assert below.grad == leaf.grad == 0.75 * (1.0 - root.data * root.data)
        del leaf, root, top, below
        collect()


def test_closure_given_to_an_operand_of_a_kept_graph_stays(mg: Any) -> None:
    kept: list[Any] = []
    holder_class = type("Holder", (), {"__del__": lambda self: kept.append(self.out)})

    def make() -> None:
        leaf, holder = mg.Value(2.0), holder_class()
        first, second = leaf * 3.0, leaf * 5.0
        first.up = [leaf]
        holder.out = first * second
        holder.itself = holder

    make()
    collect()
    seen: list[float] = []
    second = kept[0]._children[1]
    second._backward = lambda: seen.append(1.0)
    del second
    collect()
    kept[0].backward()
    assert seen == [1.0]


def test_state_of_an_operand_of_a_kept_result_stays(mg: Any) -> None:
    class Collecting(mg.Value):  # type: ignore[misc,name-defined]
        def __new__(cls, *args: Any) -> Any:
            gc.collect()  # when the node of a result has been recorded
            return super().__new__(cls)

        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op)

    kept: list[Any] = []
    holder_class = type("Holder", (), {"__del__": lambda self: kept.append(self.out)})

    def make() -> None:
        operand = Collecting(2.0)
        operand.up = [operand]
        before = operand * 2.0
        gc.collect()
        out = operand * 3.0
        del before
        holder = holder_class()
        holder.out, holder.itself = out, holder

    gc.disable()
    try:
        make()
        gc.collect(0)
    finally:
        gc.enable()
    collect()
    operand = kept[0]._children[0]
    assert operand.up == [operand]


def test_copy_of_a_kept_graph_has_its_closures(mg: Any) -> None:
    with balanced(mg):
        leaf, root = kept_with_closures(mg)
        own = [v for v in mg.engine.graph(copy.deepcopy(root)) if "_backward" in vars(v)]
        assert [v._op for v in own] == ["half", "half"]
        del leaf, root, own
        collect()


def test_finalizers_that_use_their_values_leave_no_cycle_behind(mg: Any) -> None:
    def finish(self: Any) -> None:
        mg.Value(1.0, (self, self), "last", local_grads=(2.0, 3.0))

    cls = type("Weight", (mg.Value,), {"__del__": finish})

    def make() -> None:
        weight = cls(1.0)
        out = cls(2.0, (halved(mg, weight * 3.0), weight), local_grads=(1.0, 1.0))
        weight.up = [out]

    with balanced(mg):
        make()
        collect()


def lowest_recursion_limit() -> int:
    """Return the lowest limit that can be set here."""
    for limit in itertools.count(1):
        try:
            sys.setrecursionlimit(limit)
        except RecursionError:
            continue
        return limit
    raise AssertionError


@pytest.mark.parametrize("frames", range(1, 16))
def test_value_that_a_finalizer_keeps_near_the_recursion_limit_has_its_node(
    mg: Any, frames: int
) -> None:
    kept: list[Any] = []
    holder_class = type("Holder", (), {"__del__": lambda self: kept.append(self.out)})
    limit = sys.getrecursionlimit()
    with balanced(mg):
        held = mg.Value(1.0)
        held.up = [held * 2.0]  # for the collector to be shown something
        holder = holder_class()
        holder.out = mg.Value(2.0) * 3.0
        holder.itself = holder
        del holder
        try:
            sys.setrecursionlimit(lowest_recursion_limit() + frames)
            with contextlib.suppress(RecursionError):
                gc.collect()
        finally:
            sys.setrecursionlimit(limit)
        collect()
        others = [mg.Value(7.0) * 11.0 for _ in range(100)]
        assert [(v.data, [c.data for c in v._children]) for v in kept] == [(6.0, [2.0, 3.0])]
        assert [v.data for v in others] == [77.0] * 100
        kept.clear()
        del held, others
        collect()


def test_operand_that_a_finalizer_kept_outlives_the_result(mg: Any) -> None:
    kept: list[Any] = []

    class Last:
        def __del__(self) -> None:
            kept.extend((self.out, self.middle, self.out._children))

    last = Last()
    last.middle = mg.Value(2.0) * 3.0
    last.out = last.middle + 1.0
    last.itself = last
    del last
    collect()
    middle = kept[1]
    kept.clear()
    collect()
    others = [mg.Value(7.0) * 11.0 for _ in range(100)]
    assert (middle.data, [v.data for v in middle._children]) == (6.0, [2.0, 3.0])
    assert [v.data for v in others] == [77.0] * 100


def test_program_recorded_by_a_finalizer(mg: Any) -> None:
    pytest.importorskip("numpy")

    class Own(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(data, children, op)
            self.own = [data]

    kept: list[Any] = []

    class Last:
        def __del__(self) -> None:
            weight = Own(0.5)

            def score(x: Any) -> Any:
                kept.append(weight.tanh())
                kept.append(kept[0] * x)
                return kept[1]

            mg.compile(score, 1.0)

    with balanced(mg):
        last = Last()
        last.itself = last
        del last
        collect()
        kept[0].up = [kept[1]]
        kept.clear()
        for _ in range(3):
            collect()


def test_finalizer_put_on_the_class_is_called_for_every_value(
    lib: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    monkeypatch.setattr(lib.Value, "__del__", lambda self: seen.append(self.data), raising=False)
    for k in range(3):
        lib.Value(float(k))
        collect()
    assert seen == [0.0, 1.0, 2.0]


def test_long_chain_of_values_as_labels_dies(mg: Any) -> None:
    with balanced(mg):
        v = mg.Value(0.0)
        for _ in range(50_000):
            w = mg.Value(0.0)
            w.label = v
            v = w
        del v, w


def test_operand_looked_at_while_it_is_found_dead_dies_with_its_result(mg: Any) -> None:
    with balanced(mg):
        operand = mg.Value(2.0) * 3.0
        result = operand.tanh()
        cycle: list[Any] = [operand]
        cycle.append(cycle)
        seen: list[Any] = []
        watch = weakref.ref(operand, lambda _: seen.append(result._children[0]))
        del operand, cycle
        gc.collect()
        seen[0].state = ["its own"]
        assert watch() is None
        assert result._children[0] is seen[0]
        result = None
        seen.clear()


def test_callback_of_a_weak_reference_may_walk_the_graph(mg: Any) -> None:
    with balanced(mg):
        a = mg.Value(3.0)
        b = a * 2.0
        seen: list[Any] = []
        reference = weakref.ref(a, lambda r: seen.append(b._children[0]))
        del a
        collect()
        others = [mg.Value(float(k)) for k in range(10)]
        assert reference() is None
        assert [v.data for v in seen] == [3.0]
        assert seen[0] is b._children[0]
        assert seen[0] not in others
        b = others = None
        seen.clear()


# ---- recording switched off ----


def test_results_within_no_grad_are_leaves(mg: Any) -> None:
    a = mg.Value(2.0)
    with mg.no_grad():
        for name, operation in OPERATIONS.items():
            out = operation(mg, a, mg.Value(2.5))
            assert name == "+w" or (out._children, out._op) == ((), "")


def test_results_within_no_grad_have_their_numbers(mg: Any) -> None:
    def numbers() -> list[float]:
        return [
            operation(mg, mg.Value(1.5), mg.Value(2.5)).data for operation in OPERATIONS.values()
        ]

    recorded = numbers()
    with mg.no_grad():
        assert numbers() == recorded


def test_no_grad_leaves_no_node_behind(mg: Any) -> None:
    a = mg.Value(2.0)
    with balanced(mg), mg.no_grad():
        for _ in range(10):
            (a * 2.0 + 1.0).tanh() / a


def test_gradients_stop_at_what_was_made_within_no_grad(mg: Any) -> None:
    a = mg.Value(2.0)
    with mg.no_grad():
        b = a * 3.0
    (b * a).backward()
    assert (a.grad, b.grad) == (6.0, 2.0)


def test_node_made_by_hand_within_no_grad_has_no_children(mg: Any) -> None:
    with mg.no_grad():
        assert mg.Value(1.0, (mg.Value(2.0),), "mine")._children == ()


def test_result_of_a_subclass_within_no_grad_is_of_the_subclass(mg: Any) -> None:
    cls = plain(mg.Value)
    with mg.no_grad():
        out = cls(2.0) * 3.0
    assert (type(out), out._children) == (cls, ())


def test_recording_goes_on_after_no_grad(mg: Any) -> None:
    with mg.no_grad():
        pass
    assert len((mg.Value(1.0) * 2.0)._children) == 2


def test_recording_goes_on_after_an_exception_within_no_grad(mg: Any) -> None:
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert len((mg.Value(1.0) * 2.0)._children) == 2


def test_no_grad_within_no_grad_ends_with_the_outer_one(mg: Any) -> None:
    with mg.no_grad():
        with mg.no_grad():
            pass
        assert (mg.Value(1.0) * 2.0)._children == ()


def test_no_grad_decorates_a_function(mg: Any) -> None:
    @mg.no_grad()
    def predict(v: Any) -> Any:
        """Return a prediction."""
        return v * 2.0

    assert predict(mg.Value(1.0))._children == ()
    assert (predict.__name__, predict.__doc__) == ("predict", "Return a prediction.")
    assert len((mg.Value(1.0) * 2.0)._children) == 2


def test_no_grad_decorates_nothing_whose_body_runs_after_the_call(mg: Any) -> None:
    def generator() -> Any:
        yield

    async def coroutine() -> None:
        pass

    async def both() -> Any:
        yield

    for function in (generator, coroutine, both):
        with pytest.raises(TypeError, match="write 'with no_grad\\(\\):' inside"):
            mg.no_grad()(function)


def test_backward_works_within_no_grad(mg: Any) -> None:
    a = mg.Value(2.0)
    root = a * 3.0
    with mg.no_grad():
        root.backward()
    assert a.grad == 3.0


# ---- the gradient checker ----


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


# ---- the two backends ----


@pytest.mark.skipif(len(BACKENDS) < 2, reason="one backend is built here")
@pytest.mark.parametrize("how", REJECTED)
def test_both_backends_reject_arguments_in_the_same_words(how: str) -> None:
    from conftest import _loaded

    def words(backend: str) -> str:
        cls = _loaded[backend]["micrograd_c"].Value  # type: ignore[attr-defined]
        try:
            REJECTED[how](cls, cls(3.0))
        except TypeError as error:
            return re.sub(r"^(Value\.)?__init__\(\)", "Value()", str(error))
        return "accepted"

    gc.collect()
    assert words("native").split()[0] == words("cffi").split()[0]


def test_node_keeps_its_local_gradients_when_its_value_is_constructed_again(mg: Any) -> None:
    a = mg.Value(0.5)
    v = mg.Value(2.0, (a, a), (3.0, 4.0))
    out = v * 2.0
    v.__init__(1.0)
    assert out._children[0]._local_grads == (3.0, 4.0)
    out.backward()
    assert a.grad == 14.0
