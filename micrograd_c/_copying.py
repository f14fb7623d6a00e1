"""Copying and pickling of graphs, without recursion.

Pickle saves what an object refers to before the object itself, and would descend a chain of a
million nodes by recursion. So the first node of a graph that a pickle meets is saved with a list of
all interior nodes below it, in order of creation: when a node of the list is saved, its operands
have been saved already. The states of the nodes come last. Deep copies are made in the same order.
"""

from __future__ import annotations

import copy
import copyreg
from _thread import get_ident
from collections.abc import Iterator
from typing import Any

from ._value_methods import ValueMethods
from .engine import Value, attributes, bulk, graph, recorded, restore, set_attributes

# ---- one node: what it is made from, and the state beside it ----


def rebuild(
    cls: type[Value],
    name: str,
    data: float,
    children: tuple[Value, ...],
    exponent: Any,
    partials: tuple[Any, ...],
    grad: float,
) -> Value:
    """Return a Value with a node as it was recorded: its data is given, not computed anew."""
    value = restore(cls, name, data, children, exponent, partials)
    value.grad = grad
    return value


def rebuild_root(below: list[Value], *record: Any) -> Value:
    """Return the root of a graph, whose interior nodes `below` have been rebuilt already."""
    return rebuild(*record)


def _record(value: Value) -> tuple[Any, ...]:
    """Return the arguments of `rebuild` for a node."""
    if (recorder := bulk.recorder()) is not None:
        recorder.refuse("copying a Value")
    return (type(value), *recorded(value), value.grad)


_LEFT_OUT = frozenset(("label", "_jit"))  # the copy of a jitted function's result has its numbers
_OWN_SLOTS = frozenset(("_bound", "_node", "_stateful"))


def get_state(value: Value) -> Any:
    """Return label, attributes and slots of a Value; None if it has none of these.

    For a subclass with a `__getstate__` of its own, return what that returns.
    """
    if type(value) is not Value:
        own_state = type(value).__getstate__
        if own_state is not object.__getstate__:
            return own_state(value)
    label = value.label
    own = attributes(value) or {}
    slots = {} if type(value) is Value else _slots(value)
    if label == "" and not own and not slots:
        return None
    return label, {name: own[name] for name in own if name not in _LEFT_OUT}, slots


def _slots(value: Value) -> dict[str, Any]:
    """Return what an instance of a subclass has in the subclass's __slots__."""
    return {
        name: getattr(value, name)
        for name in copyreg._slotnames(type(value))  # type: ignore[attr-defined]
        if name not in _OWN_SLOTS and hasattr(value, name)
    }


def set_state(value: Value, state: Any) -> None:
    """Give a Value the state that `get_state` returned."""
    if isinstance(state, dict):  # a subclass has a __getstate__ and no __setstate__
        state = "", state, {}
    label, own, slots = state
    if label != "":
        value.label = label
    if own:
        set_attributes(value, own)
    for name, slot in slots.items():
        setattr(value, name, slot)


# ---- copying ----


def copy_one(value: Value) -> Value:
    """Return a Value with the same operands, data, gradient, label and attributes."""
    twin = rebuild(*_record(value))
    state = get_state(value)
    if state is not None:
        twin.__setstate__(state)
        if getattr(value._backward, "__self__", None) is value:
            del twin._backward  # the value has the rule of its own node: so has the twin
    return twin


def copy_graph(root: Value, memo: dict[int, Any]) -> Value:
    """Return a copy of the root, made from copies of all nodes below it (`copy.deepcopy`)."""
    for node in [*graph(root), root]:
        _copy_node(node, memo)
    return memo[id(root)]  # type: ignore[no-any-return]


def _copy_node(node: Value, memo: dict[int, Any]) -> Value:
    if id(node) in memo:
        return memo[id(node)]  # type: ignore[no-any-return]
    cls, name, data, children, *rest = _record(node)
    copies = tuple(_copy_node(child, memo) for child in children)
    if id(node) in memo:  # the state of a child has led to this node
        return memo[id(node)]  # type: ignore[no-any-return]
    twin = memo[id(node)] = rebuild(cls, name, data, copies, *rest)
    memo.setdefault(id(memo), []).append(node)  # while its id is in the memo a node must live
    state = get_state(node)
    if state is not None:
        twin.__setstate__(copy.deepcopy(state, memo))
        _rebind_rule(twin, node, memo)
    return twin


def _rebind_rule(twin: Value, node: Value, memo: dict[int, Any]) -> None:
    """Give a copy its native rule.

    Where a node's `_backward` is the native rule of some node, its own or another's, the
    `_backward` of the node's copy is to be the native rule of that node's copy.
    """
    owner = getattr(node._backward, "__self__", None)
    if "_backward" in (attributes(node) or {}) and isinstance(owner, Value):
        del twin._backward  # back to the native rule
        if owner is not node:
            twin._backward = _copy_node(owner, memo)._backward


# ---- pickling ----


class _Below:
    """The interior nodes below the root of a graph: a list, as pickle sees it.

    The states of the nodes follow when all nodes are saved, for an attribute may lead far up again.
    """

    being_saved: dict[tuple[int, int], _Below] = {}  # noqa: RUF012  by (thread, id of a node)

    def __init__(self, root: Value) -> None:
        self.root = root
        self.nodes = graph(root)[:-1]
        self.waiting: list[tuple[Value, Any]] = []  # nodes whose states are to follow

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (), None, self.items()

    def items(self) -> Iterator[Any]:
        """Yield the nodes, then their states. While the nodes are saved they are in `being_saved`.

        So are the root and the nodes' children. The root stays there until the end.
        """
        thread = get_ident()
        everyone = {self.root, *self.nodes}
        everyone.update(child for node in self.nodes for child in node._children)
        mine = {(thread, id(node)) for node in everyone} - self.being_saved.keys()
        self.being_saved.update(dict.fromkeys(mine, self))
        try:
            yield from self.nodes
            # To save a state may run another pickling, in the __reduce__ of an attribute. That
            # pickling knows none of these nodes. This pickling knows all of them but the root.
            root = thread, id(self.root)
            for key in mine - {root}:
                del self.being_saved[key]
            mine &= {root}
            for node, state in self.waiting:  # the list may grow meanwhile
                yield _State(node, state)
        finally:
            for key in mine:
                del self.being_saved[key]


class _State:
    """A node and its state, as an item of the list of nodes."""

    def __init__(self, *state: Any) -> None:
        self.state = state

    def __reduce_ex__(self, protocol: Any) -> Any:
        return give_state, self.state


def give_state(value: Value, state: Any) -> None:
    """Give a rebuilt Value its state."""
    value.__setstate__(state)


def reduce(value: Value) -> tuple[Any, ...]:
    """Return what pickle saves of a Value, as `__reduce__` returns it.

    Raises pickle.PicklingError if the Value's `_backward` cannot be pickled.
    """
    record = _record(value)
    state = get_state(value)
    own = attributes(value) or {}
    if "_backward" in own:
        _check_closure(value, own["_backward"])
    below = _Below.being_saved.get((get_ident(), id(value)))
    if below is not None:
        if state is not None:
            below.waiting.append((value, state))
        return rebuild, record
    if not any(recorded(child)[2] for child in record[3]):
        return rebuild, record, state
    return rebuild_root, (_Below(value), *record), state


def _check_closure(value: Value, closure: Any) -> None:
    """Raise PicklingError, which names the Value, if its closure cannot be pickled."""
    if isinstance(getattr(closure, "__self__", None), Value):
        return  # a node's native rule, or a method of a subclass
    from io import BytesIO
    from pickle import Pickler, PicklingError

    class Probe(Pickler):
        """A pickler that leaves Values out."""

        def persistent_id(self, thing: Any) -> Any:
            return 0 if isinstance(thing, Value) else None

    try:
        Probe(BytesIO()).dump(closure)
    except Exception as error:
        raise PicklingError(
            f"cannot pickle the _backward of the Value labelled {str(value.label)!r}, "
            f"operator {str(value._op)!r}: {error}"
        ) from error


# ---- the methods of Value ----


def _reduce_ex(value: Value, protocol: Any) -> Any:
    if type(value).__reduce__ is not object.__reduce__:
        return value.__reduce__()
    return reduce(value)


for _name, _method in {
    "__copy__": copy_one,
    "__deepcopy__": copy_graph,
    "__reduce_ex__": _reduce_ex,
    "__setstate__": set_state,
}.items():
    setattr(ValueMethods, _name, _method)
