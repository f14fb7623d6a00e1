"""Cycles through the graph, and collections in the middle of things."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from conftest import balanced, collect
from fresh import run


def chain_of_closures(mg: Any, start: Any, length: int) -> list[Any]:
    """Return Values that each lead to the next one: by its node, and back by a closure."""
    chain = [start]
    for _ in range(length):
        x = chain[-1]
        out = mg.Value(x.data / 2, (x,), "half")
        x._backward = lambda out=out: out
        chain.append(out)
    return chain


def is_exposed(v: Any) -> bool:
    """Tell whether the garbage collector sees that v leads to its operand."""
    (operand,) = v._prev
    seen = [r for r in gc.get_referents(v) if isinstance(r, (list, tuple))]
    return any(item is operand for container in seen for item in container)


def grow(mg: Any) -> list[bool]:
    """Let a chain grow between collections; return what these saw of its newest nodes."""
    chain = chain_of_closures(mg, mg.Value(1.0), 100)
    seen = []
    for length, generation in [(0, 2), (40, 1), (20, 1)]:
        chain += chain_of_closures(mg, chain[-1], length)[1:]
        gc.collect(generation)
        seen.append(is_exposed(chain[-1]))
    return seen


def test_a_graph_is_not_looked_through_again_for_every_young_collection(mg: Any) -> None:
    gc.disable()
    try:
        with balanced(mg):
            assert grow(mg) == [True, False, True]
    finally:
        gc.enable()


@pytest.mark.parametrize("collecting", [False, True])
def test_state_outlives_a_collection_within_a_constructor(mg: Any, collecting: bool) -> None:
    class Collecting(mg.Value):  # type: ignore[misc,name-defined]
        def __init__(self, data: Any, children: Any = (), op: str = "") -> None:
            super().__init__(data)
            if collecting:
                gc.collect()

    a = Collecting(3.0)
    middle = a * 2.0
    middle.token = 1

    def push() -> None:
        a.grad += 100.0

    middle._backward = push
    root = middle + 1.0
    del middle
    assert [child.token for child in root._children if child._op == "*"] == [1]
    root.backward()
    assert a.grad == 100.0


def test_state_outlives_a_collection_within_backward(mg: Any) -> None:
    a = mg.Value(3.0)
    middle = a * 2.0

    def push() -> None:
        a.grad += 100.0

    middle._backward = push
    root = (middle + 1.0) * 1.0

    def leave() -> None:
        root.__init__(0.0)
        gc.collect()

    root._backward = leave
    del middle
    root.backward()
    assert a.grad == 100.0


def test_a_collection_while_a_value_dies_does_not_revive_it(mg: Any) -> None:
    class Busy:
        def __del__(self) -> None:
            self.log = [[i] for i in range(2000)]

    class Slotted(mg.Value):  # type: ignore[misc,name-defined]
        __slots__ = ("busy",)

    for _ in range(300):
        a = Slotted(2.0)
        a._backward = lambda: None
        out = a * 3.0
        out.busy = Busy()
        del out


@pytest.mark.long
def test_operands_keep_their_state_when_a_result_is_constructed_again(mg: Any) -> None:
    def net() -> tuple[Any, Any]:
        x, w = mg.Value(1.0) * 2.0, mg.Value(1.0) * 2.0
        x.token = w.token = [1]
        product = x * w
        return product, product + 1.0

    nets = [net() for _ in range(5000)]
    gc.collect()  # the operands are shown to the collector
    for product, _ in nets:
        mg.Value.__init__(product, 5.0)
    collect()
    for _, result in nets:
        for operand in result._children[0]._children:
            assert operand.token == [1]


# ---- processes of their own ----

KEPT_BY_FINALIZERS = """
import gc, random, sys
from micrograd_c.engine import BACKEND, Value, statistics, trim

choose = random.Random(int(sys.argv[1])).random
one, kept, checked = Value(1.0), [], 0

class Last:
    def __init__(self, value, data):
        self.value, self.data, self.itself = value, data, self

    def __del__(self):
        if choose() < 0.8:
            kept.append((self.value, self.data))
        self.value * 2.0
        self.value._children

def check(value, data):
    global checked
    checked += 1
    assert value.data == data
    assert [child.data for child in value._children] == [1.0, data]
    if BACKEND == "cffi":
        from micrograd_c._library import lib
        assert lib.mg_node_references(value._node) >= 1

def keep_again_and_again(count):
    for i in range(count):
        Last(one * float(i), float(i))
        if kept and choose() < 0.3:
            pair = kept.pop(int(choose() * len(kept)))
            check(*pair)
            if choose() < 0.6:
                Last(*pair)
            del pair
        if len(kept) > 2000:
            del kept[:1500]
        for _ in range(int(choose() * 60)):
            one * 2.0
        if choose() < 5e-4:
            gc.collect()
    for pair in kept:
        check(*pair)

keep_again_and_again(int(sys.argv[2]))
choose = lambda: 1.0
kept.clear()
for _ in range(8):
    gc.collect()
    trim()
assert statistics()[:2] == (0, 1), statistics()
assert checked > int(sys.argv[2]) // 10, checked
"""


@pytest.mark.long
@pytest.mark.parametrize("seed", ["1", "2"])
def test_values_that_finalizers_keep_again_and_again_have_their_nodes(mg: Any, seed: str) -> None:
    result = run(mg, KEPT_BY_FINALIZERS, seed, "30000")
    assert (result.returncode, result.stderr) == (0, "")


EXITS = {
    "plain": "b = Value(1.0) * 2.0; c = b.tanh()",
    "label": "a = Value(1.0, label='a'); b = a * 2.0; b.label = 'b'; c = b * b",
    "attribute": "a = Value(1.0); a.moment = [1.0]; b = a.tanh()",
    "attribute above": """
def make():
    a = Value(1.0)
    b = a * 2.0
    a.above = b
make()""",
    "closure": "a = Value(1.0); b = a * 2.0; b._backward = lambda: b.grad; c = b * 2.0",
    "closure above": """
def make():
    a = Value(1.0)
    b = a * 2.0
    c = b * 3.0
    b._backward = lambda: c.grad
make()""",
    "cycle": "a = Value(1.0); a.me = [a, a * 2.0]; del a",
    "kept by a finalizer": """
import gc, sys
class Last:
    def __del__(self):
        sys.kept = self.out
last = Last()
last.out, last.itself = Value(1.0) * 3.0, last
del last
gc.collect()
assert sys.kept.data == 3.0""",
    "in a module": "import sys; sys.kept = Value(1.0, label='a') * 2.0",
}


@pytest.mark.long
@pytest.mark.parametrize("graph", EXITS.values(), ids=EXITS)
def test_interpreter_exits_in_silence_while_a_graph_lives(mg: Any, graph: str) -> None:
    result = run(mg, f"from micrograd_c.engine import Value, statistics\n{graph}")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


FOUND_DEAD_AT_EXIT = """
import os
from micrograd_c.engine import Value, bulk
class Last:
    def __del__(self):
        result = self.out * 2.0
        result.backward()
        os.write(1, repr((result.data, self.out.grad, bulk.check())).encode())
def make():
    last = Last()
    last.out, last.itself = Value(1.0) * 3.0, last
    return last
"""


@pytest.mark.long
@pytest.mark.parametrize("holder", ["make()", "kept = make()"])
def test_finalizer_that_the_last_collection_calls_finds_its_values(mg: Any, holder: str) -> None:
    result = run(mg, FOUND_DEAD_AT_EXIT + holder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "(6.0, 2.0, None)"


# ---- what a collection in the middle of a call sees ----

MANY = 5000  # more than the proxies that wait to be used again


def replay_operands(mg: Any, root: Any) -> Any:
    return mg.compile(lambda x: sum(root._children, x), 1.0)([1.0])


LONG_RESULTS = {
    "children": lambda mg: mg.Value(1.0, [mg.Value(1.0) * 2.0 for _ in range(MANY)])._children,
    "graph": lambda mg: mg.engine.graph(sum([mg.Value(1.0)] * MANY)),
    "layer": lambda mg: mg.Layer(1, MANY)([mg.Value(1.0)]),
    "linear": lambda mg: mg.linear([[mg.Value(1.0)]] * MANY, [2.0]),
    "softmax": lambda mg: mg.softmax([mg.Value(1.0)] * MANY),
    "trace": lambda mg: replay_operands(mg, mg.Value(1.0, [mg.Value(1.0) for _ in range(MANY)])),
}


@pytest.mark.long
@pytest.mark.parametrize("make", LONG_RESULTS.values(), ids=LONG_RESULTS.keys())
def test_a_collection_finds_no_sequence_with_empty_places(
    mg: Any, make: Callable[[Any], Any]
) -> None:
    empty = []

    def look(phase: str, info: dict[str, int]) -> None:
        for found in gc.get_objects():
            if type(found) in (list, tuple) and len(found) >= MANY:
                empty.append(len(found) - len(gc.get_referents(found)))

    threshold = gc.get_threshold()
    gc.callbacks.append(look)
    gc.set_threshold(500)
    try:
        result = make(mg)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(look)
    assert result
    assert set(empty) <= {0}
