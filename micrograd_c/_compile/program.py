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
from dataclasses import replace
from functools import partial
from typing import Any

from .._library import ffi, lib
from .._value_methods import arithmetic_error, as_count
from ..engine import Value, bulk, restore
from . import arguments, derived, pickling
from .arguments import Array, Shape
from .extremes import record_extremes
from .objective import Objective
from .recording import Recorder
from .replay import ALL, FORWARD, INPUTS, NULL, OPERATORS, PARAMETERS, PIECE, Frame, Trace
from .rows import Rows, as_array, take_rows
from .tracing import describe_result, make_trace

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

    def _rows_of(self, args: tuple[Any, ...]) -> Rows:
        """Return the rows of the arguments, as C reads them."""
        last = self._last
        if last and len(args) == len(last[0]) and all(map(_is_as_it_was, args, last[1])):
            return last[2]  # type: ignore[no-any-return]
        if len(args) != len(self._shapes):
            raise TypeError(f"the program takes {len(self._shapes)} arguments, not {len(args)}")
        flat: list[tuple[Array, Any, str]] = []
        for i, (shape, arg) in enumerate(zip(self._shapes, args)):
            arguments.flatten(shape, arg, f"argument {i}", flat)
        rows, arrays = take_rows(self._np, flat, self._inputs)
        # Small arrays are remembered for the next call with them, if no copies had to be made.
        small = rows.count * self._inputs <= _SMALL
        if self._flat and small and all(a is b for a, b in zip(args, arrays)):
            self._last = args, tuple(map(_look_at, arrays)), rows
        return rows

    def _numbers_of_row(self, columns: Any, row: int) -> list[float]:
        return [float(columns[i].data[row * columns[i].stride]) for i in range(self._inputs)]

    # ---- replaying ----

    def _replay(
        self,
        mode: int,
        rows: Rows,
        bind: Callable[[Frame], None],
        *,
        threads: int,
        check: bool = False,
        variant: Callable[[Trace], Trace] | None = None,
        load: Callable[[Trace, Frame], None] | None = None,
        finish: Callable[[Trace, Frame], None] | None = None,
    ) -> float:
        """Replay these rows, each with the first trace that is right for the row.

        `bind` tells a frame where results go. With `variant` what is replayed is variant(trace).
        `load` gives a frame the numbers of the captured Values, instead of these Values, and
        `finish` takes their gradients. Returns the sum of seeds times outputs.
        """
        self._refuse_own_call()
        threads = as_count("threads", threads)
        replayed = ALL if check and mode != FORWARD else mode  # as row-by-row backward() checks
        total, place = 0.0, 0
        left: Any = None  # the numbers of the rows that no trace so far was right for; None: all
        error: tuple[int, Exception] | None = None
        done: list[tuple[Trace, Frame]] = []
        try:
            while rows.count:
                fresh = place == len(self._traces)
                if fresh:
                    row = 0 if left is None else int(left[0])
                    try:
                        self._specialize(place, self._numbers_of_row(rows.columns, row), row)
                    except Exception:
                        if error is not None and error[0] < row:
                            break  # the error of the earlier row is raised below
                        raise
                trace = self._traces[place] if variant is None else variant(self._traces[place])
                frame = trace.take_frame(replayed)
                done.append((trace, frame))
                failed = self._tell(trace, frame, rows, left, check)
                if load is not None:
                    load(trace, frame)
                elif trace.captured:
                    bulk.get_numbers(trace.captured, frame.data_buffer)
                bind(frame)
                frame.held = rows, left, failed, bind, load
                some_failed = frame.run(threads)
                if fresh and some_failed and failed[0]:
                    raise _undecided(left)
                place += 1
                if some_failed and failed.all():  # the trace is right for no row
                    trace.give_frame(replayed, done.pop()[1])
                    continue
                total += frame.call.total
                if frame.call.trap.status:
                    row, raised = _error_of(frame.call)
                    if error is None or row < error[0]:
                        error = row, raised
                if not some_failed:
                    break
                failing = self._np.flatnonzero(failed)
                left = (failing if left is None else left[failing]).astype(self._np.uint32)
            if error is not None:
                raise error[1]
            for trace, frame in done if finish is not None else ():
                finish(trace, frame)  # type: ignore[misc]
        finally:
            for trace, frame in done:
                trace.give_frame(replayed, frame)
        return total

    def _tell(self, trace: Trace, frame: Frame, rows: Rows, left: Any, check: bool) -> Any:
        """Tell a frame what to replay; return where it marks the rows that fail a guard."""
        frame.forget()
        call = frame.call
        call.inputs, call.check, call.seed = rows.columns, check, 1.0
        call.count = rows.count if left is None else len(left)
        call.rows = NULL if left is None else ffi.from_buffer("uint32_t[]", left)
        failed = None
        if trace.guards:
            failed = self._np.zeros(call.count, self._np.uint8)
            call.failed = ffi.from_buffer("unsigned char[]", failed)
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
        rows = self._rows_of(args)
        results, bind = self._room_for_results(rows)
        self._replay(FORWARD, rows, bind, threads=threads, check=check)
        return self._nest(results)

    def _room_for_results(self, rows: Rows) -> tuple[list[Any], Callable[[Frame], None]]:
        """Return an array for each result, and a `bind` that has the results written there."""
        outputs, count = len(self._traces[0].outputs), rows.count
        block = self._np.empty((outputs, count))
        place = ffi.from_buffer("double[]", block) if block.size else NULL

        def bind(frame: Frame) -> None:
            lib.mg_set_columns(frame.outputs, place, outputs, 1)
            for i in range(1, outputs):
                frame.outputs[i].data = place + i * count

        results = list(block)
        return ([result.reshape(()) for result in results] if rows.single else results), bind

    def _nest(self, leaves: list[Any]) -> Any:
        return arguments.rebuild(self._result, leaves)

    # ---- gradients of parameters ----

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
        rows = self._rows_of(args)
        bind = self._seed(rows, reduction, weights, seeds)
        total = self._replay(
            PARAMETERS, rows, bind, threads=threads, check=check, finish=_add_grads
        )
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

    def _seed(
        self, rows: Rows, reduction: str, weights: Any, seeds: Any
    ) -> Callable[[Frame], None]:
        """Return a `bind` that gives results their seeds."""
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be 'mean' or 'sum', not {reduction!r}")
        outputs = len(self._traces[0].outputs)
        if weights is not None and seeds is not None:
            raise ValueError("weights and seeds exclude each other")
        if outputs != 1 and seeds is None:
            instead = "needs seeds=" if weights is None else "takes seeds=, not weights="
            raise ValueError(f"the function has {outputs} results: backward() {instead}")
        seed, arrays = 1.0, []
        if seeds is not None:
            arrays = self._seed_arrays(rows, self._result, seeds, "seeds")
        elif weights is not None:
            arrays = self._seed_arrays(rows, Array((), 0, 1), weights, "weights")
            if reduction == "mean":
                together = float(arrays[0].sum())
                if together == 0.0:
                    raise ValueError("the mean with weights whose sum is 0")
                arrays = [arrays[0] / together]
        elif reduction == "mean":
            if not rows.count:
                raise ValueError("the mean of no rows")
            seed = 1.0 / rows.count

        def bind(frame: Frame) -> None:
            frame.call.seed = seed
            for i, array in enumerate(arrays):
                if array.size:
                    frame.seeds[i].data = ffi.from_buffer("double[]", array)
                    frame.seeds[i].stride = 1

        return bind

    def _seed_arrays(self, rows: Rows, shape: Shape, seeds: Any, name: str) -> list[Any]:
        """Return a number for each row and result as arrays of shape (N,)."""
        flat: list[tuple[Array, Any, str]] = []
        arguments.flatten(shape, seeds, name, flat)
        found = []
        for _, batch, where in flat:
            array = as_array(self._np, (), batch, where)
            if array.shape != (() if rows.single else (rows.count,)):
                shape_of_rows = "()" if rows.single else f"({rows.count},)"
                raise ValueError(f"{where} must have the shape {shape_of_rows}, not {array.shape}")
            found.append(array.reshape(rows.count))
        return found

    # ---- gradients of arguments ----

    def gradient(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return the derivative of each row's result with respect to the row's arguments.

        The derivatives are arrays of the arguments' shapes, nested as the arguments: one nesting,
        or a tuple with one for each of several arguments. For an argument with one row for all rows
        they are summed over the rows. Raises as a call does, and ValueError for a function with
        several results, which has `jacobian` and `vjp`.
        """
        self._require_one_result("use jacobian() or vjp()")
        rows = self._rows_of(args)
        arrays, bind = self._room_for_gradients(rows)
        self._replay(INPUTS, rows, bind, threads=threads, check=check)
        return self._nest_summed(arrays, rows)

    def value_and_gradient(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return (what a call returns, what `gradient` returns), computed together."""
        self._require_one_result("use jacobian() or vjp()")
        rows = self._rows_of(args)
        results, bind_results = self._room_for_results(rows)
        arrays, bind_gradients = self._room_for_gradients(rows)
        bind = _both(bind_results, bind_gradients)
        self._replay(INPUTS, rows, bind, threads=threads, check=check)
        return self._nest(results), self._nest_summed(arrays, rows)

    def vjp(
        self,
        *args: Any,
        seeds: Any,
        parameters: bool = False,
        threads: int = 1,
        check: bool = False,
    ) -> Any:
        """Return the gradient of the sum of seeds times results, by one pass in reverse.

        `seeds` are nested as the function's result, of shape (N,) each. The gradient is as
        `gradient` returns it. With `parameters` it is a pair: that, and the gradients of
        `parameters`, summed over the rows, an array of shape (P,). No `.grad` changes. Raises as a
        call does, and ValueError for seeds of another shape.
        """
        rows = self._rows_of(args)
        arrays, bind_gradients = self._room_for_gradients(rows)
        bind = _both(self._seed(rows, "sum", None, seeds), bind_gradients)
        if not parameters:
            self._replay(INPUTS, rows, bind, threads=threads, check=check)
            return self._nest_summed(arrays, rows)
        grads: list[tuple[Trace, Any]] = []
        self._replay(
            ALL, rows, bind, threads=threads, check=check, finish=_collect_grads(self._np, grads)
        )
        return self._nest_summed(arrays, rows), self._in_order(grads)

    def jvp(self, *args: Any, tangents: Any, threads: int = 1, check: bool = False) -> Any:
        """Return (what a call returns, the derivatives of the results along the tangents).

        `tangents` are shaped and nested as the arguments: one nesting, or a tuple with one for each
        of several arguments. The derivatives are nested as the result. This is one pass forward.
        Raises as a call does, and TypeError or ValueError for tangents nested or shaped otherwise.
        """
        rows = self._rows_of(args)
        wide = self._with_tangents(rows, tangents, "tangents")
        outputs = len(self._traces[0].outputs)
        block = self._np.empty((2 * outputs, rows.count))
        self._replay_along(wide, block, threads, check, derived.along)
        found = [row.reshape(()) if rows.single else row for row in block]
        return self._nest(found[:outputs]), self._nest(found[outputs:])

    def hvp(self, *args: Any, vectors: Any, threads: int = 1, check: bool = False) -> Any:
        """Return the product of each row's hessian with a vector, as `gradient` returns gradients.

        `vectors` are shaped and nested as the arguments, as the `tangents` of `jvp`. Raises as
        `gradient` does, and TypeError where the function has operators of your own, whose
        derivatives are numbers.
        """
        self._require_one_result("hvp() is for a function with one result")
        rows = self._rows_of(args)
        wide = self._with_tangents(rows, vectors, "vectors")
        block = self._np.zeros((rows.count, self._inputs))
        self._replay_along(wide, block.T, threads, check, derived.curvature)
        return self._nest_summed(self._split(block), rows)

    def hessian(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return the second derivatives of each row's result with respect to the row's arguments.

        In the place of an argument of shape (n,) there is an array of shape (N, n, n). Of several
        arguments, or a nesting, there is for each one a nesting like `gradient`'s, of the mixed
        derivatives with every other: of shape (N, *its shape, *the other's shape). Raises as
        `hvp` does.
        """
        self._require_one_result("hessian() is for a function with one result")
        rows = self._rows_of(args)
        block = self._np.zeros((self._inputs, rows.count, self._inputs))
        self._each_direction(
            rows, derived.curvature, lambda i: block[i].T, threads=threads, check=check
        )
        np = self._np
        outer = []
        for array in self._arrays:
            part = block[array.first : array.first + array.size]
            found = []
            for other in self._arrays:
                cut = part[:, :, other.first : other.first + other.size]
                shaped = np.moveaxis(cut, 1, 0).reshape(rows.count, *array.shape, *other.shape)
                found.append(np.ascontiguousarray(shaped[0] if rows.single else shaped))
            outer.append(self._nest_gradients(found))
        return self._nest_gradients(outer)

    def jacobian(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return the derivatives of each of the function's results, nested as the result.

        For each result there is what `gradient` returns for a single result, but nothing is summed:
        each derivative is an array of shape (N, *the argument's shape), also where an argument has
        one row for all rows. Takes passes forward, one for each number of the arguments, or in
        reverse, one for each result, whichever passes fewer operations. Raises as a call does.
        """
        rows = self._rows_of(args)
        outputs = len(self._traces[0].outputs)
        forward, reverse = self._traces[0].passes()
        if forward <= reverse and outputs > 1 and not check:
            found = self._jacobian_forward(rows, outputs, threads)
        else:
            found = [self._gradients_of(rows, i, threads, check) for i in range(outputs)]
        if rows.single:
            found = [[array[0] for array in arrays] for arrays in found]
        return self._nest([self._nest_gradients(arrays) for arrays in found])

    def _gradients_of(self, rows: Rows, output: int, threads: int, check: bool) -> list[Any]:
        arrays, bind = self._room_for_gradients(rows)
        variant = partial(Trace.of_output, i=output)
        self._replay(INPUTS, rows, bind, threads=threads, check=check, variant=variant)
        return arrays

    def _jacobian_forward(self, rows: Rows, outputs: int, threads: int) -> list[list[Any]]:
        np = self._np
        block = np.zeros((outputs, rows.count, self._inputs))
        self._each_direction(
            rows, derived.slopes, lambda i: block[:, :, i], threads=threads, check=False
        )
        return [self._split(part) for part in block]

    def _each_direction(
        self,
        rows: Rows,
        kind: derived.Kind,
        place: Callable[[int], Any],
        *,
        threads: int,
        check: bool,
    ) -> None:
        """Replay a derived program along each number of the arguments; results go to place(i)."""
        ends = self._np.array([0.0, 1.0])
        zero, one = (ffi.addressof(ffi.from_buffer("double[]", ends), i) for i in range(2))
        wide = self._widen(rows)
        held = [*rows.held, ends]
        tangents = wide + self._inputs
        for i in range(self._inputs):
            tangents[i] = (zero, 0)
        for i in range(self._inputs):
            tangents[i].data = one
            self._replay_along(
                replace(rows, columns=wide, held=held), place(i), threads, check, kind
            )
            tangents[i].data = zero

    def _replay_along(
        self, rows: Rows, block: Any, threads: int, check: bool, kind: derived.Kind
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
        self._replay(FORWARD, rows, bind, threads=threads, check=check, variant=variant)

    def _widen(self, rows: Rows) -> Any:
        """Return the columns of the arguments with room for as many tangents behind them."""
        wide = ffi.new("mg_column[]", 2 * self._inputs + 1)
        ffi.memmove(wide, rows.columns, self._inputs * ffi.sizeof("mg_column"))
        return wide

    def _with_tangents(self, rows: Rows, tangents: Any, name: str) -> Rows:
        given = (tangents,) if len(self._shapes) == 1 else tangents
        if not isinstance(given, tuple) or len(given) != len(self._shapes):
            raise TypeError(f"{name} must be a tuple, with one for each argument")
        flat: list[tuple[Array, Any, str]] = []
        for i, (shape, one) in enumerate(zip(self._shapes, given)):
            arguments.flatten(shape, one, f"{name}[{i}]" if len(given) > 1 else name, flat)
        along, _ = take_rows(self._np, flat, self._inputs)
        if along.count != rows.count and not along.single:
            raise ValueError(f"{name} have {along.count} rows, the arguments {rows.count}")
        wide = self._widen(rows)
        size = self._inputs * ffi.sizeof("mg_column")
        ffi.memmove(wide + self._inputs, along.columns, size)
        return replace(rows, columns=wide, held=[*rows.held, *along.held])

    def _require_one_result(self, instead: str) -> None:
        outputs = len(self._traces[0].outputs)
        if outputs != 1:
            raise ValueError(f"the function has {outputs} results: {instead}")

    def _room_for_gradients(self, rows: Rows) -> tuple[list[Any], Callable[[Frame], None]]:
        """Return an array of shape (N, *shape) for each one of the arguments, and a `bind`."""
        arrays = [self._np.zeros((rows.count, *array.shape)) for array in self._arrays]

        def bind(frame: Frame) -> None:
            for shape, array in zip(self._arrays, arrays):
                if array.size:
                    place = ffi.from_buffer("double[]", array)
                    columns = frame.gradients + shape.first
                    lib.mg_set_columns(columns, place, shape.size, shape.size)

        return arrays, bind

    def _split(self, block: Any) -> list[Any]:
        """Return the columns of an array of shape (N, inputs), an array for each argument's."""
        return [
            self._np.ascontiguousarray(block[:, array.first : array.first + array.size]).reshape(
                len(block), *array.shape
            )
            for array in self._arrays
        ]

    def _nest_summed(self, arrays: list[Any], rows: Rows) -> Any:
        pairs = zip(arrays, rows.shared)
        return self._nest_gradients([a.sum(axis=0) if shared else a for a, shared in pairs])

    def _nest_gradients(self, arrays: list[Any]) -> Any:
        found = iter(arrays)
        nested = tuple(_nest_arrays(shape, found) for shape in self._shapes)
        return nested[0] if len(nested) == 1 else nested

    # ---- all parameters at a time ----

    def parameter_jacobian(self, *args: Any, threads: int = 1, check: bool = False) -> Any:
        """Return the derivatives of each row's results with respect to the parameters.

        For each result there is an array of shape (N, P), in the order of `parameters`, nested as
        the result; of one row for all, of shape (P,). `backward` adds the sums of these over rows.
        Raises as a call does.
        """
        rows = self._rows_of(args)
        found = []
        for i in range(len(self._traces[0].outputs)):
            found.append(self._parameter_gradients(rows, i, threads, check))
        return self._nest([block[0] if rows.single else block for block in found])

    def _parameter_gradients(self, rows: Rows, output: int, threads: int, check: bool) -> Any:
        blocks: list[tuple[Trace, Any]] = []

        def variant(trace: Trace) -> Trace:
            return trace.of_output(output).variant("by row", derived.by_row)

        def load(trace: Trace, frame: Frame) -> None:
            numbers = self._np.empty(len(trace.moved))
            bulk.get_numbers(trace.moved, numbers)
            block = self._np.zeros((rows.count, len(numbers)))
            blocks.append((trace, block))
            if not block.size:
                return
            columns = ffi.new("mg_column[]", trace.inputs + 1)
            ffi.memmove(columns, rows.columns, self._inputs * ffi.sizeof("mg_column"))
            mine = ffi.from_buffer("double[]", numbers)
            lib.mg_set_columns(columns + self._inputs, mine, len(numbers), 0)
            place = ffi.from_buffer("double[]", block)
            lib.mg_set_columns(frame.gradients + self._inputs, place, len(numbers), len(numbers))
            frame.call.inputs = columns
            held.append((columns, numbers))

        held: list[Any] = []
        self._replay(
            INPUTS,
            rows,
            lambda frame: None,
            threads=threads,
            check=check,
            variant=variant,
            load=load,
        )
        result = self._np.zeros((rows.count, len(self.parameters)))
        for trace, block in blocks:
            result[:, self._places(trace.moved)] += block
        return result

    def objective(
        self,
        *args: Any,
        reduction: str = "mean",
        weights: Any = None,
        seeds: Any = None,
        threads: int = 1,
    ) -> Objective:
        """Return the reduced results as a function of the parameters, for these arguments.

        It takes an array of shape (P,) and returns (value, gradient), as the optimizers of scipy
        take it: `scipy.optimize.minimize(objective, objective.x0, jac=True)`. The arguments are as
        for `backward`, and so are the errors.
        """
        rows = self._rows_of(args)
        return Objective(self, rows, self._seed(rows, reduction, weights, seeds), threads)

    def _places(self, captured: tuple[Value, ...]) -> list[int]:
        """Return the places of captured Values among the parameters."""
        places = {id(p): i for i, p in enumerate(self.parameters)}
        return [places[id(value)] for value in captured]

    def _in_order(self, grads: list[tuple[Trace, Any]]) -> Any:
        """Return the sum of the traces' gradients, in the order of the parameters."""
        total = self._np.zeros(len(self.parameters))
        for trace, array in grads:
            total[self._places(trace.captured)] += array
        return total

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
        "what it compares is closer than the rounding of exp, log, tanh, sigmoid, sin, cos "
        "and powers"
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
    what = ffi.string(lib.mg_error_text(trap.status)).decode()
    error = arithmetic_error(what, name, trap.x, trap.y, trap.derivative)
    if trap.row == _NO_ROW:
        return -1, type(error)(f"computed of parameters alone: {error}")
    return trap.row, type(error)(f"row {trap.row}: {error}")


def _collect_grads(np: Any, grads: list[tuple[Trace, Any]]) -> Callable[[Trace, Frame], None]:
    """Return a `finish` that appends a trace and the gradients of its captured Values to a list."""

    def finish(trace: Trace, frame: Frame) -> None:
        grads.append((trace, np.array(list(frame.grads[0 : len(trace.captured)]), float)))

    return finish


def _add_grads(trace: Trace, frame: Frame) -> None:
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


def _nest_arrays(shape: Shape, found: Any) -> Any:
    if isinstance(shape, Array):
        return next(found)
    return arguments.pack(shape, [_nest_arrays(item, found) for item in shape.items])


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
        pickling.check_parts(shapes, options, result, parameters, traces)
        program = Program(fn, shapes, *options)
        program.parameters = parameters
        program._result = result
        for entries, outputs, guards, captured in traces:
            program._add(Trace(entries, outputs, guards, captured, options[0]))
    except (TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"this is no pickled program: {error}") from error
    program._own = own
    return program


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
