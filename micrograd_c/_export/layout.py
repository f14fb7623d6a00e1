"""Where values lie: each statement of a loop has its numbers side by side.

Statements are numbered as they come, so the numbers of a loop with two statements alternate. Once
the loops are known they are numbered anew, statement by statement, and rolled again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from .rolling import Loop, Node, Statement, Tables, roll

OWN = ("v", "d")  # the arrays whose places are free to choose


def arrange(np: Any, nodes: Sequence[Statement]) -> tuple[list[Node], Tables]:
    """Return the statements as loops, and the tables of these, in the shorter of two numberings."""
    first = _rolled(np, nodes)
    second = _rolled(np, list(_renumbered(nodes, *first)))
    return min(second, first, key=lambda made: _size(made[0]) + len(made[1].numbers) // 16)


def _rolled(np: Any, nodes: Sequence[Statement]) -> tuple[list[Node], Tables]:
    tables = Tables()
    return roll(np, list(nodes), tables), tables


def _size(nodes: Sequence[Node]) -> int:
    return sum(1 if isinstance(node, Statement) else 1 + _size(node.body) for node in nodes)


def _renumbered(
    nodes: Sequence[Statement], loops: Sequence[Node], tables: Tables
) -> Iterator[Statement]:
    numbers: dict[str, dict[int, int]] = {array: {} for array in OWN}
    for array, place in written(loops, tables):
        if array in OWN:
            numbers[array].setdefault(place, len(numbers[array]))
    for node in nodes:
        places = (
            numbers[array][place] if array in numbers else place
            for array, place in zip(node.arrays, node.places)
        )
        yield replace(node, places=tuple(places))


def written(loops: Sequence[Node], tables: Tables) -> Iterator[tuple[str, int]]:
    """Yield what the statements write, one statement after the other, each with all its times."""
    for node in loops:
        yield from _written_by(node, [(place, ()) for place in node.places], (), tables)


def _written_by(
    node: Node,
    places: Sequence[tuple[int, tuple[int, ...]]],
    counts: tuple[int, ...],
    tables: Tables,
) -> Iterator[tuple[str, int]]:
    if isinstance(node, Loop):
        inner = [(at, (*steps, step)) for (at, steps), step in zip(places, node.steps)]
        taken = 0
        for child in node.body:
            size = len(child.places)
            own = inner[taken : taken + size]
            yield from _written_by(child, own, (*counts, node.count), tables)
            taken += size
        return
    if not node.template.startswith("{0} ="):
        return
    at, steps = places[0]
    for times in product(*map(range, counts)):
        place = at + sum(step * time for step, time in zip(steps, times))
        if node.arrays[0].startswith("@"):
            place = tables.numbers[place]
        yield node.arrays[0].lstrip("@"), place
