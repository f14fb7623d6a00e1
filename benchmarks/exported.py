"""Programs exported as C: a function, and rows for it, called row by row from C.

An exported file is compiled as the C by hand is, and both are called through the same function of
exported_by_hand.c.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

import micrograd_c as mg

from . import by_hand, programs, trainings

GRADIENT = "model_gradient"


class Workload:
    """A program with its parameters, and rows that it is called for.

    All that is called for them has the same memory, for a tenth of the time depends on where it is.
    """

    def __init__(self, program: Any, parameters: Sequence[Any], rows: Any) -> None:
        self.program, self.parameters, self.rows = program, parameters, rows
        self.numbers = np.array([p.data for p in parameters])
        self.results = np.zeros(len(rows))
        self.gradients, self.input_gradients = np.zeros(len(parameters)), np.zeros(rows.shape[1])

    @cached_property
    def library(self) -> Any:
        """Export the program, compile the file and load it."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "model.c"
            self.program.export_c(source, parameters=self.parameters)
            return by_hand.build(source)

    def expected(self) -> Any:
        """Return the results of all rows, and the gradients of the last one, by Values alone."""
        outs = [self.program.fn(row) for row in self.rows]
        for p in self.parameters:
            p.grad = 0.0
        outs[-1].backward()
        return np.array([*(out.data for out in outs), *(p.grad for p in self.parameters)])


@cache
def moons() -> Workload:
    """The score of a point and its gradient, by the network of `programs.moons_training`."""
    nin, *nouts = programs.MOONS_SIZES
    model = mg.MLP(nin, nouts, activation=["relu", "relu", None])
    programs.load_numbers(model, programs.initial_numbers(programs.MOONS_SIZES))
    points, _ = programs.moons_data(1000)
    return Workload(mg.compile(model, points[0]), model.parameters(), np.array(points))


@cache
def gpt() -> Workload:
    """The loss of a name and its gradient, as in `trainings.compiled_gpt`."""
    program, training, compiled = trainings.gpt_program()
    rows = np.array([program.tokens_of(name) for name in program.NAMES], float)
    return Workload(compiled, training.params, rows)


class Calls:
    """A function for results and gradients, called from C for each row."""

    def __init__(self, workload: Workload, function: Any) -> None:
        self.workload = workload
        count, inputs = workload.rows.shape
        self.arguments = (
            ctypes.cast(function, ctypes.c_void_p),
            _pointer(workload.rows),
            ctypes.c_size_t(inputs),
            ctypes.c_size_t(count),
            _pointer(workload.numbers),
            _pointer(workload.results),
            _pointer(workload.input_gradients),
            _pointer(workload.gradients),
        )

    def run(self) -> None:
        if by_hand.library().gradient_of_rows(*self.arguments) != 0:
            raise ValueError("a row was refused")

    def trace(self) -> Any:
        """Return the results of all rows, and the gradients of the last one."""
        self.run()
        return np.concatenate([self.workload.results, self.workload.gradients])


def _pointer(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
