"""Letting Python's garbage collector see cycles that run through the arena.

A node holds the proxy of an operand that has state: see proxy.py. That state may lead back up
to the node: a `_backward` closure over the result does, or an attribute that is a Value computed
from this one. Then there is a cycle, a part of which the collector cannot see. So before a
collection every node above such a held proxy gets a proxy, too, that refers to the proxies of the
node's operands (`_bound`), and the nodes hold these proxies no more. The collector now sees what it
would see if Value were written in Python alone. Programs without such state pay nothing for this.
"""

from __future__ import annotations

import atexit
import gc
from collections import Counter
from typing import Any

from .._library import ffi, lib
from . import lifetimes
from .arena import arena, lock
from .lifetimes import found_dead, living, operands_of, proxies_of, proxy_of
from .proxy import CYCLIC, Proxy, copy_pointer, cyclic_held, drain_orphans, held, keep, let_go


def _proxies_above_cyclic(kept: dict[Any, Any]) -> list[Any]:
    """Return the proxies of the nodes above cyclic ones, in order of creation.

    A node that was recorded a moment ago is left out: it is about to get its proxy. So are those
    whose proxies a finalizer has kept: second ones would be held instead of them.
    """
    nodes: list[Any] = []
    used: set[Any] = set()
    try:
        node = lib.mg_arena_next_above_cyclic(arena, ffi.NULL)
        while node:
            nodes.append(node)
            used.update(operands_of(node))
            lib.mg_node_set_cyclic(arena, node)  # and so its parents come, too
            node = lib.mg_arena_next_above_cyclic(arena, node)
        used.difference_update(kept)
        shown = [node for node in nodes if node in used or node in living]
        return [proxy_of(copy_pointer(node)) for node in shown]
    finally:
        for node in nodes:
            lib.mg_release(node)


_set_bound: Any = Proxy.__dict__["_bound"].__set__  # as set_stateful
_expose_above = 0  # with more than so many in cyclic_held it is time to expose them


def _expose_cycles() -> None:
    """Turn the holding of cyclic operands into references that the garbage collector sees.

    That is as much work as there are nodes above them. So that a graph can grow in linear time, a
    collection of young objects does it again only when half as many more are held.
    """
    global _expose_above
    with lock:  # no proxy shows another node in the middle of this
        kept = {  # nodes whose bound proxies a finalizer has kept
            life.node: life.bound
            for life in list(found_dead.values())
            if life.bound and life.node not in living and life.node not in held
        }
        proxies = _proxies_above_cyclic(kept)
        operands = [operand for bound in kept.values() for operand in bound]
        before = [getattr(proxy, "_bound", ()) for proxy in proxies]  # go when all is done
        for proxy, bound in zip(proxies, before):
            cyclic = tuple(filter(lib.mg_node_is_cyclic, operands_of(proxy._node)))
            _set_bound(proxy, proxies_of(cyclic, bound))
            keep(proxy, CYCLIC)
            if proxy._node in living:
                living[proxy._node].bound = cyclic
            operands += cyclic
        for node, parents in Counter(operands).items():
            if lib.mg_node_unhold(arena, node, parents):
                before.append([let_go(node)])
        _expose_above = len(cyclic_held) + len(proxies) // 2


def _around_collection(phase: str, info: dict[str, int]) -> None:
    """Expose cycles before a collection, and tell proxy_died while it is under way."""
    if phase == "stop":
        lifetimes.collecting = False
        if held:
            drain_orphans()
        return
    try:
        generation = info["generation"] if cyclic_held else 0
        if generation > 1 or (generation == 1 and len(cyclic_held) > _expose_above):
            _expose_cycles()
    except (MemoryError, RecursionError):
        pass  # the cycles stay until the next collection
    finally:
        lifetimes.collecting = True  # not by a call, which fails at the recursion limit


@atexit.register
def _at_exit() -> None:
    lifetimes.running = False
    gc.callbacks.remove(_around_collection)


gc.callbacks.append(_around_collection)
