"""The library's table of operators, and the errors of their evaluation, for the cffi backend."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .._value_methods import arithmetic_error
from . import threads as modes
from .lifetimes import arena

OPS: dict[str, int] = {
    ffi.string(lib.mg_operator_name(op)).decode(): op for op in range(lib.mg_operator_count())
}
NAMES: list[str] = list(OPS)
SYMBOLS: list[str] = [ffi.string(lib.mg_operator_symbol(op)).decode() for op in OPS.values()]
ADD = OPS["add"]
MULTIPLY = OPS["multiply"]
EXPONENT = OPS["exponent"]
POWER = OPS["power"]
NUMBER_POWER = OPS["number_power"]
CUSTOM = OPS["custom"]
LEAF = OPS["leaf"]


def of_form(form: int) -> dict[str, int]:
    """Return the operators that Python writes in this form, by name."""
    return {name: op for name, op in OPS.items() if lib.mg_operator_form(op) == form}


def symbol_of(node: Any) -> str:
    """Return what `_op` is of a node that has none of its own."""
    op: int = lib.mg_node_operator(node)
    if op != EXPONENT:
        return SYMBOLS[op]
    exponent = lib.mg_node_exponent(node)
    return f"**{int(exponent) if lib.mg_node_exponent_is_integer(node) else exponent}"


def error(status: int, op: int, x: float, y: float, derivative: bool = False) -> Exception:
    """Return the exception for an operator that cannot be evaluated, or derived, there."""
    if status == lib.MG_NO_MEMORY:
        return MemoryError("no memory for a node")
    found = arithmetic_error(status, NAMES[op], x, y, derivative)
    if modes.recordings and modes.recording.recorder is not None:
        modes.recording.recorder.note(found)
    return found


def partial_error(status: int, node: Any) -> Exception:
    """Return the exception for a node whose partial derivatives do not exist."""
    if status == lib.MG_NO_MEMORY:
        return MemoryError("no memory for the order of backward")
    x, y = lib.mg_node_operand(node, 0), lib.mg_node_operand(node, 1)
    second = _number_of(y) if y else lib.mg_node_exponent(node)
    return error(status, lib.mg_node_operator(node), _number_of(x), second, True)


def again(record: Any, *args: Any) -> Any:
    """Call a recording function that failed again, and raise why it fails."""
    status = ffi.new("mg_status *")
    node = record(arena, *args, status)
    if node:
        return node
    if record is lib.mg_record_power:
        op, x, y = EXPONENT, args[0], args[1]
    elif record is lib.mg_record_quotient:
        op, x, y = EXPONENT, args[1], -1.0
    else:
        op, x, y = args if len(args) == 3 else (MULTIPLY, args[0], ffi.NULL)
    raise error(status[0], op, _number_of(x), _number_of(y))


def _number_of(operand: Any) -> float:
    if isinstance(operand, float):
        return operand
    return float(lib.mg_node_data(operand)) if operand else 0.0
