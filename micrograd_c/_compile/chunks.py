"""Arguments that are dask arrays: which rows of which argument belong to one chunk.

The chunks along rows are those of the first dask array whose chunks are known. Other arguments with
as many rows, arrays of numpy too, are cut into the same chunks; one row for all rows stays whole.
Nothing is computed here, and dask is not imported: whoever has a dask array has done that.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import isnan
from typing import Any

from .._value_methods import loaded
from .arguments import Array
from .rows import Rows, as_array, check_kind, take_rows, wrong_shape

Flat = list[tuple[Array, Any, str]]


@dataclass
class Chunks(Rows):
    """The arguments of a call of which some are dask arrays: there are no rows to be read yet."""

    arrays: list[Any]  # dask arrays with one block a chunk; what is shared, dask's or numpy's
    sizes: tuple[Any, ...]  # the rows of each chunk; nan where dask does not know them
    first: tuple[str, tuple[Any, ...]]  # which argument has given the chunks, and its shape

    def align(self, np: Any, flat: Flat, one_for_all: bool) -> tuple[list[Any], list[bool]]:
        """Return further arrays of the call in these chunks, and which are one row for all rows.

        Raises as `chunk` does, and ValueError for one row for all unless `one_for_all`.
        """
        arrays, shared = _arrays(np, flat)
        for (shape, _, where), array, one in zip(flat, arrays, shared):
            if one and not one_for_all:
                expected = (self.first[1][0], *shape.shape)
                raise ValueError(f"{where} must have the shape {expected}, not {array.shape}")
        return self._cut(flat, arrays, shared), shared

    def _cut(self, flat: Flat, arrays: list[Any], shared: list[bool]) -> list[Any]:
        cut = []
        for (_, _, where), array, one in zip(flat, arrays, shared):
            if not one:
                cut.append(_in_chunks(array, where, self.sizes, self.first))
            else:
                cut.append(array.rechunk(-1) if is_dask(array) else array)
        return cut


def is_dask(batch: Any) -> bool:
    """Return whether a batch is an array or a dataframe, or a column of one, of dask."""
    return isinstance(batch, loaded("dask.array", "Array")) or hasattr(type(batch), "to_dask_array")


def chunk(np: Any, flat: Flat) -> Chunks | None:
    """Return the chunks of arguments; None if no dask array among them has rows.

    Raises ValueError, with both shapes, for an array of another shape or another number of rows,
    and where chunks of unknown sizes would have to be cut; TypeError for what is no real number.
    """
    if not any(is_dask(batch) for _, batch, _ in flat):
        return None
    arrays, shared = _arrays(np, flat)
    given = [
        (array, where)
        for (_, _, where), array, one in zip(flat, arrays, shared)
        if not one and is_dask(array)
    ]
    if not given:
        return None
    leading, name = next((pair for pair in given if _are_known(pair[0].chunks[0])), given[0])
    made = Chunks(-1, None, [], shared, False, [], leading.chunks[0], (name, leading.shape))
    made.arrays.extend(made._cut(flat, arrays, shared))
    return made


def _arrays(np: Any, flat: Flat) -> tuple[list[Any], list[bool]]:
    """Return batches as arrays, and which of these are one row for all rows."""
    arrays = []
    for shape, batch, where in flat:
        if is_dask(batch):
            array = batch.to_dask_array() if hasattr(batch, "to_dask_array") else batch
            check_kind(array.dtype, where)
            if array.shape != shape.shape and array.shape[1:] != shape.shape:
                raise wrong_shape(array.shape, shape.shape, where)
        else:
            array = as_array(np, shape.shape, batch, where)
        arrays.append(array)
    return arrays, [array.ndim == len(shape.shape) for (shape, _, _), array in zip(flat, arrays)]


def _are_known(sizes: tuple[Any, ...]) -> bool:
    return not any(map(isnan, sizes))


def _in_chunks(
    array: Any, where: str, sizes: tuple[Any, ...], first: tuple[str, tuple[Any, ...]]
) -> Any:
    """Return an array with these chunks along rows and one chunk along all other axes."""
    has = array.chunks[0] if is_dask(array) else (len(array),)
    if _are_known(sizes) and _are_known(has):
        if sum(has) != sum(sizes):
            raise ValueError(
                f"{where} has the shape {array.shape}, {first[0]} {first[1]}: "
                "the number of rows must be the same"
            )
    elif _are_known(has) or _are_known(sizes) or len(has) != len(sizes):
        unknown = first[0] if _are_known(has) else where
        raise ValueError(
            f"{where} cannot be cut into the chunks of {first[0]}, for the chunks of {unknown} "
            "have unknown sizes: call compute_chunk_sizes() of the dask array first, or "
            "to_dask_array(lengths=True) of the dataframe"
        )
    rest = (-1,) * (array.ndim - 1)
    if not is_dask(array):
        return sys.modules["dask.array"].from_array(array, chunks=(sizes, *rest))
    whole = dict.fromkeys(range(1, array.ndim), -1)
    return array.rechunk({0: sizes, **whole} if _are_known(sizes) else whole)


def first_row(np: Any, shapes: list[Array], chunks: Chunks, inputs: int) -> Rows:
    """Compute the first row there is; return a batch of it alone, or of none."""
    from dask import compute, delayed

    for i, size in enumerate(chunks.sizes):
        last = i == len(chunks.sizes) - 1
        if size == 0 and not last:
            continue
        lazy = [
            array if one else delayed(_head)(array.to_delayed().ravel()[i])
            for array, one in zip(chunks.arrays, chunks.shared)
        ]
        rows, _ = take_rows(np, [(s, a, "") for s, a in zip(shapes, compute(*lazy))], inputs)
        if rows.count or last:
            break
    return rows


def _head(block: Any) -> Any:
    return block[:1]
