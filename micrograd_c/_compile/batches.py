"""The arrays of a call: where results and gradients go, what seeds them, how they are nested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._library import ffi, lib
from . import arguments
from .arguments import Array, Shape
from .recorded import Recorded
from .replay import NULL, Frame
from .rows import Rows, as_array


def room_for_results(program: Recorded, rows: Rows) -> tuple[Any, Callable[[Frame], None]]:
    """Return an array with a row of shape (N,) for each number of the results, and a `bind`."""
    outputs, count = len(program._traces[0].outputs), rows.count
    block = program._np.empty((outputs, count))
    place = ffi.from_buffer("double[]", block) if block.size else NULL

    def bind(frame: Frame) -> None:
        lib.mg_set_columns(frame.outputs, place, outputs, count, 1)

    return block, bind


def nest_results(program: Recorded, columns: Sequence[Any], rows: Rows, *rest: int) -> Any:
    """Return the results, of which there is a column of shape (N, *rest) for each number."""
    arrays = gather(program, columns, rows.count, rest)
    found = [array[0, ...] for array in arrays] if rows.single else arrays
    return arguments.nest_arrays(program._result, iter(found))


def gather(
    program: Recorded, columns: Sequence[Any], count: int, rest: tuple[int, ...]
) -> list[Any]:
    """Return an array of shape (N, *shape, *rest) for each one of the results.

    There is a column, of shape (N, *rest), for each number of the results.
    """
    np, found = program._np, []
    for array in program._outputs:
        if not array.shape:
            found.append(columns[array.first])
            continue
        mine = columns[array.first : array.first + array.size]
        together = np.asarray(mine).swapaxes(0, 1) if array.size else np.empty(0)
        found.append(np.ascontiguousarray(together).reshape(count, *array.shape, *rest))
    return found


def seed_results(
    program: Recorded, rows: Rows, reduction: str, weights: Any, seeds: Any
) -> Callable[[Frame], None]:
    """Return a `bind` that gives results their seeds."""
    check_reduction(program, reduction, weights, seeds)
    seed, arrays = 1.0, []  # arrays with their shapes
    if seeds is not None:
        arrays = _seed_arrays(program, rows, program._result, seeds, "seeds")
    elif weights is not None:
        arrays = _seed_arrays(program, rows, Array((), 0, 1), weights, "weights")
        if reduction == "mean":
            [(shape, array)] = arrays
            with program._np.errstate(over="ignore", invalid="ignore"):
                together = float(array.sum())
            if together == 0.0:
                raise ValueError("the mean with weights whose sum is 0")
            with program._np.errstate(invalid="ignore"):
                arrays = [(shape, array / together)]
    elif reduction == "mean":
        if not rows.count:
            raise ValueError("the mean of no rows")
        seed = 1.0 / rows.count

    def bind(frame: Frame) -> None:
        frame.call.seed = seed
        for shape, array in arrays:
            if array.size:
                place = ffi.from_buffer("double[]", array)
                lib.mg_set_columns(frame.seeds + shape.first, place, shape.size, 1, shape.size)

    return bind


def check_reduction(program: Recorded, reduction: str, weights: Any, seeds: Any) -> None:
    """Raise ValueError unless the results can be reduced so."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")
    outputs = len(program._traces[0].outputs)
    if weights is not None and seeds is not None:
        raise ValueError("weights and seeds exclude each other")
    if outputs != 1 and seeds is None:
        instead = "needs seeds=" if weights is None else "takes seeds=, not weights="
        raise ValueError(f"the function has {outputs} results: backward() {instead}")


def _seed_arrays(
    program: Recorded, rows: Rows, shape: Shape, seeds: Any, name: str
) -> list[tuple[Array, Any]]:
    """Return the seeds of each array of the results, of shape (N, *shape)."""
    flat: list[tuple[Array, Any, str]] = []
    arguments.flatten(shape, seeds, name, flat)
    found = []
    for one, batch, where in flat:
        array = as_array(program._np, one.shape, batch, where)
        expected = one.shape if rows.single else (rows.count, *one.shape)
        if array.shape != expected:
            raise ValueError(f"{where} must have the shape {expected}, not {array.shape}")
        found.append((one, array))
    return found


def room_for_gradients(program: Recorded, rows: Rows) -> tuple[list[Any], Callable[[Frame], None]]:
    """Return an array of shape (N, *shape) for each one of the arguments, and a `bind`."""
    arrays = [program._np.zeros((rows.count, *array.shape)) for array in program._arrays]

    def bind(frame: Frame) -> None:
        for shape, array in zip(program._arrays, arrays):
            if array.size:
                place = ffi.from_buffer("double[]", array)
                columns = frame.gradients + shape.first
                lib.mg_set_columns(columns, place, shape.size, 1, shape.size)

    return arrays, bind


def split_columns(program: Recorded, block: Any) -> list[Any]:
    """Return the columns of an array of shape (N, inputs), an array for each argument's."""
    return [
        program._np.ascontiguousarray(block[:, array.first : array.first + array.size]).reshape(
            len(block), *array.shape
        )
        for array in program._arrays
    ]


def nest_summed(program: Recorded, arrays: list[Any], rows: Rows) -> Any:
    """Return gradients as `nest_gradients` does, of one row for all summed over the rows."""
    if any(rows.shared):
        arrays = [a.sum(axis=0) if shared else a for a, shared in zip(arrays, rows.shared)]
    return nest_gradients(program, arrays)


def nest_gradients(program: Recorded, arrays: list[Any]) -> Any:
    """Return an array for each one of the arguments, nested as the arguments are."""
    nested = tuple(arrays)
    if not program._flat:
        found = iter(arrays)
        nested = tuple([arguments.nest_arrays(shape, found) for shape in program._shapes])
    if program._names:
        named = len(nested) - len(program._names)
        return nested[:named], dict(zip(program._names, nested[named:]))
    return nested[0] if len(nested) == 1 else nested


def split_nesting(program: Recorded, nesting: Any, name: str) -> tuple[Any, ...]:
    """Return what `nest_gradients` has nested, one part for each argument."""
    if program._names:
        if isinstance(nesting, tuple) and list(map(type, nesting)) == [tuple, dict]:
            return program._join(*nesting)
        raise TypeError(f"{name} must be a pair, of a tuple and of a dict with the keywords")
    given = (nesting,) if len(program._shapes) == 1 else nesting
    if not isinstance(given, tuple) or len(given) != len(program._shapes):
        raise TypeError(f"{name} must be a tuple, with one for each argument")
    return given
