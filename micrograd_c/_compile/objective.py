"""The reduced result of a program as a function of its parameters, for optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..vectors import Vector
from .calls import replay
from .replay import PARAMETERS, Frame, Trace

if TYPE_CHECKING:
    from .recorded import Recorded
    from .rows import Rows


class Objective:
    """A function theta -> (value, gradient), as scipy.optimize.minimize takes it with jac=True.

    theta is an array of shape (P,), the data of the program's parameters in their order. The
    parameters themselves, and their gradients, are left as they are; while a branch that was not
    met is recorded, they have the numbers of theta. See `Program.objective`.

    Attributes:
        x0: the data that the parameters have, an array of shape (P,).
        vector: the parameters as a `Vector`: `objective.vector.set(theta)` takes a result over.
    """

    def __init__(self, program: Recorded, rows: Rows, bind: Any, threads: int) -> None:
        for p in program.parameters:
            if p._children:
                raise TypeError(
                    f"an objective is a function of leaves, and the parameter {p!r} was made from "
                    "other Values: compute it in the function, or take Value(v.data)"
                )
        self._program, self._rows, self._bind, self._threads = program, rows, bind, threads
        self._places: dict[int, Any] = {}  # by id of a trace
        self.vector: Vector = Vector(program.parameters)
        self.x0: Any = self.vector.get()

    def __call__(self, theta: Any) -> tuple[float, Any]:
        """Return the value and its gradient, an array of shape (P,).

        Raises ValueError for a theta of another shape, RuntimeError if a row takes a branch of the
        function that uses further parameters.
        """
        np = self._program._np
        numbers = self.vector.check(theta, "theta")
        gradient = np.zeros(len(numbers))

        def load(trace: Trace, frame: Frame) -> None:
            places = self._places_of(trace)
            np.frombuffer(frame.data_buffer)[:] = numbers[places]

        def finish(trace: Trace, frame: Frame) -> None:
            places = self._places_of(trace)
            gradient[places] += np.frombuffer(frame.grads_buffer)

        value = replay(
            self._program,
            PARAMETERS,
            self._rows,
            self._bind,
            threads=self._threads,
            load=load,
            recording=lambda: self._at(numbers),
            finish=finish,
        )
        return value, gradient

    @contextmanager
    def _at(self, numbers: Any) -> Iterator[None]:
        """Give the parameters these numbers for a time: a branch is recorded as theta takes it."""
        before = self.vector.get()
        try:
            self.vector.set(numbers)
            yield
        finally:
            self.vector.set(before)

    def _places_of(self, trace: Trace) -> Any:
        """Return the places in theta of the Values that a trace has captured."""
        found = self._places.get(id(trace))
        if found is None:
            places = {id(value): i for i, value in enumerate(self.vector.values)}
            if any(id(value) not in places for value in trace.captured):
                raise RuntimeError(
                    "a row takes a branch of the function that uses further parameters: "
                    "make a new objective"
                )
            found = self._program._np.array([places[id(v)] for v in trace.captured], int)
            self._places[id(trace)] = found
        return found
