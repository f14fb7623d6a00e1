"""Value(...) in all its spellings, and results that are of a subclass."""

from __future__ import annotations

from typing import Any

from .._library import ffi, lib
from .._value_methods import as_real, makes_results
from .arena import arena, not_null
from .labels import labels
from .lifetimes import children_of, proxy_of, show, take_node, wrap
from .proxy import Proxy, hold_operands, note, release
from .table import symbol_of
from .threads import grad_is_off, here, recorders, refuse

# ---- arguments ----


class _NotGiven(tuple):  # type: ignore[type-arg]
    """The empty tuple as a parameter's default, to be told from one that was given."""


NOT_GIVEN = _NotGiven()
_SPELLINGS = {
    "_children": "children",
    "_prev": "children",
    "_op": "op",
    "local_grads": "partials",
    "_local_grads": "partials",
}


def _take_names(given: dict[str, Any], names: dict[str, Any]) -> None:
    """Add to the arguments given those whose names are spelled in other ways."""
    for name, value in names.items():
        known = _SPELLINGS.get(name)
        if known is None:
            raise TypeError(f"Value() got an unexpected keyword argument {name!r}")
        if given[known] is not NOT_GIVEN:
            raise TypeError(f"Value() got multiple values for argument {name!r}")
        given[known] = value


def real(number: Any, what: str) -> float:
    """Return a real number as a float; raise TypeError, which says what it is, for anything else.

    Raises OverflowError if an int is too large.
    """
    found = number if type(number) is float else as_real(number)
    if found is NotImplemented:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return found


def _as_tuple(given: Any, message: str) -> tuple[Any, ...]:
    if isinstance(given, str) or not hasattr(type(given), "__iter__"):
        raise TypeError(f"{message}, not {type(given).__name__!r}")
    return tuple(given)


# ---- nodes ----


def make_node(
    data: float, children: tuple[Any, ...], partials: tuple[Any, ...], record: bool
) -> Any:
    """Return a new node with these operands; a leaf if there are none, or if not to record."""
    if partials and len(partials) != len(children):
        raise ValueError(
            f"Value() got {len(partials)} local gradients for {len(children)} children"
        )
    for child in children:
        if not isinstance(child, Proxy):
            kind = type(child).__name__
            raise TypeError(f"each of Value()'s children must be a Value, not {kind!r}")
    numbers = [real(partial, "each of Value()'s local gradients") for partial in partials]
    if not children or not record:
        node = lib.mg_leaf(arena, data)
    else:
        array = ffi.new("double[]", numbers) if numbers else ffi.NULL
        operands = [child._node for child in children]
        node = lib.mg_record_custom(arena, data, operands, len(children), array, ffi.NULL)
    not_null(node, "a node")
    hold_operands(children)
    return node


def as_leaf(node: Any) -> Any:
    """Give a node's reference back, and return a leaf of the same number in its place."""
    data = lib.mg_node_data(node)
    if recorders and here.recorder is not None:
        leaf = lib.mg_record_rule(arena, lib.MG_RULE_DETACH, data, [node], 1, ffi.NULL)
    else:
        leaf = lib.mg_leaf(arena, data)
    release(node)
    return not_null(leaf, "a node")


# ---- Values ----


def construct(
    self: Any, data: Any, children: Any, op: Any, label: Any, names: dict[str, Any]
) -> None:
    """Let self show the new node that a call of Value() with these arguments is to make."""
    partials: Any = NOT_GIVEN
    if names:
        given = {"children": children, "op": op, "partials": partials}
        _take_names(given, names)
        children, op, partials = given.values()
    if op is NOT_GIVEN:
        op = ""
    elif not isinstance(op, str):
        if partials is not NOT_GIVEN:
            raise TypeError("Value() got multiple values for argument 'local_grads'")
        op, partials = "", op
    recorded = None
    if recorders and here.recorder is not None:
        known = [None if each is NOT_GIVEN else each for each in (children, partials)]
        recorded = here.recorder.construct(data, *known)
    if recorded is not None:
        partials = ()
        show(self, take_node(recorded))
    else:
        data = real(data, "Value() data")
        children = _as_tuple(children, "Value() children must be an iterable of Values")
        partials = _as_tuple(partials, "Value() local gradients must be a sequence")
        show(self, make_node(data, children, partials, not grad_is_off()))
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


def result_by_call(cls: Any, node: Any) -> Any:
    """Return what the constructor of a subclass makes, which then shows the recorded node.

    A plain Value where the constructor takes other arguments. The caller's reference to the node
    becomes the result's.
    """
    if not makes_results(cls):
        return wrap(node)
    try:
        data = lib.mg_node_data(node)
        if recorders and here.recorder is not None:
            pointer = ffi.cast("mg_node *", node)  # the other one will be the result's
            data = here.recorder.read(proxy_of(pointer))
        result = cls(data, children_of(node), symbol_of(node))
        if isinstance(result, Proxy):
            data = lib.mg_node_data(result._node)
            if data != lib.mg_node_data(node):
                refuse("a constructor that changes its data")
            lib.mg_node_set_data(node, data)
            tag = lib.mg_node_tag(result._node)
            lib.mg_retain(node)
            show(result, node)
            if not lib.mg_node_set_tag(node, tag):
                result.label = labels[tag]
            result.__dict__.pop("_backward", None)
        return result
    finally:
        release(node)
