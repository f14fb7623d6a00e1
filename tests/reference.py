"""The tests' oracle: the pure-Python Value, in two orders of backward.

`Value` visits nodes as the notebook's class does, in the reverse post-order of a depth-first
search. `CreationOrdered` visits them in descending order of creation, which is a topological order
too, since operands are created before what is made of them; it is the engine's order.

Two orders can add the same contributions to a gradient in a different order, and floating-point
addition is commutative but not associative. Hence the engine agrees

- with `CreationOrdered` bit for bit, always;
- with `Value` bit for bit where no gradient is a sum of more than two terms (at most two uses of a
  node, gradients at zero before backward), and otherwise to 1e-12 of the sum of the terms'
  magnitudes, which is 1e-12 relative where they do not cancel.
"""

from __future__ import annotations

import functools
import gc
import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from micrograd_c._command.reference import Number, Value, atan2, hypot, maximum, minimum

__all__ = [
    "CREATION_ORDERED",
    "DEPTH_FIRST",
    "CreationOrdered",
    "Library",
    "Value",
    "on_reference",
]

_clock = itertools.count()


class CreationOrdered(Value):
    """The reference with the engine's order of backward."""

    def __init__(
        self, data: Number, children: Iterable[Value] = (), op: str = "", label: str = ""
    ) -> None:
        super().__init__(data, children, op, label)
        self._created = next(_clock)

    def backward(self) -> None:
        reached: dict[Any, None] = {self: None}
        stack: list[Any] = [self]
        while stack:
            for child in stack.pop()._children:
                if child not in reached:
                    reached[child] = None
                    stack.append(child)
        self.grad = 1.0
        for node in sorted(reached, key=lambda v: v._created, reverse=True):
            node._backward()


class Library(NamedTuple):
    """What a program of Values needs; the package `micrograd_c` has the same names."""

    Value: type
    maximum: Callable[..., Any]
    minimum: Callable[..., Any]
    atan2: Callable[[Any, Any], Any]
    hypot: Callable[[Any, Any], Any]


DEPTH_FIRST = Library(Value, maximum, minimum, atan2, hypot)
CREATION_ORDERED = Library(CreationOrdered, maximum, minimum, atan2, hypot)


@functools.cache
def on_reference(play: Callable[..., Any], *arguments: Any) -> Any:
    """Return play(CREATION_ORDERED, *arguments), computed once for the tests of all backends.

    Without collections, which would take four fifths of the time.
    """
    gc.disable()
    try:
        return play(CREATION_ORDERED, *arguments)
    finally:
        gc.enable()
