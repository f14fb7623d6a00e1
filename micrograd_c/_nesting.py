"""Nestings: lists, tuples, namedtuples, dicts, dataclasses and arrays, with leaves in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

# A container is opened to its kind, its keys and its items, and packed of these again. The keys are
# those of a dict or the fields of a dataclass that its constructor takes; None for a sequence.
Opened = tuple[type, tuple[Any, ...] | None, list[Any]]


def open_container(nesting: Any) -> Opened | None:
    """Return the kind, the keys and the items of a container; None for what is none.

    The kind is list, tuple, dict, or the class of a namedtuple or a dataclass.
    """
    if isinstance(nesting, dict):
        return dict, tuple(nesting), list(nesting.values())
    if isinstance(nesting, (list, tuple)):
        kind = list if isinstance(nesting, list) else type(nesting)
        return kind if kind is list or is_namedtuple(kind) else tuple, None, list(nesting)
    if is_dataclass(type(nesting)):
        names = fields_of(type(nesting))
        return type(nesting), names, [getattr(nesting, name) for name in names]
    return None


def pack(kind: Any, keys: tuple[Any, ...] | None, items: Sequence[Any]) -> Any:
    """Return the container of this kind with these keys and items."""
    if kind is list or kind is tuple:
        return kind(items)
    if kind is dict:
        return dict(zip(keys or (), items))
    return kind._make(items) if keys is None else kind(**dict(zip(keys, items)))


def is_namedtuple(kind: Any) -> bool:
    """Return whether a class is one of namedtuples."""
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def is_dataclass(kind: type) -> bool:
    """Return whether a class is a dataclass, as dataclasses.is_dataclass does."""
    return hasattr(kind, "__dataclass_fields__")


def fields_of(kind: Any) -> tuple[str, ...]:
    """Return the fields of a dataclass that its constructor takes."""
    from dataclasses import fields

    return tuple(field.name for field in fields(kind) if field.init)


def map_leaves(fn: Callable[[Any], Any], nesting: Any) -> Any:
    """Return a nesting of the same kind that has fn(leaf) in the place of each leaf, in order.

    What is no container is a leaf. An array becomes an array: of floats if the leaves become
    floats, of objects if they become Values, of more dimensions if they become arrays.
    """
    opened = open_container(nesting)
    if opened is not None:
        kind, keys, items = opened
        return pack(kind, keys, [map_leaves(fn, item) for item in items])
    if hasattr(nesting, "dtype") and getattr(nesting, "ndim", 0) > 0:
        return _map_array(fn, nesting)
    return fn(nesting)


def _map_array(fn: Callable[[Any], Any], array: Any) -> Any:
    import numpy as np

    results = np.array([fn(item) for item in array.ravel().tolist()])
    return results.reshape(array.shape + results.shape[1:])


def leaves_of(nesting: Any) -> list[Any]:
    """Return the leaves of a nesting in order."""
    leaves: list[Any] = []
    map_leaves(leaves.append, nesting)
    return leaves


def like(nesting: Any, leaves: Any) -> Any:
    """Return a nesting of the same kind with these leaves, an iterable."""
    found = iter(leaves)
    return map_leaves(lambda leaf: next(found), nesting)
