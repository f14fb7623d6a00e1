"""Random programs: the engine computes what pure Python computes, to the last bit.

A program is a list of steps over a growing list of Values. Running it gives a trace of everything
a program can see: results, exceptions, and in the end the data, gradients and operators of every
node. How far two traces can be equal, `reference.py` says.
"""

from __future__ import annotations

import gc
import math
import random
from fractions import Fraction
from typing import Any

import pytest
from conftest import SLOW, balanced
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import BINARY, FUNCTIONS, Player, Program
from reference import CREATION_ORDERED, DEPTH_FIRST, Library, on_reference

from micrograd_c._command.special import polygamma

# ---- programs ----

special = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e308, 1e-308, 5e-324, math.inf, -math.inf, math.nan]
)
moderate = st.floats(-2.0, 2.0)
floats = moderate | special | st.floats()
constants = floats | st.integers(-4, 4) | st.booleans() | st.fractions(-3, 3, max_denominator=9)
exponents = st.integers(-3, 4) | st.sampled_from([0.5, -0.5, 2.0, 1 / 3, True]) | floats
positions = st.integers(0, 30)  # counted backward from the newest Value


def steps(numbers: Any, constants: Any, exponents: Any) -> list[Any]:
    """Return the kinds of step that make a Value."""
    return [
        st.tuples(st.just("leaf"), numbers),
        st.tuples(st.just("unary"), st.sampled_from(FUNCTIONS), positions),
        st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), positions, positions),
        st.tuples(st.just("right"), st.sampled_from(sorted(BINARY)), positions, constants),
        st.tuples(st.just("left"), st.sampled_from(sorted(BINARY)), constants, positions),
        st.tuples(st.just("right"), st.just("**"), positions, exponents),
    ]


programs = st.lists(
    st.one_of(
        *steps(floats, constants, exponents),
        st.tuples(st.just("backward"), positions),
        st.tuples(st.just("data"), positions, floats),
        st.tuples(st.just("grad"), positions, floats),
        st.tuples(st.just("label"), positions),
        st.tuples(st.just("drop"), positions),
    ),
    min_size=3,
    max_size=40,
)
calm_programs = st.lists(
    st.one_of(*steps(moderate, moderate, st.integers(-2, 3))), min_size=3, max_size=40
)


class Grower(Player):
    """Grows a graph from one leaf."""

    def __init__(self, lib: Library) -> None:
        super().__init__(lib, [lib.Value(0.5)])

    def do_leaf(self, x: float) -> Any:
        return self.add(self.lib.Value(x))

    def do_label(self, i: int) -> None:
        self.at(i).label += "x"


def run(lib: Library, program: Program) -> list[Any]:
    """Run a program and return its trace."""
    grower = Grower(lib)
    trace: list[Any] = []
    for step in program:
        try:
            made = grower.do(step)
        except (ArithmeticError, ValueError) as error:
            trace.append(type(error))
        else:
            trace += [] if made is None else [made.data.hex()]
    return trace + picture(grower.values)


def picture(values: list[Any]) -> list[Any]:
    """Everything that can be seen of the graphs under these Values, shared nodes once."""
    number: dict[Any, int] = {}
    seen: list[Any] = []
    stack = list(values)
    while stack:
        v = stack.pop()
        if v not in number:
            number[v] = len(number)
            stack.extend(v._prev)
    for v in number:
        operands = [number[child] for child in v._children]
        seen.append((v._op, v.label, v.data.hex(), v.grad.hex(), operands))
    return seen


# ---- against the reference ----


@pytest.mark.long
@settings(max_examples=100 if SLOW else max(500, settings().max_examples))
@given(program=programs)
def test_every_program_agrees_with_the_reference_bit_for_bit(mg: Any, program: Program) -> None:
    assert run(mg, program) == run(CREATION_ORDERED, program)


@pytest.mark.long
@given(program=programs)
def test_every_program_leaves_no_node_behind(mg: Any, program: Program) -> None:
    with balanced(mg):
        run(mg, program)


@pytest.mark.long
@given(program=programs)
def test_every_program_runs_the_same_a_second_time(mg: Any, program: Program) -> None:
    assert run(mg, program) == run(mg, program)


def frugal(program: Program) -> Program:
    """The same program with no Value used more than twice: a third use takes a fresh leaf."""
    uses = [0]
    result: Program = []

    def used(position: int) -> int:
        index = len(uses) - 1 - position % len(uses)
        uses[index] += 1
        return index

    for step in program:
        chosen = [i for i, part in enumerate(step) if i in OPERANDS_OF.get(step[0], ())]
        indices = [used(step[i]) for i in chosen]
        if any(uses[index] > 2 for index in indices):
            for index in indices:
                uses[index] -= 1
            step = ("leaf", 0.75)
            indices = []
        else:
            fixed = list(step)
            for i, index in zip(chosen, indices):
                fixed[i] = len(uses) - 1 - index
            step = tuple(fixed)
        result.append(step)
        uses.append(0)
    return result


OPERANDS_OF = {"unary": (2,), "binary": (2, 3), "right": (2,), "left": (3,)}


def differentiate(lib: Library, program: Program) -> tuple[list[Any], type[Exception] | None]:
    """Run a program whose every step makes a Value, and backward from the last."""
    grower = Grower(lib)
    values = grower.values
    for step in program:
        try:
            grower.do(step)
        except (ArithmeticError, ValueError):
            grower.do(("leaf", 0.25))
    try:
        values[-1].backward()
    except (ArithmeticError, ValueError) as error:
        return values, type(error)
    return values, None


@pytest.mark.long
@given(program=calm_programs)
def test_depth_first_order_gives_the_same_bits_where_no_value_is_used_more_than_twice(
    mg: Any, program: Program
) -> None:
    program = frugal(program)
    values, error = differentiate(mg, program)
    expected, expected_error = differentiate(DEPTH_FIRST, program)
    assert (error is None) == (expected_error is None)
    if error is None:
        assert picture(values) == picture(expected)


def magnitudes(root: Any) -> dict[Any, float]:
    """For each node of a reference graph, the sum of the sizes of its gradient's terms."""
    nodes: dict[Any, None] = {root: None}
    stack = [root]
    while stack:
        new = [child for child in stack.pop()._prev if child not in nodes]
        nodes.update(dict.fromkeys(new))
        stack.extend(new)
    sizes = dict.fromkeys(nodes, 0.0)
    sizes[root] = 1.0
    for node in sorted(nodes, key=lambda v: v._created, reverse=True):
        for child in node._prev:
            child.grad = 0.0
        node.grad = 1.0
        node._backward()
        for child in node._prev:
            sizes[child] += abs(child.grad) * sizes[node]
    return sizes


@pytest.mark.long
@given(program=calm_programs)
def test_depth_first_order_gives_the_same_gradients_within_a_tight_tolerance(
    mg: Any, program: Program
) -> None:
    values, error = differentiate(mg, program)
    expected, expected_error = differentiate(DEPTH_FIRST, program)
    assert (error is None) == (expected_error is None)
    if error is None:
        ordered, _ = differentiate(CREATION_ORDERED, program)
        sizes = magnitudes(ordered[-1])
        for v, other, same in zip(values, expected, ordered):
            size = sizes.get(same, 0.0)
            if size < 1e300:  # beyond, one order may overflow where the other does not
                assert abs(v.grad - other.grad) <= 1e-12 * size


# ---- against the PyPI package ----

MICROGRADS = ["+", "-", "*", "/"]
micrograd_steps = st.one_of(
    st.tuples(st.just("leaf"), moderate),
    st.tuples(st.just("unary"), st.sampled_from(["-", "relu"]), positions),
    st.tuples(st.just("binary"), st.sampled_from(MICROGRADS), positions, positions),
    st.tuples(st.just("right"), st.sampled_from(MICROGRADS), positions, moderate),
    st.tuples(st.just("left"), st.sampled_from(MICROGRADS), moderate, positions),
    st.tuples(st.just("right"), st.just("**"), positions, st.integers(-2, 3)),
)


@pytest.mark.long
@given(program=st.lists(micrograd_steps, min_size=3, max_size=40))
def test_program_agrees_with_the_micrograd_package_where_no_value_is_used_more_than_twice(
    mg: Any, program: Program
) -> None:
    micrograd = pytest.importorskip("micrograd.engine", reason="the oracle is optional")
    program = frugal(program)
    package = Library(micrograd.Value, max, min, math.atan2, math.hypot, polygamma)
    expected, expected_error = differentiate(package, program)
    values, error = differentiate(mg, program)
    assert [v.data for v in values] == pytest.approx([v.data for v in expected], rel=0, nan_ok=True)
    assert (error is None) == (expected_error is None)
    if error is None:
        grads, expected_grads = [v.grad for v in values], [v.grad for v in expected]
        assert grads == pytest.approx(expected_grads, rel=0, abs=0, nan_ok=True)


# ---- larger programs ----


def wander(lib: Library, seed: int, rounds: int, width: int) -> list[str]:
    """Run rounds of random graphs of many nodes over lasting parameters; return what is seen."""
    choose = random.Random(seed)
    parameters = [lib.Value(choose.uniform(-1, 1)) for _ in range(20)]
    kept: list[Any] = []
    seen = []
    for _ in range(rounds):
        values = list(parameters)
        for _ in range(width):
            x, y = choose.choice(values[-60:]), choose.choice(values[-60:])
            kind = choose.randrange(6)
            if kind == 0:
                values.append((x * y).tanh())
            elif kind == 1:
                values.append((x - y) / 2)
            elif kind == 2:
                values.append(lib.maximum(x, 0.5 * y))
            elif kind == 3:
                values.append((x + choose.choice(parameters)).sigmoid())
            elif kind == 4:
                values.append((x * x + y * y + 1e-3).sqrt().sin())
            else:
                del values[choose.randrange(20, max(21, len(values))) :][:3]
                values.append(abs(x) ** 1.5 - 0.1)
        root = sum(values[-30:]) / 30
        root.backward()
        for p in parameters:
            p.data -= 0.01 * p.grad
        seen += [root.data.hex(), *(p.grad.hex() for p in parameters)]
        kept.append(choose.choice(values))  # some graphs live on, and are differentiated later
        if len(kept) > 3:
            kept.pop(choose.randrange(len(kept))).backward()
    return seen


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_graphs_of_many_pages_agree_with_the_reference_bit_for_bit(mg: Any, seed: int) -> None:
    assert wander(mg, seed, 12, 3000) == on_reference(wander, seed, 12, 3000)


def train(lib: Library, steps: int) -> list[str]:
    """Train a little network, written with lists of Values, and return its losses."""
    choose = random.Random(7)
    sizes = [3, 4, 4, 1]
    layers = [
        [[lib.Value(choose.uniform(-1, 1)) for _ in range(n + 1)] for _ in range(m)]
        for n, m in zip(sizes, sizes[1:])
    ]
    parameters = [p for layer in layers for row in layer for p in row]
    rows = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
    targets = [1.0, -1.0, -1.0, 1.0]
    losses = []
    for _ in range(steps):
        outputs = []
        for row in rows:
            x: list[Any] = list(row)
            for layer in layers:
                x = [sum((w * v for w, v in zip(ws, x)), ws[-1]).tanh() for ws in layer]
            outputs.append(x[0])
        loss = sum((o - t) ** 2 for o, t in zip(outputs, targets))
        for p in parameters:
            p.grad = 0.0
        loss.backward()
        for p in parameters:
            p.data += -0.05 * p.grad
        losses.append(loss.data.hex())
    return losses


def test_training_gives_the_references_losses_bit_for_bit(mg: Any) -> None:
    assert train(mg, 100) == on_reference(train, 100)


def test_training_lowers_the_loss(mg: Any) -> None:
    first, *_, last = (float.fromhex(loss) for loss in train(mg, 100))
    assert last < 0.05 * first


def test_garbage_collection_in_the_middle_changes_nothing(mg: Any) -> None:
    threshold = gc.get_threshold()
    expected = wander(mg, 5, 3, 500)
    gc.set_threshold(1, 1, 1)
    try:
        assert wander(mg, 5, 3, 500) == expected
    finally:
        gc.set_threshold(*threshold)


def test_fraction_constants_are_used_as_floats(mg: Any) -> None:
    v = mg.Value(0.3) * Fraction(1, 3)
    assert v.data == 0.3 * (1 / 3)
