"""Sequences of Values and numbers as the library takes them, and its nodes as Values."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .lifetimes import arena, release, wrap
from .threads import grad_is_off
from .value import _LARGEST_INTEGER, _NULL, Value, _as_leaf

# A node is good for as long as something holds its Value and that shows it, or the pointer taken
# from it. Another thread may change a list meanwhile, or construct a Value again, so whoever takes
# them keeps a copy of the list, and pointers, not just an array of addresses.


def _number(value: Any) -> Any:
    """Return a float or an int, which is not converted, as a float; None for anything else."""
    if issubclass(type(value), int):
        return int.__float__(value) if -_LARGEST_INTEGER < value < _LARGEST_INTEGER else None
    return float.__float__(value) if issubclass(type(value), float) else None


def _terms(values: Any) -> Any:
    """Return Values and numbers as terms, or None if one is neither or of a subclass."""
    terms = []
    for value in values:
        if type(value) is Value:
            terms.append((value._node, 0.0, 0))
        else:
            number = _number(value)
            if number is None:
                return None
            terms.append((_NULL, number, issubclass(type(value), int)))
    return terms


def _shown(nodes: Any, tag: int = 0) -> list[Any]:
    """Return Values of nodes just recorded, or leaves in their place where nothing is recorded.

    The one reference to each node becomes its Value's.
    """
    nodes = list(nodes)
    if grad_is_off():
        for i, node in enumerate(nodes):
            try:
                nodes[i] = _as_leaf(node)
            except MemoryError:
                for other in nodes[:i] + nodes[i + 1 :]:
                    release(other)
                raise
            lib.mg_node_set_tag(nodes[i], tag)
    return [wrap(node) for node in nodes]


def _inputs(xs: Any) -> Any:
    """Return nodes, numbers and how many there are, or None, as in _terms."""
    nodes = [x._node for x in xs if type(x) is Value]
    if len(nodes) == len(xs):
        return nodes, _NULL, len(nodes)
    nodes, numbers = [], []
    for x in xs:
        ours = type(x) is Value
        number = 0.0 if ours else _number(x)
        if number is None:
            return None
        nodes.append(x._node if ours else _NULL)
        numbers.append(number)
    return nodes, numbers, len(nodes)


def _rows(rows: Any, inputs: Any, biases: Any, op: int = -1, tag: int = 0) -> Any:
    """Return an array of the nodes of dot products, a reference each.

    None means that they are to be recorded one by one: for weights that are numbers or have state,
    errors, rows of other lengths.
    """
    if inputs is None:
        return None
    xs, numbers, count = inputs
    rows = [tuple(row) for row in rows]
    ws = [w._node for row in rows for w in row if type(w) is Value]
    starts = _NULL
    if biases is not None:
        starts = [bias._node for bias in biases if type(bias) is Value]
        if len(starts) != len(rows):
            return None
    if len(ws) != count * len(rows) or any(len(row) != count for row in rows):
        return None
    out = ffi.new("mg_node *[]", len(rows))
    status = lib.mg_linear(arena, ws, len(rows), xs, numbers, count, starts, op, tag, out)
    if status == lib.MG_NO_MEMORY:
        raise MemoryError("no memory for the nodes of an expression")
    return None if status else out
