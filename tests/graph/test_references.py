"""No operation keeps a reference or memory, whether it succeeds or fails."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

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
