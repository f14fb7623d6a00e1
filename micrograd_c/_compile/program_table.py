"""How a notebook shows a program: what it takes and gives, and its recordings, as tables."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from .._html import table
from .arguments import Array, Shape, Static

if TYPE_CHECKING:
    from .recorded import Recorded


def program_table(program: Recorded) -> str:
    """Return two tables of one program: arguments and results; instructions of each recording."""
    name = getattr(program.fn, "__qualname__", type(program.fn).__qualname__)
    taken = [*zip(_names(program), map(shape_text, program._shapes))]
    result = shape_text(program._result)
    interface = [*taken, ("result", result), ("parameters", str(len(program.parameters)))]
    recordings = []
    for i, trace in enumerate(program._traces):
        facts = trace.facts()
        cells = facts.guards, facts.instructions, facts.scalars
        recordings.append([str(i), *map(str, cells)])
    head = "recording", "branches", "instructions of a row", "instructions once a call"
    first = table(f"Program {name}", ("", "shape in each row"), interface)
    return first + table("Recordings", head, recordings)


def _names(program: Recorded) -> list[str]:
    """Return a name for each argument: the function's, where Python knows them."""
    positional = len(program._shapes) - len(program._names)
    names = [f"argument {i}" for i in range(positional)]
    try:
        known = [*inspect.signature(program.fn).parameters.values()]
    except (TypeError, ValueError):
        known = []
    for i, parameter in enumerate(known[:positional]):
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            break
        names[i] = parameter.name
    return [*names, *program._names]


def shape_text(shape: Shape) -> str:
    """Return "number", "(2, 3)", "{a: number, b: (3,)}", "[number, (3,)]" or "static('x')"."""
    if isinstance(shape, Array):
        return str(shape.shape) if shape.shape else "number"
    if isinstance(shape, Static):
        return repr(shape)
    items = [*map(shape_text, shape.items)]
    if shape.keys is not None:
        items = [f"{key}: {item}" for key, item in zip(shape.keys, items)]
    kind = "" if shape.kind in (list, tuple, dict) else shape.kind.__name__
    left, right = "{}" if shape.kind is dict else "[]" if shape.kind is list else "()"
    return f"{kind}{left}{', '.join(items)}{right}"
