"""A graph's three phases, each timed on its own: recording it, backward, releasing it.

`Phases` holds one graph at a time, so that it is recorded where the one before it was released, as
in any training loop. A pure-Python graph is full of cycles: releasing it is Python's collection of
them, made at once by `gc.collect`; the engine's dies with its last reference.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from . import programs
from .by_hand import CGraph
from .contenders import Contender

if TYPE_CHECKING:
    from .conftest import Measure

PHASES = ["record", "backward", "release"]


class Phases:
    """A graph that can be recorded, differentiated and released again and again."""

    def __init__(self, record: Callable[[], Any]) -> None:
        """`record` returns the root."""
        self._record = record
        self._roots: list[Any] = []

    def record(self) -> None:
        self._roots.append(self._record())

    def backward(self) -> None:
        self._roots[0].backward()

    def release(self) -> None:
        self._roots.clear()

    def release_cycles(self) -> None:
        self._roots.clear()
        gc.collect()


def time_phase(
    phase: str, phases: Phases, contender: Contender, nodes: int, measure: Measure, **info: Any
) -> None:
    """Time one phase of a graph of so many nodes; the others happen untimed.

    Pure Python is timed with the collector off, so that it does not run in the midst of a phase.
    """
    release = phases.release_cycles if contender.pure else phases.release
    setup, target, teardown = {
        "record": (nothing, phases.record, phases.release),
        "backward": (phases.record, phases.backward, phases.release),
        "release": (phases.record, release, nothing),
    }[phase]
    measure(
        target,
        contender=contender.name,
        unit="node",
        count=nodes,
        timed=phase,
        gc_on=contender.gc,
        setup=setup,
        teardown=teardown,
        **info,
    )


def nothing() -> None:
    """Prepare nothing, clear nothing away."""


def time_sweep(graph: CGraph, measure: Measure, **info: Any) -> None:
    """Time the sweep over the same graph as an array in C; gradients to zero untimed."""
    measure(
        graph.sweep,
        contender="C by hand, sweep of an array",
        unit="node",
        count=graph.count,
        timed="backward",
        setup=graph.clear,
        **info,
    )


@cache
def expected(program: str, nodes: int) -> list[float]:
    """Return a program's result and its derivative by its first leaf, without any engine.

    The program runs on complex numbers, an imaginary 1e-30 on that leaf; what the result has of
    it is the derivative to the last bits, for there is no difference to be taken.
    """
    step = 1e-30
    imaginary = [step]

    def value(number: float) -> complex:
        return complex(number, imaginary.pop() if imaginary else 0.0)

    out, _ = getattr(programs, program)(value, nodes)
    return [out.real, out.imag / step]


def result_and_derivative(out: Any, leaf: Any) -> list[float]:
    """Return the same of a recorded graph."""
    out.backward()
    return [float(out.data), float(leaf.grad)]
