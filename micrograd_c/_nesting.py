"""Nestings: lists, tuples, namedtuples, dicts, dataclasses and arrays, with leaves in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any


def map_leaves(fn: Callable[[Any], Any], nesting: Any) -> Any:
    """Return a nesting of the same kind that has fn(leaf) in the place of each leaf, in order.

    What is no container is a leaf. An array becomes an array: of floats if the leaves become
    floats, of objects if they become Values, of more dimensions if they become arrays.
    """
    if isinstance(nesting, dict):
        return {key: map_leaves(fn, item) for key, item in nesting.items()}
    if isinstance(nesting, (list, tuple)):
        items = [map_leaves(fn, item) for item in nesting]
        if isinstance(nesting, list):
            return items
        return type(nesting)(*items) if hasattr(nesting, "_fields") else tuple(items)
    if dataclasses.is_dataclass(nesting) and not isinstance(nesting, type):
        fields = [field.name for field in dataclasses.fields(nesting)]
        changed = {name: map_leaves(fn, getattr(nesting, name)) for name in fields}
        return dataclasses.replace(nesting, **changed)
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
