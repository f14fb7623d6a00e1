"""The lives of proxies: which one shows a node, and how long each keeps the other.

A proxy owns one reference to its node. It is given back by the callback of a weak reference, which
at the same time is what finds the proxy of a node again. A proxy with state of its own is held for
as long as its node has parents.
"""

from __future__ import annotations

import atexit
import gc
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any
from weakref import getweakrefs, ref

from ._library import ffi, lib
from ._value_methods import ValueMethods

if TYPE_CHECKING:
    from ._proxy import Value

arena = lib.mg_arena_new()
if not arena:
    raise MemoryError("no memory for an arena")

# None when the interpreter has done with this module's globals: it clears the first one first, and
# therefore this is the first.
_collecting: bool | None = False
_exiting = False


# ---- a proxy ----


class Slots(ValueMethods):
    """What a Value stores; made as such and then declared a Value, which is the fastest way."""

    __slots__ = ("__dict__", "__weakref__", "_bound", "_node", "_stateful")

    _node: Any
    _stateful: int  # 0, _KEPT, _CYCLIC
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


# ---- its weak reference ----


class Life(ref):  # type: ignore[type-arg]
    """The weak reference from a node to its proxy."""

    __slots__ = ("node",)
    node: Any


lock = threading.RLock()  # a node's being held and its entry in _held change together

living: dict[Any, Life] = {}  # their lives, by node
_held: dict[Any, Value] = {}  # proxies with state, for as long as their nodes have parents


class _Draining(threading.local):
    active = False


_draining = _Draining()


def proxy_died(life: Life, living: Any = living, mg_release: Any = lib.mg_release) -> None:
    """Give the reference of a dead proxy back: the callback of its weak reference.

    It is whose who takes the node from the life. Other threads come in only where something is
    called; so it is taken and struck from `living` at once.
    """
    node, life.node = life.node, None
    if node is None:  # another proxy has taken its place
        return
    del living[node]
    if _collecting is False:
        if mg_release(node):
            _drain_orphans()
    elif _collecting:
        _found_dead.append(_anchor(node))


def release(node: Any) -> None:
    """Give a reference back."""
    if lib.mg_release(node):
        _drain_orphans()


def _drain_orphans() -> None:
    """Let go of held proxies whose nodes have lost their last parent; not recursive."""
    if _draining.active:  # the loop up the stack goes on with them
        return
    try:
        _draining.active = True
        while True:
            with lock:
                node = lib.mg_arena_next_orphan(arena)
                if not node:
                    return
                proxy = _held.pop(node)
                _cyclic_held.discard(node)
                hold(proxy)  # another thread may have used it in the middle of this
            del proxy
    finally:
        _draining.active = False


# ---- what a collection has found dead ----

# The garbage collector calls the callbacks of weak references before `__del__` methods, and those
# can still use a dead proxy, even keep it. Its node's reference is then given back by a second weak
# reference, to the pointer that the proxy holds: the collector does not track that, and so it goes
# when the proxy itself has gone.


class _Anchor(ref):  # type: ignore[type-arg]
    """The weak reference to the pointer of a proxy that the collector has found dead."""

    __slots__ = ("node",)
    node: Any


_anchors: dict[int, _Anchor] = {}
_found_dead: list[_Anchor] = []  # by the collection under way


def _copy(node: Any) -> Any:
    """Return the same address in another object."""
    return ffi.cast("mg_node *", node)


def _anchor(node: Any) -> _Anchor:
    anchor = _Anchor(node, _pointer_died)
    anchor.node = _copy(node)
    _anchors[id(anchor)] = anchor
    return anchor


def _pointer_died(anchor: _Anchor) -> None:
    if _collecting is None:
        return
    if _anchors.pop(id(anchor), None) is not None:  # not readmitted just now
        release(anchor.node)


# ---- what finalizers use and keep ----

# Those that a finalizer comes to by way of nodes, from one that it has; until the collection's end.
_recalled: dict[Any, Value] = {}


def recall(proxy: Value) -> None:
    """Let those below proxy be found by their nodes that a collection has found dead.

    Whoever has a proxy calls this before looking for those of other nodes. All that have state are
    bound, link by link.
    """
    if not proxy._stateful or not _collecting or _is_found(proxy):
        return
    with lock:
        above = [proxy]
        while above:
            proxy = above.pop()
            if not _is_found(proxy) and proxy._node not in _recalled:
                _recalled[proxy._node] = proxy
                above += getattr(proxy, "_bound", ())


def _is_found(proxy: Value) -> bool:
    """Whether its node leads to this proxy."""
    life = living.get(proxy._node)
    return life is not None and life() is proxy


def _readmit(proxy: Value) -> None:
    """Give a proxy that is alive a weak reference again, unless another with state has its node.

    Not in the middle of a collection, which may drop the weak reference without a callback.
    """
    with lock:
        node = proxy._node
        life = living.get(node)
        other = None if life is None else life()
        if other is not None and (other is proxy or other._stateful):
            return
        anchors = [each for each in getweakrefs(node) if id(each) in _anchors]
        if life is not None and anchors:
            _leave(life)
        if anchors:  # to have the reference that the first one has
            del _anchors[id(anchors[0])]
            _attach(proxy, node)


def _readmit_kept() -> None:
    """Readmit those that the collection has found dead and somebody has kept."""
    with lock:  # another thread's `show` finds its anchor or its weak reference
        nodes = [node for anchor in _found_dead if (node := anchor()) is not None]
        _found_dead.clear()
        if not nodes:
            return
        own = set(map(id, nodes))
        for proxy in gc.get_referrers(*nodes):
            if isinstance(proxy, _value_type) and id(proxy._node) in own:
                _readmit(proxy)


def _leave(life: Life) -> _Anchor:
    """Let a reference to a node go with the last pointer to it, not with the proxy."""
    node, life.node = life.node, None
    living.pop(node)
    return _anchor(node)


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
    living[node] = life


def show(self: Value, node: Any) -> None:
    """Show another node from now on; the old one stays with the graphs that use it."""
    if self._stateful and lib.mg_node_keep(arena, node):
        lib.mg_release(node)
        raise MemoryError("no memory for the state of a Value")
    with lock:  # see expose_cycles
        old = self._node
        if hasattr(self, "_bound"):
            for operand in self._bound:  # as before they were bound
                _put_into_held(operand)
            del self._bound
        lib.mg_node_set_tag(old, 0)
        if lib.mg_node_unkeep(arena, old):
            del _held[old]
            _cyclic_held.discard(old)
        lib.mg_node_set_closure(arena, old, 0)
        if self._stateful == _CYCLIC:
            lib.mg_node_set_cyclic(arena, node)
        life = living.get(old)
        if life is None or life() is not self:  # it has an anchor
            _attach(self, node)
        else:
            _leave(life)  # another thread may have taken the pointer, and be about to use it
            _attach(self, node)


def take_node(proxy: Value) -> Any:
    """Return the node of a proxy that nobody else will see, whose reference is the caller's now."""
    node = proxy._node
    living.pop(node).node = None
    return node


def proxy_of(node: Any) -> Value:
    """Return the proxy of a node that is some node's operand: the one there is, or a new one.

    That keeps the pointer, which must not be another proxy's: see _anchor.
    """
    with lock:
        proxy: Any = _find(node)
        if proxy is not None:
            return proxy  # type: ignore[no-any-return]
        proxy = Slots()
        proxy._stateful = 0
        proxy._node = node
        proxy.__class__ = _value_type
        life = Life(proxy, _operand_died)
        lib.mg_retain(node)
        life.node = node
        _operand_lives[id(life)] = life
        key = _copy(node)  # for an anchor the proxy's own pointer must not stay
        last = living.setdefault(key, life)
        if last is life:
            return proxy  # type: ignore[no-any-return]
        known = last()  # made just now, by a collection or by another thread
        if known is not None:
            life.node = None  # its callback has nothing to give back
            release(node)
            return known  # type: ignore[no-any-return]
        pointer, last.node = last.node, None  # its callback, still to come, has nothing to give
        if pointer is not None:
            del living[key]  # with the key, which may be that pointer
        living[key] = life
        if pointer is None:  # the callback has come in between
            return proxy  # type: ignore[no-any-return]
        anchor = _anchor(pointer)  # the collector has found it dead, and a finalizer may keep it
        if _collecting:
            _found_dead.append(anchor)
        return proxy  # type: ignore[no-any-return]


# Whoever recorded a node puts its proxy into living without a look: a collection may have been
# faster, whose own proxy's weak reference then stays here.
_operand_lives: dict[int, Life] = {}


def _operand_died(life: Life) -> None:
    """Do what proxy_died does for a proxy that may no longer be the one in living."""
    if _collecting is None:
        return
    del _operand_lives[id(life)]
    node, life.node = life.node, None
    if node is not None:
        if node in living and living[node] is life:
            del living[node]
        if _collecting:
            _found_dead.append(_anchor(node))
        else:
            release(node)


def _find(node: Any) -> Any:
    """Return the living proxy of a node, or None."""
    life = living.get(node)
    proxy = None if life is None else life()
    if proxy is None:
        proxy = _held.get(node)
    if proxy is None and _recalled:
        proxy = _recalled.get(node)
    return proxy


def children_of(node: Any) -> tuple[Value, ...]:
    """Return the proxies of a node's operands, repeats included."""
    proxies = [proxy_of(lib.mg_node_operand(node, i)) for i in range(lib.mg_node_arity(node))]
    return tuple(proxies)  # at once: half a tuple must not be found by way of the collector


# ---- proxies with state of their own ----

_KEPT, _CYCLIC = 1, 2  # values of Value._stateful
_ATOMS = (int, float, complex, str, bytes, type(None))


def hold(proxy: Value) -> None:
    """Let the node hold its proxy, which has state, if the node has parents."""
    recall(proxy)
    if proxy._node not in _held:
        _put_into_held(proxy)


def _put_into_held(proxy: Value) -> None:
    with lock:
        if lib.mg_node_hold(arena, proxy._node):
            node = _copy(proxy._node)
            _held[node] = proxy
            if proxy._stateful == _CYCLIC:
                _cyclic_held.add(node)


def _keep(proxy: Value) -> None:
    """Note that the proxy has state of its own."""
    if not proxy._stateful:
        if lib.mg_node_keep(arena, proxy._node):
            raise MemoryError("no memory for the state of a Value")
        _set_stateful(proxy, _KEPT)
        if not _collecting and not _is_found(proxy):
            _readmit(proxy)  # now that it matters which one is found
        hold(proxy)


def set_cyclic(proxy: Value) -> None:
    """Note that the proxy's state may refer back to Values above it."""
    if proxy._stateful != _CYCLIC:
        _keep(proxy)
        lib.mg_node_set_cyclic(arena, proxy._node)
        with lock:
            _set_stateful(proxy, _CYCLIC)
            if proxy._node in _held:
                _cyclic_held.add(_copy(proxy._node))


def note(proxy: Value, state: Any) -> None:
    """Note that the proxy has this among its state."""
    if isinstance(state, _ATOMS):
        _keep(proxy)
    else:
        set_cyclic(proxy)


# ---- cycles through the arena: see micrograd.h ----

_cyclic_held: set[Any] = set()  # nodes that are cyclic and held
_expose_above = 0  # so many: it is time to look for cycles through them


def expose_cycles() -> None:
    """Turn the holding of cyclic operands into references that the garbage collector sees.

    It is as much work as there are nodes with such operands; so that a graph can grow in linear
    time, it is not done again in a collection of young objects before half as many are held.
    """
    global _expose_above
    exposed = []
    node = lib.mg_arena_next_above_cyclic(arena, ffi.NULL)
    while node:
        exposed.append(_Exposed(node))
        following = lib.mg_arena_next_above_cyclic(arena, node)
        release(node)
        node = following
    with lock:  # no proxy shows another node in the middle of this
        current = [each for each in exposed if each.is_current()]
        uses = Counter(operand for each in current for operand in each.operands)
        for each in current:
            if uses[each.node]:  # perhaps in a node that was recorded before this proxy had state
                _put_into_held(each.proxy)
        anchored = Counter(anchor.node for anchor in list(_anchors.values()))
        parents: Counter[Any] = Counter()
        for each in current:
            # Otherwise it was recorded a moment ago, and is about to get another proxy.
            if lib.mg_node_references(each.node) == uses[each.node] + anchored[each.node] + 1:
                parents.update(each.operands)
        for node, count in parents.items():
            held = _held.pop(node, None)  # first, for `hold` looks there without the lock
            if held is None:
                continue
            if lib.mg_node_unhold(arena, node, count + anchored[node]):
                _cyclic_held.discard(node)
            else:
                _held[node] = held
    _expose_above = len(_cyclic_held) + len(exposed) // 2


class _Exposed:
    """A node above cyclic ones: its proxy refers to theirs, and is cyclic itself."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.proxy = proxy_of(node)
        self.operands: list[Any] = []  # the cyclic ones' nodes, repeats included
        self.bound: list[Value] = []  # their proxies
        if not self.proxy._stateful:
            if lib.mg_node_keep(arena, node):
                return  # no memory: the cycle stays until the next collection
            _set_stateful(self.proxy, _KEPT)
        operands = [lib.mg_node_operand(node, i) for i in range(lib.mg_node_arity(node))]
        self.operands = [operand for operand in operands if lib.mg_node_is_cyclic(operand)]
        self.bound = [proxy_of(operand) for operand in self.operands]
        _set_bound(self.proxy, self.bound)
        set_cyclic(self.proxy)

    def is_current(self) -> bool:
        """Whether this still is the proxy that shows the node, as it was bound.

        Other threads record and construct in the meantime. A node that is not shown by its proxy
        any more may be gone.
        """
        proxy, node = self.proxy, self.node
        if proxy._node != node or getattr(proxy, "_bound", None) is not self.bound:
            return False
        life = living.get(node)
        return life is not None and life() is proxy


# ---- what the garbage collector tells ----


def _around_collection(phase: str, info: dict[str, int]) -> None:
    global _collecting
    if phase == "start":
        generation = info["generation"] if _cyclic_held else 0
        if generation > 1 or (generation == 1 and len(_cyclic_held) > _expose_above):
            expose_cycles()
        _collecting = True
    elif not _exiting:
        try:
            _readmit_kept()
        finally:
            recalled = _recalled.copy()  # they go when all is done
            _recalled.clear()
            _collecting = False
            del recalled


def _at_exit() -> None:
    global _collecting, _exiting
    _collecting = _exiting = True  # the interpreter's last collections call nobody


gc.callbacks.append(_around_collection)
atexit.register(_at_exit)


# ---- forks ----

# A fork must not find the lock taken by a thread that the child does not have.
if hasattr(os, "register_at_fork"):

    def _after_fork() -> None:
        lock.__exit__(None, None, None)

    os.register_at_fork(
        before=lock.__enter__, after_in_parent=_after_fork, after_in_child=_after_fork
    )
