"""A proxy: the Python object that shows a node. A proxy that has state is held by its node.

A node lives in C. A proxy comes and goes: when somebody asks for the operands of a node, those that
have no proxy get one. But a proxy that has state, an attribute or a `_backward`, must not go while
somebody can ask for it in this way. So a node that has parents holds its proxy if that has state.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from .._library import ffi, lib
from .._value_methods import ValueMethods
from .arena import arena, lock


class Proxy(ValueMethods):
    """The base of Value: what a Value stores.

    A Value is made fastest by calling this class, which has no constructor, and then declaring the
    object a Value: see `wrap`.
    """

    __slots__ = ("__dict__", "__weakref__", "_bound", "_node", "_stateful")

    _node: Any  # a pointer to the node
    _stateful: int  # 0 or one of the following
    _bound: list[Proxy]  # those of the node's operands that are cyclic: see cycles.py


KEPT, CYCLIC = 1, 2  # state that leads to no Value; that may lead to Values

# Assigned in this way, a slot does not pass through Value.__setattr__, which would note state.
set_stateful: Any = Proxy.__dict__["_stateful"].__set__

# ---- holding ----

_ATOMS = (int, float, complex, str, bytes, type(None))

# What holds, seen from C, is a flag of the node; seen from Python it is an entry here. Both change
# together, under `lock`.
held: dict[Any, Proxy] = {}  # by node
cyclic_held: set[Any] = set()  # those of these nodes whose proxies are CYCLIC


def copy_pointer(node: Any) -> Any:
    """Return another pointer to a node, where a proxy's own must not be kept: see lifetimes.py."""
    return ffi.cast("mg_node *", node)


def hold(proxy: Any) -> None:
    """Let the node hold its proxy, which has state, if the node has parents."""
    with lock:
        node = copy_pointer(proxy._node)
        if lib.mg_node_hold(arena, node):
            held[node] = proxy
            if proxy._stateful == CYCLIC:
                cyclic_held.add(node)


def let_go(node: Any) -> Any:
    """Take the proxy of a node that holds it no more out of `held`, and return it."""
    cyclic_held.discard(node)
    return held.pop(node)


def hold_operands(operands: Iterable[Any]) -> None:
    """Let nodes that have just become operands hold their proxies; numbers are passed over."""
    for operand in operands:
        if isinstance(operand, Proxy) and operand._stateful:
            hold(operand)


def keep(proxy: Any, kind: int) -> None:
    """Note that the proxy has state of this kind."""
    if proxy._stateful >= kind:
        return
    with lock:
        node = copy_pointer(proxy._node)
        if lib.mg_node_keep(arena, node):
            raise MemoryError("no memory for the state of a Value")
        set_stateful(proxy, kind)
        if kind == CYCLIC:
            lib.mg_node_set_cyclic(arena, node)
            if node in held:
                cyclic_held.add(node)
        hold(proxy)


def note(proxy: Any, state: Any) -> None:
    """Note that the proxy has this object among its state."""
    keep(proxy, KEPT if isinstance(state, _ATOMS) else CYCLIC)


class _Draining(threading.local):
    now = False


_draining = _Draining()


def drain_orphans() -> None:
    """Let go of held proxies whose nodes have lost their last parent.

    With a proxy its node may go, and with that the last parent of another held one. The loop then
    comes to that: a call from within does nothing, so that long chains need no recursion.
    """
    if _draining.now:
        return
    _draining.now = True
    try:
        while True:
            with lock:
                node = lib.mg_arena_next_orphan(arena)
                if not node:
                    break
                proxy = let_go(node)
                hold(proxy)  # another thread may just have used the node as an operand
            del proxy
    finally:
        _draining.now = False


def release(node: Any) -> None:
    """Give a reference to a node back."""
    if lib.mg_release(node):
        drain_orphans()
