"""Which proxy shows a node, and how a proxy keeps its node.

While a node has a proxy no second one is made. A proxy owns one reference to its node. When the
proxy dies, the callback of a weak reference to it, its `Life`, gives the reference back.

Holding the pointer `value._node` keeps a node alive. Holding the Value does so only while no other
thread has it show another node. cffi's pointers are equal, and hash alike, if their addresses are
the same: any pointer to a node is a key for it.

Not by ffi.gc: the garbage collector runs its destructor with the `__del__` methods of what it has
found dead, which may still use the node, or keep its Value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import ref

from .._library import ffi, lib
from .arena import arena, lock, not_null
from .labels import class_tags, classes, tag_of_class
from .proxy import (
    CYCLIC,
    Proxy,
    drain_orphans,
    held,
    hold,
    let_go,
    note,
    release,
    set_stateful,
)

# ---- the death of a proxy ----


class Life(ref):  # type: ignore[type-arg]
    """A weak reference whose callback gives a reference to a node back.

    It is to the node's proxy; or to the pointer in a proxy that the collector has found dead.
    """

    __slots__ = ("bound", "node")
    bound: tuple[Any, ...]  # the operands whose proxies the proxy refers to: see cycles.py
    node: Any  # None if something else gives the reference back


living: dict[Any, Life] = {}  # by node: the lives of proxies
found_dead: dict[int, Life] = {}  # by id: the lives of pointers in proxies that were found dead
collecting = False  # a garbage collection is under way

# Whether references are given back. At the end of the interpreter they are not: memory goes with
# the process, and when the last proxies die all that is named here has become None.
running = True

_release = lib.mg_release


def proxy_died(life: Life) -> None:
    """Give the reference of a dead proxy back: the callback of its life.

    Whoever takes the node out of a life has to see to its reference. Python lets another thread, or
    an exception of a signal handler, come in only where something is called. So nothing is called
    from here to the moment at which the node is out of both the life and `living`.
    """
    node = life.node
    if node is None or not running:
        return
    life.node = None
    del living[node]
    if collecting:
        _outlive(node, getattr(life, "bound", ()))
    elif _release(node):
        drain_orphans()


def _outlive(node: Any, bound: tuple[Any, ...] = ()) -> None:
    """Have the reference to a node given back when this pointer to the node dies.

    The collector calls the callbacks of weak references first, and `__del__` methods afterwards,
    which can still use a proxy found dead, and even keep it. The collector does not track pointers:
    the one in the proxy dies when the proxy has really gone. It does so only if nothing else has
    that very pointer, hence `cast`.
    """
    life = Life(node, _pointer_died)
    # No function is called here: the recursion limit may be near.
    life.node, life.bound = ffi.cast("mg_node *", node), bound
    found_dead[id(life)] = life


def _pointer_died(life: Life) -> None:
    """Give the reference back; what becomes an orphan is let go of after the collection."""
    if running:
        del found_dead[id(life)]
        _release(life.node)


def _leave(life: Life) -> None:
    """Make room for another proxy of a node. The reference goes with the old proxy's pointer."""
    node, life.node = life.node, None
    if node is not None:
        del living[node]
        _outlive(node)


# ---- a proxy for a node ----

_set_node: Any = Proxy.__dict__["_node"].__set__  # as set_stateful
moves = 0  # how often a proxy was made to show another node: see nodes.py
_value_class: Any


def proxies_are(cls: Any) -> Any:
    """Have proxies declared objects of this class, which is Value; a decorator."""
    global _value_class
    _value_class = cls
    return cls


def wrap(node: Any) -> Any:
    """Return a Value that shows a node. The caller's reference, the only one, becomes its own."""
    self: Any = Proxy()
    self._stateful = 0
    self._node = node
    self.__class__ = _value_class
    life = Life(self, proxy_died)
    life.node = node
    living[node] = life
    return self


def wrap_as(cls: type[Any], node: Any) -> Any:
    """Return the same of a subclass of Value, whose constructor is not called.

    A subclass without slots is known by a tag of the node. The objects of others have state from
    the beginning.
    """
    self: Any
    tag = class_tags.get(id(cls)) or tag_of_class(cls, _value_class)
    if tag:
        lib.mg_node_set_tag(node, tag)
        self = wrap(node)
        self.__class__ = cls
        return self
    self = object.__new__(cls)
    set_stateful(self, 0)
    _attach(self, node)
    note(self, None)
    return self


def _attach(self: Any, node: Any) -> None:
    """Let self show a node from now on. The caller's reference becomes its own."""
    _set_node(self, node)
    life = Life(self, proxy_died)
    life.node = node
    while (last := living.setdefault(node, life)) is not life:
        _leave(last)


def _take_state(self: Any) -> None:
    """Remove from a node all state of its proxy, which is about to show another node."""
    if hasattr(self, "_bound"):
        for operand in self._bound:  # as before they were bound
            hold(operand)
        del self._bound
    node = self._node
    lib.mg_node_set_tag(node, 0)
    if lib.mg_node_unkeep(arena, node):
        let_go(node)
    lib.mg_node_set_closure(arena, node, 0)


def show(self: Any, node: Any) -> None:
    """Let self show another node from now on. The old one stays in the graphs that use it."""
    global moves
    if self._stateful and lib.mg_node_keep(arena, node):
        lib.mg_release(node)
        raise MemoryError("no memory for the state of a Value")
    with lock:
        old = self._node
        _take_state(self)
        if self._stateful == CYCLIC:
            lib.mg_node_set_cyclic(arena, node)
        life = living.get(old)
        if life is not None and life() is self:  # otherwise the collector has found self dead
            _leave(life)  # another thread may have taken the pointer, and be about to use it
        lib.mg_node_set_tag(node, class_tags.get(id(type(self)), 0))
        try:
            _attach(self, node)
        finally:  # also where a signal's handler has raised an exception
            moves += 1


def take_node(proxy: Any) -> Any:
    """Return the node of a proxy that nobody else has. Its reference becomes the caller's."""
    with lock:
        _take_state(proxy)
        node = proxy._node
        living.pop(node).node = None
        return node


def proxy_of(node: Any) -> Any:
    """Return the Value that shows a node: the one there is, or a new one.

    The node has a parent or another reference. A new Value keeps the pointer that is passed, which
    must not be another proxy's: see _outlive.
    """
    with lock:
        life = living.get(node)
        proxy: Any = None if life is None else life()
        if proxy is None:
            proxy = held.get(node)  # one that the collector has found dead, and a finalizer kept
        return _new_proxy(node) if proxy is None else proxy


def _new_proxy(node: Any) -> Any:
    proxy: Any = Proxy()
    proxy._stateful = 0
    proxy._node = node
    known_class = classes.get(lib.mg_node_tag(node)) if classes else None
    proxy.__class__ = (known_class and known_class()) or _value_class
    life = Life(proxy, proxy_died)
    lib.mg_retain(node)
    life.node = node
    while (last := living.setdefault(node, life)) is not life:
        known = last()
        if known is not None:  # made just now by what a garbage collection has run
            life.node = None
            release(node)
            return known
        _leave(last)  # of a proxy that a collection has just found dead
    return proxy


# ---- the proxies of a graph ----


def operands_of(node: Any) -> list[Any]:
    """Return pointers to a node's operands, repeats included."""
    return [lib.mg_node_operand(node, i) for i in range(lib.mg_node_arity(node))]


def proxies_of(nodes: Iterable[Any], bound: Iterable[Proxy]) -> list[Any]:
    """Return the Values that show these nodes, taken from those bound if they are there."""
    known = {proxy._node: proxy for proxy in bound}
    return [known[node] if node in known else proxy_of(node) for node in nodes]


def children_of(node: Any, bound: Iterable[Proxy] = ()) -> tuple[Any, ...]:
    """Return the Values that show a node's operands, repeats included."""
    return tuple(proxies_of(operands_of(node), bound))  # at once: nobody finds half a tuple


def graph(root: Any) -> list[Any]:
    """Return the interior nodes below a root and it, in the order in which they were created.

    A finalizer may have kept Values that the collector had found dead. They are not in `living`,
    but bound to the Values above them: hence this order, from the root down.
    """
    top = root._node
    order = not_null(lib.mg_order_new(arena, top), "the nodes of a graph")
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
