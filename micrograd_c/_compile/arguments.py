"""Arguments of a compiled program: what one example looks like, and many of them.

An example is a number, an array, or a list, tuple or dict of examples. A regular nested list of
numbers counts as an array; a list of arrays does not. An `Array` is the shape of an array, or of a
number, which is an array without axes. A `Members` is the shape of a list, tuple or dict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from .._value_methods import as_real
from ..engine import Value


def numpy() -> Any:
    """Return numpy, or raise ImportError saying how to get it."""
    try:
        import numpy as np
    except ImportError as error:
        raise ImportError(
            "compiled programs take and return numpy arrays, and numpy is not installed: "
            "pip install 'micrograd_c[compile]'"
        ) from error
    return np


class Array(NamedTuple):
    """An array of this shape: its `size` numbers are leaves first, first + 1, ... in C order."""

    shape: tuple[int, ...]
    first: int
    size: int


class Members(NamedTuple):
    """A list, tuple or dict: the shapes of its items, and the keys if it is a dict."""

    kind: type
    keys: tuple[Any, ...] | None
    items: tuple[Any, ...]


Shape = Array | Members


def _is_number(example: Any) -> bool:
    return isinstance(example, Value) or as_real(example) is not NotImplemented


def _array_shape(example: Any) -> tuple[int, ...] | None:
    """Return the shape of a number, an array or a regular nested list; None for others."""
    if isinstance(example, (float, int)) or _is_number(example):
        return ()
    if isinstance(example, list):
        shapes = [
            _array_shape(item) if isinstance(item, list) or _is_number(item) else None
            for item in example
        ]
        if not shapes or shapes[0] is None or any(shape != shapes[0] for shape in shapes):
            return None
        return (len(shapes), *shapes[0])
    if isinstance(example, (tuple, dict, str, bytes)):
        return None
    try:
        view = memoryview(example)
    except TypeError:
        return None
    return tuple(view.shape or ())


def describe(example: Any, numbers: list[float], where: str) -> Shape:
    """Return the shape of an example, and append its numbers to `numbers`.

    Raises TypeError for anything that is not made of numbers; `where` says in the error what is.
    """
    shape = _array_shape(example)
    if shape is not None:
        first = len(numbers)
        _append(_listed(example), numbers, where)
        return Array(shape, first, len(numbers) - first)
    if isinstance(example, dict):
        items = [describe(v, numbers, f"{where}[{key!r}]") for key, v in example.items()]
        return Members(dict, tuple(example), tuple(items))
    if isinstance(example, (list, tuple)):
        kind = list if isinstance(example, list) else tuple
        items = [describe(v, numbers, f"{where}[{i}]") for i, v in enumerate(example)]
        return Members(kind, None, tuple(items))
    raise TypeError(
        f"{where} must be a number, an array, or a list, tuple or dict of these, "
        f"not {type(example).__name__!r}"
    )


def _listed(example: Any) -> Any:
    """Return an array as nested lists; return nested lists, and a number, as they are."""
    if isinstance(example, list) or _is_number(example):
        return example
    return (example if hasattr(example, "tolist") else memoryview(example)).tolist()


def _append(example: Any, numbers: list[float], where: str) -> None:
    if isinstance(example, Value):
        numbers.append(example.data)
    elif isinstance(example, list):
        for item in example:
            _append(item, numbers, where)
    else:
        numbers.append(real_number(example, where))


def real_number(number: Any, where: str) -> float:
    """Return a real number as a float, by the rule for a Value's data."""
    real = as_real(number)
    if real is NotImplemented:
        kind = type(number).__name__
        raise TypeError(f"{where} must consist of real numbers, not {kind!r}")
    return real  # type: ignore[no-any-return]


def rebuild(shape: Shape, leaves: list[Any]) -> Any:
    """Return the nesting of this shape with these leaves; its arrays are nested lists."""
    if isinstance(shape, Array):
        flat = iter(leaves[shape.first : shape.first + shape.size])
        return _nested(shape.shape, flat)
    items = [rebuild(item, leaves) for item in shape.items]
    return pack(shape, items)


def _nested(shape: tuple[int, ...], flat: Iterator[Any]) -> Any:
    if not shape:
        return next(flat)
    return [_nested(shape[1:], flat) for _ in range(shape[0])]


def pack(shape: Members, items: list[Any]) -> Any:
    """Return the list, tuple or dict with these items."""
    if shape.keys is not None:
        return dict(zip(shape.keys, items))
    return items if shape.kind is list else tuple(items)


def count_leaves(shape: Any, before: int = 0) -> int:
    """Return `before` plus the number of leaves of a shape.

    Raises ValueError for what is no shape, and for a shape whose arrays do not follow one another.
    """
    if isinstance(shape, Array):
        if not all(type(n) is int and n >= 0 for n in (*shape.shape, shape.first, shape.size)):
            raise ValueError(f"the sizes of {shape} are no natural numbers")
        if shape.first != before or shape.size != math.prod(shape.shape):
            raise ValueError(f"{shape} does not begin at {before}, or has another size")
        return before + shape.size
    if not isinstance(shape, Members) or not isinstance(shape.items, tuple):
        raise ValueError(f"{shape!r} is no nesting")
    keys = range(len(shape.items)) if shape.keys is None else shape.keys
    if shape.kind not in (list, tuple, dict) or len(keys) != len(shape.items):
        raise ValueError(f"{shape!r} is no nesting")
    for item in shape.items:
        before = count_leaves(item, before)
    return before


def arrays(shape: Shape) -> Iterator[Array]:
    """Yield the arrays of a shape in order."""
    if isinstance(shape, Array):
        yield shape
    else:
        for item in shape.items:
            yield from arrays(item)


def flatten(shape: Shape, batch: Any, where: str, out: list[tuple[Array, Any, str]]) -> None:
    """Append (shape of one row, array, where the array stands) to `out` for each array of a batch.

    Raises TypeError or ValueError where the batch is not nested as the shape is.
    """
    if isinstance(shape, Array):
        out.append((shape, batch, where))
        return
    if shape.keys is not None:
        if not isinstance(batch, dict):
            raise TypeError(f"{where} must be a dict, not {type(batch).__name__!r}")
        if batch.keys() != set(shape.keys):
            raise ValueError(f"{where} must have the keys {list(shape.keys)}, not {list(batch)}")
        for key, item in zip(shape.keys, shape.items):
            flatten(item, batch[key], f"{where}[{key!r}]", out)
        return
    if isinstance(batch, (list, tuple)):
        members = batch
        if len(members) != len(shape.items):
            raise ValueError(f"{where} must have {len(shape.items)} items, not {len(members)}")
    else:
        raise TypeError(f"{where} must be a {shape.kind.__name__}, not {type(batch).__name__!r}")
    for i, item in enumerate(shape.items):
        flatten(item, members[i], f"{where}[{i}]", out)
