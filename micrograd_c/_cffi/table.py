"""The library's table of operators."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib

OPS: dict[str, int] = {
    ffi.string(lib.mg_operator_name(op)).decode(): op for op in range(lib.mg_operator_count())
}
NAMES: list[str] = list(OPS)
_SYMBOLS: list[str] = [ffi.string(lib.mg_operator_symbol(op)).decode() for op in OPS.values()]
ABOUT: list[str] = [ffi.string(lib.mg_operator_about(op)).decode() for op in OPS.values()]  # help()
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
    """Return the `_op` of a node that has been given no other one."""
    op: int = lib.mg_node_operator(node)
    if op != EXPONENT:
        return _SYMBOLS[op]
    exponent = lib.mg_node_exponent(node)
    return f"**{int(exponent) if lib.mg_node_exponent_is_integer(node) else exponent}"
