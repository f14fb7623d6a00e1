"""Which recording is right for a row: the recordings of a program as a tree.

A replay finds the first guard that a row fails. A function does the same until a comparison comes
out otherwise, so all rows that fail the same guard of the same recording first have one way behind
them, and need a recording of another way on. That recording is the child of the first one at this
guard. A row that fails none of a recording's guards has arrived. So a row is replayed once for each
comparison at which its way leaves that of a recording, however many recordings there are.

Each recording checks all of its guards, also those that the rows cannot fail: so the results are
right for a function, too, that does not always do the same, though it may be recorded more often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._library import ffi, lib
from .replay import Frame, Trace

# The place of a recording, and the number, from 1, of the guard that rows fail first.
Way = tuple[int, int]
START: Way = (-1, 0)  # of all rows, to the first recording


class Ways:
    """The tree: where each way leads to."""

    def __init__(self) -> None:
        self._ends: dict[Way, int] = {}

    def end(self, way: Way) -> int | None:
        """Return the place of the recording that a way leads to, or None."""
        return self._ends.get(way)

    def to(self, place: int) -> Way:
        """Return the way that leads to a recording."""
        return next(way for way, end in self._ends.items() if end == place)

    def add(self, way: Way | None, place: int) -> None:
        """Have a way lead to a recording."""
        if way is not None:
            self._ends[way] = place

    def find(self, traces: Sequence[Trace], trace: Trace) -> Way | None:
        """Return the way to a trace that the tree of these traces does not contain.

        None: no way leads there, for its guards are those of another one.
        """
        way = START
        while (place := self._ends.get(way)) is not None:
            number = _parting(traces[place].guards, trace.guards)
            if number is None:
                return None
            way = place, number
        return way


def _parting(guards: Sequence[Any], others: Sequence[Any]) -> int | None:
    """Return the number of the first of the guards that comes out otherwise in the others."""
    for number, (guard, other) in enumerate(zip(guards, others), 1):
        if bool(guard[3]) != bool(other[3]):
            return number
    return None


def part(np: Any, frame: Frame) -> list[tuple[int, Any]]:
    """Return the rows of a replay by the guard that they fail first: its number and these rows.

    Rows that fail none come first, with the number 0.
    """
    rows = np.empty(frame.call.count, np.uint32)
    numbers, ends, guards = frame.numbers, frame.ends, len(frame.ends) - 1
    count = lib.mg_sort_rows(frame.call, guards, ffi.from_buffer("uint32_t[]", rows), numbers, ends)
    first, parts = 0, []
    for number, last in zip(numbers[0:count], ends[0:count]):
        parts.append((number, rows[first:last]))
        first = last
    return parts
