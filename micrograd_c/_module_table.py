"""How a notebook shows a Module: a table of its parts, with what their parameters are now."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from ._html import table
from ._nesting import open_container
from ._state import values_below
from .engine import Value, bulk

MOST = 32  # rows of parts


def module_table(module: Any, module_class: type) -> str:
    """Return the table. `module_class` is Module: nn.py, which defines it, imports this."""
    parameters = {id(p): p for p in module.parameters()}
    rows = []
    for name, part in _parts(vars(module), module_class):
        held = {id(value): value for value in values_below(part, module_class)}
        own = [value for key, value in held.items() if key in parameters]
        if own:
            what = _title(part) if isinstance(part, module_class) else ""
            rows.append((name, what, *_numbers(own)))
    left_out = len(rows) - MOST
    if left_out > 0:
        rows[MOST:] = [(f"… {left_out} more", "", "", "", "")]
    rows.append(("all", "", *_numbers(list(parameters.values()))))
    return table(_title(module), ("part", "", "parameters", "data", "grad"), rows)


def _parts(named: dict[str, Any], module_class: type) -> Iterator[tuple[str, Any]]:
    """Yield the attributes by name; of a container of Modules, each of these."""
    for name, item in named.items():
        opened = open_container(item)
        items = opened[2] if opened is not None else []
        if opened is None or not any(isinstance(part, module_class) for part in items):
            yield name, item
            continue
        keys = range(len(items)) if opened[1] is None else opened[1]
        yield from ((f"{name}.{key}", part) for key, part in zip(keys, items))


def _title(module: Any) -> str:
    kind: Any = type(module)
    return kind.__name__ if kind.__repr__ is object.__repr__ else repr(module)


def _numbers(values: list[Value]) -> tuple[str, str, str]:
    """Return how many Values there are, and the ranges of their data and their gradients."""
    data, grads = (array("d", bytes(8 * len(values))) for _ in range(2))
    bulk.get_numbers(tuple(values), data)
    bulk.get_grads(tuple(values), grads)
    return str(len(values)), _range(data), _range(grads)


def _range(numbers: array[float]) -> str:
    if any(x != x for x in numbers):
        return "nan"
    low, high = (f"{x:.3g}" for x in (min(numbers, default=0.0), max(numbers, default=0.0)))
    return low if low == high else f"{low} to {high}"
