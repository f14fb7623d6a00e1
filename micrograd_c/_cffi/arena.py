"""The arena, in which all nodes of this backend are, and the lock that guards this package's dicts.

The C functions called in this package are those of csrc/micrograd.h. `lib` has them by name, and
`ffi` makes structs and arrays for their arguments.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from .._library import ffi, lib


def not_null(pointer: Any, what: str) -> Any:
    """Return what a creator of the library has returned; raise MemoryError if that is NULL."""
    if not pointer:
        raise MemoryError(f"no memory for {what}")
    return pointer


arena = not_null(lib.mg_arena_new(), "an arena")

# An RLock: a garbage collection may come while its thread has the lock, and asks for it again.
lock = threading.RLock()

if hasattr(os, "register_at_fork"):  # no child finds the lock taken by a thread it does not have
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )


def statistics() -> tuple[int, int, int, int, int]:
    """Return nodes, leaves, pages, free pages and bytes of the arena."""
    now = ffi.new("mg_statistics *")
    lib.mg_arena_statistics(arena, now)
    return now.nodes, now.leaves, now.pages, now.free_pages, now.bytes


def trim() -> None:
    """Give the arena's unused memory back to the system."""
    lib.mg_arena_trim(arena)


def check() -> str | None:
    """Return what is wrong with the arena, or None. For tests."""
    fault = lib.mg_check(arena)
    return ffi.string(fault).decode() if fault else None


def fail_after(n: int) -> None:
    """Let the arena's n-th allocation from now fail; 0: none."""
    lib.mg_arena_fail_after(arena, n)
