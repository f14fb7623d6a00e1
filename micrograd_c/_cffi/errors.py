"""The errors of operators that cannot be evaluated, or derived."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .._value_methods import arithmetic_error
from .arena import arena
from .table import ADD, EXPONENT, NAMES
from .threads import here, hooks, is_watched, recorders, stays


def error(status: int, op: int, x: float, y: float, derivative: bool = False) -> Exception:
    """Return the exception for an operator that cannot be evaluated, or derived, there."""
    if status == lib.MG_NO_MEMORY:
        return MemoryError("no memory for a node")
    what = ffi.string(lib.mg_error_text(status)).decode()
    found = arithmetic_error(what, NAMES[op], x, y, derivative)
    if recorders and here.recorder is not None:
        here.recorder.note(found)
    if stays and not derivative and is_watched():
        found = hooks.locate(found)
    return found


def _number_of(operand: Any) -> float:
    """Return the number that a node has, or that an operand is."""
    if isinstance(operand, float):
        return operand
    return float(lib.mg_node_data(operand)) if operand else 0.0


def partial_error(status: int, node: Any) -> Exception:
    """Return the exception for a node whose partial derivatives do not exist."""
    if status == lib.MG_NO_MEMORY:
        return MemoryError("no memory for the order of backward")
    x, y = lib.mg_node_operand(node, 0), lib.mg_node_operand(node, 1)
    second = _number_of(y) if y else lib.mg_node_exponent(node)
    return error(status, lib.mg_node_operator(node), _number_of(x), second, True)


def again(record: Any, *args: Any) -> Any:
    """Call a function that has just recorded nothing once more, and raise why it fails.

    `record(arena, *args, NULL) or again(record, *args)` needs no status where all goes well.
    """
    status = ffi.new("mg_status *")
    node = record(arena, *args, status)
    if node:
        return node
    if record is lib.mg_record_power:
        op, x, y = EXPONENT, args[0], args[1]
    elif record is lib.mg_record_quotient:
        op, x, y = EXPONENT, args[1], -1.0
    elif record is lib.mg_record_difference:
        op, x, y = ADD, *args
    else:
        op, x, y = args
    raise error(status[0], op, _number_of(x), _number_of(y))
