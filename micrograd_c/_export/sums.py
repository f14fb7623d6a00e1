"""Sums of more than a few terms: a variable that is added to, in a loop or in several.

A matrix by a vector is one such loop within another. Where the inner one would go down the columns
of the matrix, the loops change places, so that what lies side by side is added up side by side:
compilers then use vectors. Each sum still adds its terms in the order in which they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from operator import add
from typing import NamedTuple

from .layout import written
from .rolling import Loop, Node, Statement, Tables, make_loop

Places = tuple[int, ...]


def join_sums(nodes: Sequence[Node]) -> list[Node]:
    """Return the same with the first terms of a sum in one statement."""
    joined: list[Node] = []
    for node in nodes:
        before = joined[-1] if joined else None
        if isinstance(node, Loop):
            body = tuple(join_sums(node.body))
            joined.append(Loop(node.count, body, node.steps, node.places, node.key))
        elif (
            isinstance(before, Statement)
            and before.template.startswith("sum = ")
            and node.template.startswith("sum += ")
        ):
            joined[-1] = _joined(before, node)
        else:
            joined.append(node)
    return joined


def _joined(first: Statement, second: Statement) -> Statement:
    term = _shifted(second.template.removeprefix("sum += "), len(first.places))
    start = first.template.removesuffix(";") + " + "
    start = start.replace("-0.0 + ", "")
    arrays, places = first.arrays + second.arrays, first.places + second.places
    return Statement(start + term, arrays, places, first.origin or second.origin)


def _shifted(template: str, by: int) -> str:
    """Return a template whose places come behind `by` others."""
    return re.sub(r"\{(\d+)", lambda match: f"{{{int(match[1]) + by}", template)


# ---- loops that change places ----


class Part(NamedTuple):
    """A statement in the body of a loop, or a loop there over one statement."""

    one: Statement
    places: Places
    steps: Places  # from one time of the outer loop to the next
    times: int = 0  # of the inner loop; 0: there is none
    inner: Places = ()  # steps from one time of the inner loop to the next

    def across(self, count: int, out: Part, start: str) -> Loop:
        """Return a loop over all sums, which begin with this part or are added it."""
        template = start + _shifted(re.sub(r"^sum \+?= ", "", self.one.template), 1)
        places, steps = out.places + self.places, out.steps + self.steps
        one = Statement(template, out.one.arrays + self.one.arrays, places, self.one.origin)
        loop = make_loop(count, [one], steps, places)
        return make_loop(self.times, [loop], (0, *self.inner), places) if self.times else loop

    def divided(self) -> tuple[Part, Part]:
        """Return the first time of the inner loop, and the others."""
        after = tuple(map(add, self.places, self.inner))
        others = self._replace(places=after, times=self.times - 1)
        return self._replace(times=0, inner=()), others

    def read(self, count: int) -> Iterator[tuple[str, int]]:
        """Yield what the outer loop, done `count` times, reads here."""
        inner = self.inner or (0,) * len(self.places)
        for array, place, step, each in zip(self.one.arrays, self.places, self.steps, inner):
            for i, k in product(range(count), range(self.times or 1)):
                yield array, place + step * i + each * k


def turn_sums(nodes: Sequence[Node], tables: Tables) -> list[Node]:
    """Return the same with the outermost loops turned, where that is right and of use."""
    turned: list[Node] = []
    for node in nodes:
        turned += _turned(node, tables) if isinstance(node, Loop) else [node]
    return turned


def _turned(loop: Loop, tables: Tables) -> list[Node]:
    """Return a loop whose body begins with a sum as loops over the terms, and the rest of it."""
    parts, rest = _first_sum(loop)
    if not parts or not _is_better(parts):
        return [loop]
    start, *terms, out = parts
    others = _turned(rest, tables) if rest else []
    sums = set(out.read(loop.count))
    read = {place for part in parts[:-1] for place in part.read(loop.count)}
    changed = set(written([rest] if rest else [], tables))
    if not (sums.isdisjoint(read) and sums.isdisjoint(changed) and changed.isdisjoint(read)):
        return [loop]
    if start.one.template == "sum = -0.0;" and terms[0].times:
        start, terms[0] = terms[0].divided()
    made = [term.across(loop.count, out, "{0} += ") for term in terms]
    return [start.across(loop.count, out, "{0} = "), *made, *others]


def _first_sum(loop: Loop) -> tuple[list[Part], Loop | None]:
    """Return the parts of the sum that a body begins with, none if it does not; the rest of it."""
    parts: list[Part] = []
    taken = 0
    for i, node in enumerate(loop.body):
        end = taken + len(node.places)
        at = loop.places[taken:end], loop.steps[taken:end]
        one = node.body[0] if isinstance(node, Loop) and len(node.body) == 1 else node
        if not isinstance(one, Statement):
            break
        inner = (node.count, node.steps) if isinstance(node, Loop) else ()
        parts.append(Part(one, *at, *inner))
        taken = end
        if not one.template.startswith("sum += " if i else "sum = "):
            break
    if len(parts) < 3 or parts[-1].one.template != "{0} = sum;" or parts[-1].times:
        return [], None
    others = loop.body[len(parts) :]
    if not others:
        return parts, None
    return parts, make_loop(loop.count, others, loop.steps[taken:], loop.places[taken:])


def _is_better(parts: Sequence[Part]) -> bool:
    """Whether what is added lies side by side from one sum to the next, but not in a sum."""
    _, *terms, out = parts
    if out.steps[0] == 0 or any(a.startswith("@") for part in parts for a in part.one.arrays):
        return False
    far = any(abs(step) > 1 for term in terms for step in term.inner)
    return far and all(abs(step) <= 1 for part in (*terms, out) for step in part.steps)
