"""Arguments and results of a jitted function: how they are nested, apart from their numbers.

A description is made of tuples and strings, so that it can be compared and hashed. Of the arguments
it has all but the leaves, which are Values and plain numbers:

    VALUE, NUMBER                    a leaf
    ("of", class)                    a leaf of a subclass of Value
    ("static", class, object)        a string, None, a bool: compared as such
    ("object", id)                   an object of another kind: it is itself
    ("items", class, members)        a list, a tuple or a namedtuple
    ("regular", classes, sizes, leaf)    leaves alone, nested as an array is
    ("dict", keys, members)
    ("fields", class, names, members)    a dataclass
    ("array", shape, members)        members as a flat list has them

Of a result it has the same but for leaves: an int is the place of a Value among the Values, and
("number", place, class) a float, int or bool that is each call's own.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from numbers import Real
from typing import Any

from .._value_methods import as_real
from ..engine import Value, bulk
from .conditions import Condition
from .needed import numpy
from .stand_ins import Number

VALUE, NUMBER = "value", "number"

_NUMBERS = {int, float}
_DEEP = 32  # as deep a nesting is taken as an array: one that contains itself ends elsewhere
_STATIC = {str, bytes, bool, complex, type(None), type(Ellipsis), type(NotImplemented)}

# ---- arguments ----


class Given(Value):
    """A number that the function itself gets, where it is run: a Value, as it is in a recording.

    To the author of the function it is the number, and compares as one. Operations on it give plain
    Values.
    """

    def __init__(self, number: Any) -> None:
        super().__init__(number)
        self.number = number

    def plain(self) -> Value:
        """Return a Value of the number."""
        return Value(self.number)

    def __eq__(self, other: object) -> bool:
        return self is other if isinstance(other, Value) else self.number == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.number)

    def __bool__(self) -> bool:
        return bool(self.number)

    def __float__(self) -> float:
        return float(self.number)

    def __int__(self) -> int:
        return int(self.number)

    def __index__(self) -> int:
        return operator.index(self.number)

    def __mod__(self, other: Any) -> Any:
        return self.number % other

    def __floordiv__(self, other: Any) -> Any:
        return self.number // other


Real.register(Given)  # for Value(x)


def describe(thing: Any, leaves: list[Any], objects: list[Any]) -> Any:
    """Return the description of an argument; append its leaves, and objects of other kinds.

    Raises TypeError for a container that is none of those above, such as a set or an iterator.
    """
    kind = type(thing)
    if kind in _NUMBERS:
        leaves.append(thing)
        return NUMBER
    if kind is Given:
        leaves.append(thing.number)
        return NUMBER
    if isinstance(thing, Value):
        leaves.append(thing)
        return VALUE if kind is Value else ("of", kind)
    if kind is list or kind is tuple:
        return _describe_items(kind, thing, leaves, objects)
    if kind in _STATIC:
        return "static", kind, thing
    if isinstance(thing, dict):
        return "dict", tuple(thing), tuple(describe(v, leaves, objects) for v in thing.values())
    if isinstance(thing, (list, tuple)):
        named = isinstance(thing, tuple) and hasattr(thing, "_fields")
        kind = kind if named else list if isinstance(thing, list) else tuple
        return "items", kind, tuple(describe(item, leaves, objects) for item in thing)
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        names = tuple(field.name for field in dataclasses.fields(thing))
        members = tuple(describe(getattr(thing, name), leaves, objects) for name in names)
        return "fields", kind, names, members
    if hasattr(kind, "__array__") and kind not in (Number, Condition):
        return _describe_array(numpy().asarray(thing), leaves, objects)
    if as_real(thing) is not NotImplemented:
        leaves.append(thing)
        return NUMBER
    if hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"):
        raise TypeError(
            "a jitted function takes numbers, Values, and lists, tuples, dicts, dataclasses and "
            f"arrays of these, not {kind.__name__!r}: pass a list of what is in it"
        )
    objects.append(thing)
    return "object", id(thing)


def _describe_items(kind: type, thing: Any, leaves: list[Any], objects: list[Any]) -> Any:
    classes: list[Any] = [kind]
    leaf, sizes = None, [len(thing)]
    flat = thing
    while True:
        one = bulk.common_type(flat)
        if one is Given:
            flat, one = [item.number for item in flat], None
        if one is Value or one in _NUMBERS:
            leaf = VALUE if one is Value else NUMBER
        elif _is_nested(one, flat) and len(classes) < _DEEP:
            classes.append(one)
            sizes.append(len(flat[0]))
            flat = list(chain.from_iterable(flat))
            continue
        elif one is None and flat and set(map(type, flat)) <= _NUMBERS:
            leaf = NUMBER
        break
    if leaf is not None:
        leaves.extend(flat)
        return "regular", tuple(classes), tuple(sizes), leaf
    return "items", kind, tuple([describe(item, leaves, objects) for item in thing])


def _is_nested(kind: Any, items: Any) -> bool:
    """Return whether items of this type are lists or tuples of one length."""
    return (kind is list or kind is tuple) and len(set(map(len, items))) == 1


def _describe_array(thing: Any, leaves: list[Any], objects: list[Any]) -> Any:
    code = thing.dtype.kind
    if not thing.shape:
        return describe(thing.tolist(), leaves, objects)
    if code in "fiu":
        leaves.extend(thing.ravel().tolist())
        return "array", thing.shape, NUMBER
    if code in "bUSO":
        members = tuple(describe(item, leaves, objects) for item in thing.ravel().tolist())
        return "array", thing.shape, members
    raise TypeError(f"a jitted function takes arrays of real numbers, not of {thing.dtype}")


def leaf_kinds(shape: Any) -> Iterator[Any]:
    """Yield for each leaf of an argument the class of the Value, or None for a number."""
    if shape in (VALUE, NUMBER):
        yield Value if shape == VALUE else None
    elif shape[0] == "of":
        yield shape[1]
    elif shape[0] == "regular":
        yield from [Value if shape[3] == VALUE else None] * math.prod(shape[2])
    elif shape[0] == "array" and shape[2] == NUMBER:
        yield from [None] * math.prod(shape[1])
    elif shape[0] not in ("static", "object"):
        for member in shape[-1]:
            yield from leaf_kinds(member)


def rebuild(shape: Any, leaves: Iterator[Any], objects: Iterator[Any]) -> Any:
    """Return an argument with these leaves and objects; arrays of Values are arrays of objects."""
    if shape in (VALUE, NUMBER):
        return next(leaves)
    kind = shape[0]
    if kind == "of":
        return next(leaves)
    if kind == "static":
        return shape[2]
    if kind == "object":
        return next(objects)
    if kind == "regular":
        return _regular(shape[1], shape[2], leaves)
    if kind == "array":
        flat = [NUMBER] * math.prod(shape[1]) if shape[2] == NUMBER else shape[2]
        return _array(shape[1], [rebuild(member, leaves, objects) for member in flat])
    members = [rebuild(member, leaves, objects) for member in shape[-1]]
    return nest(shape, members)


def _regular(classes: Sequence[Any], sizes: Sequence[int], leaves: Iterator[Any]) -> Any:
    if len(sizes) == 1:
        items = [next(leaves) for _ in range(sizes[0])]
    else:
        items = [_regular(classes[1:], sizes[1:], leaves) for _ in range(sizes[0])]
    return items if classes[0] is list else tuple(items)


def _array(shape: tuple[int, ...], flat: list[Any]) -> Any:
    np = numpy()
    if not any(isinstance(item, Value) for item in flat):
        return np.array(flat).reshape(shape)
    made = np.empty(len(flat), object)
    made[:] = flat
    return made.reshape(shape)


def nest(shape: Any, members: list[Any]) -> Any:
    """Return what is described, a list, tuple, dict or dataclass, with these members."""
    if shape[0] == "dict":
        return dict(zip(shape[1], members))
    if shape[0] == "fields":
        made = object.__new__(shape[1])
        for name, member in zip(shape[2], members):
            object.__setattr__(made, name, member)
        return made
    if hasattr(shape[1], "_fields"):
        return shape[1](*members)
    return members if shape[1] is list else tuple(members)


# ---- results ----


def describe_result(result: Any, leaf: Callable[[Any], Any], where: str = "the result") -> Any:
    """Return the description of a result. `leaf` describes a leaf; it returns None for others.

    Raises TypeError for what is neither a leaf nor a nesting.
    """
    found = leaf(result)
    if found is not None:
        return found
    if isinstance(result, dict):
        members = [describe_result(v, leaf, f"{where}[{k!r}]") for k, v in result.items()]
        return "dict", tuple(result), tuple(members)
    if isinstance(result, (list, tuple)):
        named = isinstance(result, tuple) and hasattr(result, "_fields")
        kind = type(result) if named else list if isinstance(result, list) else tuple
        members = [describe_result(v, leaf, f"{where}[{i}]") for i, v in enumerate(result)]
        return "items", kind, tuple(members)
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        names = tuple(field.name for field in dataclasses.fields(result))
        members = [describe_result(getattr(result, n), leaf, f"{where}.{n}") for n in names]
        return "fields", type(result), names, tuple(members)
    if hasattr(result, "dtype") and result.shape:
        flat = result.ravel().tolist()
        members = [describe_result(v, leaf, f"{where}[{i}]") for i, v in enumerate(flat)]
        return "array", result.shape, tuple(members)
    raise TypeError(
        f"{where} of a jitted function must be a Value, a number, or a list, tuple, dict, "
        f"dataclass or array of these, not {type(result).__name__!r}"
    )


def rebuild_result(shape: Any, values: Sequence[Any], numbers: Sequence[float]) -> Any:
    """Return a result with these Values and numbers."""
    if type(shape) is int:
        return values[shape]
    kind = shape[0]
    if kind == "number":
        return shape[2](numbers[shape[1]])
    if kind == "static":
        return shape[2]
    members = [rebuild_result(member, values, numbers) for member in shape[-1]]
    return _array(shape[1], members) if kind == "array" else nest(shape, members)


def pick_values(shape: Any, result: Any, found: dict[int, Value]) -> None:
    """Note the Values of a result that is nested as described, each by its place."""
    if type(shape) is int:
        found.setdefault(shape, result if isinstance(result, Value) else Value(result))
    elif shape[0] == "dict":
        for key, member in zip(shape[1], shape[2]):
            pick_values(member, result[key], found)
    elif shape[0] == "fields":
        for name, member in zip(shape[2], shape[3]):
            pick_values(member, getattr(result, name), found)
    elif shape[0] not in ("number", "static"):
        items = result.ravel().tolist() if shape[0] == "array" else result
        for member, item in zip(shape[-1], items):
            pick_values(member, item, found)
