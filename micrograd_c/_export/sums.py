"""Sums of more than a few terms: a variable that is added to, in a loop or in several."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .rolling import Loop, Node, Statement


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
    taken = len(first.places)
    term = re.sub(
        r"\{(\d+)",
        lambda match: f"{{{int(match[1]) + taken}",
        second.template.removeprefix("sum += "),
    )
    start = first.template.removesuffix(";") + " + "
    start = start.replace("-0.0 + ", "")
    arrays, places = first.arrays + second.arrays, first.places + second.places
    return Statement(start + term, arrays, places, first.origin or second.origin)
