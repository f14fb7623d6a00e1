"""A function and its recordings, one for each way through it, and the rows of a program's calls."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from sys import modules
from typing import TYPE_CHECKING, Any

from ..engine import Value, bulk
from . import arguments, checks
from .arguments import Array, Shape
from .chunks import chunk
from .extremes import record_extremes
from .needed import numpy
from .recording import Recorder
from .replay import Trace
from .rows import Rows, is_as_it_was, look_at, take_rows
from .tracing import describe_result, make_trace
from .ways import START, Way, Ways

if TYPE_CHECKING:
    from .parcels import Parcel

_SMALL = 1 << 14  # a program remembers its arguments up to so many numbers

_commons: weakref.WeakSet[Common] = weakref.WeakSet()


def _after_fork() -> None:
    """Replace the locks in a child process: a thread that held one is not in the child."""
    for common in _commons:
        common.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Common:
    """What programs for several shapes share: their parameters, and a lock for recordings."""

    def __init__(self) -> None:
        self.parameters: list[Value] = []
        self.lock: threading.Lock = threading.Lock()
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
        self._np = numpy()
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
        self._ready: dict[Any, list[Any]] = {}  # frames, by the key of calls: see calls.py
        self._parcel: Parcel | None = None  # as it was last sent to workers
        self._arrays = [array for shape in self._shapes for array in arguments.arrays(shape)]
        self._flat = all(isinstance(shape, Array) for shape in self._shapes)
        numbered: list[int | str] = list(range(len(self._shapes) - len(names)))
        self._places = [f"argument {name!r}" for name in (*numbered, *names)]  # in errors
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

    def _record(self, numbers: Sequence[float], row: int | str, way: Way = START) -> None:
        """Record what `fn` does for the row with these numbers, and add the trace on this way.

        An error of arithmetic, or of a lookup, names the row.
        """
        recorder = Recorder(self._allow_constants)

        def work() -> tuple[Shape, Trace]:
            leaves = recorder.make_inputs(numbers)
            result = self._run(leaves)
            recorder.finish()
            roots: list[Value] = []
            shape = describe_result(result, roots, recorder, "the result", self._result)
            if self._traces and shape != self._result:
                raise ValueError(
                    "the function returns another nesting of Values for this row than for the first"
                )
            return shape, make_trace(recorder, roots)

        try:
            self._recorder = recorder, threading.get_ident()
            shape, trace = recorder.run(lambda: record_extremes(recorder, work))
        except (ArithmeticError, ValueError, IndexError) as error:
            if type(error) not in checks.ARITHMETIC:
                raise
            raise checks.with_row(row, error) from error
        finally:
            self._recorder = None
        trace.example = tuple(numbers)
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
            self._record(numbers, row, way)
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

    def _rows_of(self, args: tuple[Any, ...]) -> Rows:
        """Return the rows of the arguments, joined, as C reads them."""
        recorder = bulk.recorder()
        if recorder is not None:
            self._refuse_own_call()
            recorder.refuse("a call of a program")
        last = self._last
        if last and len(args) == len(last[0]) and all(map(is_as_it_was, args, last[1])):
            return last[2]  # type: ignore[no-any-return]
        if len(args) != len(self._shapes):
            raise TypeError(f"the program takes {len(self._shapes)} arguments, not {len(args)}")
        flat: list[tuple[Any, Any, str]] = list(zip(self._shapes, args, self._places))
        if not self._flat:
            nested, flat = flat, []
            for shape, arg, where in nested:
                arguments.flatten(shape, arg, where, flat)
        if "dask.array" in modules:
            chunks = chunk(self._np, flat)
            if chunks is not None:
                return chunks
        rows, arrays = take_rows(self._np, flat, self._inputs)
        # Small arrays are remembered for the next call with them, if no copies had to be made.
        small = rows.count * self._inputs <= _SMALL
        if self._flat and small and all(a is b for a, b in zip(args, arrays)):
            self._last = args, tuple(map(look_at, arrays, rows.held)), rows
        return rows

    def _numbers_of_row(self, columns: Any, row: int) -> list[float]:
        return [float(columns[i].data[row * columns[i].stride]) for i in range(self._inputs)]


def plural(number: int, noun: str) -> str:
    """Return "1 row", "2 rows", ...: a number with a noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
