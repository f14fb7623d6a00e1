"""Programs: a function of scalars, recorded once and replayed over many rows in C.

`compile` runs a function on one example and keeps the recording as a linear program, which computes
the function, and its gradients, for whole batches. Where the function branches on data, a row for
which the branch goes another way is recorded anew: the results are those of running the function
row by row.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from .._library import ffi, lib
from .._value_methods import arithmetic_error, as_count
from ..engine import Value, bulk, restore
from . import arguments
from .arguments import Array, Members, Shape
from .extremes import record_extremes
from .recording import NO_RULE, Guard, Number, Recorder
from .replay import ALL, FORWARD, INPUTS, NULL, OPERATORS, PARAMETERS, PIECE, Frame, Trace

__all__ = ["Program", "compile"]

_programs: weakref.WeakSet[Program] = weakref.WeakSet()


def _after_fork() -> None:
    """Replace the locks in a child process: a thread that held one is not in the child."""
    for program in _programs:
        program._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---- a program ----


class Program:
    """A function of scalars, to be computed for many rows at a time. See `compile`.

    Attributes:
        parameters: a tuple of the Values that were there before the recording and that the result
            depends on. Each call reads their data, and `backward` adds to their gradients.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        shapes: Sequence[Shape],
        inputs: int,
        max_specializations: int,
        allow_constants: bool,
    ) -> None:
        self._np = arguments.numpy()
        self.fn = fn
        self.parameters: tuple[Value, ...] = ()
        self._shapes = tuple(shapes)
        self._inputs = inputs
        self._max_specializations = max_specializations
        self._allow_constants = allow_constants
        self._traces: list[Trace] = []
        self._result: Shape = Array((), 0, 1)
        self._own = True  # the Values that fn uses are this program's parameters, not copies
        self._lock = threading.Lock()
        self._recorder: tuple[Recorder, int] | None = None  # while recording, and its thread
        _programs.add(self)
        self._last: tuple[Any, ...] = ()
        self._ready: list[tuple[Any, ...]] = []
        self._arrays = [array for shape in self._shapes for array in arguments.arrays(shape)]
        self._flat = all(isinstance(shape, Array) for shape in self._shapes)

    # ---- recording ----

    def _record(self, numbers: Sequence[float]) -> None:
        """Record what `fn` does for the row with these numbers, and add the trace."""
        recorder = Recorder(self._allow_constants)

        def work() -> tuple[Shape, Trace]:
            leaves = recorder.make_inputs(numbers)
            result = self.fn(*(arguments.rebuild(shape, leaves) for shape in self._shapes))
            recorder.finish()
            roots: list[Value] = []
            shape = _describe_result(result, roots, recorder, "the result", self._result)
            return shape, _make_trace(recorder, roots)

        try:
            self._recorder = recorder, threading.get_ident()
            shape, trace = recorder.run(lambda: record_extremes(recorder, work))
        finally:
            self._recorder = None
        if self._traces and shape != self._result:
            raise ValueError(
                "the function returns another nesting of Values for this row than for the first"
            )
        self._add(trace)
        self._result = shape

    def _refuse_own_call(self) -> None:
        """Raise RuntimeError if this thread is recording a row of this program."""
        recording = self._recorder
        if recording is not None and recording[1] == threading.get_ident():
            raise recording[0].note(
                RuntimeError("the function calls its own program, which records a row of it")
            )

    def _add(self, trace: Trace) -> None:
        known = {id(p) for p in self.parameters}
        new = tuple(p for p in trace.captured if id(p) not in known)
        if new and not self._own:
            raise RuntimeError(
                "a row takes a branch of the function that was not recorded, and the function's "
                "Values are not this copy's parameters: compile it here"
            )
        self.parameters += new
        self._traces.append(trace)

    def _specialize(self, number: int, numbers: Sequence[float], row: int) -> None:
        """Record `row`, with these inputs, unless there are more than `number` traces by now.

        The first `number` traces are not right for the row.
        """
        with self._lock:
            if len(self._traces) > number:
                return  # another thread has added a trace
            if number >= self._max_specializations:
                raise RuntimeError(
                    f"row {row} takes another branch than the {number} recorded so far, and "
                    f"max_specializations is {self._max_specializations}; branches on data that "
                    "are different for many rows can often be written with where(), maximum(), "
                    "minimum() or relu()"
                )
            try:
                self._record(numbers)
            except (ArithmeticError, ValueError) as error:
                if type(error) not in _ARITHMETIC:
                    raise
                raise type(error)(f"row {row}: {error}") from error

    # ---- rows ----

    def _rows_of(self, args: tuple[Any, ...]) -> tuple[int, Any, list[Any]]:
        """Return the number of rows, their columns for C, and the arrays that hold them."""
        last = self._last
        if last and len(args) == len(last[0]) and all(map(_is_as_it_was, args, last[1])):
            return last[2]  # type: ignore[no-any-return]
        if len(args) != len(self._shapes):
            raise TypeError(f"the program takes {len(self._shapes)} arguments, not {len(args)}")
        flat: list[tuple[Array, Any, str]] = []
        for i, (shape, arg) in enumerate(zip(self._shapes, args)):
            arguments.flatten(shape, arg, f"argument {i}", flat)
        arrays = [arguments.as_rows(self._np, s.shape, batch, where) for s, batch, where in flat]
        if not arrays:
            raise TypeError("a program without arguments has no rows")
        count = len(arrays[0])
        columns = ffi.new("mg_column[]", self._inputs + 1)
        held: list[Any] = list(arrays)
        for (shape, _, where), array in zip(flat, arrays):
            if len(array) != count:
                raise ValueError(
                    f"{where} has the shape {array.shape}, {flat[0][2]} {arrays[0].shape}: "
                    "the number of rows must be the same"
                )
            if array.size:
                view = ffi.from_buffer("double[]", array)
                lib.mg_set_columns(columns + shape.first, view, shape.size, shape.size)
                held.append(view)
        if count >= 2**32:
            raise ValueError(f"{count} rows are too many for one call")
        found = count, columns, held
        # Small arrays are remembered for the next call with them, if no copies had to be made.
        small = count * self._inputs <= _SMALL
        if self._flat and small and all(a is b for a, b in zip(args, arrays)):
            self._last = args, tuple(map(_look_at, arrays)), found
        return found

    def _numbers_of_row(self, columns: Any, row: int) -> list[float]:
        return [float(columns[i].data[row * columns[i].stride]) for i in range(self._inputs)]

    # ---- replaying ----

    def _replay(
        self,
        mode: int,
        args: tuple[Any, ...],
        threads: int,
        check: bool,
        bind: Callable[[Frame, int], None],
        rows: Any = None,
        output: int | None = None,
    ) -> float:
        """Replay these rows, or all, each row with the first trace that is right for the row.

        `bind` tells a frame where results go. With `output` no other output is computed. Returns
        the sum of seeds times outputs.
        """
        self._refuse_own_call()
        count, columns, held = self._rows_of(args)
        threads = as_count("threads", threads)
        replayed = ALL if check and mode != FORWARD else mode  # as row-by-row backward() checks
        total, place = 0.0, 0  # `rows` are those left; None: all
        error: tuple[int, Exception] | None = None
        done: list[tuple[Trace, Frame]] = []
        try:
            while count:
                fresh = place == len(self._traces)
                if fresh:
                    row = 0 if rows is None else int(rows[0])
                    try:
                        self._specialize(place, self._numbers_of_row(columns, row), row)
                    except Exception:
                        if error is not None and error[0] < row:
                            break  # the error of the earlier row is raised below
                        raise
                trace = self._traces[place]
                if output is not None:
                    trace = trace.of_output(output)
                frame = trace.take_frame(replayed)
                done.append((trace, frame))
                failed = self._tell(trace, frame, count, columns, rows, check)
                bind(frame, count)
                frame.held = columns, held, rows, failed, bind
                status = frame.run(threads)
                if fresh and (status == 2 or (status == 1 and failed[0])):
                    raise _undecided(rows)
                place += 1
                if status == 2 or (status == 1 and failed.all()):  # the trace is right for no row
                    trace.give_frame(replayed, done.pop()[1])
                    continue
                total += frame.call.total
                if frame.call.trap.status:
                    row, raised = _error_of(frame.call)
                    if error is None or row < error[0]:
                        error = row, raised
                if status == 0:
                    break
                failing = self._np.flatnonzero(failed)
                rows = (failing if rows is None else rows[failing]).astype(self._np.uint32)
            if error is not None:
                raise error[1]
            for trace, frame in done if mode == PARAMETERS else ():
                _add_grads(trace, frame)
        finally:
            for trace, frame in done:
                trace.give_frame(replayed, frame)
        return total

    def _tell(
        self, trace: Trace, frame: Frame, count: int, columns: Any, rows: Any, check: bool
    ) -> Any:
        """Tell a frame what to replay; return where it marks the rows that fail a guard."""
        call = frame.call
        call.inputs, call.check, call.jacobian = columns, check, 0
        call.count = count if rows is None else len(rows)
        call.rows = NULL if rows is None else ffi.from_buffer("uint32_t[]", rows)
        failed = None
        if trace.guards:
            failed = self._np.zeros(call.count, self._np.uint8)
            call.failed = ffi.from_buffer("unsigned char[]", failed)
        if trace.captured:
            bulk.get_numbers(trace.captured, frame.data_buffer)
        return failed

    def __call__(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return the result for each row: arrays of shape (N,), nested as the function's result.

        Each argument is nested as the example was. Where the example had an array of some shape (a
        number is an array of shape ()), the argument has one of shape (N, ...): a numpy array, an
        object with the buffer protocol or nested lists. `threads` is how many threads share the
        rows; the result is the same for any number. Out of an operator's domain the result is nan
        or inf. With `check` the error that the function would raise for the first such row is
        raised, naming the row, unless no result depends on the operation in error. For a row that
        is recorded anew the error of the function is raised, with the number of the row.

        Raises TypeError or ValueError, with both shapes, for arguments nested or shaped otherwise;
        TypeError for what is no number; ValueError for masked numbers; RuntimeError if the rows
        take more branches than `max_specializations`.
        """
        np = self._np
        outputs = len(self._traces[0].outputs)
        block = np.empty((outputs, self._rows_of(args)[0]))
        place = ffi.from_buffer("double[]", block) if block.size else NULL

        def bind(frame: Frame, count: int) -> None:
            lib.mg_set_columns(frame.outputs, place, outputs, 1)
            for i in range(1, outputs):
                frame.outputs[i].data = place + i * count

        self._replay(FORWARD, args, threads, check, bind)
        return self._nest(list(block))

    def _nest(self, leaves: list[Any]) -> Any:
        return arguments.rebuild(self._result, leaves)

    def backward(
        self,
        *args: Any,
        reduction: str = "mean",
        weights: Any = None,
        seeds: Any = None,
        threads: int = 1,
        check: bool = False,
    ) -> float:
        """Add the gradient of the reduced results to the parameters' `.grad`; return their value.

        For a function with one result the reduction is 'mean' or 'sum' over rows. With `weights`,
        of shape (N,), it is the weighted mean sum(w * r) / sum(w) or the weighted sum. With
        `seeds`, nested as the function's result, of shape (N,) each, the value is the sum of seeds
        times results. Arguments are as for a call.

        Raises as a call does; ValueError for another reduction, for the mean of no rows, for
        weights or seeds of another shape, for both of them, and for a function with several results
        without seeds. After an error no gradient has been changed.
        """
        plain = weights is None and seeds is None and threads == 1 and not check
        if plain and self._ready:
            total = self._backward_again(args, reduction)
            if total is not None:
                return total
        outputs = len(self._traces[0].outputs)
        columns: list[Any] = []
        seed = 1.0
        if seeds is not None or weights is not None:
            columns = self._seeds(args, reduction, weights, seeds)
        elif outputs != 1:
            raise ValueError(f"the function has {outputs} results: backward() needs seeds=")
        elif reduction == "mean":
            count = self._rows_of(args)[0]
            if not count:
                raise ValueError("the mean of no rows")
            seed = 1.0 / count
        elif reduction != "sum":
            raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")

        def bind(frame: Frame, count: int) -> None:
            frame.call.seed = seed
            if check:
                frame.forget_gradients()
            for i in range(outputs):
                frame.seeds[i].data = columns[i][1] if columns else NULL
                frame.seeds[i].stride = 1

        total = self._replay(PARAMETERS, args, threads, check, bind)
        if plain and len(self._traces) == 1:
            self._make_ready(args, reduction)
        return total

    # A step on the same small arrays as the step before takes the shortest way: a frame already
    # contains all that C needs.

    def _make_ready(self, args: tuple[Any, ...], reduction: str) -> None:
        trace, last = self._traces[0], self._last
        if not last or last[0] is not args or trace.guards or not trace.plain:
            return
        frame = trace.take_frame(PARAMETERS)
        call = frame.call
        count, call.inputs, _ = last[2]
        if count * frame.work > PIECE:
            trace.give_frame(PARAMETERS, frame)
            return
        call.count, call.rows, call.check = count, NULL, 0
        call.seed = 1.0 / count if reduction == "mean" else 1.0
        frame.seeds[0].data = NULL
        frame.make_room(lib.mg_replay_chunks(count))
        ready = last[1], reduction, frame, call, trace.captured, frame.workspaces[0], last[2]
        self._ready.append(ready)

    def _backward_again(self, args: tuple[Any, ...], reduction: str) -> float | None:
        try:
            ready = self._ready.pop()  # no other thread has the frame now
        except IndexError:
            return None
        looks, how, frame, call, captured, workspace, _ = ready
        same = how == reduction and len(looks) == len(args) and all(map(_is_as_it_was, args, looks))
        if not same:
            self._traces[0].give_frame(PARAMETERS, frame)
            return None
        bulk.get_numbers(captured, frame.data_buffer)
        lib.mg_replay(frame.program, PARAMETERS, call, workspace)
        bulk.add_grads(captured, frame.grads_buffer)
        total: float = call.total
        self._ready.append(ready)
        return total

    def _seeds(self, args: tuple[Any, ...], reduction: str, weights: Any, seeds: Any) -> list[Any]:
        """Return (array, pointer to its numbers) for the seeds of each output, of shape (N,)."""
        np = self._np
        count = self._rows_of(args)[0]
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")
        if weights is not None and seeds is not None:
            raise ValueError("weights and seeds exclude each other")
        flat: list[tuple[Array, Any, str]] = []
        if seeds is not None:
            arguments.flatten(self._result, seeds, "seeds", flat)
        else:
            flat.append((Array((), 0, 1), weights, "weights"))
            if len(self._traces[0].outputs) != 1:
                raise ValueError("weights are for a function with one result; use seeds=")
        arrays = [arguments.as_rows(np, (), batch, where) for _, batch, where in flat]
        for array, (_, _, where) in zip(arrays, flat):
            if len(array) != count:
                raise ValueError(f"{where} must have the shape ({count},), not {array.shape}")
        if weights is not None and reduction == "mean":
            together = float(arrays[0].sum())
            if together == 0.0:
                raise ValueError("the mean with weights whose sum is 0")
            arrays = [arrays[0] / together]
        return [(a, ffi.from_buffer("double[]", a) if a.size else NULL) for a in arrays]

    def gradient(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return the derivative of each row's result with respect to the row's arguments.

        The derivatives are arrays of the arguments' shapes, nested as the arguments: one nesting,
        or a tuple with one for each of several arguments. Raises as a call does, and ValueError for
        a function with several results, which has a `jacobian`.
        """
        outputs = len(self._traces[0].outputs)
        if outputs != 1:
            raise ValueError(f"the function has {outputs} results: use jacobian()")
        return self._nest_gradients(self._gradients(args, 1, threads, check)[0])

    def jacobian(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return for each of the function's results what `gradient` returns for a single result.

        These are nested as the function's result. Raises as a call does.
        """
        np, outputs = self._np, len(self._traces[0].outputs)
        found = self._gradients(args, outputs, threads, check)
        for i in range(outputs if outputs > 1 else 0):
            # The cause may be another result: its gradient, 0, times an infinite derivative is nan.
            if not all(np.isfinite(array).all() for array in found[i]):
                self._go_back_alone(i, found[i], args, threads)
        return self._nest([self._nest_gradients(arrays) for arrays in found])

    def _go_back_alone(
        self, output: int, arrays: list[Any], args: tuple[Any, ...], threads: int
    ) -> None:
        """Compute one result's gradients again, alone, in the rows where some are not finite."""
        np = self._np
        finite = [np.isfinite(array).all(axis=tuple(range(1, array.ndim))) for array in arrays]
        rows = np.flatnonzero(~np.all(finite, axis=0)).astype(np.uint32)
        for array in arrays:
            array[rows] = 0.0
        self._replay(INPUTS, args, threads, False, self._back_to([arrays]), rows, output)

    def _gradients(
        self, args: tuple[Any, ...], outputs: int, threads: int, check: bool
    ) -> list[list[Any]]:
        """Return for each of `outputs` results a list of gradients.

        The list has an array of shape (N, *shape) for each array of the arguments.
        """
        count = self._rows_of(args)[0]
        zeros, shapes = self._np.zeros, [array.shape for array in self._arrays]
        results = [[zeros((count, *shape)) for shape in shapes] for _ in range(outputs)]
        self._replay(INPUTS, args, threads, check, self._back_to(results))
        return results

    def _back_to(self, results: list[list[Any]]) -> Callable[[Frame, int], None]:
        """Return a `bind` that has gradients written to `results`: arrays of zeros for each one."""

        def bind(frame: Frame, count: int) -> None:
            frame.call.jacobian = 1
            for i, arrays in enumerate(results):
                columns = frame.columns_of_output(i)
                for shape, array in zip(self._arrays, arrays):
                    if array.size:
                        place = ffi.from_buffer("double[]", array)
                        lib.mg_set_columns(columns + shape.first, place, shape.size, shape.size)

        return bind

    def _nest_gradients(self, arrays: list[Any]) -> Any:
        found = iter(arrays)
        nested = tuple(_nest_arrays(shape, found) for shape in self._shapes)
        return nested[0] if len(nested) == 1 else nested

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
            f"Program({name}: {_count(self._inputs, 'input')}, "
            f"{_count(len(self.parameters), 'parameter')}, "
            f"{_count(facts.outputs, 'output')}, "
            f"{_count(facts.scalars + facts.instructions, 'instruction')}, "
            f"{_count(guards, 'guard')}, {_count(len(self._traces), 'specialization')})"
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

    def _state(self, own: bool) -> tuple[Any, ...]:
        traces = [
            (trace.entries, trace.outputs, trace.guards, trace.captured) for trace in self._traces
        ]
        options = self._inputs, self._max_specializations, self._allow_constants
        return self.fn, self._shapes, options, self._result, self.parameters, traces, own

    def __reduce__(self) -> Any:
        return _restored, self._state(False)

    def __copy__(self) -> Program:
        return _restored(*self._state(self._own))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_ARITHMETIC = (ValueError, OverflowError, ZeroDivisionError)
_SMALL = 1 << 14  # a program remembers its arguments up to so many numbers
_NO_ROW = 2 ** (8 * ffi.sizeof("size_t")) - 1  # the row of a mg_trap that belongs to no row


def _undecided(rows: Any) -> RuntimeError:
    row = 0 if rows is None else int(rows[0])
    return RuntimeError(
        f"row {row}: a comparison comes out otherwise in the program than when it is recorded; "
        "what it compares is closer than the rounding of exp, log, tanh, sigmoid and powers"
    )


def _look_at(array: Any) -> tuple[Any, Any, Any, Any]:
    """Return what _is_as_it_was compares: the array, its shape, its dtype and its memory."""
    return array, array.shape, array.dtype, ffi.from_buffer(array)


def _is_as_it_was(arg: Any, look: tuple[Any, Any, Any, Any]) -> bool:
    """Whether an argument is the array that was looked at, unchanged but for its numbers."""
    array, shape, dtype, memory = look
    if arg is not array or arg.shape != shape or arg.dtype is not dtype:
        return False
    try:
        return bool(ffi.from_buffer(arg) == memory)
    except (BufferError, ValueError):  # other strides: the numbers lie no longer side by side
        return False


def _error_of(call: Any) -> tuple[int, Exception]:
    """Return the row (-1: no row's) and the exception of the first error in a replay."""
    trap = call.trap
    name = OPERATORS[trap.op] if trap.op >= 0 else "/"
    error = arithmetic_error(trap.status, name, trap.x, trap.y, trap.derivative)
    if trap.row == _NO_ROW:
        return -1, type(error)(f"computed of parameters alone: {error}")
    return trap.row, type(error)(f"row {trap.row}: {error}")


def _add_grads(trace: Trace, frame: Frame) -> None:
    if trace.plain:
        if trace.captured:
            bulk.add_grads(trace.captured, frame.grads_buffer)
        return
    partials = tuple(frame.grads[i] for i in range(len(trace.captured)))
    restore(Value, "custom", 0.0, trace.captured, None, partials).backward()


def _nest_arrays(shape: Shape, found: Any) -> Any:
    if isinstance(shape, Array):
        return next(found)
    return arguments.pack(shape, [_nest_arrays(item, found) for item in shape.items])


def _describe_result(
    result: Any, roots: list[Value], recorder: Recorder, where: str, like: Shape | None
) -> Shape:
    """Return how a function's results are nested, and append their Values to `roots`.

    `like` is the nesting of an earlier recording: a dict with the same keys keeps their order.
    """
    known = like if isinstance(like, Members) else Members(tuple, None, ())
    keys: tuple[Any, ...] | None = None
    if isinstance(result, dict):
        same = known.keys is not None and result.keys() == set(known.keys)
        keys = known.keys if same else tuple(result)
        members = [result[key] for key in keys or ()]
    elif isinstance(result, (list, tuple)):
        members = list(result)
    else:
        if not isinstance(result, (Value, Number, float, int)):
            raise TypeError(
                f"{where} must be a Value or a list, tuple or dict of Values, "
                f"not {type(result).__name__!r}"
            )
        roots.append(result if isinstance(result, Value) else recorder.lift(result))
        return Array((), len(roots) - 1, 1)
    names = range(len(members)) if keys is None else keys
    items = tuple(
        _describe_result(member, roots, recorder, f"{where}[{name!r}]", item)
        for name, member, item in zip_longest(names, members, known.items[: len(members)])
    )
    kind = dict if isinstance(result, dict) else list if isinstance(result, list) else tuple
    return Members(kind, keys, items)


def _make_trace(recorder: Recorder, roots: list[Value]) -> Trace:
    ends = [*roots, *(end for g in recorder.guards for end in (g.left, g.right))]
    anchor = bulk.rule(NO_RULE, 0.0, tuple(ends))
    entries, places, captured = bulk.trace(anchor, recorder.inputs, recorder.position)
    found = ffi.from_buffer("uint32_t[]", places)
    guards = tuple(
        _place_guard(guard, found[len(roots) + 2 * i], found[len(roots) + 2 * i + 1])
        for i, guard in enumerate(recorder.guards)
    )
    outputs = tuple(found[i] for i in range(len(roots)))
    return Trace(entries, outputs, guards, tuple(captured), len(recorder.inputs))


def _place_guard(guard: Guard, left: int, right: int) -> tuple[int, int, int, bool]:
    return guard.relation, left, right, guard.outcome


def _restored(
    fn: Callable[..., Any],
    shapes: Sequence[Shape],
    options: tuple[int, int, bool],
    result: Shape,
    parameters: tuple[Value, ...],
    traces: list[tuple[bytes, tuple[int, ...], Any, tuple[Value, ...]]],
    own: bool,
) -> Program:
    """Return a program as it was pickled or copied.

    Raises ValueError for anything that is no pickled program.
    """
    try:
        _check(shapes, options, result, parameters, traces)
        program = Program(fn, shapes, *options)
        program.parameters = parameters
        program._result = result
        for entries, outputs, guards, captured in traces:
            program._add(Trace(entries, outputs, guards, captured, options[0]))
    except (TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"this is no pickled program: {error}") from error
    program._own = own
    return program


def _check(shapes: Any, options: Any, result: Any, parameters: Any, traces: Any) -> None:
    """Raise an error unless the parts of a pickled program fit together."""
    inputs, most, allow_constants = options
    leaves = 0
    for shape in shapes:
        leaves = arguments.count_leaves(shape, leaves)
    if leaves != inputs or type(most) is not int or type(allow_constants) is not bool:
        raise ValueError(f"arguments of {leaves} numbers do not fit the options {options}")
    outputs = arguments.count_leaves(result)
    if any(array.shape for array in arguments.arrays(result)) or not traces:
        raise ValueError("the results of a program are numbers, and it has a recording")
    for entries, places, _, captured in traces:
        if type(entries) is not bytes or len(places) != outputs:
            raise ValueError(f"a recording of {len(places)} results for {outputs}")
        if not all(isinstance(value, Value) for value in (*captured, *parameters)):
            raise ValueError("the parameters of a program are Values")


def compile(
    fn: Callable[..., Any],
    *examples: Any,
    max_specializations: int = 16,
    allow_constants: bool = False,
) -> Program:
    """Record what `fn` does for one example, and return a program that does it for many.

    `fn` takes Values, or lists, tuples and dicts of Values, nested as the examples are (an array
    arrives as nested lists), and returns a Value or a nesting of Values. `examples` are numbers,
    arrays or nestings of these. Values that were there before are the program's parameters.
    Numbers, and Values that `fn` makes of numbers, are constants: random numbers, too, are drawn
    once. Whatever else `fn` does, such as appending to a list, happens only while it is recorded.

    While recording, `.data` is a stand-in. A comparison of stand-ins, or of Values, is a condition,
    by which `where` selects a side for each row. Where Python asks for its truth, as ``if`` does, a
    row for which the comparison comes out otherwise is recorded on its own, up to
    `max_specializations` ways in all. Arithmetic with stand-ins is part of the program, and no
    gradient passes through it. With `allow_constants` a stand-in may also become a plain number,
    which is then the example's for every row.

    Raises ImportError without numpy; TypeError for examples that do not consist of numbers;
    TypeError for what a program cannot do: turning `.data` into a plain number (the error names the
    line), catching the error of a computation (which other rows may not raise), `backward()`, a
    `_backward` of a Value's own, assigning to parameters; and whatever `fn` raises.

    >>> w = Value(3.0)
    >>> program = compile(lambda x: (w * x).relu(), 1.0)
    >>> program([-1.0, 2.0]).tolist()
    [0.0, 6.0]
    >>> program.backward([-1.0, 2.0])
    3.0
    >>> w.grad
    1.0
    >>> program.gradient([-1.0, 2.0]).tolist()
    [0.0, 3.0]
    """
    if not callable(fn):
        raise TypeError(f"a function is required, not {type(fn).__name__!r}")
    max_specializations = as_count("max_specializations", max_specializations)
    numbers: list[float] = []
    shapes = [
        arguments.describe(example, numbers, f"example {i}") for i, example in enumerate(examples)
    ]
    program = Program(fn, shapes, len(numbers), max_specializations, allow_constants)
    program._record(numbers)
    return program
