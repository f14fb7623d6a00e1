"""Parameters as one vector: what optimizers of other packages take."""

from __future__ import annotations

from typing import Any

from ._compile.needed import numpy
from ._nesting import leaves_of
from .engine import Value, bulk

__all__ = ["Vector", "vector"]


class Vector:
    """Values whose data and gradients are copied to and from arrays of shape (P,) in one call.

    Attributes:
        values: the Values, a tuple of P.
    """

    def __init__(self, values: tuple[Value, ...]) -> None:
        self._nodes = bulk.Nodes(values)

    @property
    def values(self) -> tuple[Value, ...]:
        return self._nodes.values

    def get(self) -> Any:
        """Return the data, an array of shape (P,)."""
        array = numpy().empty(len(self.values))
        bulk.get_numbers(self._nodes, array)
        return array

    def set(self, array: Any) -> None:
        """Set the data, of an array of shape (P,), or a list of P numbers.

        Raises ValueError for another shape, TypeError for complex numbers. Gradients stay as they
        are.
        """
        bulk.set_numbers(self._nodes, self.check(array, "the array"))

    def check(self, array: Any, name: str) -> Any:
        """Return an array of shape (P,), or a list of P numbers, as an array. Raises as `set`."""
        np = numpy()
        if np.iscomplexobj(array):
            raise TypeError(f"{name} must consist of real numbers")
        numbers = np.ascontiguousarray(array, np.float64)
        if numbers.shape != (len(self.values),):
            shape = f"({len(self.values)},)"
            raise ValueError(f"{name} must have the shape {shape}, not {numbers.shape}")
        return numbers

    def grad(self) -> Any:
        """Return the gradients, an array of shape (P,)."""
        array = numpy().empty(len(self.values))
        bulk.get_grads(self._nodes, array)
        return array

    def __len__(self) -> int:
        return len(self.values)

    def __reduce__(self) -> Any:
        return Vector, (self.values,)

    def __repr__(self) -> str:
        return f"Vector({len(self.values)} Values)"


def vector(parameters: Any) -> Vector:
    """Return a `Vector` of the Values in an iterable or a nesting, in order.

    Raises TypeError if something in it is no Value, ValueError if a Value is there twice.

    >>> v = vector([Value(1.0), Value(2.0)])
    >>> v.set([3.0, 4.0])
    >>> v.get().tolist(), v.grad().tolist()
    ([3.0, 4.0], [0.0, 0.0])
    """
    nesting = parameters if hasattr(type(parameters), "__len__") else list(parameters)
    values = tuple(leaves_of(nesting))
    for value in values:
        if not isinstance(value, Value):
            raise TypeError(f"a vector consists of Values, not {type(value).__name__!r}")
    if len({id(value) for value in values}) < len(values):
        raise ValueError("a Value is in the vector twice")
    return Vector(values)
