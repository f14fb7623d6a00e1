"""Nodes as a recorded program, and their numbers for its calls: what micrograd_c/_compile/ asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._library import POLL, ffi, lib
from .arena import arena, not_null
from .lifetimes import proxy_of, wrap
from .nodes import Nodes, nodes_of
from .proxy import hold_operands
from .threads import refuse
from .value import Value

# The numbers of the enums of csrc/micrograd.h, by name.
enums: dict[str, int] = {name: getattr(lib, name) for name in dir(lib) if name.isupper()}

# ---- recording ----


def rule(kind: int, data: float, operands: tuple[Value, ...]) -> Value:
    """Return a node that a trace knows how to compute."""
    nodes = [operand._node for operand in operands]
    node = lib.mg_record_rule(arena, kind, data, nodes, len(nodes), ffi.NULL)
    not_null(node, "a node")
    hold_operands(operands)
    return wrap(node)  # type: ignore[no-any-return]


def is_fresh(value: Value, position: Any) -> bool:
    """Return whether a Value was made since then and is nobody's operand."""
    return bool(lib.mg_node_is_fresh(value._node, position))


def serial(value: Value) -> int:
    """Return a number that no other Value's node ever has, higher than those of older nodes."""
    return int(lib.mg_node_serial(value._node))


def trace(
    anchor: Value, inputs: tuple[Value, ...], position: Any
) -> tuple[bytes, bytes, list[Value]]:
    """Return entries and roots of a trace, as bytes, and the list of captured Values."""
    nodes = [value._node for value in inputs]
    status, culprit = ffi.new("mg_status *"), ffi.new("mg_node **")
    args = arena, anchor._node, position, nodes, len(inputs), status, culprit
    lib.mg_arena_set_poll(arena, POLL)
    made = lib.mg_trace_new(*args)
    if not made and status[0] == lib.MG_INTERRUPTED:
        made = lib.mg_trace_new(*args)
    if not made:
        if status[0] == lib.MG_OPAQUE:
            raise TypeError("a Value with a _backward of its own cannot be replayed")
        raise MemoryError("no memory for a trace")
    try:
        entries = bytes(ffi.buffer(made.entries, made.count * ffi.sizeof("mg_entry")))
        roots = bytes(ffi.buffer(made.root, made.roots * ffi.sizeof("uint32_t")))
        return entries, roots, [proxy_of(made.captured[i]) for i in range(made.captures)]
    finally:
        lib.mg_trace_free(arena, made)


# ---- calling ----


def _doubles(memory: Any, count: int) -> Any:
    doubles = ffi.from_buffer("double[]", memory)
    if len(doubles) != count:
        raise ValueError(f"an array of {count} doubles is required")
    return doubles


_Values = Nodes | Iterable[Value]


def get_numbers(values: _Values, array: Any) -> None:
    """Copy the data of Values."""
    refuse("get() of a vector")
    nodes, count, _kept = nodes_of(values)
    lib.mg_get_data(arena, nodes, count, _doubles(array, count))


def set_numbers(values: _Values, array: Any) -> None:
    """Set the data of Values."""
    refuse("assigning .data")
    nodes, count, _kept = nodes_of(values)
    lib.mg_set_data(arena, nodes, count, _doubles(array, count))


def get_grads(values: _Values, array: Any) -> None:
    """Copy the gradients of Values."""
    refuse("reading .grad")
    nodes, count, _kept = nodes_of(values)
    lib.mg_get_grads(arena, nodes, count, _doubles(array, count))


def add_grads(values: _Values, array: Any) -> None:
    """Add to the gradients of Values."""
    nodes, count, _kept = nodes_of(values)
    lib.mg_add_grads(arena, nodes, count, _doubles(array, count))
