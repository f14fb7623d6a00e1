"""From what a function returned to a trace."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from .._library import ffi
from .._nesting import open_container
from ..engine import Value, bulk
from .arguments import Array, Members, Shape, place_in
from .conditions import Condition, Guard
from .needed import numpy
from .recording import Recorder
from .replay import Trace
from .rules import NO_RULE
from .stand_ins import Number


def describe_result(
    result: Any, roots: list[Value], recorder: Recorder, where: str, like: Shape | None
) -> Shape:
    """Return how a function's results are nested, and append their Values to `roots`.

    `like` is the nesting of an earlier recording: a dict with the same keys keeps their order.
    """
    if hasattr(type(result), "__array__") and type(result) not in (Number, Condition):
        array = numpy().asarray(result)
        return _append_roots(array.shape, array.ravel().tolist(), roots, recorder, where)
    opened = open_container(result)
    if opened is None:
        return _append_roots((), [result], roots, recorder, where)
    kind, keys, items = opened
    known = like if isinstance(like, Members) else Members(tuple, None, ())
    if kind is dict and known.keys is not None and result.keys() == set(known.keys):
        keys, items = known.keys, [result[key] for key in known.keys]
    shapes = tuple(
        describe_result(item, roots, recorder, place_in(where, kind, name), before)
        for name, item, before in zip_longest(
            range(len(items)) if keys is None else keys, items, known.items[: len(items)]
        )
    )
    return Members(kind, keys, shapes)


def _append_roots(
    shape: tuple[int, ...],
    results: list[Any],
    roots: list[Value],
    recorder: Recorder,
    where: str,
) -> Array:
    first = len(roots)
    for result in results:
        if not isinstance(result, (Value, Number, float, int)):
            raise TypeError(
                f"{where} must be a Value, or a list, tuple, dict, dataclass or array of Values, "
                f"not {type(result).__name__!r}"
            )
        roots.append(result if isinstance(result, Value) else recorder.lift(result))
    return Array(shape, first, len(results), not shape)


def make_trace(recorder: Recorder, roots: list[Value]) -> Trace:
    ends = [*roots, *(end for g in recorder.guards for end in (g.left, g.right))]
    anchor = bulk.rule(NO_RULE, 0.0, tuple(ends))
    entries, places, captured = bulk.trace(anchor, recorder.inputs, recorder.position)
    found = ffi.from_buffer("uint32_t[]", places)
    guards = tuple(
        _place_guard(guard, found[len(roots) + 2 * i], found[len(roots) + 2 * i + 1])
        for i, guard in enumerate(recorder.guards)
    )
    outputs = tuple(found[i] for i in range(len(roots)))
    return Trace(entries or b"", outputs, guards, tuple(captured), len(recorder.inputs))


def _place_guard(guard: Guard, left: int, right: int) -> tuple[int, int, int, bool]:
    return guard.relation, left, right, guard.outcome
