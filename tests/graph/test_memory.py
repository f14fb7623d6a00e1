"""Memory: nothing leaks, deep graphs need no recursion, and running out leaves all as it was."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SLOW, balanced, check_live, collect, live, on_small_stack

# ---- live node counts ----


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


LENGTH = 10_000 if SLOW else 100_000


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


@pytest.mark.long
def test_pages_are_used_again(mg: Any) -> None:
    def build() -> int:
        v = mg.Value(1.0)
        for _ in range(20_000):
            v = v + 1.0
        return int(mg.engine.statistics().bytes)

    mg.engine.trim()  # what earlier tests have left
    sizes = [build() for _ in range(40)]
    assert len(set(sizes[20:])) == 1


def test_trim_gives_unused_memory_back(mg: Any) -> None:
    v = mg.Value(1.0)
    for _ in range(200_000):
        v = v + 1.0
    del v
    before = mg.engine.statistics()
    mg.engine.trim()
    after = mg.engine.statistics()
    assert after.bytes < before.bytes
    assert after.free_pages < before.free_pages


@pytest.mark.parametrize(
    "result",
    [
        lambda lr, i: lr * 0.99**i,
        lambda lr, i: -lr,
        lambda lr, i: (lr.exp() + float(i)).tanh(),
    ],
    ids=["product", "negative", "expression"],
)
def test_a_small_result_kept_of_each_step_pins_8_kib(mg: Any, result: Any) -> None:
    lr = mg.Value(0.1)
    mg.engine.trim()
    before = mg.engine.statistics()
    kept = []
    for i in range(300):
        loss = lr * 1.0
        for _ in range(500):
            loss = loss + 1.0
        kept.append(result(lr, i))
        loss.backward()
        del loss
    mg.engine.trim()
    after = mg.engine.statistics()
    assert after.pages - before.pages <= 310  # some results lie across the end of a page
    assert after.bytes / (after.pages + after.free_pages) < 8 * 1024 + 100
    del kept


# ---- cycles through the arena ----


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


# ---- resident size ----

TRAINING = """
import gc, random, resource, sys
from micrograd_c import Value

gc.freeze()  # what was imported

how, steps = sys.argv[1], int(sys.argv[2])
choose = random.Random(1)
weights = [[Value(choose.uniform(-1, 1)) for _ in range(4)] for _ in range(3)]
parameters = [w for row in weights for w in row]

def labelled(v, i):
    v.label = f"node {i}"
    v.step = i
    return v

def halved(v):
    out = Value(0.5 * v.data, (v,), "half")
    def _backward():
        v.grad += 0.5 * out.grad
    out._backward = _backward
    return out

def step(i):
    outputs = [sum((w * x for w, x in zip(row, (0.5, -1.0, 2.0))), row[3]) for row in weights]
    if how == "labels":
        outputs = [labelled(o, i) for o in outputs]
    elif how == "closures":
        for _ in range(5):
            outputs = [halved(o) for o in outputs]
    loss = sum((o.tanh() - 0.5) ** 2 for o in outputs)
    for p in parameters:
        p.grad = 0.0
    loss.backward()
    for p in parameters:
        p.data -= 0.05 * p.grad

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

for i in range(steps // 5):
    step(i)
before = peak()
for i in range(steps):
    step(i)
print(peak() - before)
"""


def run(mg: Any, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter, on the backend of the test."""
    path = os.pathsep.join([str(Path(mg.__file__).parent.parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("how", ["plain", "labels", "closures"])
def test_ten_thousand_training_steps_hold_the_resident_size_flat(mg: Any, how: str) -> None:
    pytest.importorskip("resource", reason="no resident size to read on this system")
    result = run(mg, TRAINING, how, "10000")
    assert result.stderr == ""
    # A byte lost at each of the 600,000 nodes would be 600.
    kilobytes = int(result.stdout) / (1024 if sys.platform == "darwin" else 1)
    assert kilobytes <= 512


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
    "in a module": "import sys; sys.kept = Value(1.0, label='a') * 2.0",
}


@pytest.mark.long
@pytest.mark.parametrize("graph", EXITS.values(), ids=EXITS)
def test_interpreter_exits_in_silence_while_a_graph_lives(mg: Any, graph: str) -> None:
    result = run(mg, f"from micrograd_c.engine import Value, statistics\n{graph}")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# ---- depth ----


# What is freed one by one on a small stack would overflow it if it were freed recursively.
DEEP = 20_000


@pytest.mark.long
def test_chain_of_millions_of_operations_is_built_differentiated_and_freed(mg: Any) -> None:
    length = 5_000_000 if mg.engine.BACKEND == "native" else 1_000_000
    limit = sys.getrecursionlimit()
    start, step = mg.Value(0.0), mg.Value(1.0)

    def work() -> None:
        v = start
        for _ in range(length):
            v = v + step
        v.backward()
        assert (v.data, start.grad, step.grad) == (length, 1.0, length)

    with balanced(mg):
        on_small_stack(work)
    assert sys.getrecursionlimit() == limit


def test_chain_of_labelled_operations_is_freed(mg: Any) -> None:
    def work() -> None:
        v = mg.Value(1.0)
        for i in range(DEEP):
            v = v + 1.0
            v.label = str(i)
        v.backward()

    with balanced(mg):
        on_small_stack(work)


@pytest.mark.long
def test_chain_of_closures_is_differentiated_and_freed(mg: Any) -> None:
    def doubled(v: Any) -> Any:
        out = mg.Value(v.data + 1.0, (v,), "next")
        out._backward = lambda: setattr(v, "grad", v.grad + out.grad)
        return out

    def work() -> None:
        start = mg.Value(1.0)
        v = start
        for _ in range(DEEP):
            v = doubled(v)
        v.backward()
        assert (v.data, start.grad) == (DEEP + 1.0, 1.0)

    with balanced(mg):
        on_small_stack(work)


@pytest.mark.long
def test_wide_sum_is_built_differentiated_and_freed(mg: Any) -> None:
    with balanced(mg):
        leaves = [mg.Value(float(i)) for i in range(LENGTH)]
        root: Any = sum(leaves)
        root.backward()
        assert {v.grad for v in leaves} == {1.0}
        del leaves, root


# ---- running out of memory ----


def keep_building(mg: Any) -> Any:
    """Enough nodes, leaves and constants for many pages."""
    v = mg.Value(1.0)
    for _ in range(15_000):
        v = v * 0.5 + mg.Value(1.0)
    return v


def build_and_label(mg: Any) -> Any:
    values = [mg.Value(1.0)]
    for i in range(2_000):
        v = values[-1] * 0.5
        v.label = f"v{i}"
        v.colour = i
        values.append(v)
    return values


def build_and_close(mg: Any) -> Any:
    values = [mg.Value(1.0)]
    for _ in range(2_000):
        v = mg.Value(1.0, values[-3:], "mine")
        v._backward = lambda: None
        values.append(v)
    return values


def build_and_look(mg: Any) -> Any:
    v = (mg.Value(1.0) + 2.0).tanh()
    return [v, *v._prev, *(u for w in v._prev for u in w._prev)]


def assign_state(mg: Any) -> Any:
    v = mg.Value(1.0, label="v")
    v.label = "w"
    v.colour = "red"
    v._backward = lambda: None
    return v


BUILDS: list[Callable[[Any], Any]] = [
    keep_building,
    build_and_label,
    build_and_close,
    build_and_look,
    assign_state,
]


def bystander(mg: Any) -> tuple[list[Any], list[Any]]:
    """A graph that must not change, and how it looks."""
    a = mg.Value(2.0, label="a")
    b = (a * 3.0).tanh()
    b.label = "b"
    root = b + a
    root.backward()
    return [a, b, root], appearance([a, b, root])


def appearance(values: list[Any]) -> list[Any]:
    return [(v.label, v._op, v.data, v.grad, len(v._prev)) for v in values]


@pytest.mark.long
@pytest.mark.parametrize("build", BUILDS, ids=lambda f: f.__name__)
def test_building_without_memory_raises_or_succeeds_and_loses_nothing(
    mg: Any, build: Callable[[Any], Any]
) -> None:
    values, looks = bystander(mg)
    gc.collect()
    before = live(mg)
    for n in range(1, 30):
        mg.engine.trim()
        mg.engine.fail_after(n)
        try:
            build(mg)
        except MemoryError:
            pass
        finally:
            mg.engine.fail_after(0)
        check_live(mg, before)
        assert appearance(values) == looks
        build(mg)
        check_live(mg, before)


def test_making_leaves_without_memory_raises_memory_error(mg: Any) -> None:
    leaves: list[Any] = []
    mg.engine.fail_after(1)
    try:
        with pytest.raises(MemoryError):
            for i in range(1_000_000):
                leaves.append(mg.Value(float(i)))
    finally:
        mg.engine.fail_after(0)
    assert [v.data for v in leaves] == list(range(len(leaves)))


@pytest.mark.parametrize("closures", [False, True], ids=["native", "with closures"])
def test_backward_without_memory_changes_no_gradient_or_succeeds(mg: Any, closures: bool) -> None:
    a = mg.Value(1.0)
    values = [a]
    for i in range(4_000):
        v = values[-1] + a
        if closures and i % 100 == 0:
            v._backward = v._backward  # the operator's own rule, called as a closure
        values.append(v)
    root = values[-1]
    for n in range(1, 20):
        for v in values:
            v.grad = 0.25
        mg.engine.trim()
        mg.engine.fail_after(n)
        try:
            root.backward()
            failed = False
        except MemoryError:
            failed = True
        finally:
            mg.engine.fail_after(0)
        if failed:
            assert {v.grad for v in values} == {0.25}
            root.backward()
        for v in values:
            v.grad = 0.0
        root.backward()
        assert (a.grad, values[1].grad) == (4001.0, 1.0)


LABELLED_WITHOUT_MEMORY = """
from micrograd_c.engine import Value, fail_after

v = Value(1.0, label="old")
fail_after(1)
try:
    v.label = ("new",)
except MemoryError:
    print(v.label)
"""


def test_label_that_failed_for_memory_leaves_the_old_one(mg: Any) -> None:
    result = run(mg, LABELLED_WITHOUT_MEMORY)  # of the labels here, "old" could be the 256th
    assert (result.stdout, result.stderr) == ("old\n", "")


def test_operation_that_failed_for_memory_can_be_tried_again(mg: Any) -> None:
    v, retried = mg.Value(0.0), 0
    for _ in range(50_000):
        if retried == 0:
            mg.engine.fail_after(1)
        try:
            v = v + 1.0
        except MemoryError:
            retried += 1
            mg.engine.fail_after(0)
            v = v + 1.0
    mg.engine.fail_after(0)
    assert v.data == 50_000.0


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
