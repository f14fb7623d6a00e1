"""Sequences of Values and numbers as the library takes them, and the nodes it records as Values.

A function returns None for a sequence that it does not take: one with objects of other types, or of
a subclass of Value, which may have operators of its own; in detect_anomaly it takes none. Then the
plain Python expression is to be evaluated.

Another thread may change a list meanwhile. So its items are taken from a copy, and pointers to
nodes, not addresses alone, are kept until all is done: see lifetimes.py.
"""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .._value_methods import LARGEST_INTEGER
from .arena import arena
from .construct import as_leaf
from .lifetimes import wrap
from .proxy import release
from .threads import grad_is_off, is_watched, stays
from .value import Value

# ---- from sequences ----


def _number(value: Any) -> Any:
    """Return a float or an int as a float, without its own __float__; None for anything else."""
    if issubclass(type(value), int):
        return int.__float__(value) if -LARGEST_INTEGER < value < LARGEST_INTEGER else None
    return float.__float__(value) if issubclass(type(value), float) else None


def terms(values: Any) -> Any:
    """Return Values and numbers as an array of mg_term."""
    if stays and is_watched():
        return None
    found = []
    for value in values:
        if type(value) is Value:
            found.append((value._node, 0.0, 0))
        else:
            number = _number(value)
            if number is None:
                return None
            found.append((ffi.NULL, number, issubclass(type(value), int)))
    return found


def inputs(xs: Any) -> Any:
    """Return Values and numbers as nodes, numbers and their count, as mg_linear takes them."""
    if stays and is_watched():
        return None
    nodes = [x._node for x in xs if type(x) is Value]
    if len(nodes) == len(xs):
        return nodes, ffi.NULL, len(nodes)
    nodes, numbers = [], []
    for x in xs:
        ours = type(x) is Value
        number = 0.0 if ours else _number(x)
        if number is None:
            return None
        nodes.append(x._node if ours else ffi.NULL)
        numbers.append(number)
    return nodes, numbers, len(nodes)


# ---- to Values ----


def record_rows(rows: Any, xs: Any, biases: Any, op: int = -1, tag: int = 0) -> Any:
    """Return an array of the nodes of dot products of rows and `inputs`, a reference each.

    None: record them one by one (weights that are numbers or have state, an operator's error, rows
    of unequal length).
    """
    if xs is None:
        return None
    nodes, numbers, count = xs
    rows = [tuple(row) for row in rows]
    ws = [w._node for row in rows for w in row if type(w) is Value]
    starts = ffi.NULL
    if biases is not None:
        starts = [bias._node for bias in biases if type(bias) is Value]
        if len(starts) != len(rows):
            return None
    if len(ws) != count * len(rows) or any(len(row) != count for row in rows):
        return None
    out = ffi.new("mg_node *[]", len(rows))
    status = lib.mg_linear(arena, ws, len(rows), nodes, numbers, count, starts, op, tag, out)
    if status == lib.MG_NO_MEMORY:
        raise MemoryError("no memory for the nodes of an expression")
    return None if status else out


def shown(nodes: Any, tag: int = 0) -> list[Value]:
    """Return Values of nodes just recorded, or leaves in their place where nothing is recorded.

    The one reference to each node becomes its Value's.
    """
    nodes = list(nodes)
    if grad_is_off():
        for i, node in enumerate(nodes):
            try:
                nodes[i] = as_leaf(node)
            except MemoryError:
                for other in nodes[:i] + nodes[i + 1 :]:
                    release(other)
                raise
            lib.mg_node_set_tag(nodes[i], tag)
    return [wrap(node) for node in nodes]
