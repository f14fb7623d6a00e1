"""One operation: an expression in a loop, its result dropped at the next one.

Each contender has a loop of its own, compiled from the same text; the time includes the loop.
Plain floats run it too, with functions of `math` for the methods that a float does not have.
"""

from __future__ import annotations

import pytest

from .conftest import Measure
from .contenders import CONTENDERS, Contender, check_equal, engine
from .operators import OPERATIONS, START, loop

ROWS = [
    pytest.param(text, row, marks=pytest.mark.benchmark(group=f"operator: {text}"))
    for text in OPERATIONS
    for row in [None, *CONTENDERS]
    if not (text == "a.exp()" and row is not None and row.engine == "micrograd")
]


def result_and_gradients(text: str, name: str) -> list[float]:
    """Return an expression's value and the gradients of what is in it."""
    inputs = [engine(name).value(number) for number in START]
    out = loop(text)(*inputs, 1)
    out.backward()
    return [float(x) for x in [out.data, *(leaf.grad for leaf in inputs)]]


@pytest.mark.parametrize(("text", "contender"), ROWS, ids=str)
def test_operator(text: str, contender: Contender | None, measure: Measure) -> None:
    if contender is None:
        time_floats(OPERATIONS[text], measure)
        return
    found = result_and_gradients(text, contender.engine)
    check_equal(found, result_and_gradients(text, "reference"))
    check_equal(found[:1], [loop(OPERATIONS[text])(*START, 1)])

    run, inputs = loop(text), [engine(contender.engine).value(number) for number in START]
    count = 1_000 if contender.pure else 10_000
    measure(
        lambda: run(*inputs, count),
        contender=contender.name,
        unit="operation",
        count=count,
        timed="the loop",
        gc_on=contender.gc,
    )


def time_floats(text: str, measure: Measure) -> None:
    run, count = loop(text), 10_000
    measure(
        lambda: run(*START, count),
        contender="plain floats",
        unit="operation",
        count=count,
        timed="the loop",
    )
