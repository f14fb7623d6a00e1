"""`compile`: programs by example, and programs that record for each shape that a call has."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from .._value_methods import as_count
from ..engine import Value
from . import arguments
from .arguments import Shape
from .chunks import Chunks, first_row
from .needed import numpy
from .program import OPTIONS, Program, State, _restored
from .program_table import program_table
from .recorded import Common, plural

__all__ = ["ProgramByShape", "compile"]

Key = tuple[int, tuple[str, ...], tuple[Shape, ...]]  # arguments without a keyword, keywords, rows


def _by_shape(method: Callable[..., Any]) -> Any:
    """Return a method that calls this one of the program for the arguments' shapes."""

    @wraps(method)
    def call(self: ProgramByShape, /, *args: Any, **options: Any) -> Any:
        keywords = {name: value for name, value in options.items() if name not in OPTIONS}
        return method(self._program_for(args, keywords), *args, **options)

    return call


class ProgramByShape(Program):
    """A program without an example: one `Program` for each nesting or shape that calls have had."""

    def __init__(
        self,
        fn: Callable[..., Any],
        max_specializations: int,
        allow_constants: bool,
        max_shapes: int,
    ) -> None:
        numpy()
        self.fn = fn
        self._options = max_specializations, allow_constants
        self._max_shapes = max_shapes
        self._common = Common()
        self._own = True
        self._programs: dict[Key, Program] = {}
        self._recording: Program | None = None

    def _program_for(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Program:
        """Return the program for a call's arguments, which is recorded if there is none so far."""
        names = tuple(sorted(keywords))
        shapes, inputs = [], 0
        for i, arg in enumerate(args):
            shape, inputs = arguments.describe_rows(arg, inputs, f"argument {i}")
            shapes.append(shape)
        for name in names:
            shape, inputs = arguments.describe_rows(keywords[name], inputs, f"argument {name!r}")
            shapes.append(shape)
        key = len(args), names, tuple(shapes)
        program = self._programs.get(key)
        if program is None:
            program = self._record_shape(key, inputs, args, keywords)
        return program

    def _record_shape(
        self, key: Key, inputs: int, args: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Program:
        """Record the first row, add the program to those there are, and return it."""
        for program in (*self._programs.copy().values(), self._recording):
            if program is not None:
                program._refuse_own_call()
        with self._common.lock:
            if key in self._programs:
                return self._programs[key]  # another thread has added it
            if len(self._programs) >= self._max_shapes:
                raise RuntimeError(
                    f"the arguments have another nesting, shape or static value than the "
                    f"{len(self._programs)} recorded so far, and max_shapes is {self._max_shapes}"
                )
            program = Program(
                self.fn, key[2], inputs, *self._options, names=key[1], common=self._common
            )
            program._own = self._own
            rows = program._rows_of(program._join(args, keywords))
            if isinstance(rows, Chunks):
                rows = first_row(program._np, program._arrays, rows, inputs)
            if not rows.count:
                raise ValueError("the first call with arguments of a shape needs a row to record")
            self._recording = program
            try:
                program._record(program._numbers_of_row(rows.columns, 0), 0)
            finally:
                self._recording = None
            self._programs[key] = program
            return program

    __call__ = _by_shape(Program.__call__)
    backward = _by_shape(Program.backward)
    gradient = _by_shape(Program.gradient)
    value_and_gradient = _by_shape(Program.value_and_gradient)
    vjp = _by_shape(Program.vjp)
    jvp = _by_shape(Program.jvp)
    hvp = _by_shape(Program.hvp)
    hessian = _by_shape(Program.hessian)
    jacobian = _by_shape(Program.jacobian)
    parameter_jacobian = _by_shape(Program.parameter_jacobian)
    objective = _by_shape(Program.objective)

    # ---- as C ----

    def export_c(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the program as C, as one with an example does.

        Raises ValueError unless calls have had arguments of one shape.
        """
        programs = list(self._programs.copy().values())
        if len(programs) != 1:
            raise ValueError(
                f"the program has been called with arguments of {len(programs)} shapes, and what "
                "is exported is for one: give compile an example"
            )
        programs[0].export_c(path, **options)

    def build(self, compiler: str = "cc") -> None:
        """Build the programs for all shapes so far, as a program with an example does.

        Raises RuntimeError before the first call.
        """
        programs = list(self._programs.copy().values())
        if not programs:
            raise RuntimeError("nothing has been recorded yet: call the program first")
        for program in programs:
            program.build(compiler)

    # ---- what it is ----

    @property
    def specializations(self) -> int:
        """The number of recordings, of all shapes together."""
        return sum(program.specializations for program in self._programs.copy().values())

    def __repr__(self) -> str:
        name = getattr(self.fn, "__qualname__", type(self.fn).__qualname__)
        if not self._programs:
            return f"Program({name}: nothing has been recorded yet)"
        return (
            f"Program({name}: {plural(len(self._programs), 'shape')}, "
            f"{plural(len(self.parameters), 'parameter')}, "
            f"{plural(self.specializations, 'specialization')})"
        )

    def _repr_html_(self) -> str | None:
        return "".join(map(program_table, self._programs.copy().values())) or None

    def disassemble(self, mode: str = "forward") -> str:
        """Return the instructions as text, as a program with an example does, shape by shape.

        Raises RuntimeError before the first call.
        """
        texts = [program.disassemble(mode) for program in self._programs.copy().values()]
        if not texts:
            raise RuntimeError("nothing has been recorded yet: call the program first")
        if len(texts) == 1:
            return texts[0]
        return "".join(f"shape {i}:\n{text}" for i, text in enumerate(texts))

    # ---- copying and pickling ----

    def _state(self, own: bool) -> tuple[Any, ...]:
        states = [program._state(own) for program in self._programs.copy().values()]
        options = *self._options, self._max_shapes
        return self.fn, options, self.parameters, states, own or not states

    def __reduce__(self) -> Any:
        return _restored_by_shape, self._state(False)

    def __copy__(self) -> Program:
        return _restored_by_shape(*self._state(self._own))


def _restored_by_shape(
    fn: Callable[..., Any],
    options: tuple[int, bool, int],
    parameters: tuple[Any, ...],
    states: list[State],
    own: bool,
) -> Program:
    """Return a program as it was pickled or copied.

    Raises ValueError for anything that is no pickled program.
    """
    try:
        most, allow_constants, max_shapes = options
        if [type(option) for option in options] != [int, bool, int]:
            raise ValueError(f"{options} are no options")
        whole = ProgramByShape(fn, most, allow_constants, max_shapes)
        whole._own = bool(own)
        if not all(isinstance(value, Value) for value in parameters):
            raise ValueError("the parameters of a program are Values")
        whole._common.parameters += parameters
        for state in states:
            program = _restored(*state, common=whole._common)
            names = program._names
            key = len(program._shapes) - len(names), names, program._shapes
            whole._programs[key] = program
    except (TypeError, AttributeError) as error:
        raise ValueError(f"this is no pickled program: {error}") from error
    return whole


def compile(
    fn: Callable[..., Any],
    *examples: Any,
    max_specializations: int = 16,
    allow_constants: bool = False,
    max_shapes: int = 64,
    **keywords: Any,
) -> Program:
    """Record what `fn` does for one example, and return a program that does it for many.

    `fn` takes Values, nested as the examples are, and returns a Value or a nesting of Values. The
    program takes N rows: where an example has the shape s, an array of shape (N, *s), or one of
    shape s for all rows; it returns arrays of shape (N,). See `Program` for what else it does. An
    example is a number, an array or a nested list of numbers, or a list, tuple, namedtuple, dict or
    dataclass of examples; an array, also a Series or DataFrame of pandas, arrives as an array of
    Values, a nested list as nested lists. Strings, None and other objects that are neither numbers
    nor iterable are passed as they are, and so is `static(x)`; each call must give the same.
    Keywords are arguments of the function by keyword. Values that were there before are the
    program's parameters. Numbers, and Values that `fn` makes of numbers, are constants: random
    numbers, too, are drawn once. Whatever else `fn` does, such as appending to a list, happens only
    while it is recorded.

    Without an example the first row of the first call is the example: the first axis of an array,
    also of a nested list, is that of the rows, and a number is one for all rows. Arguments of
    another nesting or shape, or with something static that is not the same, are recorded anew, up
    to `max_shapes` in all. A function that takes no arguments is recorded at once.

    While recording, `.data` is a stand-in. A comparison of stand-ins, or of Values, is a condition,
    by which `where` selects a side for each row. Where Python asks for its truth, as ``if`` does, a
    row for which the comparison comes out otherwise is recorded on its own, up to
    `max_specializations` ways in all. Arithmetic with stand-ins is part of the program, and no
    gradient passes through it. With `allow_constants` a stand-in may also become a plain number,
    which is then the example's for every row.

    Raises ImportError without numpy; TypeError for examples that a program cannot take; ValueError
    for a keyword that the program's methods have themselves, such as `threads`; TypeError for what
    a program cannot do: turning `.data` into a plain number (the error names the line), catching
    the error of a computation (which other rows may not raise), `backward()`, a `_backward` of a
    Value's own, assigning to parameters; and whatever `fn` raises. Without an example the first
    call raises these. A call raises RuntimeError for more ways than `max_specializations`, or more
    shapes than `max_shapes`.

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
    >>> total = compile(lambda xs: sum(xs))
    >>> total([[1.0, 2.0], [3.0, 4.0]]).tolist(), total([[1.0, 2.0, 3.0]]).tolist()
    ([3.0, 7.0], [6.0])
    """
    if not callable(fn):
        raise TypeError(f"a function is required, not {type(fn).__name__!r}")
    max_specializations = as_count("max_specializations", max_specializations)
    max_shapes = as_count("max_shapes", max_shapes)
    names = tuple(sorted(keywords))
    for name in names:
        if name in OPTIONS:
            raise ValueError(
                f"{name!r} is a keyword of the program's own: have the function take it by position"
            )
    if not examples and not names and not _takes_nothing(fn):
        return ProgramByShape(fn, max_specializations, allow_constants, max_shapes)
    numbers: list[float] = []
    shapes = [
        arguments.describe(example, numbers, f"example {i}") for i, example in enumerate(examples)
    ]
    for name in names:
        shapes.append(arguments.describe(keywords[name], numbers, f"example {name!r}"))
    program = Program(fn, shapes, len(numbers), max_specializations, allow_constants, names)
    program._record(numbers, "the example")
    return program


def _takes_nothing(fn: Callable[..., Any]) -> bool:
    try:
        return not inspect.signature(fn).parameters
    except (TypeError, ValueError):  # it has none that Python knows
        return False
