"""Lookups: an element of a table, or a row of it, by an index that may be each row's own."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from .._value_methods import as_real
from ..engine import Value, bulk
from .conditions import Condition
from .recording import Recorder
from .rules import TAKE
from .stand_ins import Number


def wrong_index(number: float, count: int) -> Exception:
    """Return the exception for an index that names none of the `count` elements of a table."""
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        return ValueError(f"index {number} is no integer")
    hint = "; take() does not count from the end" if number < 0 else ""
    shown = int(number) if abs(number) < 2**53 else number
    return IndexError(f"index {shown} is out of range for a table of {count}{hint}")


def own_index(index: Any, who: str) -> Any:
    """Return an index as a plain number or, while a program records it, as a stand-in."""
    if type(index) is Condition:
        index = index.count()
    if isinstance(index, Value):
        index = index.data
    if type(index) is Number:
        recorder = index.recorder
        if recorder.over or recorder.is_constant(index.value):
            return index._plain("used as an index")
        return index
    if isinstance(index, (float, int)):
        return index
    try:
        return operator.index(index)
    except TypeError:
        real = as_real(index)
    if real is NotImplemented:
        raise TypeError(f"{who} is an integer or a Value, not {type(index).__name__!r}")
    return real


def place_of(number: Any, count: int) -> int:
    """Return a number as the place of one of `count` elements. Raises as wrong_index says."""
    if 0 <= number < count and number == int(number):
        return int(number)
    error, recorder = wrong_index(number, count), bulk.recorder()
    raise error if recorder is None else recorder.note(error)


def is_row(element: Any) -> bool:
    """Return whether an element of a table is a row of elements."""
    return hasattr(type(element), "__len__") and not isinstance(element, (str, bytes, dict))


def as_table(table: Any, who: str) -> Sequence[Any]:
    """Return a table as a list or tuple."""
    if type(table) in (list, tuple):
        return table  # type: ignore[no-any-return]
    if not is_row(table) or not hasattr(type(table), "__getitem__"):
        raise TypeError(f"{who} takes from a list of Values, not from {type(table).__name__!r}")
    return list(table)


def element(found: Any) -> Any:
    """Return an element of a table as a Value, a row as a list of Values."""
    if isinstance(found, Value):
        return found
    if is_row(found):
        return [element(one) for one in found]
    if type(found) in (Number, Condition):
        return found.value
    number = as_real(found)
    if number is NotImplemented:
        kind = type(found).__name__
        raise TypeError(f"take() takes from Values and real numbers, not {kind!r}")
    return Value(number)


def record(table: Sequence[Any], index: Number) -> Any:
    """Return the element of a table that each row's index names, or a row of elements.

    Raises ValueError for rows of different lengths, TypeError for a table of rows and of Values.
    """
    place = place_of(index.number, len(table))
    rows = [is_row(one) for one in table]
    if not any(rows):
        return _record_element(index.recorder, table, index.value, place)
    if not all(rows):
        raise TypeError("a table consists of rows or of Values, not of both")
    for i, row in enumerate(table):
        if len(row) != len(table[0]):
            raise ValueError(
                f"row {i} of a table has {len(row)} elements, row 0 has {len(table[0])}: "
                "a lookup by an argument is of rows of the same length"
            )
    return [record(column, index) for column in zip(*table)]


def _record_element(recorder: Recorder, table: Sequence[Any], index: Value, place: int) -> Value:
    known = recorder.elements  # those that are numbers: one constant for each of them
    elements: list[Value] = []
    for one in table:
        if isinstance(one, Value) or type(one) in (Number, Condition):
            elements.append(element(one))
            continue
        constant = element(one)
        elements.append(known.setdefault(bulk.number_of(constant).hex(), constant))
    number = bulk.number_of(elements[place])
    return bulk.rule(TAKE, number, (index, recorder.table(tuple(elements))))
