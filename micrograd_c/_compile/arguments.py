"""Arguments of a compiled program: what one example looks like, and many of them.

An example is a number, an array, or a list, tuple or dict of examples. A regular nested list of
numbers counts as an array; a list of arrays does not. An `Array` is the shape of an array, or of a
number, which is an array without axes. A `Members` is the shape of a list, tuple or dict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._library import ffi, lib
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
        numbers.append(_real(example, where))


def _real(number: Any, where: str) -> float:
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


@dataclass(frozen=True)
class Rows:
    """The arguments of a call, as C reads them."""

    count: int
    columns: Any  # one mg_column for each number of a row
    held: list[Any]  # the arrays in whose memory the columns lie
    shared: list[bool]  # for each array: whether it is one row, for all
    single: bool  # all of them are: there is one row, and results have no axis of rows


def take_rows(np: Any, flat: list[tuple[Array, Any, str]], inputs: int) -> tuple[Rows, list[Any]]:
    """Return the rows that batches (see `flatten`) contain, and the batches as arrays.

    Raises as `as_array` does, and ValueError if the numbers of rows differ.
    """
    arrays = [as_array(np, shape.shape, batch, where) for shape, batch, where in flat]
    shared = [array.shape == shape.shape for (shape, _, _), array in zip(flat, arrays)]
    counts = [len(array) for array, one in zip(arrays, shared) if not one]
    count = counts[0] if counts else 1
    columns = ffi.new("mg_column[]", inputs + 1)
    held: list[Any] = list(arrays)
    for (shape, _, where), array, one in zip(flat, arrays, shared):
        if not one and len(array) != count:
            first = shared.index(False)
            raise ValueError(
                f"{where} has the shape {array.shape}, {flat[first][2]} {arrays[first].shape}: "
                "the number of rows must be the same"
            )
        if array.size:
            view = ffi.from_buffer("double[]", array)
            stride = 0 if one else shape.size
            lib.mg_set_columns(columns + shape.first, view, shape.size, stride)
            held.append(view)
    if count >= 2**32:
        raise ValueError(f"{count} rows are too many for one call")
    return Rows(count, columns, held, shared, not counts), arrays


def as_array(np: Any, shape: tuple[int, ...], batch: Any, where: str) -> Any:
    """Return a batch as a contiguous float64 array: of shape (N, *shape), or one row of this shape.

    Raises ValueError, with both shapes, if the batch has another shape; ValueError if some of its
    numbers are masked; TypeError if it does not consist of real numbers.
    """
    rows = batch if type(batch) is np.ndarray else _any_array(np, shape, batch, where)
    if rows.dtype != np.float64:
        if rows.dtype.kind == "O":
            rows = np.array([_real(x, where) for x in rows.flat]).reshape(rows.shape)
        elif rows.dtype.kind not in "fiub":
            raise TypeError(f"{where} must consist of real numbers, not {rows.dtype}")
        rows = rows.astype(np.float64)
    if rows.shape != shape and rows.shape[1:] != shape:
        expected = ", ".join(("N", *map(str, shape))) + ("," if not shape else "")
        raise ValueError(
            f"{where} must have the shape ({expected}), not {rows.shape}; "
            f"one row for all rows has the shape {shape}"
        )
    return rows if rows.flags.c_contiguous and rows.flags.aligned else np.array(rows, order="C")


def _any_array(np: Any, shape: tuple[int, ...], batch: Any, where: str) -> Any:
    if isinstance(batch, (list, tuple)) and not batch:
        return np.empty((0, *shape))
    if np.ma.is_masked(batch):
        raise ValueError(f"{where} has masked numbers: fill them or leave their rows out")
    try:
        return np.asarray(batch)
    except ValueError as error:
        raise ValueError(f"{where} is no regular array: {error}") from None
