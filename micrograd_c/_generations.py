"""Which proxy shows a node, on PyPy: the dead are found by looking for them.

The callback of a weak reference costs PyPy ten times what the rest of an operation does, for what
has one survives young collections. So proxies of fresh results get weak references without one,
which are looked through once after each young collection: those whose proxies have died give their
nodes back, the few others get a callback.

A weak reference can be dead while its proxy is not: an old collection clears those to what only
objects with a finalizer lead to, and the finalizer may keep it. A young collection does not, for
there such objects survive with all that they lead to. Which it was an object with a finalizer
tells, dropped as soon as it was made: it is older than the proxies in question, and so an old
collection that could find one of them finds it dead, too. Unless a young collection comes while it
is being made, and sees it on the stack: so there are two.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

from ._library import ffi, lib


class _Finalized:
    def __del__(self) -> None:
        """Survive young collections."""


class _Plain:
    pass


def _address(node: Any) -> int:
    return int(ffi.cast("intptr_t", node))


def _witness() -> Any:
    return ref(_Finalized())


def _nobody() -> None:
    """Stand for a dead weak reference."""


class _NoFinalizers:
    """While no finalizer is called: one could come to the table that is half changed."""

    def __enter__(self) -> None:
        gc.disable_finalizers()  # type: ignore[attr-defined]

    def __exit__(self, *error: object) -> None:
        gc.enable_finalizers()  # type: ignore[attr-defined]


_no_finalizers = _NoFinalizers()
_OFTEN = 256  # so many results and it is time to see whether there was a collection


class Generations:
    """The weak references to proxies by node, as a dict has them.

    Those that are assigned have no callback; `enter` is for those that have one.
    """

    def __init__(
        self,
        lock: Any,
        with_callback: Callable[[Any, Any], Any],
        anchor: Callable[[Any], Any],
        drain_orphans: Callable[[], None],
    ) -> None:
        self._lock = lock
        self._with_callback = with_callback
        self._anchor = anchor
        self._drain_orphans = drain_orphans
        self._fresh: list[Any] = []  # not in _lives yet
        self._young: list[Any] = []  # without callbacks
        # By address: PyPy's dicts keep pointers that have been removed from them for a while.
        self._lives: dict[int, Any] = {}
        self._young_collection = ref(_Plain())  # dead after one
        self._witnesses: tuple[Any, Any] = (_witness(), _witness())  # alive: no old one
        self._poll_above = _OFTEN

    # ---- as a dict ----

    def __setitem__(self, node: Any, life: Any) -> None:
        fresh = self._fresh
        fresh.append(life)
        if len(fresh) > self._poll_above:
            self._poll_above = len(fresh) + _OFTEN
            self.poll()

    def enter(self, node: Any, life: Any) -> None:
        """Assign a weak reference that has a callback."""
        with self._lock:
            self._settled()[_address(node)] = life

    def __getitem__(self, node: Any) -> Any:
        with self._lock:
            return self._settled()[_address(node)]

    def __delitem__(self, node: Any) -> None:
        with self._lock:
            del self._settled()[_address(node)]

    def get(self, node: Any, default: Any = None) -> Any:
        """Return the weak reference for a node."""
        with self._lock:
            return self._settled().get(_address(node), default)

    def setdefault(self, node: Any, life: Any) -> Any:
        """Return the weak reference for a node, entering this one, with a callback, if need be."""
        with self._lock:
            return self._settled().setdefault(_address(node), life)

    def pop(self, node: Any, *default: Any) -> Any:
        """Remove the weak reference for a node and return it."""
        with self._lock:
            return self._settled().pop(_address(node), *default)

    def _settled(self) -> dict[int, Any]:
        """Return the dict of all that have been assigned."""
        if self._fresh:
            with _no_finalizers:
                while self._fresh:
                    life = self._fresh.pop()
                    self._young.append(life)
                    self._lives[_address(life.node)] = life
                self._poll_above = _OFTEN
            self.poll()
        return self._lives

    # ---- looking for the dead ----

    def poll(self) -> None:
        """Let go of the nodes of those that have died young, if there was a collection."""
        died, self._young_collection = self._young_collection() is None, ref(_Plain())
        if died:
            with self._lock, _no_finalizers:
                orphaned = self._sweep()
            if orphaned:
                self._drain_orphans()

    def _sweep(self) -> bool:
        """Return whether held proxies have lost the last parent of their nodes."""
        witnesses = (_witness(), _witness())  # older than what is not looked at now
        lives, self._young = self._young, []
        settled = len(lives)
        try:
            while self._fresh:  # other threads append to it
                lives.append(self._fresh.pop())
            self._poll_above = _OFTEN
            proxies = [life() for life in lives]
            # Asked last: they may have died just now.
            certain = all(witness() is not None for witness in self._witnesses)
            self._witnesses = witnesses
            orphaned = False
            for i, (life, proxy) in enumerate(zip(lives, proxies)):
                if life.node is not None:  # its proxy still shows it
                    orphaned |= self._look(life, proxy, i < settled, certain)
        except BaseException:  # a RecursionError, or Ctrl-C
            for life in lives:
                if life.node is not None:
                    self._lives.setdefault(_address(life.node), life)
            self._young += lives
            self._witnesses = (_nobody, _nobody)  # these are older than any other
            raise
        return orphaned

    def _look(self, life: Any, proxy: Any, settled: bool, certain: bool) -> bool:
        if proxy is not None:
            self._lives[_address(life.node)] = self._with_callback(proxy, life.node)
            life.node = None
            return False
        node, life.node = life.node, None
        if settled and self._lives.get(address := _address(node)) is life:
            del self._lives[address]
        if certain:
            return bool(lib.mg_release(node))
        self._anchor(node)
        return False
