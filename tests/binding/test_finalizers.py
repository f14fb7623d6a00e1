"""Finalizers and callbacks of weak references, which may keep and use what dies."""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from conftest import balanced, collect
from values import halved


def test_a_finalizer_may_construct_its_value_again(mg: Any) -> None:
    mg.Value.__del__ = lambda self: self.__init__(9.0)
    try:
        for _ in range(10):
            mg.Value(1.0) * 2.0
        collect()
    finally:
        del mg.Value.__del__
    assert [type(mg.Value(1.0)) for _ in range(20)] == [mg.Value] * 20


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


@pytest.mark.parametrize("name", KEPT_ROOTS)
def test_backward_of_a_kept_graph_calls_its_closures_after_further_collections(
    mg: Any, name: str
) -> None:
    with balanced(mg):
        other = mg.Value(1.0)
        leaf, root = kept_with_closures(mg)
        tops = []
        for k in range(3):
            tops.append(KEPT_ROOTS[name](root))
            other.up = [other * float(k)]  # for the collector to be shown something
            collect()
        tops.pop().backward()
        assert leaf.grad == 0.75 * (1.0 - root.data * root.data)
        other.up = None
        del other, leaf, root, tops
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
