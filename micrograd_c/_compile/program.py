"""Programs: a function of scalars, recorded once and replayed over many rows in C.

`compile` (compiling.py) runs a function on one example and keeps the recording as a linear program,
which computes the function, and its gradients, for whole batches. Where the function branches on
data, a row for which the branch goes another way is recorded anew: the results are those of running
the function row by row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from ..engine import Value
from . import cluster, derived, pickling
from .arguments import Shape
from .batches import (
    nest_results,
    nest_summed,
    room_for_gradients,
    room_for_results,
    seed_results,
    split_columns,
)
from .calls import replay, replay_again
from .chunks import Chunks
from .gradients import add_grads
from .jacobians import (
    collect_grads,
    hessian,
    in_order,
    jacobian,
    parameter_gradients,
    replay_along,
    with_tangents,
)
from .objective import Objective
from .program_table import program_table
from .recorded import Common, Recorded, plural
from .replay import ALL, FORWARD, INPUTS, PARAMETERS, Frame, Trace

__all__ = ["Program"]

# The keywords of a program's methods, which a function's arguments cannot have.
OPTIONS = frozenset(
    ("check", "parameters", "reduction", "seeds", "tangents", "threads", "vectors", "weights")
)

_CALL, _GRADIENT, _BOTH = object(), object(), object()  # keys of replays; of backward: reductions


class Program(Recorded):
    """A function of scalars, to be computed for many rows at a time. `compile` makes it.

    A call returns the results of N rows; `backward` adds to the gradients of `parameters`;
    `gradient`, `jacobian`, `hessian`, `vjp`, `jvp` and `hvp` return derivatives with respect to the
    arguments, `parameter_jacobian` and `objective` those with respect to the parameters. Results do
    not depend on `threads`. Copies have the same parameters, deep copies and pickles their own.
    Arguments may be arrays, or columns of dataframes, of dask: results are lazy then, of dask
    arrays in the chunks of the first; `backward` and an objective compute, by dask's scheduler.

    Attributes:
        fn: the function.

    >>> from micrograd_c import compile
    >>> program = compile(lambda x, y: x * y * y, 0.0, 0.0)
    >>> program([1.0, 2.0], [3.0, 4.0]).tolist()
    [9.0, 32.0]
    >>> [d.tolist() for d in program.gradient([1.0, 2.0], [3.0, 4.0])]
    [[9.0, 16.0], [6.0, 16.0]]
    """

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
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "__call__", threads, check)
        results, bind = room_for_results(self, rows)
        replay(self, FORWARD, rows, bind, threads=threads, check=check, key=_CALL)
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
        rows = self._rows_of(args)
        alone = threads == 1 and type(threads) is int
        plain = alone and not check and weights is None and seeds is None
        if plain:
            total = replay_again(self, reduction, rows, finish=add_grads)
            if total is not None:
                return total
        if isinstance(rows, Chunks):
            return cluster.backward(self, rows, reduction, weights, seeds, threads, check)
        bind = seed_results(self, rows, reduction, weights, seeds)
        return replay(
            self,
            PARAMETERS,
            rows,
            bind,
            threads=threads,
            check=check,
            finish=add_grads,
            key=reduction if plain else None,
        )

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
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "gradient", threads, check)
        arrays, bind = room_for_gradients(self, rows)
        replay(self, INPUTS, rows, bind, threads=threads, check=check, key=_GRADIENT)
        return nest_summed(self, arrays, rows)

    def value_and_gradient(
        self, *args: Any, threads: int = 1, check: bool = False, **keywords: Any
    ) -> Any:
        """Return (what a call returns, what `gradient` returns), computed together.

        Raises as `gradient` does.
        """
        self._require_one_result("use jacobian() or vjp()")
        rows = self._rows_of(self._join(args, keywords))
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "value_and_gradient", threads, check)
        results, bind_results = room_for_results(self, rows)
        arrays, bind_gradients = room_for_gradients(self, rows)
        bind = _both(bind_results, bind_gradients)
        replay(self, INPUTS, rows, bind, threads=threads, check=check, key=_BOTH)
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
        if isinstance(rows, Chunks):
            return cluster.lazy(
                self, rows, "vjp", threads, check, parameters=parameters, seeds=seeds
            )
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
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "jvp", threads, check, tangents=tangents)
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
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "hvp", threads, check, vectors=vectors)
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
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "hessian", threads, check)
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
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "jacobian", threads, check)
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
        if isinstance(rows, Chunks):
            return cluster.lazy(self, rows, "parameter_jacobian", threads, check)
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
        if isinstance(rows, Chunks):
            return cluster.ChunkedObjective(self, rows, reduction, weights, seeds, threads)
        return Objective(self, rows, seed_results(self, rows, reduction, weights, seeds), threads)

    # ---- what it is ----

    @property
    def specializations(self) -> int:
        """How many recordings there are, one and one more for each further way of rows."""
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

    def _repr_html_(self) -> str | None:
        """Return tables of the arguments and the recordings, for notebooks; None: use repr()."""
        return program_table(self)

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

    # ---- as C ----

    def export_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        parameters: Sequence[Value] | None = None,
        dtype: str = "double",
    ) -> None:
        """Write the program as C99 to `path`, "model.c", and its header beside it, "model.h".

        The functions `name` and `name_gradient` compute the results and the gradients of a row;
        the header says what they take. `name` is that of the file, unless given. The parameters
        stand in the order of `parameters`, which may be more than the program's own, or else in
        that of the program. `dtype` is 'double' or 'float'. A row that takes a branch which was not
        recorded gets the status NOT_RECORDED. The function is run once more for each recording, to
        name its lines in comments.

        Raises ValueError for a name that is none in C, for another dtype, and if `parameters` lacks
        one of the program's; OSError if a file cannot be written.
        """
        from .._export.files import write

        write(self, path, name, parameters, dtype)

    def build(self, compiler: str = "cc") -> None:
        """Compile the program as C, to be used for calls of few rows where that is faster.

        How few is measured, in some milliseconds; the compiler takes half a second, and a minute
        for a hundred thousand operations. Results and gradients of such calls may differ in their
        last bits from those of other calls. Further recordings, copies and pickles of the program
        are not built. Raises FileNotFoundError if there is no such compiler, and RuntimeError with
        the compiler's message if it fails.
        """
        from .._export.building import build

        build(self, compiler)
        self._ready.clear()

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
