"""Arguments of a compiled program: what one row looks like, and many of them.

An example is a number, an array, a container (list, tuple, namedtuple, dict, dataclass) of
examples, or something static: a string, None, an object. A regular nested list of numbers counts as
an array; a list of arrays does not. An `Array` is the shape of an array, or of a number, which is
an array without axes. A `Members` is the shape of a container.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from numbers import Number
from typing import Any, NamedTuple

from .._nesting import fields_of, is_dataclass, is_namedtuple, open_container, pack
from .._value_methods import as_real
from ..engine import Value
from .needed import numpy


class Array(NamedTuple):
    """An array of this shape: its `size` numbers are leaves first, first + 1, ... in C order.

    The function has it as nested lists if it is `listed`, as an array of objects otherwise.
    """

    shape: tuple[int, ...]
    first: int
    size: int
    listed: bool = True


class Members(NamedTuple):
    """A container: its kind, its keys if it has some, and the shapes of its items."""

    kind: type
    keys: tuple[Any, ...] | None
    items: tuple[Any, ...]


class Static:
    """Something that a program takes as it is, the same in every call. See `static`."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and _are_same(self.value, other.value)

    def __hash__(self) -> int:
        return 0  # what is equal may have no hash

    def __reduce__(self) -> Any:
        return Static, (self.value,)

    def __repr__(self) -> str:
        return f"static({self.value!r})"


def static(value: Any) -> Static:
    """Return what has a program take a value as it is: a number, a list or a model, say.

    The function gets the value itself, not Values. It may not change, and a call must give the
    same: one that is equal, or the very object where == does not tell.

    >>> from micrograd_c import compile
    >>> program = compile(lambda x, n: sum(x**i for i in range(n)), 2.0, static(3))
    >>> program([1.0, 2.0], 3).tolist()
    [3.0, 7.0]
    """
    return value if isinstance(value, Static) else Static(value)


def _are_same(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except (TypeError, ValueError):  # of arrays, whose == has no one truth
        return False


Shape = Array | Members | Static


# ---- what an example, or a batch, looks like ----


def describe(example: Any, numbers: list[float], where: str) -> Shape:
    """Return the shape of an example, and append its numbers to `numbers`.

    Raises TypeError for what a program cannot take; `where` says in the error what is.
    """

    def take(example: Any, where: str) -> Array | None:
        shape = _array_shape(example)
        if shape is None:
            return None
        first = len(numbers)
        _append(_listed(example), numbers, where)
        return Array(shape, first, len(numbers) - first, not shape or isinstance(example, list))

    return _describe(example, take, where)


def describe_rows(batch: Any, first: int, where: str) -> tuple[Shape, int]:
    """Return the shape of a row of a batch, and `first` plus the number of its leaves.

    The first axis of an array, also of a nested list, is that of the rows. A number is one for all
    rows. Raises as `describe` does.
    """

    def take(batch: Any, where: str) -> Array | None:
        nonlocal first
        shape = _batch_shape(batch)
        if shape is None:
            return None
        array = Array(shape[1:], first, math.prod(shape[1:]), not shape[1:])
        first += array.size
        return array

    return _describe(batch, take, where), first


def _describe(example: Any, take: Callable[[Any, str], Array | None], where: str) -> Shape:
    array = take(example, where)
    if array is not None:
        return array
    opened = open_container(example)
    if opened is not None:
        kind, keys, items = opened
        names = range(len(items)) if keys is None else keys
        shapes = [
            _describe(item, take, place_in(where, kind, name)) for name, item in zip(names, items)
        ]
        return Members(kind, keys, tuple(shapes))
    if isinstance(example, Static):
        return example
    text = isinstance(example, (str, bytes))
    if isinstance(example, Number) or (isinstance(example, Iterable) and not text):
        raise TypeError(
            f"{where} must be a number, an array, or a list, tuple, dict or dataclass of these, "
            f"not {type(example).__name__!r}; static(...) has the function take it as it is"
        )
    return Static(example)


def place_in(where: str, kind: type, name: Any) -> str:
    """Return where an item of a container stands."""
    return f"{where}.{name}" if is_dataclass(kind) else f"{where}[{name!r}]"


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
    return _shape_of_array(example)


def _batch_shape(batch: Any) -> tuple[int, ...] | None:
    """Return the shape of a number, an array or a nested list, by its first number."""
    if isinstance(batch, (float, int)) or _is_number(batch):
        return ()
    if not isinstance(batch, list):
        return _shape_of_array(batch)
    if not batch:
        return (0,)
    within = _batch_shape(batch[0]) if isinstance(batch[0], list) or _is_number(batch[0]) else None
    return None if within is None else (len(batch), *within)


def _shape_of_array(example: Any) -> tuple[int, ...] | None:
    """Return the shape of an array or an object with the buffer protocol; None for others."""
    if isinstance(example, (tuple, dict, str, bytes)):
        return None
    if hasattr(type(example), "__array__"):
        return tuple(numpy().shape(example))
    try:
        view = memoryview(example)
    except TypeError:
        return None
    return tuple(view.shape or ())


def _listed(example: Any) -> Any:
    """Return an array as nested lists; return nested lists, and a number, as they are."""
    if isinstance(example, list) or _is_number(example):
        return example
    return (example if hasattr(example, "tolist") else numpy().asarray(example)).tolist()


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


# ---- from shapes to nestings ----


def rebuild(shape: Shape, leaves: list[Any]) -> Any:
    """Return the nesting of this shape with these leaves, as the function takes it."""
    if isinstance(shape, Static):
        return shape.value
    if isinstance(shape, Members):
        return pack(shape.kind, shape.keys, [rebuild(item, leaves) for item in shape.items])
    mine = leaves[shape.first : shape.first + shape.size]
    if shape.listed:
        return _nested(shape.shape, iter(mine))
    array = numpy().empty(shape.size, object)
    array[:] = mine
    return array.reshape(shape.shape)


def _nested(shape: tuple[int, ...], flat: Iterator[Any]) -> Any:
    if not shape:
        return next(flat)
    return [_nested(shape[1:], flat) for _ in range(shape[0])]


def nest_arrays(shape: Shape, found: Iterator[Any]) -> Any:
    """Return the nesting of this shape with what is found for its arrays; None for the static."""
    if isinstance(shape, Members):
        return pack(shape.kind, shape.keys, [nest_arrays(item, found) for item in shape.items])
    return next(found) if isinstance(shape, Array) else None


def arrays(shape: Shape) -> Iterator[Array]:
    """Yield the arrays of a shape in order."""
    if isinstance(shape, Array):
        yield shape
    elif isinstance(shape, Members):
        for item in shape.items:
            yield from arrays(item)


def count_leaves(shape: Any, before: int = 0) -> int:
    """Return `before` plus the number of leaves of a shape.

    Raises ValueError for what is no shape, and for a shape whose arrays do not follow one another.
    """
    if isinstance(shape, Static):
        return before
    if isinstance(shape, Array):
        if not all(type(n) is int and n >= 0 for n in (*shape.shape, shape.first, shape.size)):
            raise ValueError(f"the sizes of {shape} are no natural numbers")
        if shape.first != before or shape.size != math.prod(shape.shape):
            raise ValueError(f"{shape} does not begin at {before}, or has another size")
        return before + shape.size
    if not isinstance(shape, Members) or not isinstance(shape.items, tuple):
        raise ValueError(f"{shape!r} is no nesting")
    if not _is_kind(shape.kind, shape.keys, len(shape.items)):
        raise ValueError(f"{shape!r} is no nesting")
    for item in shape.items:
        before = count_leaves(item, before)
    return before


def _is_kind(kind: Any, keys: Any, count: int) -> bool:
    """Return whether there are containers of this kind with these keys and as many items."""
    if not isinstance(kind, type) or not (keys is None or isinstance(keys, tuple)):
        return False
    if kind in (list, tuple):
        return keys is None
    if kind is not dict and not is_dataclass(kind):
        return keys is None and is_namedtuple(kind) and len(kind._fields) == count  # type: ignore[attr-defined]
    return keys is not None and len(keys) == count and (kind is dict or keys == fields_of(kind))


# ---- batches ----


def flatten(
    shape: Shape, batch: Any, where: str, out: list[tuple[Array, Any, str]], static: bool = True
) -> None:
    """Append (shape of one row, array, where the array stands) to `out` for each array of a batch.

    Raises TypeError or ValueError where the batch is not nested as the shape is, and ValueError
    where something static is not the same, unless `static` is false.
    """
    if isinstance(shape, Array):
        out.append((shape, batch, where))
    elif isinstance(shape, Members):
        names = range(len(shape.items)) if shape.keys is None else shape.keys
        for name, item, member in zip(names, shape.items, _items(shape, batch, where)):
            flatten(item, member, place_in(where, shape.kind, name), out, static)
    elif static:
        given = batch.value if isinstance(batch, Static) else batch
        if not _are_same(shape.value, given):
            raise ValueError(f"{where} must be {shape.value!r} as it was recorded, not {given!r}")


def _items(shape: Members, batch: Any, where: str) -> list[Any]:
    """Return the items of a batch, a container like the shape."""
    kind = shape.kind
    if kind is dict:
        if not isinstance(batch, dict):
            raise TypeError(f"{where} must be a dict, not {type(batch).__name__!r}")
        keys = shape.keys or ()
        if batch.keys() != set(keys):
            raise ValueError(f"{where} must have the keys {list(keys)}, not {list(batch)}")
        return [batch[key] for key in keys]
    if shape.keys is not None:
        if not isinstance(batch, kind):
            raise TypeError(f"{where} must be of {kind.__name__}, not {type(batch).__name__!r}")
        return [getattr(batch, key) for key in shape.keys]
    fields = getattr(kind, "_fields", None)
    other = fields is not None and getattr(batch, "_fields", fields) != fields
    if other or not isinstance(batch, (list, tuple)):
        raise TypeError(f"{where} must be a {kind.__name__}, not {type(batch).__name__!r}")
    if len(batch) != len(shape.items):
        raise ValueError(f"{where} must have {len(shape.items)} items, not {len(batch)}")
    return list(batch)
