"""New nodes for Values: what micrograd_c/_construct.py needs of a backend."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .arena import arena, not_null
from .labels import labels
from .lifetimes import living, operands_of, proxy_of, show, take_node
from .proxy import Proxy, copy_pointer, hold, note, release
from .table import CUSTOM
from .threads import grad_is_off, here, hooks, is_watched, recorders, stays


def recorder() -> Any:
    """Return what this thread's Values ask while a program is recorded, or None."""
    return here.recorder if recorders else None


def number_of(value: Any) -> float:
    """Return the data of a Value, also while recording."""
    return float(lib.mg_node_data(value._node))


def new_node(data: float, children: tuple[Any, ...], partials: tuple[float, ...]) -> Any:
    """Return a new node with these operands; a leaf if there are none."""
    if not children:
        return not_null(lib.mg_leaf(arena, data), "a node")
    array = ffi.new("double[]", partials) if partials else ffi.NULL
    operands = [child._node for child in children]
    node = lib.mg_record_custom(arena, data, operands, len(children), array, ffi.NULL)
    not_null(node, "a node")
    for child in children:
        if child._stateful:
            hold(child)
    return node


def make(data: float, children: tuple[Any, ...], partials: tuple[float, ...]) -> Any:
    """Return a new node, in no_grad a leaf; raises MemoryError."""
    return new_node(data, () if grad_is_off() else children, partials)


def look(value: Any, middle: int) -> None:
    """Look at a new result in detect_anomaly; `middle` is as in _anomaly.py."""
    node = value._node
    hooks.look(value, lib.mg_node_data(node), lib.mg_node_serial(node), middle)


def renew(self: Any, made: Any, label: Any, op: str, partials: tuple[Any, ...]) -> None:
    """Let a Value show a new node, or that of another Value, and have this state alone."""
    show(self, take_node(made) if isinstance(made, Proxy) else made)
    if self._stateful:
        for name in ("label", "_op", "_local_grads", "_backward"):
            self.__dict__.pop(name, None)
    if label != "":
        self.label = label
    if op != "":
        self._op = op
    if partials:
        self.__dict__["_local_grads"] = partials
        note(self, None)
    if stays and lib.mg_node_operator(self._node) == CUSTOM and is_watched():
        look(self, 0)


def replace(result: Any, recorded: Any) -> None:
    """Let `result` show the node of `recorded`; it keeps its data and its label."""
    show_instead(result, take_node(recorded))


def show_instead(result: Any, node: Any) -> None:
    """Do so for a node, and take over the caller's reference."""
    tag = lib.mg_node_tag(result._node)
    lib.mg_node_set_data(node, lib.mg_node_data(result._node))
    show(result, node)
    if not lib.mg_node_set_tag(result._node, tag):
        result.label = labels[tag]
    result.__dict__.pop("_backward", None)


def look_at_node(node: Any) -> None:
    """Look at a new node in detect_anomaly. After an error the reference to the node is given back.

    A node in the middle of an operation composed of two, such as the power in a quotient, has no
    proxy, while the operands of the operation have theirs.
    """
    middle = 0
    for operand in operands_of(node):
        if lib.mg_node_arity(operand) and operand not in living:
            middle = lib.mg_node_serial(operand)
    value = proxy_of(copy_pointer(node))
    try:
        look(value, middle)
    except BaseException:
        release(node)
        raise


def as_leaf(node: Any) -> Any:
    """Give a node's reference back, and return a leaf of the same number in its place."""
    data = lib.mg_node_data(node)
    if recorders and here.recorder is not None:
        leaf = lib.mg_record_rule(arena, lib.MG_RULE_DETACH, data, [node], 1, ffi.NULL)
    else:
        leaf = lib.mg_leaf(arena, data)
    release(node)
    return not_null(leaf, "a node")
