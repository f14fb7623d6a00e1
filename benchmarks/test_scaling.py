"""Backward per node, on graphs of 10^3 to 10^7 operations, and the memory of a node.

The graph's operands are among the last few hundred nodes, as in a network's: what is left to see is
how the engine takes larger and larger graphs. Memory is what the arena has taken from the system,
divided by the nodes living in it; the objects of Python that stand for a node are beside it.
"""

from __future__ import annotations

from typing import Any

import pytest

from . import by_hand, programs
from .conftest import Measure, needs_c
from .contenders import CONTENDERS, Contender, check_equal, engine
from .graphs import Phases, expected, result_and_derivative, time_phase, time_sweep

ENOUGH = 10**5  # nodes, for what is taken from the system at a time not to matter
LARGEST = {"native": 7, "cffi": 5, "reference": 4}

ROWS = [
    pytest.param(10**exponent, contender, marks=pytest.mark.benchmark(group=f"scaling: {label}"))
    for exponent, label in enumerate(["10^3", "10^4", "10^5", "10^6", "10^7"], start=3)
    for contender in CONTENDERS
    if exponent <= LARGEST.get(contender.engine, 0) and contender.gc is not contender.pure
]


def bytes_per_node(package: Any, phases: Phases) -> float:
    """Return the arena's memory over the nodes living, while the graph lives."""
    package.engine.trim()
    phases.record()
    statistics = package.engine.statistics()
    phases.release()
    return float(statistics.bytes / (statistics.nodes + statistics.leaves))


@pytest.mark.parametrize(("nodes", "contender"), ROWS, ids=str)
def test_scaling(nodes: int, contender: Contender, measure: Measure) -> None:
    ours = engine(contender.engine)
    found = result_and_derivative(*ours.programs.mixed(ours.value, nodes))
    check_equal(found, expected("mixed", nodes))
    phases = Phases(lambda: ours.programs.mixed(ours.value, nodes)[0])
    info: dict[str, float] = {"size": nodes}
    if nodes >= ENOUGH and not contender.pure:
        info["bytes"] = bytes_per_node(ours.package, phases)
    count = ours.programs.mixed_nodes(nodes)
    time_phase("backward", phases, contender, count, measure, **info)


@needs_c
@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param(10**exponent, marks=pytest.mark.benchmark(group=f"scaling: 10^{exponent}"))
        for exponent in range(3, 7)
    ],
)
def test_scaling_in_c(nodes: int, measure: Measure) -> None:
    tape = by_hand.Tape()
    _, leaf = programs.mixed(tape.value(), nodes)
    graph = by_hand.CGraph(tape)
    graph.sweep()
    check_equal([tape.data[-1], graph.grad(leaf.index)], expected("mixed", nodes))
    time_sweep(graph, measure, size=nodes)
