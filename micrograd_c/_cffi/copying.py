"""Taking nodes apart and putting them together again, for copy and pickle."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .arena import arena, not_null
from .backward import local_grads
from .construct import new_node
from .lifetimes import wrap, wrap_as
from .proxy import hold_operands, note
from .table import CUSTOM, EXPONENT, NAMES, OPS
from .value import Value


def recorded(value: Value) -> tuple[str, float, tuple[Value, ...], Any, tuple[float, ...]]:
    """Return operator, data, children, number and given partials of a node.

    The number is an exponent, the mg_rule of a custom node, or None.
    """
    node = value._node
    op = lib.mg_node_operator(node)
    exponent: Any = None
    partials: tuple[float, ...] = ()
    if op == EXPONENT:
        exponent = lib.mg_node_exponent(node)
        if lib.mg_node_exponent_is_integer(node):
            exponent = int(exponent)
    elif op == CUSTOM:
        exponent = lib.mg_node_rule(node)
        partials = local_grads(node)
    return NAMES[op], lib.mg_node_data(node), value._children, exponent, partials


def restore(
    cls: type[Value],
    name: str,
    data: float,
    children: tuple[Value, ...],
    exponent: Any,
    partials: tuple[Any, ...],
) -> Value:
    """Return a node as it once was, not computed anew."""
    op = OPS.get(name)
    count = len(children)
    known = op is not None and len(partials) in (0, count)
    if not known or (op != CUSTOM and (partials or count != lib.mg_operator_arity(op))):
        raise ValueError(f"no operator {name} of {count} children")
    if op == CUSTOM:
        node = new_node(data, children, partials)
    else:
        operands = [child._node for child in children]
        power = float(exponent) if op == EXPONENT else 0.0
        integer = isinstance(exponent, int)
        node = lib.mg_restore(arena, op, data, operands, count, power, integer, ffi.NULL, ffi.NULL)
        not_null(node, "a node")
        hold_operands(children)
    return wrap(node) if cls is Value else wrap_as(cls, node)  # type: ignore[no-any-return]


def attributes(value: Value) -> dict[str, Any] | None:
    """Return the dict of a Value's own attributes if it has any."""
    return value.__dict__ if value._stateful else None


def set_attributes(value: Value, own: dict[str, Any]) -> None:
    """Add to a Value's own attributes."""
    value.__dict__.update(own)
    note(value, own)
    if "_backward" in own:
        lib.mg_node_set_closure(arena, value._node, 1)
