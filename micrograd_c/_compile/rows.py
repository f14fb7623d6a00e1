"""The rows of a call: batches of arguments as columns that C reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._library import ffi, lib
from .arguments import Array, real_number


@dataclass
class Rows:
    """The arguments of a call, as C reads them."""

    count: int
    columns: Any  # one mg_column for each number of a row
    held: list[Any]  # each array's memory, in which the columns lie
    shared: list[bool]  # for each array: whether it is one row, for all
    single: bool  # all of them are: there is one row, and results have no axis of rows


def take_rows(np: Any, flat: list[tuple[Array, Any, str]], inputs: int) -> tuple[Rows, list[Any]]:
    """Return the rows that batches (see `flatten`) contain, and the batches as arrays.

    Raises as `as_array` does, and ValueError if the numbers of rows differ.
    """
    arrays = [as_array(np, shape.shape, batch, where) for shape, batch, where in flat]
    columns = ffi.new("mg_column[]", inputs + 1)
    held: list[Any] = []
    shared: list[bool] = []
    first: tuple[str, tuple[int, ...]] | None = None  # the first that has rows, its shape
    for (shape, _, where), array in zip(flat, arrays):
        one = array.shape == shape.shape
        shared.append(one)
        if not one:
            first = first or (where, array.shape)
            if len(array) != first[1][0]:
                raise ValueError(
                    f"{where} has the shape {array.shape}, {first[0]} {first[1]}: "
                    "the number of rows must be the same"
                )
        memory = ffi.from_buffer("double[]", array)
        held.append(memory)
        if array.size:
            stride = 0 if one else shape.size
            lib.mg_set_columns(columns + shape.first, memory, shape.size, 1, stride)
    count = 1 if first is None else first[1][0]
    if count >= 2**32:
        raise ValueError(f"{count} rows are too many for one call")
    return Rows(count, columns, held, shared, first is None), arrays


def as_array(np: Any, shape: tuple[int, ...], batch: Any, where: str) -> Any:
    """Return a batch as a contiguous float64 array: of shape (N, *shape), or one row of this shape.

    Raises ValueError, with both shapes, if the batch has another shape; ValueError if some of its
    numbers are masked; TypeError if it does not consist of real numbers.
    """
    rows = batch if type(batch) is np.ndarray else _any_array(np, shape, batch, where)
    if rows.dtype != np.float64:
        check_kind(rows.dtype, where)
        if rows.dtype.kind == "O":
            rows = np.array([real_number(x, where) for x in rows.flat]).reshape(rows.shape)
        rows = rows.astype(np.float64)
    if rows.shape != shape and rows.shape[1:] != shape:
        raise wrong_shape(rows.shape, shape, where)
    return rows if rows.flags.c_contiguous and rows.flags.aligned else np.array(rows, order="C")


def check_kind(dtype: Any, where: str) -> None:
    """Raise TypeError unless an array of this dtype may consist of real numbers."""
    if dtype.kind not in "fiubO":
        raise TypeError(f"{where} must consist of real numbers, not {dtype}")


def wrong_shape(found: tuple[Any, ...], shape: tuple[int, ...], where: str) -> ValueError:
    """Return the error for an array that has neither rows of this shape nor is one such row."""
    expected = ", ".join(("N", *map(str, shape))) + ("," if not shape else "")
    return ValueError(
        f"{where} must have the shape ({expected}), not {found}; "
        f"one row for all rows has the shape {shape}"
    )


def _any_array(np: Any, shape: tuple[int, ...], batch: Any, where: str) -> Any:
    if isinstance(batch, (list, tuple)) and not batch:
        return np.empty((0, *shape))
    if np.ma.is_masked(batch):
        raise ValueError(f"{where} has masked numbers: fill them or leave their rows out")
    try:
        return np.asarray(batch)
    except ValueError as error:
        raise ValueError(f"{where} is no regular array: {error}") from None


def look_at(array: Any, memory: Any) -> tuple[Any, Any, Any, Any]:
    """Return what is_as_it_was compares: the array, its shape, its dtype and its memory."""
    return array, array.shape, array.dtype, memory


def is_as_it_was(arg: Any, look: tuple[Any, Any, Any, Any]) -> bool:
    """Whether an argument is the array that was looked at, unchanged but for its numbers."""
    array, shape, dtype, memory = look
    if arg is not array or arg.shape != shape or arg.dtype is not dtype:
        return False
    try:
        return bool(ffi.from_buffer(arg) == memory)
    except (BufferError, ValueError):  # other strides: the numbers lie no longer side by side
        return False
