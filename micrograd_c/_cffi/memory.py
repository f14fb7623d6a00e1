"""The memory of the arena: what micrograd_c/engine.py documents."""

from __future__ import annotations

from .._library import ffi, lib
from .lifetimes import arena


def statistics() -> tuple[int, int, int, int, int]:
    """Return nodes, leaves, pages, free pages and bytes of the arena."""
    now = ffi.new("mg_statistics *")
    lib.mg_arena_statistics(arena, now)
    return now.nodes, now.leaves, now.pages, now.free_pages, now.bytes


def trim() -> None:
    """Give the arena's unused memory back to the system."""
    lib.mg_arena_trim(arena)


def fail_after(n: int) -> None:
    """Let the arena's n-th allocation from now fail; 0: none."""
    lib.mg_arena_fail_after(arena, n)
