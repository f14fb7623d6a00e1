"""Programs: a function of scalars, recorded once and replayed over many rows in C.

`compile` (compiling.py) runs a function on one example and keeps the recording as a linear program,
which computes the function, and its gradients, for whole batches. Where the function branches on
data, a row for which the branch goes another way is recorded anew: the results are those of running
the function row by row.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from itertools import repeat
from typing import Any

from .._library import ffi, lib
from .._value_methods import arithmetic_error, as_count
from ..engine import Value, bulk, restore
from . import arguments, checks, derived, pickling
from .arguments import Array, Shape
from .extremes import record_extremes
from .objective import Objective
from .recording import Recorder
from .replay import ALL, FORWARD, INPUTS, NULL, OPERATORS, PARAMETERS, PIECE, Frame, Trace
from .rows import Rows, as_array, take_rows
from .tables import wrong_index
from .tracing import describe_result, make_trace
from .ways import START, Way, Ways, part

__all__ = ["Program"]

_commons: weakref.WeakSet[Common] = weakref.WeakSet()


def _after_fork() -> None:
    """Replace the locks in a child process: a thread that held one is not in the child."""
    for common in _commons:
        common.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# The keywords of a program's methods, which a function's arguments cannot have.
OPTIONS = frozenset(
    ("check", "parameters", "reduction", "seeds", "tangents", "threads", "vectors", "weights")
)


class Common:
    """What programs for several shapes share: their parameters, and a lock for recordings."""

    def __init__(self) -> None:
        self.parameters: list[Value] = []
        self.lock = threading.Lock()
        _commons.add(self)


class Recorded:
    """A function of scalars and its recordings, and the rows of calls."""

    def __init__(
        self,
        fn: Callable[..., Any],
        shapes: Sequence[Shape],
        inputs: int,
        max_specializations: int,
        allow_constants: bool,
        names: tuple[str, ...] = (),
        common: Common | None = None,
    ) -> None:
        """`names` are the keywords of the last ones of the arguments."""
        self._np = arguments.numpy()
        self.fn = fn
        self._shapes = tuple(shapes)
        self._names = names
        self._common = Common() if common is None else common
        self._inputs = inputs
        self._max_specializations = max_specializations
        self._allow_constants = allow_constants
        self._traces: list[Trace] = []
        self._ways = Ways()
        self._own = True  # the Values that fn uses are this program's parameters, not copies
        self._recorder: tuple[Recorder, int] | None = None  # while recording, and its thread
        self._last: tuple[Any, ...] = ()
        self._ready: list[tuple[Any, ...]] = []
        self._arrays = [array for shape in self._shapes for array in arguments.arrays(shape)]
        self._flat = all(isinstance(shape, Array) for shape in self._shapes)
        self._set_result(Array((), 0, 1))

    @property
    def parameters(self) -> tuple[Value, ...]:
        """The Values that were there before the recordings and that the result depends on.

        Each call reads their data, and `backward` adds to their gradients. They stand in the order
        in which the recordings met them, which need not be that of a model's `parameters()`. A
        program without an example has none before its first call.
        """
        return tuple(self._common.parameters)

    def _set_result(self, shape: Shape) -> None:
        self._result = shape
        self._outputs = list(arguments.arrays(shape))

    # ---- recording ----

    def _record(self, numbers: Sequence[float], way: Way = START) -> None:
        """Record what `fn` does for the row with these numbers, and add the trace on this way."""
        recorder = Recorder(self._allow_constants)

        def work() -> tuple[Shape, Trace]:
            leaves = recorder.make_inputs(numbers)
            result = self._run(leaves)
            recorder.finish()
            roots: list[Value] = []
            shape = describe_result(result, roots, recorder, "the result", self._result)
            return shape, make_trace(recorder, roots)

        try:
            self._recorder = recorder, threading.get_ident()
            shape, trace = recorder.run(lambda: record_extremes(recorder, work))
        finally:
            self._recorder = None
        if self._traces and shape != self._result:
            raise ValueError(
                "the function returns another nesting of Values for this row than for the first"
            )
        self._add(trace, way)
        self._set_result(shape)

    def _run(self, leaves: list[Value]) -> Any:
        """Return what `fn` returns for a row of these Values."""
        args = [arguments.rebuild(shape, leaves) for shape in self._shapes]
        named = len(args) - len(self._names)
        return self.fn(*args[:named], **dict(zip(self._names, args[named:])))

    def _refuse_own_call(self) -> None:
        """Raise RuntimeError if this thread is recording a row of this program."""
        recording = self._recorder
        if recording is not None and recording[1] == threading.get_ident():
            raise recording[0].note(
                RuntimeError("the function calls its own program, which records a row of it")
            )

    def _add(self, trace: Trace, way: Way | None) -> None:
        known = {id(p) for p in self._common.parameters}
        new = [p for p in trace.captured if id(p) not in known]
        if new and not self._own:
            raise RuntimeError(
                "rows take a way through the function that was not recorded, and the function's "
                "Values are not this copy's parameters: compile it here"
            )
        self._common.parameters += new
        self._traces.append(trace)
        self._ways.add(way, len(self._traces) - 1)

    def _specialize(self, way: Way, numbers: Sequence[float], row: int) -> bool:
        """Record `row`, with these inputs, which has come this way; return whether that was done.

        It is not where another thread has recorded a row on the same way.
        """
        with self._common.lock:
            if self._ways.end(way) is not None:
                return False
            number = len(self._traces)
            if number >= self._max_specializations:
                raise RuntimeError(
                    f"row {row} takes another branch than the {number} recorded so far, and "
                    f"max_specializations is {self._max_specializations}; branches on data that "
                    "are different for many rows can often be written with where(), maximum(), "
                    "minimum() or relu()"
                )
            try:
                self._record(numbers, way)
            except (ArithmeticError, ValueError, IndexError) as error:
                if type(error) not in checks.ARITHMETIC:
                    raise
                raise checks.with_row(row, error) from error
        return True

    # ---- rows ----

    def _join(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        """Return the arguments of a call in one tuple, those with a keyword last."""
        if not keywords and not self._names:
            return args
        positional = len(self._shapes) - len(self._names)
        if len(args) != positional or keywords.keys() != set(self._names):
            raise TypeError(
                f"the program takes {plural(positional, 'argument')} and the keywords "
                f"{list(self._names)}, not {len(args)} and {sorted(keywords)}"
            )
        return args + tuple(keywords[name] for name in self._names)

    def _where(self, i: int) -> str:
        """Return what errors call an argument."""
        named = i - (len(self._shapes) - len(self._names))
        return f"argument {i}" if named < 0 else f"argument {self._names[named]!r}"

    def _rows_of(self, args: tuple[Any, ...]) -> Rows:
        """Return the rows of the arguments, joined, as C reads them."""
        last = self._last
        if last and len(args) == len(last[0]) and all(map(is_as_it_was, args, last[1])):
            return last[2]  # type: ignore[no-any-return]
        if len(args) != len(self._shapes):
            raise TypeError(f"the program takes {len(self._shapes)} arguments, not {len(args)}")
        flat: list[tuple[Array, Any, str]] = []
        for i, (shape, arg) in enumerate(zip(self._shapes, args)):
            arguments.flatten(shape, arg, self._where(i), flat)
        rows, arrays = take_rows(self._np, flat, self._inputs)
        # Small arrays are remembered for the next call with them, if no copies had to be made.
        small = rows.count * self._inputs <= _SMALL
        if self._flat and small and all(a is b for a, b in zip(args, arrays)):
            self._last = args, tuple(map(look_at, arrays)), rows
        return rows

    def _numbers_of_row(self, columns: Any, row: int) -> list[float]:
        return [float(columns[i].data[row * columns[i].stride]) for i in range(self._inputs)]


def plural(number: int, noun: str) -> str:
    """Return "1 row", "2 rows", ...: a number with a noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_SMALL = 1 << 14  # a program remembers its arguments up to so many numbers


def look_at(array: Any) -> tuple[Any, Any, Any, Any]:
    """Return what is_as_it_was compares: the array, its shape, its dtype and its memory."""
    return array, array.shape, array.dtype, ffi.from_buffer(array)


def is_as_it_was(arg: Any, look: tuple[Any, Any, Any, Any]) -> bool:
    """Whether an argument is the array that was looked at, unchanged but for its numbers."""
    array, shape, dtype, memory = look
    if arg is not array or arg.shape != shape or arg.dtype is not dtype:
        return False
    try:
        return bool(ffi.from_buffer(arg) == memory)
    except (BufferError, ValueError):  # other strides: the numbers lie no longer side by side
        return False


# ---- calls ----


def replay(
    program: Recorded,
    mode: int,
    rows: Rows,
    bind: Callable[[Frame], None],
    *,
    threads: int,
    check: bool = False,
    variant: Callable[[Trace], Trace] | None = None,
    load: Callable[[Trace, Frame], None] | None = None,
    recording: Callable[[], AbstractContextManager[None]] = nullcontext,
    finish: Callable[[Trace, Frame], None] | None = None,
) -> float:
    """Replay these rows, each with the trace that is right for the row.

    `bind` tells a frame where results go. With `variant` what is replayed is variant(trace).
    `load` gives a frame the numbers of the captured Values, instead of these Values, which have
    the same ones within `recording`, and `finish` takes their gradients. Returns the sum of
    seeds times outputs.
    """
    program._refuse_own_call()
    threads = as_count("threads", threads)
    replayed = ALL if check and mode != FORWARD else mode  # as row-by-row backward() checks
    total = 0.0
    # Groups of rows: the first row, the way they have come, their numbers (None: all rows). The
    # group with the lowest first row is next, so rows are recorded in their order.
    groups: list[tuple[int, Way, Any]] = [(0, START, None)] if rows.count else []
    errors: list[tuple[int, Exception | None]] = []  # None: nan or inf of finite numbers
    done: list[tuple[Trace, Frame]] = []
    try:
        while groups:
            first, way, left = heappop(groups)
            place, fresh = program._ways.end(way), False
            if place is None:
                try:
                    numbers = program._numbers_of_row(rows.columns, first)
                    with recording():
                        fresh = program._specialize(way, numbers, first)
                except Exception as raised:
                    if not check and not errors:
                        raise
                    bare = raised.__cause__ if type(raised) in checks.ARITHMETIC else raised
                    errors.append((first, bare if isinstance(bare, Exception) else raised))
                    break  # the error of an earlier row is raised, or this one
                place = program._ways.end(way)
                assert place is not None
            trace = program._traces[place] if variant is None else variant(program._traces[place])
            frame = trace.take_frame(replayed)
            done.append((trace, frame))
            failed = _tell(program, trace, frame, rows, left, check)
            if load is not None:
                load(trace, frame)
            elif trace.captured:
                bulk.get_numbers(trace.captured, frame.data_buffer)
            bind(frame)
            room = checks.make_room(program._np, frame, trace.inputs, rows) if check else None
            frame.held = rows, left, failed, bind, load, room
            some_failed = frame.run(threads)
            if fresh and some_failed and failed[0]:
                raise _undecided(first)
            if some_failed:
                parts = part(program._np, frame)
                right = parts[0][0] == 0
                for guard, group in parts[right:]:
                    heappush(groups, (int(group[0]), (place, guard), group))
                if not right:  # for any row
                    trace.give_frame(replayed, done.pop()[1])
                    continue
            total += frame.call.total
            if check:
                errors += _errors_of(program, trace, frame, rows, left, failed)
            elif frame.call.trap.status:  # a wrong index
                errors.append(error_of(frame.call))
        if errors:
            _raise_first(program, errors, rows, replayed != FORWARD, check)
        for trace, frame in done if finish is not None else ():
            finish(trace, frame)  # type: ignore[misc]
    finally:
        for trace, frame in done:
            trace.give_frame(replayed, frame)
    return total


def _undecided(row: int) -> RuntimeError:
    return RuntimeError(
        f"row {row}: a comparison comes out otherwise in the program than when it is recorded; "
        "what it compares is closer than the rounding of exp, log, tanh, sigmoid, sin, cos "
        "and powers"
    )


def _tell(program: Recorded, trace: Trace, frame: Frame, rows: Rows, left: Any, check: bool) -> Any:
    """Tell a frame what to replay; return where it writes which guard each row fails first."""
    frame.forget()
    call = frame.call
    call.inputs, call.check, call.seed = rows.columns, check, 1.0
    call.count = rows.count if left is None else len(left)
    call.rows = NULL if left is None else ffi.from_buffer("uint32_t[]", left)
    failed = None
    if trace.guards:
        failed = program._np.zeros(call.count, program._np.uint32)
        call.failed = ffi.from_buffer("uint32_t[]", failed)
    return failed


def _errors_of(
    program: Recorded, trace: Trace, frame: Frame, rows: Rows, left: Any, failed: Any
) -> list[tuple[int, Exception | None]]:
    """Return the rows in error that a checked replay of a frame has met first."""
    errors: list[tuple[int, Exception | None]] = []
    if frame.call.trap.status:
        errors.append(error_of(frame.call))
    replayed = program._np.arange(rows.count) if left is None else left.astype(int)
    if failed is not None:
        replayed = replayed[failed == 0]
    row = checks.first_suspect(
        program._np, frame, trace.inputs, len(trace.captured), rows, replayed
    )
    return errors if row is None else [*errors, (row, None)]


_NO_ROW = 2 ** (8 * ffi.sizeof("size_t")) - 1  # the row of a mg_trap that belongs to no row


def error_of(call: Any) -> tuple[int, Exception]:
    """Return the row (-1: no row's) and the exception of the first error in a replay."""
    trap = call.trap
    if trap.status == lib.MG_NO_ITEM:
        error = wrong_index(trap.x, int(trap.y))
    else:
        name = OPERATORS[trap.op] if trap.op >= 0 else "/"
        what = ffi.string(lib.mg_error_text(trap.status)).decode()
        error = arithmetic_error(what, name, trap.x, trap.y, trap.derivative)
    return -1 if trap.row == _NO_ROW else trap.row, error


def _raise_first(
    program: Recorded,
    errors: list[tuple[int, Exception | None]],
    rows: Rows,
    derivatives: bool,
    check: bool,
) -> None:
    """Raise the error of the first row that has one; if `check`, as the function raises it."""
    for row, found in sorted(errors, key=lambda pair: pair[0]):
        if found is not None and type(found) not in checks.ARITHMETIC:
            raise found  # no recording could be made
        if found is not None and not check:
            raise checks.with_row(row, found) from found
        numbers = program._numbers_of_row(rows.columns, max(row, 0))
        error = checks.error_of_row(program._run, numbers, derivatives, found)
        if error is not None:
            raise checks.with_row(row, error) from error


# ---- results and gradients as arrays ----


def room_for_results(program: Recorded, rows: Rows) -> tuple[list[Any], Callable[[Frame], None]]:
    """Return an array of shape (N,) for each number of the results, and a `bind`."""
    outputs, count = len(program._traces[0].outputs), rows.count
    block = program._np.empty((outputs, count))
    place = ffi.from_buffer("double[]", block) if block.size else NULL

    def bind(frame: Frame) -> None:
        lib.mg_set_columns(frame.outputs, place, outputs, 1)
        for i in range(1, outputs):
            frame.outputs[i].data = place + i * count

    return list(block), bind


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
        mine = columns[array.first : array.first + array.size]
        if not array.shape:
            found.append(mine[0])
            continue
        together = np.stack(mine, 1) if array.size else np.empty(0)
        found.append(together.reshape(count, *array.shape, *rest))
    return found


def seed_results(
    program: Recorded, rows: Rows, reduction: str, weights: Any, seeds: Any
) -> Callable[[Frame], None]:
    """Return a `bind` that gives results their seeds."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")
    outputs = len(program._traces[0].outputs)
    if weights is not None and seeds is not None:
        raise ValueError("weights and seeds exclude each other")
    if outputs != 1 and seeds is None:
        instead = "needs seeds=" if weights is None else "takes seeds=, not weights="
        raise ValueError(f"the function has {outputs} results: backward() {instead}")
    seed, arrays = 1.0, []  # arrays with their shapes
    if seeds is not None:
        arrays = _seed_arrays(program, rows, program._result, seeds, "seeds")
    elif weights is not None:
        arrays = _seed_arrays(program, rows, Array((), 0, 1), weights, "weights")
        if reduction == "mean":
            [(shape, array)] = arrays
            together = float(array.sum())
            if together == 0.0:
                raise ValueError("the mean with weights whose sum is 0")
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
                lib.mg_set_columns(frame.seeds + shape.first, place, shape.size, shape.size)

    return bind


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
                lib.mg_set_columns(columns, place, shape.size, shape.size)

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
    pairs = zip(arrays, rows.shared)
    return nest_gradients(program, [a.sum(axis=0) if shared else a for a, shared in pairs])


def nest_gradients(program: Recorded, arrays: list[Any]) -> Any:
    """Return an array for each one of the arguments, nested as the arguments are."""
    found = iter(arrays)
    nested = tuple(arguments.nest_arrays(shape, found) for shape in program._shapes)
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


# ---- several passes ----


def jacobian(program: Recorded, rows: Rows, threads: int, check: bool) -> Any:
    """Return the derivatives of each result, nested as Program.jacobian says."""
    outputs = len(program._traces[0].outputs)
    forward, reverse = program._traces[0].passes()
    if forward <= reverse and outputs > 1 and not check:
        found = _jacobian_forward(program, rows, outputs, threads)
    else:
        found = [_gradients_of(program, rows, i, threads, check) for i in range(outputs)]
    gathered = [
        gather(program, columns, rows.count, array.shape)
        for array, columns in zip(program._arrays, zip(*found) if found else repeat(()))
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


def _jacobian_forward(program: Recorded, rows: Rows, outputs: int, threads: int) -> list[list[Any]]:
    np = program._np
    block = np.zeros((outputs, rows.count, program._inputs))
    _each_direction(
        program, rows, derived.slopes, lambda i: block[:, :, i], threads=threads, check=False
    )
    return [split_columns(program, part) for part in block]


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
            for i in range(len(block)):
                frame.outputs[i].data = place + i * steps[0]
                frame.outputs[i].stride = steps[1]

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
        lib.mg_set_columns(columns + program._inputs, mine, len(numbers), 0)
        place = ffi.from_buffer("double[]", block)
        lib.mg_set_columns(frame.gradients + program._inputs, place, len(numbers), len(numbers))
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


# ---- the same step again ----


def make_ready(program: Recorded, args: tuple[Any, ...], reduction: str) -> None:
    """Keep a frame that contains all that C needs for a step on the same arrays, if it can be."""
    trace, last = program._traces[0], program._last
    if not last or last[0] is not args or trace.guards or not trace.plain:
        return
    frame = trace.take_frame(PARAMETERS)
    frame.forget()
    call = frame.call
    count, call.inputs = last[2].count, last[2].columns
    if count * frame.work > PIECE:
        trace.give_frame(PARAMETERS, frame)
        return
    call.count, call.rows, call.check = count, NULL, 0
    call.seed = 1.0 / count if reduction == "mean" else 1.0
    frame.make_room(lib.mg_replay_chunks(count))
    ready = last[1], reduction, frame, call, trace.captured, frame.workspaces[0], last[2]
    program._ready.append(ready)


def backward_again(program: Recorded, args: tuple[Any, ...], reduction: str) -> float | None:
    """Add the gradients of a step for which a frame is kept; return its value, or None."""
    try:
        ready = program._ready.pop()  # no other thread has the frame now
    except IndexError:
        return None
    looks, how, frame, call, captured, workspace, _ = ready
    same = how == reduction and len(looks) == len(args) and all(map(is_as_it_was, args, looks))
    if not same:
        program._traces[0].give_frame(PARAMETERS, frame)
        return None
    bulk.get_numbers(captured, frame.data_buffer)
    lib.mg_replay(frame.program, PARAMETERS, call, workspace)
    if call.trap.status:
        program._traces[0].give_frame(PARAMETERS, frame)
        raise checks.with_row(*error_of(call))
    bulk.add_grads(captured, frame.grads_buffer)
    total: float = call.total
    program._ready.append(ready)
    return total


# ---- a program ----


class Program(Recorded):
    """A function of scalars, to be computed for many rows at a time. `compile` makes it.

    A call returns the results of N rows; `backward` adds to the gradients of `parameters`;
    `gradient`, `jacobian`, `hessian`, `vjp`, `jvp` and `hvp` return derivatives with respect to the
    arguments, `parameter_jacobian` and `objective` those with respect to the parameters. Results do
    not depend on `threads`. Copies have the same parameters, deep copies and pickles their own.

    Attributes:
        fn: the function.

    >>> from micrograd_c import compile
    >>> program = compile(lambda x, y: x * y * y, 0.0, 0.0)
    >>> program([1.0, 2.0], [3.0, 4.0]).tolist()
    [9.0, 32.0]
    >>> [d.tolist() for d in program.gradient([1.0, 2.0], [3.0, 4.0])]
    [[9.0, 16.0], [6.0, 16.0]]
    """

    _replay = replay

    def __call__(self, *args: Any, threads: int = 1, check: bool = False, **keywords: Any) -> Any:
        """Return the results of all rows, nested as the function's result.

        For each Value there is an array of shape (N,), for an array of Values one of shape
        (N, *its shape). Each argument is nested as the example was. Where the example had an array
        of some shape (a number is an array of shape ()), the argument has one of shape (N, ...): a
        numpy array, what becomes one, or nested lists; or one of this shape, for all rows. What is
        static is given again. `keywords` are arguments of the function. `threads` is how many
        threads share the rows; the result is the same for any number. Out of an operator's domain
        the result is nan or inf. With `check` the error that the function would raise for the first
        such row is raised, naming the row, unless no result depends on the operation in error; and
        FloatingPointError for nan or inf born of finite numbers. The function is run once more for
        a row in error, to name the line. For a row that is recorded anew the error of the function
        is raised, with the number of the row.

        Raises TypeError or ValueError, with both shapes, for arguments nested or shaped otherwise;
        TypeError for other keywords, and for what is no number; ValueError for masked numbers, and
        where something static is not the same; RuntimeError if the rows take more branches than
        `max_specializations`.
        """
        rows = self._rows_of(self._join(args, keywords))
        results, bind = room_for_results(self, rows)
        replay(self, FORWARD, rows, bind, threads=threads, check=check)
        return nest_results(self, results, rows)

    # ---- gradients of parameters ----

    def backward(
        self,
        *args: Any,
        reduction: str = "mean",
        weights: Any = None,
        seeds: Any = None,
        threads: int = 1,
        check: bool = False,
        **keywords: Any,
    ) -> float:
        """Add the gradient of the reduced results to the parameters' `.grad`; return their value.

        For a function with one result the reduction is 'mean' or 'sum' over rows. With `weights`,
        of shape (N,), it is the weighted mean sum(w * r) / sum(w) or the weighted sum. With
        `seeds`, nested and shaped as the results of a call, the value is the sum of seeds times
        results. Arguments are as for a call.

        Raises as a call does; ValueError for another reduction, for the mean of no rows, for
        weights or seeds of another shape, for both of them, and for a function with several results
        without seeds. After an error no gradient has been changed.
        """
        args = self._join(args, keywords)
        plain = weights is None and seeds is None and threads == 1 and not check
        if plain and self._ready:
            total = backward_again(self, args, reduction)
            if total is not None:
                return total
        rows = self._rows_of(args)
        bind = seed_results(self, rows, reduction, weights, seeds)
        total = replay(self, PARAMETERS, rows, bind, threads=threads, check=check, finish=add_grads)
        if plain and len(self._traces) == 1:
            make_ready(self, args, reduction)
        return total

    # ---- derivatives by arguments ----

    def gradient(self, *args: Any, threads: int = 1, check: bool = False, **keywords: Any) -> Any:
        """Return the derivative of each row's result with respect to the row's arguments.

        The derivatives are arrays of the arguments' shapes, nested as the arguments: one nesting,
        or a tuple with one for each of several arguments; of a function with keywords a pair, of
        such a tuple and of a dict. For an argument with one row for all rows they are summed over
        the rows, and for what is static there is None. Raises as a call does, and ValueError for a
        function with several results, which has `jacobian` and `vjp`.
        """
        self._require_one_result("use jacobian() or vjp()")
        rows = self._rows_of(self._join(args, keywords))
        arrays, bind = room_for_gradients(self, rows)
        replay(self, INPUTS, rows, bind, threads=threads, check=check)
        return nest_summed(self, arrays, rows)

    def value_and_gradient(
        self, *args: Any, threads: int = 1, check: bool = False, **keywords: Any
    ) -> Any:
        """Return (what a call returns, what `gradient` returns), computed together.

        Raises as `gradient` does.
        """
        self._require_one_result("use jacobian() or vjp()")
        rows = self._rows_of(self._join(args, keywords))
        results, bind_results = room_for_results(self, rows)
        arrays, bind_gradients = room_for_gradients(self, rows)
        bind = _both(bind_results, bind_gradients)
        replay(self, INPUTS, rows, bind, threads=threads, check=check)
        return nest_results(self, results, rows), nest_summed(self, arrays, rows)

    def vjp(
        self,
        *args: Any,
        seeds: Any,
        parameters: bool = False,
        threads: int = 1,
        check: bool = False,
        **keywords: Any,
    ) -> Any:
        """Return the gradient of the sum of seeds times results, by one pass in reverse.

        `seeds` are nested and shaped as the results of a call. The gradient is as
        `gradient` returns it. With `parameters` it is a pair: that, and the gradients of
        `parameters`, summed over the rows, an array of shape (P,). No `.grad` changes. Raises as a
        call does, and ValueError for seeds of another shape.
        """
        rows = self._rows_of(self._join(args, keywords))
        arrays, bind_gradients = room_for_gradients(self, rows)
        bind = _both(seed_results(self, rows, "sum", None, seeds), bind_gradients)
        if not parameters:
            replay(self, INPUTS, rows, bind, threads=threads, check=check)
            return nest_summed(self, arrays, rows)
        grads: list[tuple[Trace, Any]] = []
        replay(
            self,
            ALL,
            rows,
            bind,
            threads=threads,
            check=check,
            finish=collect_grads(self._np, grads),
        )
        return nest_summed(self, arrays, rows), in_order(self, grads)

    def jvp(
        self, *args: Any, tangents: Any, threads: int = 1, check: bool = False, **keywords: Any
    ) -> Any:
        """Return (what a call returns, the derivatives of the results along the tangents).

        `tangents` are shaped and nested as the arguments, and as `gradient` returns them: one
        nesting, or a tuple with one for each of several arguments. The derivatives are nested as
        the result. This is one pass forward. Raises as a call does, and TypeError or ValueError for
        tangents nested or shaped otherwise.
        """
        rows = self._rows_of(self._join(args, keywords))
        wide = with_tangents(self, rows, tangents, "tangents")
        outputs = len(self._traces[0].outputs)
        block = self._np.empty((2 * outputs, rows.count))
        replay_along(self, wide, block, threads, check, derived.along)
        columns = list(block)
        results = nest_results(self, columns[:outputs], rows)
        return results, nest_results(self, columns[outputs:], rows)

    def hvp(
        self, *args: Any, vectors: Any, threads: int = 1, check: bool = False, **keywords: Any
    ) -> Any:
        """Return the product of each row's hessian with a vector, as `gradient` returns gradients.

        `vectors` are shaped and nested as the arguments, as the `tangents` of `jvp`. Raises as
        `gradient` does, and TypeError where the function has operators of your own, whose
        derivatives are numbers.
        """
        self._require_one_result("hvp() is for a function with one result")
        rows = self._rows_of(self._join(args, keywords))
        wide = with_tangents(self, rows, vectors, "vectors")
        block = self._np.zeros((rows.count, self._inputs))
        replay_along(self, wide, block.T, threads, check, derived.curvature)
        return nest_summed(self, split_columns(self, block), rows)

    def hessian(self, *args: Any, threads: int = 1, check: bool = False, **keywords: Any) -> Any:
        """Return the second derivatives of each row's result with respect to the row's arguments.

        In the place of an argument of shape (n,) there is an array of shape (N, n, n). Of several
        arguments, or a nesting, there is for each one a nesting like `gradient`'s, of the mixed
        derivatives with every other: of shape (N, *its shape, *the other's shape). It takes one
        pass for each number of the arguments. Raises as `hvp` does.

        >>> from micrograd_c import compile
        >>> program = compile(lambda p: p[0] ** 2 * p[1], [0.0, 0.0])
        >>> program.hessian([[3.0, 5.0]]).tolist()
        [[[10.0, 6.0], [6.0, 0.0]]]
        """
        self._require_one_result("hessian() is for a function with one result")
        rows = self._rows_of(self._join(args, keywords))
        return hessian(self, rows, threads, check)

    def jacobian(self, *args: Any, threads: int = 1, check: bool = False, **keywords: Any) -> Any:
        """Return the derivatives of each of the function's results, nested as the result.

        For each result there is what `gradient` returns for a single result, but nothing is summed:
        each derivative is an array of shape (N, *the argument's shape), also where an argument has
        one row for all rows. For a result that is an array it is one array of shape
        (N, *the result's shape, *the argument's shape). Takes passes forward, one for each number
        of the arguments, or in reverse, one for each result over the operations that it depends on,
        whichever passes fewer operations; in reverse with `check`. Raises as a call does.

        >>> from micrograd_c import compile
        >>> program = compile(lambda p: [p[0] * p[1], p[0] + p[1]], [0.0, 0.0])
        >>> [d.tolist() for d in program.jacobian([[2.0, 3.0]])]
        [[[3.0, 2.0]], [[1.0, 1.0]]]
        """
        rows = self._rows_of(self._join(args, keywords))
        return jacobian(self, rows, threads, check)

    def _require_one_result(self, instead: str) -> None:
        outputs = len(self._traces[0].outputs)
        if outputs != 1:
            raise ValueError(f"the function has {outputs} results: {instead}")

    # ---- all parameters at a time ----

    def parameter_jacobian(
        self, *args: Any, threads: int = 1, check: bool = False, **keywords: Any
    ) -> Any:
        """Return the derivatives of each row's results with respect to the parameters.

        For each result there is an array of shape (N, P), in the order of `parameters`, nested as
        the result; of one row for all, of shape (P,); for an array of results of shape
        (N, *its shape, P). `backward` adds the sums of these over rows.
        Raises as a call does.
        """
        rows = self._rows_of(self._join(args, keywords))
        found = []
        for i in range(len(self._traces[0].outputs)):
            found.append(parameter_gradients(self, rows, i, threads, check))
        return nest_results(self, found, rows, len(self.parameters))

    def objective(
        self,
        *args: Any,
        reduction: str = "mean",
        weights: Any = None,
        seeds: Any = None,
        threads: int = 1,
        **keywords: Any,
    ) -> Objective:
        """Return the reduced results as a function of the parameters, for these arguments.

        It takes an array of shape (P,) and returns (value, gradient), as the optimizers of scipy
        take it: `scipy.optimize.minimize(objective, objective.x0, jac=True)`. The arguments are as
        for `backward`, and so are the errors; TypeError for parameters that were made from other
        Values.
        """
        rows = self._rows_of(self._join(args, keywords))
        return Objective(self, rows, seed_results(self, rows, reduction, weights, seeds), threads)

    # ---- what it is ----

    @property
    def specializations(self) -> int:
        """The number of recordings: one, and one for each further way that rows have gone."""
        return len(self._traces)

    def __repr__(self) -> str:
        facts = self._traces[0].facts()
        name = getattr(self.fn, "__qualname__", type(self.fn).__qualname__)
        guards = sum(trace.facts().guards for trace in self._traces)
        return (
            f"Program({name}: {plural(self._inputs, 'input')}, "
            f"{plural(len(self.parameters), 'parameter')}, "
            f"{plural(facts.outputs, 'output')}, "
            f"{plural(facts.scalars + facts.instructions, 'instruction')}, "
            f"{plural(guards, 'guard')}, {plural(len(self._traces), 'specialization')})"
        )

    def disassemble(self, mode: str = "forward") -> str:
        """Return the instructions as text, one a line.

        `mode` is 'forward', 'backward' (the gradients of parameters) or 'gradient' (the gradients
        of inputs). r0, r1, ... are values of rows, s0, s1, ... are numbers computed once a call,
        and d0, d1, ... are sums over rows. Raises ValueError for another mode.
        """
        modes = {"forward": FORWARD, "backward": PARAMETERS, "gradient": INPUTS}
        if mode not in modes:
            raise ValueError(f"mode must be one of {', '.join(map(repr, modes))}, not {mode!r}")
        listings = [trace.listing(modes[mode]) for trace in self._traces]
        if len(listings) == 1:
            return listings[0]
        return "".join(f"specialization {i}:\n{text}" for i, text in enumerate(listings))

    # ---- copying and pickling ----

    def _state(self, own: bool) -> State:
        traces = [
            (trace.entries, trace.outputs, trace.guards, trace.captured) for trace in self._traces
        ]
        options = self._inputs, self._max_specializations, self._allow_constants, self._names
        return self.fn, self._shapes, options, self._result, self.parameters, traces, own

    def __reduce__(self) -> Any:
        return _restored, self._state(False)

    def __copy__(self) -> Program:
        return _restored(*self._state(self._own))


def add_grads(trace: Trace, frame: Frame) -> None:
    if trace.plain:
        if trace.captured:
            bulk.add_grads(trace.captured, frame.grads_buffer)
        return
    partials = tuple(frame.grads[i] for i in range(len(trace.captured)))
    restore(Value, "custom", 0.0, trace.captured, None, partials).backward()


def _both(first: Callable[[Frame], None], second: Callable[[Frame], None]) -> Any:
    def bind(frame: Frame) -> None:
        first(frame)
        second(frame)

    return bind


State = tuple[
    Callable[..., Any],
    Sequence[Shape],
    tuple[Any, ...],
    Shape,
    tuple[Value, ...],
    list[tuple[bytes, tuple[int, ...], Any, tuple[Value, ...]]],
    bool,
]


def _restored(
    fn: Callable[..., Any],
    shapes: Sequence[Shape],
    options: tuple[Any, ...],
    result: Shape,
    parameters: tuple[Value, ...],
    traces: list[tuple[bytes, tuple[int, ...], Any, tuple[Value, ...]]],
    own: bool,
    common: Common | None = None,
) -> Program:
    """Return a program as it was pickled or copied.

    `options` are the number of inputs, max_specializations, allow_constants and the names, which
    are not there in a pickle of an older version. Raises ValueError for anything that is no pickled
    program.
    """
    try:
        pickling.check_parts(shapes, options, result, parameters, traces)
        inputs, most, allow_constants, *more = options
        names = more[0] if more else ()
        program = Program(fn, shapes, inputs, most, allow_constants, names, common)
        if common is None:
            program._common.parameters += parameters
        program._set_result(result)
        for entries, outputs, guards, captured in traces:
            trace = Trace(entries, outputs, guards, captured, inputs)
            program._add(trace, program._ways.find(program._traces, trace))
    except (TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"this is no pickled program: {error}") from error
    program._own = own
    return program
