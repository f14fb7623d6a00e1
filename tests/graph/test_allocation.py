"""Allocations and references: each allocation fails once, and no operation keeps a reference."""

from __future__ import annotations

import copy
import gc
import itertools
import math
import pickle
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import balanced, check_live, collect, live

# ---- programs ----


def operators(mg: Any) -> Any:
    a, b = mg.Value(2.0), mg.Value(0.5)
    c = (a * b + 1.0 - b / a) ** 2 + abs(-b) + 2.0**a + a**b
    d = c.tanh() + c.exp() + c.log() + c.sqrt() + c.sin() + c.cos() + c.sigmoid() + c.relu()
    e = mg.maximum(d, a) + mg.minimum(1.0, d) + (3.0 - d) + (4.0 / d)
    e.backward()
    return [a, b, c, d, e]


def many_pages(mg: Any) -> Any:
    """Nodes, leaves and constants for several pages of each kind."""
    v = mg.Value(1.0)
    leaves = []
    for _ in range(3000):
        leaves.append(mg.Value(1.0))
        v = v * 0.5 + leaves[-1]
    v.backward()
    return [v, leaves[0]]


def state(mg: Any) -> Any:
    a = mg.Value(1.0, label="a")
    b = a * 2.0
    b.label = "b"
    b.colour = "red"
    b._op = "mine"
    b.__dict__["more"] = 1
    c = b + a
    c.above = c
    a.above = [c]
    return [a, b, c]


def many_labels(mg: Any) -> Any:
    v = mg.Value(1.0)
    for k in range(300):  # more than are numbered
        v = v + 1.0
        v.label = f"label {k}"
    return [v]


def custom_nodes(mg: Any) -> Any:
    a, b = mg.Value(1.0), mg.Value(2.0)
    c = mg.Value(3.0, (a, b), "mine")
    d = mg.Value(4.0, (c, a, a), (1.0, 2.0, 3.0))
    e = mg.Value(5.0, [a] * 100 + [d], "many", "label", local_grads=[0.5] * 101)
    e.backward()
    return [a, b, c, d, e]


def closures(mg: Any) -> Any:
    a = mg.Value(2.0)
    v = a
    for _ in range(40):  # the order of backward grows beyond what it starts with
        out = mg.Value(v.data + 1.0, (v,), "next")

        def _backward(v: Any = v, out: Any = out) -> None:
            v.grad += out.grad

        out._backward = _backward
        v = out + a
    v.backward()
    return [a, v]


def closure_that_records(mg: Any) -> Any:
    a = mg.Value(2.0)
    b = a * 3.0
    made: list[Any] = []

    def _backward() -> None:
        c = mg.Value(1.0, label="inner") * 2.0
        c.backward()
        made.append(c)
        b.seen = made

    b._backward = _backward
    (b + 1.0).backward()
    return [a, b, *made]


def pushes(mg: Any) -> Any:
    a = mg.Value(2.0)
    b = a * 3.0
    b.grad = 1.0
    b._backward()
    b._backward = b._backward
    (b + a).backward()
    return [a, b]


def looks(mg: Any) -> Any:
    v = (mg.Value(1.0) + 2.0).tanh() * 3.0
    v.label = ("v",)
    return [v, *v._prev, *(u for w in v._prev for u in w._children), *v._local_grads]


def orders(mg: Any) -> Any:
    v = mg.Value(1.0)
    for _ in range(300):
        v = v + 1.0
    nodes, edges = mg.trace(v)
    return [v, *mg.engine.graph(v), len(nodes), len(edges)]


def copies(mg: Any) -> Any:
    a = mg.Value(1.0, label="a")
    b = mg.Value(2.0, (a, a), "mine", local_grads=(1.0, 2.0)) * 3.0
    b.above = [b]
    for _ in range(100):
        b = b + a
    shallow, deep, again = copy.copy(b), copy.deepcopy(b), pickle.loads(pickle.dumps(b))
    again.backward()
    return [a, b, shallow, deep, again]


def constructed_again(mg: Any) -> Any:
    a = mg.Value(1.0, label="a")
    b = a * 2.0
    b.colour = "red"
    b.__init__(5.0)
    b.__init__(6.0, (a, b), "mine", "label")
    a.__init__(7.0)
    c = b + a
    c.backward()
    return [a, b, c]


def switched_off(mg: Any) -> Any:
    a = mg.Value(1.0)
    with mg.no_grad():
        b = (a * 2.0 + 1.0).tanh() / a
        c = mg.Value(1.0, (a, b), "mine")
    return [a, b, c]


def subclasses(mg: Any) -> Any:
    def own(self: Any, data: Any, children: Any = (), op: str = "") -> None:
        mg.Value.__init__(self, data, children, op)
        self.made = True

    values: list[Any] = []
    for body in ({}, {"__slots__": ("moment",)}, {"__init__": own}, {"__del__": len_of_nothing}):
        cls = type("Weight", (mg.Value,), body)
        w = cls(2.0)
        w.moment = [1.0]
        values += [w, w * 3.0, 1.0 - w / 2.0, w.tanh() - w, mg.Value(1.0) * w]
        values[-1].backward()
    return values


def len_of_nothing(self: Any) -> None:
    len(())


def cycles_through_the_graph(mg: Any) -> Any:
    a = mg.Value(1.0)
    b = a * 2.0
    c = (b + 1.0).tanh()
    a.above, b.above = c, [c, b]
    gc.collect()
    d = c * a + b
    gc.collect()
    d.backward()
    return [d]


def errors(mg: Any) -> Any:
    a = mg.Value(0.0, label="a")
    b = a * 1.0
    for wrong in (
        lambda: 1.0 / b,
        lambda: (b - 1.0).log(),
        lambda: b.sqrt().backward(),
        lambda: mg.Value(1.0, (b, 2.0)),
        lambda: mg.Value(1.0, (b,), (1.0, 2.0)),
        lambda: b + "x",
    ):
        with pytest.raises((ArithmeticError, ValueError, TypeError)):
            wrong()
    return [a, b]


def training(mg: Any) -> Any:
    model = mg.MLP(2, [3, 1])
    for _ in range(2):
        loss = sum((model([x, 1.0]) - x) ** 2 for x in (0.5, -0.5))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.1 * p.grad
    return [loss]


def gradients_checked(mg: Any) -> Any:
    assert mg.gradcheck(lambda x, y: (x * y).tanh() + mg.Value(x.data, (x,), (1.0,)), 0.5, 0.25)
    return []


PROGRAMS: list[Callable[[Any], Any]] = [
    operators,
    many_pages,
    state,
    many_labels,
    custom_nodes,
    closures,
    closure_that_records,
    pushes,
    looks,
    orders,
    copies,
    constructed_again,
    switched_off,
    subclasses,
    cycles_through_the_graph,
    errors,
    training,
    gradients_checked,
]

# ---- every allocation fails once ----


def bystander(mg: Any) -> list[Any]:
    """A graph that must not change."""
    a = mg.Value(2.0, label="a")
    b = (a * 3.0).tanh()
    b.colour = "red"
    c = mg.Value(1.0, (a, b), "mine", local_grads=(1.0, 2.0))
    c._backward = c._backward
    root = b + a + c
    root.backward()
    return [a, b, c, root]


def appearance(values: list[Any]) -> list[Any]:
    return [
        (v.label, v._op, v.data, v.grad, [values.index(c) for c in v._children if c in values])
        for v in values
    ]


def still_to_fail(mg: Any, n: int) -> bool:
    """Whether a failure ordered for the n-th allocation has not come yet."""
    values = []
    try:
        for _ in range(n):
            values.append(mg.Value(1.0))
            values[-1].colour = "red"  # takes memory beside the node
    except MemoryError:
        return True
    return False


def failures(mg: Any, program: Callable[[Any], Any]) -> Iterator[bool]:
    """Run a program with its first allocation failing, its second, ...; whether it raised."""
    for n in itertools.count(1):
        mg.engine.trim()
        mg.engine.fail_after(n)
        try:
            program(mg)
            raised, over = False, still_to_fail(mg, n)
        except MemoryError:
            raised, over = True, False
        finally:
            mg.engine.fail_after(0)
        if over:
            return
        yield raised


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_program_that_runs_out_of_memory_anywhere_loses_nothing(
    mg: Any, program: Callable[[Any], Any]
) -> None:
    values = bystander(mg)
    looks_like = appearance(values)
    program(mg)
    collect()
    before = live(mg)
    count = 0
    for _ in failures(mg, program):
        count += 1
        check_live(mg, before)
        assert appearance(values) == looks_like
    assert count > 0


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_program_runs_as_ever_after_it_ran_out_of_memory(
    mg: Any, program: Callable[[Any], Any]
) -> None:
    def numbers() -> list[str]:
        return [v.data.hex() + v.grad.hex() for v in program(mg) if isinstance(v, mg.Value)]

    if program is training:
        pytest.skip("its numbers are random")
    expected = numbers()
    for _ in failures(mg, program):
        assert numbers() == expected


@pytest.mark.parametrize("program", [operators, many_pages, custom_nodes, copies, orders])
def test_running_out_of_memory_is_a_memory_error(mg: Any, program: Callable[[Any], Any]) -> None:
    assert all(failures(mg, program))


def test_value_that_cannot_be_constructed_again_is_as_it_was(mg: Any) -> None:
    a = mg.Value(2.0)
    b = a * 3.0
    b.colour = "red"
    for n in range(1, 4):
        mg.engine.trim()
        mg.engine.fail_after(n)
        try:
            b.__init__(5.0, (a, a), local_grads=(1.0, 2.0))
        except MemoryError:
            assert (b.data, b._op, b._children[0], b.colour) == (6.0, "*", a, "red")
        else:
            assert (b.data, b._local_grads, b.colour) == (5.0, (1.0, 2.0), "red")
            break
        finally:
            mg.engine.fail_after(0)
    else:
        pytest.fail("it takes more than three allocations")


def test_attribute_that_cannot_be_kept_is_not_set(mg: Any) -> None:
    for name, before in (("colour", None), ("_op", "*"), ("label", "")):
        v = mg.Value(2.0) * 3.0
        mg.engine.fail_after(1)
        try:
            with pytest.raises(MemoryError):
                setattr(v, name, ("red",))
        finally:
            mg.engine.fail_after(0)
        assert getattr(v, name, None) == before


def test_closure_that_cannot_be_kept_is_not_set(mg: Any) -> None:
    a = mg.Value(2.0)
    v = a * 3.0
    mg.engine.fail_after(1)
    try:
        with pytest.raises(MemoryError):
            v._backward = lambda: None
    finally:
        mg.engine.fail_after(0)
    v.backward()
    assert a.grad == 3.0


def test_backward_that_runs_out_of_memory_can_be_called_again(mg: Any) -> None:
    a = mg.Value(1.0)
    v = a
    for _ in range(500):
        v = v + a
        v._backward = v._backward
    outcomes = []
    for n in range(1, 12):
        mg.engine.fail_after(n)
        try:
            v.backward()
            outcomes.append(a.grad)
        except MemoryError:
            outcomes.append(None)
            assert (a.grad, v.grad) == (0.0, 0.0)
        finally:
            mg.engine.fail_after(0)
        if outcomes[-1] is not None:
            break
    assert outcomes[0] is None
    assert outcomes[-1] == 501.0


# ---- references ----

Operation = Callable[[Any, Any, Any], Any]


def raising(operation: Operation) -> Operation:
    """An operation that must raise; its exception and the traceback go."""

    def run(mg: Any, a: Any, b: Any) -> None:
        try:
            operation(mg, a, b)
        except Exception:
            return
        raise AssertionError("nothing was raised")

    return run


def fail() -> None:
    raise KeyError


def set_closure(mg: Any, a: Any, b: Any) -> None:
    out = a * b
    out._backward = lambda: out.grad
    (out + 1.0).backward()


def set_failing_closure(mg: Any, a: Any, b: Any) -> None:
    out = a * b
    out._backward = fail
    (out + 1.0).backward()


def set_state(mg: Any, a: Any, b: Any) -> None:
    out = a * b
    out.label, out.colour, out._op = LABEL, LABEL, LABEL
    top = out + 1.0
    out.label = ("a", "tuple")
    out.me = [out]
    del top


def construct_again(mg: Any, a: Any, b: Any) -> None:
    out = a * b
    out.label = LABEL
    out.__init__(1.0, (a, b), LABEL, LABEL, local_grads=PARTIALS)
    out.__init__(1.0)


def use_subclass(mg: Any, a: Any, b: Any) -> None:
    w = WEIGHTS[mg.engine.BACKEND](2.0)
    (w * a + 1.0 - w / b).tanh()


def wrong_in_subclass(mg: Any, a: Any, b: Any) -> None:
    WEIGHTS[mg.engine.BACKEND](2.0) ** "x"


def within_no_grad(mg: Any, a: Any, b: Any) -> None:
    with mg.no_grad():
        (a * b + 1.0).tanh()


LABEL = "a label that is shared"
PARTIALS = (1.0, 2.0)
WEIGHTS: dict[str, Any] = {}

REFERENCES: dict[str, Operation] = {
    "leaf": lambda mg, a, b: mg.Value(1.0),
    "leaf with a label": lambda mg, a, b: mg.Value(1.0, label=LABEL),
    "leaf by keywords": lambda mg, a, b: mg.Value(data=1, children=(), op="", label=""),
    "custom node": lambda mg, a, b: mg.Value(1.0, (a, b), LABEL, LABEL),
    "custom node with partials": lambda mg, a, b: mg.Value(1.0, (a, b), PARTIALS),
    "custom node by keywords": lambda mg, a, b: mg.Value(1.0, _prev=[a], _local_grads=iter([1])),
    "a + b": lambda mg, a, b: a + b,
    "a - b": lambda mg, a, b: a - b,
    "a * b": lambda mg, a, b: a * b,
    "a / b": lambda mg, a, b: a / b,
    "a ** b": lambda mg, a, b: a**b,
    "a + 1": lambda mg, a, b: a + 1,
    "1 + a": lambda mg, a, b: 1 + a,
    "1.0 - a": lambda mg, a, b: 1.0 - a,
    "a - True": lambda mg, a, b: a - True,
    "2 / a": lambda mg, a, b: 2 / a,
    "a / 2.5": lambda mg, a, b: a / 2.5,
    "2 ** a": lambda mg, a, b: 2**a,
    "a ** 2": lambda mg, a, b: a**2,
    "a ** 0.5": lambda mg, a, b: a**0.5,
    "a ** True": lambda mg, a, b: a**True,
    "-a": lambda mg, a, b: -a,
    "+a": lambda mg, a, b: +a,
    "abs": lambda mg, a, b: abs(a),
    "functions": lambda mg, a, b: [
        v() for v in (a.tanh, a.exp, a.log, a.relu, a.sigmoid, a.sin, a.cos, a.sqrt)
    ],
    "maximum": lambda mg, a, b: mg.maximum(a, b),
    "maximum of numbers": lambda mg, a, b: mg.maximum(1.0, 2.0),
    "minimum with a number": lambda mg, a, b: mg.minimum(1, b),
    "sum": lambda mg, a, b: sum([a, b, a]),
    "comparison": lambda mg, a, b: (a < b, a >= 1.0, a == b, a != 5, hash(a), bool(a)),
    "repr": lambda mg, a, b: (repr(a), str(b), f"{a:.4f} {b}"),
    "data and gradient": lambda mg, a, b: setattr(a * b, "grad", 1) or a.data + a.grad,
    "operands": lambda mg, a, b: ((a * 2.0)._children, (a - b)._prev, (a * b)._op),
    "partials": lambda mg, a, b: ((a * b)._local_grads, (a**3)._local_grads),
    "state": set_state,
    "dict": lambda mg, a, b: (a * b).__dict__.update(colour=LABEL),
    "weak reference": lambda mg, a, b: weakref.ref(a * b)(),
    "backward": lambda mg, a, b: ((a * b + 1.0).tanh() / a).backward(),
    "push": lambda mg, a, b: (a * b)._backward(),
    "closure": set_closure,
    "closure that raises": raising(set_failing_closure),
    "constructed again": construct_again,
    "subclass": use_subclass,
    "no_grad": within_no_grad,
    "copy": lambda mg, a, b: copy.copy(mg.Value(1.0, (a, b), PARTIALS, LABEL)),
    "deepcopy": lambda mg, a, b: copy.deepcopy(mg.Value(1.0, (a, b), PARTIALS, LABEL) * 2.0),
    "pickle": lambda mg, a, b: pickle.loads(pickle.dumps((a * b).tanh())),
    "trace": lambda mg, a, b: mg.trace(a * b + 1.0),
    "gradcheck": lambda mg, a, b: mg.gradcheck(lambda x: x * x, 2.0),
    "statistics": lambda mg, a, b: mg.engine.statistics(),
    "wrong operand": raising(lambda mg, a, b: a + "x"),
    "wrong operand left": raising(lambda mg, a, b: None / a),
    "number too large": raising(lambda mg, a, b: a * 10**400),
    "outside the domain": raising(lambda mg, a, b: (a - 100.0).log()),
    "division by zero": raising(lambda mg, a, b: 1 / (a * 0.0)),
    "overflow": raising(lambda mg, a, b: (a * 1e4).exp()),
    "derivative that does not exist": raising(lambda mg, a, b: (a * 0.0).sqrt().backward()),
    "partial that does not exist": raising(lambda mg, a, b: (a * 0.0).sqrt()._local_grads),
    "power with a modulus": raising(lambda mg, a, b: pow(a, 2, 3)),
    "maximum of a string": raising(lambda mg, a, b: mg.maximum("x", a)),
    "wrong data": raising(lambda mg, a, b: mg.Value("x")),
    "wrong child": raising(lambda mg, a, b: mg.Value(1.0, (a, "x"))),
    "wrong partial": raising(lambda mg, a, b: mg.Value(1.0, (a,), ("x",))),
    "wrong count": raising(lambda mg, a, b: mg.Value(1.0, (a, b), (1.0,))),
    "unknown keyword": raising(lambda mg, a, b: mg.Value(1.0, colour=LABEL)),
    "argument twice": raising(lambda mg, a, b: mg.Value(1.0, (a,), children=(b,))),
    "too many arguments": raising(lambda mg, a, b: mg.Value(1.0, (a,), LABEL, LABEL, LABEL)),
    "wrong assignment": raising(lambda mg, a, b: setattr(a * b, "data", LABEL)),
    "wrong closure": raising(lambda mg, a, b: setattr(a * b, "_backward", LABEL)),
    "missing attribute": raising(lambda mg, a, b: (a * b).colour),
    "wrong in a subclass": raising(wrong_in_subclass),
    "conversion to float": raising(lambda mg, a, b: math.exp(a)),
    "pickle of a lambda": raising(lambda mg, a, b: pickle.dumps(mg.Value(1.0, label=lambda: None))),
    "no memory": lambda mg, a, b: run_out(mg, a),
}


def run_out(mg: Any, a: Any) -> None:
    mg.engine.fail_after(1)
    try:
        (a * 2.0).colour = LABEL
    except MemoryError:
        pass
    finally:
        mg.engine.fail_after(0)


def counts(mg: Any, a: Any, b: Any) -> list[int]:
    """The reference counts of what many objects share."""
    shared = [None, NotImplemented, True, (), "", "+", "*", "_op", "_backward", "_local_grads"]
    shared += [LABEL, PARTIALS, mg.Value, WEIGHTS[mg.engine.BACKEND], float, tuple, str, a, b, fail]
    return [sys.getrefcount(thing) for thing in shared]


@pytest.mark.long
@pytest.mark.parametrize("name", REFERENCES)
def test_operation_keeps_no_reference_and_no_memory(
    mg: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = type("Weight", (mg.Value,), {})
    monkeypatch.setitem(WEIGHTS, mg.engine.BACKEND, weight)
    operation = REFERENCES[name]
    a, b = mg.Value(1.5), mg.Value(2.5)
    for _ in range(50):  # caches and free lists fill
        operation(mg, a, b)
    growths = [growth(lambda: operation(mg, a, b), lambda: counts(mg, a, b)) for _ in range(3)]
    assert min(growths) < 100, f"after {ROUNDS} rounds: {growths}"


ROUNDS = 400


def growth(operation: Callable[[], Any], measure: Callable[[], list[int]]) -> int:
    """How much a count, or the number of memory blocks, has grown after some rounds."""
    gc.collect()
    before, blocks = measure(), sys.getallocatedblocks()
    for _ in range(ROUNDS):
        operation()
    gc.collect()
    blocks = sys.getallocatedblocks() - blocks
    return max(blocks, *(abs(y - x) for x, y in zip(before, measure())))


def test_values_of_a_subclass_are_references_to_it(mg: Any) -> None:
    """The measure of the test above measures something."""
    weight = type("Weight", (mg.Value,), {})
    before = sys.getrefcount(weight)
    kept = [weight(1.0) for _ in range(50)]
    assert sys.getrefcount(weight) - before == len(kept)


def test_programs_leave_no_node_behind(mg: Any) -> None:
    for program in PROGRAMS:
        with balanced(mg):
            program(mg)
