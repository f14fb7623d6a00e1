"""Pure-Python Values of the families of programs in examples/, with those families' constructors.

A program over one of these is what the same program over the package's one Value is compared with.
`Lecture` and `Prev` are the reference under other spellings of its constructor; `LocalGrads` is a
class of another make, with numbers where the others have closures. Each comes with the depth-first
order of pure Python, and in a form with the engine's order of creation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from reference import CreationOrdered
from reference import Value as Reference

__all__ = [
    "CreationOrderedLecture",
    "CreationOrderedLocalGrads",
    "CreationOrderedPrev",
    "Lecture",
    "LocalGrads",
    "Prev",
]


class Lecture(Reference):
    """The Value with `_children`, `_op` and `label`."""

    def __init__(
        self, data: Any, _children: Sequence[Any] = (), _op: str = "", label: str = ""
    ) -> None:
        super().__init__(data, _children, _op, label)


class CreationOrderedLecture(Lecture, CreationOrdered):
    pass


class Prev(Reference):
    """The Value with `_prev` and `_op`."""

    def __init__(self, data: Any, _prev: Sequence[Any] = (), _op: str = "") -> None:
        super().__init__(data, _prev, _op)


class CreationOrderedPrev(Prev, CreationOrdered):
    pass


class LocalGrads:
    """The Value whose third argument holds a local gradient for each child."""

    __slots__ = ("_children", "_created", "_local_grads", "data", "grad")

    _clock = itertools.count()

    def __init__(
        self, data: Any, children: Sequence[Any] = (), local_grads: Sequence[Any] = ()
    ) -> None:
        self.data = data
        self.grad = 0
        self._children = children
        self._local_grads = local_grads
        self._created = next(self._clock)

    def __add__(self, other: Any) -> Any:
        other = self._wrap(other)
        return type(self)(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other: Any) -> Any:
        other = self._wrap(other)
        return type(self)(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n: Any) -> Any:
        return type(self)(self.data**n, (self,), (n * self.data ** (n - 1),))

    def exp(self) -> Any:
        e = math.exp(self.data)
        return type(self)(e, (self,), (e,))

    def log(self) -> Any:
        return type(self)(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> Any:
        return type(self)(max(0, self.data), (self,), (float(self.data > 0),))

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __truediv__(self, other: Any) -> Any:
        return self * other**-1

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self) -> None:
        self.grad = 1
        for node in self._order():
            for child, local in zip(node._children, node._local_grads):
                child.grad += local * node.grad

    def _wrap(self, other: Any) -> Any:
        return other if isinstance(other, LocalGrads) else type(self)(other)

    def _order(self) -> list[Any]:
        """Every node, before all of its children: a depth-first search's post-order, reversed."""
        order: list[Any] = []
        visited = {self}
        stack = [(self, iter(self._children))]
        while stack:
            node, children = stack[-1]
            child = next((c for c in children if c not in visited), None)
            if child is None:
                order.append(node)
                stack.pop()
            else:
                visited.add(child)
                stack.append((child, iter(child._children)))
        return order[::-1]


class CreationOrderedLocalGrads(LocalGrads):
    __slots__ = ()

    def _order(self) -> list[Any]:
        return sorted(super()._order(), key=lambda v: v._created, reverse=True)
