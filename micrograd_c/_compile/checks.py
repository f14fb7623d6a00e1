"""Rows in error: which row of a checked replay is one, and where in the function the error is.

The replay names the first row for which the engine would raise an error. Rows of finite numbers
whose results or derivatives are not finite are found here. The function itself is then run for such
a row, by the engine, in detect_anomaly: that error names the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._anomaly import detect_anomaly, line_of
from .._library import ffi
from ..engine import Value, bulk
from .replay import FORWARD, NULL, Frame
from .rows import Rows

# What the engine raises; an IndexError, of a lookup.
ARITHMETIC = (ValueError, OverflowError, ZeroDivisionError, IndexError)


def make_room(np: Any, frame: Frame, inputs: int, rows: Rows) -> list[Any]:
    """Have a frame write down what its replay has no place for; return what keeps the places."""
    held = []
    wanted = [(frame.outputs, len(frame.outputs))]
    if frame.mode != FORWARD:
        wanted.append((frame.gradients, inputs))
    for columns, count in wanted:
        for i in range(count):
            if columns[i].data == NULL and rows.count:
                held.append(np.zeros(rows.count))
                columns[i].data, columns[i].stride = ffi.from_buffer("double[]", held[-1]), 1
    return held


def first_suspect(
    np: Any, frame: Frame, inputs: int, captured: int, rows: Rows, replayed: Any
) -> int | None:
    """Return the first of the rows replayed that has made nan or inf of finite numbers, or None.

    A row whose gradients of parameters alone are not finite is found by replaying parts of the
    rows. A row with arguments that are not finite is none, and no row is where parameters are not.
    """
    if not len(replayed) or not np.isfinite(list(frame.scalars[0:captured])).all():
        return None
    asked = replayed[_are_finite(np, frame.call.inputs, inputs, replayed)]
    good = _are_finite(np, frame.outputs, len(frame.outputs), asked)
    if frame.mode != FORWARD:
        good &= _are_finite(np, frame.gradients, inputs, asked)
    if not good.all():
        return int(asked[np.argmin(good)])
    if not len(asked) or _sums_are_finite(np, frame, captured):
        return None
    before = bytes(ffi.buffer(frame.grads))
    try:
        return _halve(np, frame, captured, asked)
    finally:
        ffi.memmove(frame.grads, before, len(before))


def _are_finite(np: Any, columns: Any, count: int, rows: Any) -> Any:
    """Return for each of these rows whether all its numbers in `count` columns are finite."""
    good = np.ones(len(rows), bool)
    for i in range(count if len(rows) else 0):
        data, stride = columns[i].data, columns[i].stride
        if data != NULL:
            size = 8 * (int(rows.max()) * stride + 1)
            numbers = np.frombuffer(ffi.buffer(data, size))
            good &= np.isfinite(numbers[rows * stride])
    return good


def _sums_are_finite(np: Any, frame: Frame, captured: int) -> bool:
    return bool(np.isfinite([frame.call.total, *frame.grads[0:captured]]).all())


def _halve(np: Any, frame: Frame, captured: int, rows: Any) -> int | None:
    """Return the first row without which the sums over rows are finite; None: the last is none."""
    while True:
        half = rows[: (len(rows) + 1) // 2].astype(np.uint32)
        frame.call.rows, frame.call.count = ffi.from_buffer("uint32_t[]", half), len(half)
        frame.run(1)
        bad = not _sums_are_finite(np, frame, captured)
        if len(rows) == 1:
            return int(rows[0]) if bad else None
        rows = half.astype(rows.dtype) if bad else rows[len(half) :]


def _values_in(result: Any) -> Iterator[Value]:
    if isinstance(result, Value):
        yield result
    elif isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        for item in result:
            yield from _values_in(item)


def error_of_row(
    run: Callable[[list[Value]], Any],
    numbers: list[float],
    derivatives: bool,
    found: Exception | None,
) -> Exception | None:
    """Return the error for the row with these numbers, naming the line; `found` if there is none.

    `run` is the function. With `derivatives` its results are differentiated, too.
    """
    try:
        with detect_anomaly():
            leaves = [Value(number) for number in numbers]
            result = run(leaves)
            for root in _values_in(result) if derivatives else ():
                bulk.gradients(root, tuple(leaves))
    except Exception as error:
        if type(error) in (FloatingPointError, *ARITHMETIC):
            return _with_line(error, found)
    return found  # the function does not do now what it did when it was recorded


def _with_line(error: Exception, found: Exception | None) -> Exception:
    """Return an error that names its line, with the text of the error found before if it does not.

    Only an error of Python's own arithmetic names no line.
    """
    line = line_of(error)
    if not line:
        return error
    shown = found or error
    return type(shown)(f"{shown} ({line})")


def with_row(row: int | str, error: Exception) -> Exception:
    """Return an error that names the row, or what else the text says; -1: none."""
    if not isinstance(row, str):
        row = "computed of parameters alone" if row < 0 else f"row {row}"
    return type(error)(f"{row}: {error}")
