"""A graph's phases, per node: record, backward, release. Four graphs.

Two moons: the loss of the 2-16-16-1 network on 100 points, recorded after 100 training steps, so
that the engine's memory has been used and given back many times. A deep chain: 20,000 additions
one after the other; micrograd's own backward recurses and cannot follow. A wide graph: 4,096
products of one leaf and the balanced tree of their sums. A scattered graph: 1,000,000 operations,
one operand of each step anywhere in the graph. The limit in C is a reverse sweep over the very
same graph as an array, its operands indices.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from . import by_hand, programs
from .conftest import Measure, frozen, needs_c
from .contenders import CONTENDERS, OURS, Contender, check_equal, engine
from .graphs import PHASES, Phases, expected, result_and_derivative, time_phase, time_sweep
from .trainings import own_lists

STEPS_BEFORE = {"native": 100, "cffi": 10}

MOONS = "two moons"
SHAPES = {
    "deep chain": ("chain", 20_000),
    "wide graph": ("wide", 8_192),
    "scattered graph": ("scattered", 1_000_000),
}

# Pure Python with the collector off: it would run in the midst of any phase.
QUIET = [contender for contender in CONTENDERS if contender in OURS or not contender.gc]
ITERATIVE = [contender for contender in QUIET if contender.engine != "micrograd"]
FIELDS = {"deep chain": ITERATIVE, "wide graph": QUIET, "scattered graph": OURS[:1]}


def rows(graph: str, contenders: list[Contender]) -> list[Any]:
    """Return graph, phase and contender for each row of a graph's three tables."""
    return [
        pytest.param(
            graph, phase, contender, marks=pytest.mark.benchmark(group=f"{phase}: {graph}")
        )
        for phase in PHASES
        for contender in contenders
    ]


# ---- two moons ----


def gradients_of(training: Any) -> list[float]:
    """Return the loss and the gradients of the parameters."""
    loss = training.loss()
    loss.backward()
    return [loss.data, *(p.grad for p in training.model.parameters())]


@cache
def moons_in_reference() -> list[float]:
    return gradients_of(own_lists("reference"))


@cache
def moons_tape() -> tuple[by_hand.Tape, list[int]]:
    """Return the graph as a tape, and where its parameters are."""
    tape = by_hand.Tape()
    value = tape.value()
    model = programs.Lists(value, programs.MOONS_SIZES)
    programs.moons_training(value, model).loss()
    return tape, [p.index for p in model.parameters()]


@pytest.mark.parametrize(("graph", "phase", "contender"), rows(MOONS, QUIET), ids=str)
def test_moons(graph: str, phase: str, contender: Contender, measure: Measure) -> None:
    training = own_lists(contender.engine)
    with frozen(gc_on=False):
        check_equal(gradients_of(training), moons_in_reference())
        for _ in range(STEPS_BEFORE.get(contender.engine, 0)):
            training.step()
    nodes = len(moons_tape()[0].data)
    time_phase(phase, Phases(training.loss), contender, nodes, measure)


@needs_c
@pytest.mark.benchmark(group=f"backward: {MOONS}")
def test_moons_in_c(measure: Measure) -> None:
    tape, parameters = moons_tape()
    graph = by_hand.CGraph(tape)
    graph.sweep()
    check_equal([tape.data[-1], *map(graph.grad, parameters)], moons_in_reference())
    time_sweep(graph, measure)


# ---- shapes ----


@cache
def shape_tape(graph: str) -> tuple[by_hand.Tape, int]:
    """Return a shape's graph as a tape, and where its leaf is."""
    program, nodes = SHAPES[graph]
    tape = by_hand.Tape()
    _, leaf = getattr(programs, program)(tape.value(), nodes)
    return tape, leaf.index


@pytest.mark.parametrize(
    ("graph", "phase", "contender"),
    [row for graph in SHAPES for row in rows(graph, FIELDS[graph])],
    ids=str,
)
def test_shape(graph: str, phase: str, contender: Contender, measure: Measure) -> None:
    program, nodes = SHAPES[graph]
    ours = engine(contender.engine)
    make = getattr(ours.programs, program)
    with frozen(gc_on=False):
        check_equal(result_and_derivative(*make(ours.value, nodes)), expected(program, nodes))
    time_phase(phase, Phases(lambda: make(ours.value, nodes)[0]), contender, nodes, measure)


@needs_c
@pytest.mark.parametrize(
    "graph",
    [pytest.param(g, marks=pytest.mark.benchmark(group=f"backward: {g}")) for g in SHAPES],
)
def test_shape_in_c(graph: str, measure: Measure) -> None:
    tape, leaf = shape_tape(graph)
    array = by_hand.CGraph(tape)
    array.sweep()
    check_equal([tape.data[-1], array.grad(leaf)], expected(*SHAPES[graph]))
    time_sweep(array, measure)
