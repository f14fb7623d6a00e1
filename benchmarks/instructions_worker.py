"""The process that instructions.py runs under callgrind.

python -m benchmarks.instructions_worker CONTENDER
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from .contenders import engine
from .graphs import PHASES, Phases
from .operators import OPERATIONS, START, loop

SHORT = {"floats": 10_000, "native": 10_000, "cffi": 1_000}
TIMES_LONGER = 3
EMPTY = "the empty loop"


def labels(contender: str) -> list[str]:
    """Return the names of the pieces of work, in their order."""
    graph = [] if contender == "floats" else [f"{phase}, per node" for phase in PHASES]
    return [EMPTY, *OPERATIONS, *graph]


def section(work: Callable[[], object]) -> None:
    """Have callgrind write its counts before the work and after it."""
    os.getppid()
    work()
    os.getppid()


def count_loop(text: str, inputs: list[Any], short: int) -> None:
    run = loop(text)
    run(*inputs, short)  # the interpreter specializes it, the arena gets its pages
    for count in (short, short * TIMES_LONGER):
        section(partial(run, *inputs, count))


def root(name: str, nodes: int) -> Any:
    """Return the end of a graph."""
    out, _ = engine(name).programs.mixed(engine(name).value, nodes)
    return out


def count_phase(phase: str, name: str, short: int) -> None:
    for nodes in (short, short * TIMES_LONGER):
        phases = Phases(partial(root, name, nodes))
        phases.record()
        phases.release()
        for each in PHASES:
            work = getattr(phases, each)
            section(work) if each == phase else work()


def main(contender: str) -> None:
    floats, short = contender == "floats", SHORT[contender]
    inputs = list(START) if floats else [engine(contender).value(x) for x in START]
    count_loop("a", inputs, short)
    for text, for_floats in OPERATIONS.items():
        count_loop(for_floats if floats else text, inputs, short)
    for phase in [] if floats else PHASES:
        count_phase(phase, contender, short)


if __name__ == "__main__":
    main(sys.argv[1])
