"""Python's own max() and min() while a program is being recorded.

``max(v.data for v in logits)`` would be a guard for each comparison, and so a recording for each
order of the logits. While some thread records, functions of ours stand in their place among the
builtins, where every function that is called meanwhile looks them up. They do what Python's do, and
are Python's for whoever is not recording; of stand-ins they return a stand-in, each row's own. A
`max` that was looked up before the recording, as by ``from builtins import max``, makes guards.
"""

from __future__ import annotations

import builtins
import functools
import operator
import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from weakref import WeakSet

from ..engine import bulk
from .conditions import Condition
from .reals import is_double
from .recording import Recorder
from .stand_ins import Number

_Result = TypeVar("_Result")

_recorders: WeakSet[Recorder] = WeakSet()  # those that record
_pythons: dict[str, Callable[..., Any]] = {}  # what stood among the builtins before


def record_extremes(recorder: Recorder, work: Callable[[], _Result]) -> _Result:
    """Return what work() returns; max() and min() are ours meanwhile, for this thread."""
    try:
        _recorders.add(recorder)
        _put_ours()
        return work()
    finally:
        _recorders.discard(recorder)
        _put_pythons()


# Threads take turns between any two steps, and a signal's handler may end these functions in the
# middle. So each step may be done again, and what was left undone is done by the next one to come.


def _put_ours() -> None:
    for name, ours in _OURS.items():
        found = getattr(builtins, name)
        if found is not ours:
            _pythons[name] = found
            setattr(builtins, name, ours)


def _put_pythons() -> None:
    """Undo _put_ours if no thread records."""
    if _recorders:
        return
    for name, ours in _OURS.items():
        if getattr(builtins, name) is ours:
            setattr(builtins, name, _pythons[name])
    if _recorders:  # a thread has begun to record in between
        _put_ours()


def _after_fork() -> None:
    """In a child: forget the threads that it does not have."""
    for recorder in list(_recorders):
        if recorder is not bulk.recorder():
            _recorders.discard(recorder)
    _put_pythons()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _extreme(
    name: str, exceeds: Callable[[Any, Any], Any], combine: Callable[[Any, Any], Any]
) -> Callable[..., Any]:
    """Return a max() or min(), by which of two exceeds the other; of bools it is `combine`."""

    @functools.wraps(getattr(builtins, name))
    def extreme(*args: Any, **options: Any) -> Any:
        recorder, pythons = bulk.recorder(), _pythons[name]
        if recorder is None:
            _put_pythons()  # an exception may have left ours in place
            return pythons(*args, **options)
        known = {"key", "default"} if len(args) == 1 else {"key"}
        if not args or not options.keys() <= known or options.get("key") is not None:
            return pythons(*args, **options)
        items: Iterable[Any] = args
        if len(args) == 1:
            items = list(args[0])  # which may be an iterator
            args = (items,)
        found = _kinds(recorder, items)
        if found == {bool}:
            return functools.reduce(combine, items)
        if Number in found:
            return _stand_in(recorder, items, exceeds)
        if found in ({int}, {float}):
            top = _stand_in(recorder, items, exceeds)
            return recorder.counted(top, *found)
        return pythons(*args, **options)

    return extreme


def _kinds(recorder: Recorder, items: Iterable[Any]) -> set[type]:
    """Return the classes of stand-ins, conditions and doubles; none if that is not all there is.

    There are none, too, where all are doubles. The class of a stand-in is Number; of a condition,
    and of one that is made of conditions, it is that of the plain number.
    """
    kinds: set[type] = set()
    found = False
    for item in items:
        if type(item) in (Number, Condition) and item.recorder is recorder:
            found = True
            is_data = type(item) is Number and not item.counts
            kinds.add(Number if is_data else item.__class__)
        elif is_double(item):
            kinds.add(type(item))
        else:
            return set()
    return kinds if found else set()


def _stand_in(recorder: Recorder, items: Iterable[Any], exceeds: Callable[[Any, Any], Any]) -> Any:
    left = iter(items)
    best = next(left)
    for item in left:
        best = recorder.choose(exceeds(item, best), item, best)
    return recorder.detached(best)


_OURS = {
    "max": _extreme("max", operator.gt, operator.or_),
    "min": _extreme("min", operator.lt, operator.and_),
}
