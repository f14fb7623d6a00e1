"""Loops found in a list of statements that a program's recording has unrolled.

A statement is a template with places: indices into arrays. Where the same templates stand one after
the other several times, and each place grows by a constant from one time to the next, they are a
loop; a loop is a statement in turn, so loops nest. Places that grow otherwise are listed in a
table. The statements stay in their order, hence no dependence between them matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import add
from typing import Any

LONGEST = 1024  # statements in the body of a loop


@dataclass(frozen=True, slots=True)
class Statement:
    """A template, the array of each of its places, and the places; the line that it comes from."""

    template: str
    arrays: tuple[str, ...]
    places: tuple[int, ...]
    origin: str = ""

    @property
    def key(self) -> Any:
        return self.template, self.arrays


@dataclass(frozen=True, slots=True)
class Loop:
    """A body done `count` times; a place of its statements grows by its step each time.

    `places` are all places of the first time, of the body's statements one after the other.
    """

    count: int
    body: tuple[Statement | Loop, ...]
    steps: tuple[int, ...]
    places: tuple[int, ...]
    key: Any = field(repr=False)

    @property
    def origin(self) -> str:
        return self.body[0].origin


Node = Statement | Loop


class Tables:
    """Lists of places, one behind the other in one array; equal lists are there once."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._found: dict[tuple[int, ...], int] = {}

    def add(self, places: Sequence[int]) -> int:
        """Return where the table has these places."""
        wanted = tuple(places)
        if wanted not in self._found:
            self._found[wanted] = len(self.numbers)
            self.numbers.extend(wanted)
        return self._found[wanted]


def roll(np: Any, nodes: list[Node], tables: Tables) -> list[Node]:
    """Return the same statements with loops, where there are any, instead of repetitions."""
    nodes = _roll_all(np, nodes, None)
    before = len(nodes) + 1
    while len(nodes) < before:
        before = len(nodes)
        nodes = _roll_all(np, _roll_all(np, nodes, tables), None)
    return nodes


def _roll_all(np: Any, nodes: list[Node], tables: Tables | None) -> list[Node]:
    period, ids = 1, _numbered(np, nodes)
    while period <= min(LONGEST, len(nodes) // 2):
        rolled = _roll_period(np, nodes, ids, period, tables)
        if len(rolled) == len(nodes):
            period += 1
        else:
            nodes, period = rolled, 1
            ids = _numbered(np, nodes)
    return nodes


def _numbered(np: Any, nodes: list[Node]) -> Any:
    """Return a number for each node, the same for nodes with the same key."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(node.key, len(numbers)) for node in nodes])


def _roll_period(
    np: Any, nodes: list[Node], ids: Any, period: int, tables: Tables | None
) -> list[Node]:
    """Return the nodes with loops whose body has `period` of them."""
    rolled: list[Node] = []
    end = 0
    least = 2 if period >= 4 else 3
    for start, stop in _stretches(np, ids, period):
        if stop - start < least * period:
            continue
        at = max(start, end)
        rolled += nodes[end:at]
        while at + least * period <= stop:
            if _cuts_a_sum(nodes[at : at + period]):
                rolled.append(nodes[at])
                at += 1
                continue
            loop = _loop_at(nodes, at, (stop - at) // period, period, least, tables)
            if loop is None:
                rolled += nodes[at : at + period]
                at += period
            else:
                rolled.append(loop)
                at += loop.count * period
        end = at
    return rolled + nodes[end:]


def _cuts_a_sum(body: list[Node]) -> bool:
    """Whether a loop with this body would go on with a sum, and begin another one."""
    steps = [step for step in map(_step_of_sum, body) if step]
    return bool(steps) and steps[0] != "=" and set(steps) != {"+="}


def _step_of_sum(node: Node) -> str:
    """Return what comes first, "=" for `sum = ...`, "+=", or "end" for `... = sum`; else ""."""
    if isinstance(node, Loop):
        return next(filter(None, map(_step_of_sum, node.body)), "")
    if node.template.startswith("sum "):
        return node.template.split(" ", 2)[1]
    return "end" if node.template == "{0} = sum;" else ""


def _stretches(np: Any, ids: Any, period: int) -> Iterator[tuple[int, int]]:
    """Return where nodes repeat those that stand `period` before: first and end."""
    same = np.concatenate(([0], ids[period:] == ids[:-period], [0]))
    edges = np.flatnonzero(np.diff(same)).tolist()
    for start, stop in zip(edges[::2], edges[1::2]):
        if stop - start >= period:
            yield start, stop + period


def _loop_at(
    nodes: list[Node], at: int, most: int, period: int, least: int, tables: Tables | None
) -> Loop | None:
    """Return a loop over the repetitions from `at` on, or None if they are fewer than `least`."""
    places = _places(nodes, at, period)
    following = _places(nodes, at + period, period)
    steps = [b - a for a, b in zip(places, following)]
    count = 1
    while count < most:
        following = tuple(map(add, following, steps)) if count > 1 else following
        if following != _places(nodes, at + count * period, period):
            break
        count += 1
    body = nodes[at : at + period]
    alike = count == 2 and len({node.key for node in body}) == 1  # any two grow evenly
    if count >= least and not alike:
        return make_loop(count, body, steps, places)
    if tables is None or most < max(least, 4):
        return None
    return _with_tables(nodes, at, most, period, tables)


def _with_tables(
    nodes: list[Node], at: int, count: int, period: int, tables: Tables
) -> Loop | None:
    """Return a loop in which places that do not grow by a constant are those of a table."""
    body = [node for node in nodes[at : at + period] if isinstance(node, Statement)]
    arrays = [array for node in body for array in node.arrays]
    if len(body) < period or any(array.startswith("@") for array in arrays):
        return None
    times = [_places(nodes, at + k * period, period) for k in range(count)]
    steps, places = [], []
    for k, column in enumerate(zip(*times)):
        step = column[1] - column[0]
        if all(place == column[0] + i * step for i, place in enumerate(column)):
            steps.append(step)
            places.append(column[0])
        elif arrays[k] == "":
            return None
        else:
            arrays[k] = "@" + arrays[k]
            steps.append(1)
            places.append(tables.add(column))
    indirect, k = [], 0
    for node in body:
        size = len(node.arrays)
        found = tuple(arrays[k : k + size]), tuple(places[k : k + size])
        indirect.append(Statement(node.template, *found, node.origin))
        k += size
    return make_loop(count, indirect, steps, places)


def make_loop(
    count: int, body: Sequence[Node], steps: Sequence[int], places: Sequence[int]
) -> Loop:
    key = count, tuple(steps), tuple(node.key for node in body)
    return Loop(count, tuple(body), tuple(steps), tuple(places), key)


def _places(nodes: list[Node], at: int, period: int) -> tuple[int, ...]:
    if period == 1:
        return nodes[at].places
    return tuple(place for node in nodes[at : at + period] for place in node.places)
