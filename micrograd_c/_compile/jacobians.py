"""Derivatives of many results or by many numbers, which take several replays or derived traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import Any

from .._library import ffi, lib
from ..engine import Value, bulk
from . import arguments, derived
from .arguments import Array
from .batches import gather, nest_gradients, room_for_gradients, split_nesting
from .calls import replay
from .recorded import Recorded
from .replay import FORWARD, INPUTS, Frame, Trace
from .rows import Rows, take_rows


def jacobian(program: Recorded, rows: Rows, threads: int, check: bool) -> Any:
    """Return the derivatives of each result, nested as Program.jacobian says."""
    outputs = len(program._traces[0].outputs)
    forward, reverse = program._traces[0].passes()
    if forward <= reverse and outputs > 1 and not check:
        found: Iterable[Any] = _jacobian_forward(program, rows, outputs, threads)
    else:
        each = [_gradients_of(program, rows, i, threads, check) for i in range(outputs)]
        found = zip(*each) if each else repeat(())
    gathered = [
        gather(program, columns, rows.count, array.shape)
        for array, columns in zip(program._arrays, found)
    ]
    nested = []
    for i in range(len(program._outputs)):
        arrays = [arrays[i][0] if rows.single else arrays[i] for arrays in gathered]
        nested.append(nest_gradients(program, arrays))
    return arguments.nest_arrays(program._result, iter(nested))


def _gradients_of(
    program: Recorded, rows: Rows, output: int, threads: int, check: bool
) -> list[Any]:
    arrays, bind = room_for_gradients(program, rows)
    variant = partial(Trace.of_output, i=output)
    replay(program, INPUTS, rows, bind, threads=threads, check=check, variant=variant)
    return arrays


def _jacobian_forward(program: Recorded, rows: Rows, outputs: int, threads: int) -> Iterator[Any]:
    """Yield an array of shape (outputs, N, *shape) for each one of the arguments."""
    block = program._np.zeros((outputs, rows.count, program._inputs))
    _each_direction(
        program, rows, derived.slopes, lambda i: block[:, :, i], threads=threads, check=False
    )
    for array in program._arrays:
        part = block[:, :, array.first : array.first + array.size]
        yield part.reshape(outputs, rows.count, *array.shape)


def hessian(program: Recorded, rows: Rows, threads: int, check: bool) -> Any:
    """Return the second derivatives of each row, nested as Program.hessian says."""
    block = program._np.zeros((program._inputs, rows.count, program._inputs))
    _each_direction(
        program, rows, derived.curvature, lambda i: block[i].T, threads=threads, check=check
    )
    np = program._np
    outer = []
    for array in program._arrays:
        part = block[array.first : array.first + array.size]
        found = []
        for other in program._arrays:
            cut = part[:, :, other.first : other.first + other.size]
            shaped = np.moveaxis(cut, 1, 0).reshape(rows.count, *array.shape, *other.shape)
            found.append(np.ascontiguousarray(shaped[0] if rows.single else shaped))
        outer.append(nest_gradients(program, found))
    return nest_gradients(program, outer)


def _each_direction(
    program: Recorded,
    rows: Rows,
    kind: derived.Kind,
    place: Callable[[int], Any],
    *,
    threads: int,
    check: bool,
) -> None:
    """Replay a derived program along each number of the arguments; results go to place(i)."""
    ends = program._np.array([0.0, 1.0])
    zero, one = (ffi.addressof(ffi.from_buffer("double[]", ends), i) for i in range(2))
    wide = _widen(program, rows)
    held = [*rows.held, ends]
    tangents = wide + program._inputs
    for i in range(program._inputs):
        tangents[i] = (zero, 0)
    for i in range(program._inputs):
        tangents[i].data = one
        replay_along(
            program, replace(rows, columns=wide, held=held), place(i), threads, check, kind
        )
        tangents[i].data = zero


def replay_along(
    program: Recorded, rows: Rows, block: Any, threads: int, check: bool, kind: derived.Kind
) -> None:
    """Replay a derived program; row i of the block has its result i for each row."""
    steps = [stride // 8 for stride in block.strides]

    def bind(frame: Frame) -> None:
        if block.size:
            place = ffi.cast("double *", block.ctypes.data)
            lib.mg_set_columns(frame.outputs, place, len(block), *steps)

    variant = partial(Trace.variant, key=kind, make=kind)
    replay(program, FORWARD, rows, bind, threads=threads, check=check, variant=variant)


def with_tangents(program: Recorded, rows: Rows, tangents: Any, name: str) -> Rows:
    """Return the rows with a tangent for each number of the arguments."""
    given = split_nesting(program, tangents, name)
    flat: list[tuple[Array, Any, str]] = []
    for i, (shape, one) in enumerate(zip(program._shapes, given)):
        where = f"{name}[{i}]" if len(given) > 1 else name
        arguments.flatten(shape, one, where, flat, static=False)
    along, _ = take_rows(program._np, flat, program._inputs)
    if along.count != rows.count and not along.single:
        raise ValueError(f"{name} have {along.count} rows, the arguments {rows.count}")
    wide = _widen(program, rows)
    size = program._inputs * ffi.sizeof("mg_column")
    ffi.memmove(wide + program._inputs, along.columns, size)
    return replace(rows, columns=wide, held=[*rows.held, *along.held])


def _widen(program: Recorded, rows: Rows) -> Any:
    """Return the columns of the arguments with room for as many tangents behind them."""
    wide = ffi.new("mg_column[]", 2 * program._inputs + 1)
    ffi.memmove(wide, rows.columns, program._inputs * ffi.sizeof("mg_column"))
    return wide


def parameter_gradients(
    program: Recorded, rows: Rows, output: int, threads: int, check: bool
) -> Any:
    """Return the derivatives of a result by the parameters, an array of shape (N, P)."""
    blocks: list[tuple[Trace, Any]] = []

    def variant(trace: Trace) -> Trace:
        return trace.of_output(output).variant("by row", derived.by_row)

    def load(trace: Trace, frame: Frame) -> None:
        numbers = program._np.empty(len(trace.moved))
        bulk.get_numbers(trace.moved, numbers)
        block = program._np.zeros((rows.count, len(numbers)))
        blocks.append((trace, block))
        if not block.size:
            return
        columns = ffi.new("mg_column[]", trace.inputs + 1)
        ffi.memmove(columns, rows.columns, program._inputs * ffi.sizeof("mg_column"))
        mine = ffi.from_buffer("double[]", numbers)
        lib.mg_set_columns(columns + program._inputs, mine, len(numbers), 1, 0)
        place = ffi.from_buffer("double[]", block)
        gradients = frame.gradients + program._inputs
        lib.mg_set_columns(gradients, place, len(numbers), 1, len(numbers))
        frame.call.inputs = columns
        held.append((columns, numbers))

    held: list[Any] = []
    replay(
        program,
        INPUTS,
        rows,
        lambda frame: None,
        threads=threads,
        check=check,
        variant=variant,
        load=load,
    )
    result = program._np.zeros((rows.count, len(program.parameters)))
    for trace, block in blocks:
        result[:, _places(program, trace.moved)] += block
    return result


def collect_grads(np: Any, grads: list[tuple[Trace, Any]]) -> Callable[[Trace, Frame], None]:
    """Return a `finish` that appends a trace and the gradients of its captured Values to a list."""

    def finish(trace: Trace, frame: Frame) -> None:
        grads.append((trace, np.array(list(frame.grads[0 : len(trace.captured)]), float)))

    return finish


def in_order(program: Recorded, grads: list[tuple[Trace, Any]]) -> Any:
    """Return the sum of the traces' gradients, in the order of the parameters."""
    total = program._np.zeros(len(program.parameters))
    for trace, array in grads:
        total[_places(program, trace.captured)] += array
    return total


def _places(program: Recorded, captured: tuple[Value, ...]) -> list[int]:
    """Return the places of captured Values among the parameters."""
    places = {id(p): i for i, p in enumerate(program.parameters)}
    return [places[id(value)] for value in captured]
