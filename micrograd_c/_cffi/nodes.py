"""Values whose nodes are needed again and again, such as all parameters of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._library import ffi
from . import lifetimes
from .value import Value


class Nodes:
    """A tuple of Values, and an array of pointers to their nodes.

    The array is read from the Values once, and anew after any Value has been made to show another
    node: see csrc/python/nodes.c.
    """

    __slots__ = ("_read", "values")

    def __init__(self, values: Iterable[Value], /) -> None:
        """Take the Values; raises TypeError if there is anything else."""
        self.values = tuple(values)
        for value in self.values:
            if not isinstance(value, Value):
                raise TypeError(f"a Value is required, not {type(value).__name__!r}")
        self._read = _read(self.values)

    def now(self) -> tuple[Any, int, list[Any]]:
        """Return the array of pointers to the nodes that the Values show now, and its length.

        The third part keeps the nodes while the caller has it, for another thread may have a Value
        show another node: see lifetimes.py.
        """
        moves, array, kept = self._read
        if moves != lifetimes.moves:
            moves, array, kept = self._read = _read(self.values)
        return array, len(kept), kept


def _read(values: tuple[Value, ...]) -> tuple[int, Any, list[Any]]:
    """Return what `now` returns, but for the length; and the moves that have been seen."""
    moves = lifetimes.moves  # before the pointers, so that none is older than that
    pointers = [value._node for value in values]
    return moves, ffi.new("mg_node *[]", pointers), pointers


def nodes_of(values: Nodes | Iterable[Value]) -> tuple[Any, int, list[Any]]:
    """Return what `now` returns for a Nodes, or for any other iterable of Values."""
    return (values if isinstance(values, Nodes) else Nodes(values)).now()
