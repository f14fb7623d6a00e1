"""The lives of proxies: which one shows a node, and how long each keeps the other.

A proxy owns one reference to its node. It is given back by the callback of a weak reference, which
at the same time is what finds the proxy of a node again. A proxy with state of its own is held for
as long as its node has parents. That would hide from the garbage collector the cycles that lead
through the arena: so before it looks for cycles, holding is turned into references that it sees.
"""

from __future__ import annotations

import atexit
import gc
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any
from weakref import ref

from .._library import ffi, lib
from .._value_methods import ValueMethods

if TYPE_CHECKING:
    from .value import Value

arena = lib.mg_arena_new()
if not arena:
    raise MemoryError("no memory for an arena")


# ---- a proxy ----


class Slots(ValueMethods):
    """What a Value stores; made as such and then declared a Value, which is the fastest way."""

    __slots__ = ("__dict__", "__weakref__", "_bound", "_node", "_stateful")

    _node: Any
    _stateful: int  # 0, _KEPT, _CYCLIC, _EXPOSED
    _bound: list[Value]  # see expose_cycles


_set_node: Any = Slots.__dict__["_node"].__set__
_set_bound: Any = Slots.__dict__["_bound"].__set__
_set_stateful: Any = Slots.__dict__["_stateful"].__set__

_value_type: Any


def of_slots(cls: Any) -> Any:
    """Tell that this class is what Slots are declared; a decorator."""
    global _value_type
    _value_type = cls
    return cls


# ---- its death ----


class Life(ref):  # type: ignore[type-arg]
    """The weak reference from a node to its proxy."""

    __slots__ = ("bound", "node")
    bound: bool  # set if the proxy refers to those of its node's operands: see expose_cycles
    node: Any  # None if the reference to the node is not to be given back by this


class _Anchor(ref):  # type: ignore[type-arg]
    """The weak reference to the pointer of a proxy that the collector has found dead."""

    __slots__ = ("bound", "node")
    bound: bool
    node: Any


class _FoundDead:
    """The references to nodes whose proxies a collection has found dead.

    The collector calls the callbacks of weak references before `__del__` methods, and those can
    still use a dead proxy, even keep it. So the reference is given back by a second weak reference,
    to the pointer that the proxy holds: the collector does not track that, and it goes when the
    proxy itself has gone.

    Nothing here is asked for by its global name: proxies still die when a module has lost those.
    """

    __slots__ = ("anchors", "collecting")

    def __init__(self) -> None:
        self.anchors: dict[int, _Anchor] = {}  # by id
        self.collecting = False  # a collection is under way

    def add(self, node: Any, bound: bool, anchor_type: Any = _Anchor, cast: Any = ffi.cast) -> None:
        """Let a reference to a node go with this pointer to it."""
        anchor = anchor_type(node, self.pointer_died)
        anchor.bound = bound
        anchor.node = cast("mg_node *", node)
        self.anchors[id(anchor)] = anchor

    def pointer_died(self, anchor: _Anchor, mg_release: Any = lib.mg_release) -> None:
        """Give the reference back."""
        del self.anchors[id(anchor)]
        mg_release(anchor.node)  # orphans are seen to after the collection


living: dict[Any, Life] = {}  # by node
_found_dead = _FoundDead()
lock = threading.RLock()  # a node's being held and its entry in _held change together


def proxy_died(
    life: Life, living: Any = living, mg_release: Any = lib.mg_release, dead: Any = _found_dead
) -> None:
    """Give the reference of a dead proxy back: the callback of its weak reference.

    Whoever takes the node from the life has to see to it. Other threads come in only where
    something is called; so it is taken and struck from `living` at once.
    """
    node, life.node = life.node, None
    if node is None:
        return
    del living[node]
    if dead.collecting:
        dead.add(node, hasattr(life, "bound"))
    elif mg_release(node):
        _drain_orphans()


def _copy(node: Any) -> Any:
    """Return the same address in another object."""
    return ffi.cast("mg_node *", node)


def _leave(life: Life) -> None:
    """Let another proxy be found by a node; this one's reference goes with its pointer."""
    node, life.node = life.node, None
    if node is not None:
        del living[node]
        _found_dead.add(node, False)


def release(node: Any) -> None:
    """Give a reference back."""
    if lib.mg_release(node):
        _drain_orphans()


class _Draining(threading.local):
    now = False


_draining = _Draining()


def _drain_orphans() -> None:
    """Let go of held proxies whose nodes have lost their last parent; not recursive."""
    if _draining.now:
        return
    _draining.now = True
    try:
        while True:
            with lock:
                node = lib.mg_arena_next_orphan(arena)
                if not node:
                    break
                proxy = _held.pop(node)
                _cyclic_held.discard(node)
                hold(proxy)  # another thread may have used it in the middle of this
            del proxy
    finally:
        _draining.now = False


# ---- the proxy of a node ----


def wrap(node: Any) -> Value:
    """Return a proxy for node, whose one reference becomes its own."""
    self: Any = Slots()
    self._stateful = 0
    self._node = node
    self.__class__ = _value_type
    life = Life(self, proxy_died)
    life.node = node
    living[node] = life
    return self  # type: ignore[no-any-return]


def wrap_as(cls: type[Value], node: Any) -> Value:
    """Return an object of the subclass, made without calling it."""
    self = object.__new__(cls)
    _set_stateful(self, 0)
    _attach(self, node)
    note(self, None)
    return self


def _attach(self: Value, node: Any) -> None:
    """Let self show node from now on, whose one reference becomes its own."""
    _set_node(self, node)
    life = Life(self, proxy_died)
    life.node = node
    while (last := living.setdefault(node, life)) is not life:
        _leave(last)


def show(self: Value, node: Any) -> None:
    """Show another node from now on; the old one stays with the graphs that use it."""
    if self._stateful and lib.mg_node_keep(arena, node):
        lib.mg_release(node)
        raise MemoryError("no memory for the state of a Value")
    with lock:
        old = self._node
        if hasattr(self, "_bound"):
            for operand in self._bound:  # as before they were bound
                hold(operand)
            del self._bound
        lib.mg_node_set_tag(old, 0)
        if lib.mg_node_unkeep(arena, old):
            del _held[old]
            _cyclic_held.discard(old)
        lib.mg_node_set_closure(arena, old, 0)
        if self._stateful >= _CYCLIC:
            lib.mg_node_set_cyclic(arena, node)
            _set_stateful(self, _CYCLIC)
        life = living.get(old)
        if life is not None and life() is self:  # otherwise it has an anchor
            _leave(life)  # another thread may have taken the pointer, and be about to use it
        _attach(self, node)


def take_node(proxy: Value) -> Any:
    """Return the node of a proxy that nobody else will see, whose reference is the caller's now."""
    node = proxy._node
    living.pop(node).node = None
    return node


def proxy_of(node: Any) -> Value:
    """Return the proxy of a node that is some node's operand: the one there is, or a new one.

    That keeps the pointer, which must not be another proxy's: see _FoundDead.
    """
    with lock:
        life = living.get(node)
        proxy: Any = None if life is None else life()
        if proxy is None:
            proxy = _held.get(node)  # a finalizer has kept it
        return _new_proxy(node) if proxy is None else proxy


def _new_proxy(node: Any) -> Value:
    proxy: Any = Slots()
    proxy._stateful = 0
    proxy._node = node
    proxy.__class__ = _value_type
    life = Life(proxy, proxy_died)
    lib.mg_retain(node)
    life.node = node
    while (last := living.setdefault(node, life)) is not life:
        known = last()
        if known is not None:  # a collection came, and has made one
            life.node = None
            release(node)
            return known  # type: ignore[no-any-return]
        _leave(last)  # a collection has just found it dead
    return proxy  # type: ignore[no-any-return]


def operands_of(node: Any) -> list[Any]:
    """Return pointers to a node's operands, repeats included."""
    return [lib.mg_node_operand(node, i) for i in range(lib.mg_node_arity(node))]


def children_of(node: Any, bound: Any = ()) -> tuple[Value, ...]:
    """Return the proxies of a node's operands, repeats included: of those bound, where they are.

    The node is good for as long as this has the pointer: see show.
    """
    return tuple(_proxies_of(operands_of(node), bound))  # at once: nobody finds half a tuple


def _proxies_of(nodes: list[Any], bound: Any) -> list[Value]:
    known = {proxy._node: proxy for proxy in bound}
    return [known[node] if node in known else proxy_of(node) for node in nodes]


def graph(root: Value) -> list[Value]:
    """Return the interior nodes below a root and it, in the order in which they were created.

    After a finalizer has kept what the collector found dead, its proxies are found from above.
    """
    top = root._node  # good for as long as this has the pointer: see show
    order = lib.mg_order_new(arena, top)
    if not order:
        raise MemoryError("no memory for the nodes of a graph")
    try:
        bound = {top: root}
        proxies = []
        for i in range(lib.mg_order_count(order)):
            node = lib.mg_order_node(order, i)
            proxy = bound[node] if node in bound else proxy_of(node)
            proxies.append(proxy)
            bound.update((operand._node, operand) for operand in getattr(proxy, "_bound", ()))
        return proxies[::-1]
    finally:
        lib.mg_order_free(arena, order)


# ---- proxies with state of their own ----

# Values of Value._stateful: state that leads to no Value, that may; that the collector has seen.
_KEPT, _CYCLIC, _EXPOSED = 1, 2, 3
_ATOMS = (int, float, complex, str, bytes, type(None))

_held: dict[Any, Value] = {}  # proxies with state, for as long as their nodes have parents
_cyclic_held: set[Any] = set()  # those nodes in it whose proxies' state may lead back up


def hold(proxy: Value) -> None:
    """Let the node hold its proxy, which has state, if the node has parents."""
    with lock:
        node = _copy(proxy._node)
        if lib.mg_node_hold(arena, node):
            _held[node] = proxy
            if proxy._stateful >= _CYCLIC:
                _cyclic_held.add(node)


def note(proxy: Value, state: Any) -> None:
    """Note that the proxy has this among its state."""
    _keep(proxy, _KEPT if isinstance(state, _ATOMS) else _CYCLIC)


def _keep(proxy: Value, kind: int) -> None:
    if proxy._stateful >= kind:
        return
    with lock:
        node = _copy(proxy._node)
        if lib.mg_node_keep(arena, node):
            raise MemoryError("no memory for the state of a Value")
        _set_stateful(proxy, kind)
        if kind == _CYCLIC:
            lib.mg_node_set_cyclic(arena, node)
            if node in _held:
                _cyclic_held.add(node)
        hold(proxy)


# ---- cycles through the arena: see micrograd.h ----

_expose_above = 0  # so many are cyclic and held: it is time to look for cycles through them


def expose_cycles() -> None:
    """Turn the holding of cyclic operands into references that the garbage collector sees.

    It is as much work as there are nodes above them; so that a graph can grow in linear time, it is
    not done again in a collection of young objects before half as many are held.
    """
    global _expose_above
    with lock:  # no proxy shows another node in the middle of this
        proxies, operands = _above_cyclic()
        before = [getattr(proxy, "_bound", ()) for proxy in proxies]  # go when all is done
        for proxy, bound in zip(proxies, before):
            cyclic = [node for node in operands_of(proxy._node) if lib.mg_node_is_cyclic(node)]
            _set_bound(proxy, _proxies_of(cyclic, bound))
            _keep(proxy, _CYCLIC)
            if proxy._node in living:
                living[proxy._node].bound = True
            operands += cyclic
        for node, parents in Counter(operands).items():
            if lib.mg_node_unhold(arena, node, parents):
                _cyclic_held.discard(node)
                before.append([proxy := _held.pop(node)])
                _set_stateful(proxy, _EXPOSED)
        _expose_above = len(_cyclic_held) + len(proxies) // 2


def _above_cyclic() -> tuple[list[Value], list[Any]]:
    """Return the proxies of the nodes above cyclic ones, in order of creation.

    Not of a node that was recorded a moment ago, and is about to get another proxy. Nor of one that
    has been bound, and whose proxy a finalizer has kept: the second list has the operands of these
    nodes whose proxies that refers to.
    """
    nodes: list[Any] = []
    shown: list[Any] = []
    kept: list[Any] = []
    used: set[Any] = set()
    dead = {anchor.node for anchor in list(_found_dead.anchors.values()) if anchor.bound}
    try:
        node = lib.mg_arena_next_above_cyclic(arena, ffi.NULL)
        while node:
            nodes.append(node)
            used.update(operands_of(node))
            is_kept = node in dead and node not in living and node not in _held
            (kept if is_kept else shown).append(node)
            lib.mg_node_set_cyclic(arena, node)  # and so its parents come, too
            node = lib.mg_arena_next_above_cyclic(arena, node)
        proxies = [proxy_of(_copy(node)) for node in shown if node in used or node in living]
        operands = [operand for node in kept for operand in operands_of(node)]
        bound = [node for node in operands if node in _held and _held[node]._stateful == _EXPOSED]
        return proxies, bound
    finally:
        for node in nodes:
            lib.mg_release(node)


def _around_collection(phase: str, info: dict[str, int]) -> None:
    if phase == "stop":
        _found_dead.collecting = False
        if _held:
            _drain_orphans()
        return
    try:
        generation = info["generation"] if _cyclic_held else 0
        if generation > 1 or (generation == 1 and len(_cyclic_held) > _expose_above):
            expose_cycles()
    except (MemoryError, RecursionError):
        pass  # the cycles stay until the next collection
    finally:
        _found_dead.collecting = True


def _at_exit() -> None:
    gc.callbacks.remove(_around_collection)
    _found_dead.collecting = True  # the interpreter's last collections call nobody


gc.callbacks.append(_around_collection)
atexit.register(_at_exit)

if hasattr(os, "register_at_fork"):  # no child finds the lock taken by a thread it does not have
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
