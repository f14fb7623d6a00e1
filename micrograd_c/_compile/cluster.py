"""Programs over dask arrays: lazy results, and sums over chunks, wherever dask computes them.

A result is a dask array in the chunks of the arguments. What is summed over rows is summed within
chunks, and the chunks' sums are added up in a tree whose shape depends on their number alone: so do
the last bits of the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .._value_methods import as_count
from ..engine import Value, bulk
from . import arguments
from .arguments import Array
from .batches import check_reduction, nest_gradients, split_nesting
from .chunks import Chunks, Flat
from .gradients import give_grads
from .graphs import chunk_tasks, item, summed
from .objective import Objective
from .parcels import pack
from .recorded import Recorded
from .tasks import Call

# ---- what methods return ----


class Form(NamedTuple):
    """What a method returns: the shape of a row of each array, and how arrays are nested."""

    arrays: list[tuple[tuple[int, ...], bool]]  # with whether it is summed over the rows
    nest: Callable[[Iterator[Any]], Any]


def _results(program: Recorded, *rest: int) -> Form:
    arrays = [((*array.shape, *rest), False) for array in program._outputs]
    return Form(arrays, lambda found: arguments.nest_arrays(program._result, found))


def _gradients(program: Recorded, shared: list[bool]) -> Form:
    arrays = [(array.shape, one) for array, one in zip(program._arrays, shared)]
    return Form(arrays, lambda found: nest_gradients(program, [next(found) for _ in arrays]))


def _both(first: Form, second: Form) -> Form:
    return Form(first.arrays + second.arrays, lambda found: (first.nest(found), second.nest(found)))


def _jacobian(program: Recorded) -> Form:
    rows = _gradients(program, [False] * len(program._arrays))
    arrays = [(a.shape + b.shape, False) for a in program._outputs for b in program._arrays]

    def nest(found: Iterator[Any]) -> Any:
        of_each = [rows.nest(found) for _ in program._outputs]
        return arguments.nest_arrays(program._result, iter(of_each))

    return Form(arrays, nest)


def _hessian(program: Recorded) -> Form:
    rows = _gradients(program, [False] * len(program._arrays))
    arrays = [(a.shape + b.shape, False) for a in program._arrays for b in program._arrays]
    return Form(
        arrays, lambda found: nest_gradients(program, [rows.nest(found) for _ in program._arrays])
    )


def _form(program: Recorded, method: str, shared: list[bool], parameters: bool) -> Form:
    count = len(program.parameters)
    if method == "jacobian":
        return _jacobian(program)
    if method == "hessian":
        return _hessian(program)
    if method == "parameter_jacobian":
        return _results(program, count)
    results, gradients = _results(program), _gradients(program, shared)
    if parameters:
        return _both(gradients, Form([((count,), True)], next))
    return {
        "__call__": results,
        "value_and_gradient": _both(results, gradients),
        "jvp": _both(results, results),
    }.get(method, gradients)


# ---- lazy results ----


def lazy(
    program: Recorded,
    chunks: Chunks,
    method: str,
    threads: int,
    check: bool,
    *,
    parameters: bool = False,
    **behind: Any,
) -> Any:
    """Return what a method returns, with dask arrays in the chunks of the arguments.

    They are computed with the numbers that the parameters have now. `behind` are seeds, tangents or
    vectors, by this name. Raises as the method does; errors of rows are raised when these are
    computed.
    """
    form = _form(program, method, chunks.shared, parameters)
    options: dict[str, Any] = {"threads": as_count("threads", threads), "check": check}
    if parameters:
        options["parameters"] = True
    [(keyword, nesting)] = behind.items() if behind else [(None, None)]
    flat = [] if keyword is None else _flat(program, keyword, nesting)
    blocks = _blocks(program, chunks, Call(method, options, keyword), flat)[0]
    found = []
    for i, (shape, is_summed) in enumerate(form.arrays):
        found.append((summed if is_summed else item)(blocks, i, shape))
    return form.nest(iter(found))


def _flat(program: Recorded, name: str, nesting: Any) -> Flat:
    """Return the arrays in seeds, tangents, vectors or weights."""
    flat: Flat = []
    if name == "weights":
        flat.append((Array((), 0, 1), nesting, name))
    elif name == "seeds":
        arguments.flatten(program._result, nesting, name, flat)
    else:
        given = split_nesting(program, nesting, name)
        for i, (shape, one) in enumerate(zip(program._shapes, given)):
            where = f"{name}[{i}]" if len(given) > 1 else name
            arguments.flatten(shape, one, where, flat, static=False)
    return flat


def _blocks(
    program: Recorded,
    chunks: Chunks,
    call: Call,
    flat: Flat,
    theta: Any = None,
    stay: bool = False,
) -> tuple[Any, tuple[Value, ...]]:
    """Return the tasks of a call (see chunk_tasks) and the Values whose numbers these have.

    The first parameters have the numbers theta, if that is given.
    """
    one_for_all = call.keyword in ("tangents", "vectors")
    behind, shared = chunks.align(program._np, flat, one_for_all)
    arrays, ones = chunks.arrays + behind, chunks.shared + shared
    parcel, values = pack(program)
    numbers = program._np.empty(len(values))
    bulk.get_numbers(values, numbers)
    if theta is not None:
        numbers[: len(theta)] = theta
    call = call.with_numbers(numbers, len(program.parameters), arrays, ones)
    return chunk_tasks(parcel, call, chunks, arrays, ones, stay), values


# ---- sums over all rows ----


class Sums(NamedTuple):
    """The results of all rows added up, and the gradient of the sum."""

    total: float
    gradient: Any
    values: tuple[Value, ...]  # the gradient's; those that have none are 0


def sums(
    program: Recorded,
    chunks: Chunks,
    reduction: str,
    weights: Any,
    seeds: Any,
    threads: int,
    check: bool = False,
    theta: Any = None,
) -> Sums:
    """Compute the reduced results and their gradient, by the active scheduler of dask.

    Parameters that are met on the way for the first time become the program's.
    """
    check_reduction(program, reduction, weights, seeds)
    options = {"threads": as_count("threads", threads), "check": check}
    keyword = "weights" if weights is not None else "seeds" if seeds is not None else None
    flat = [] if keyword is None else _flat(program, keyword, weights if seeds is None else seeds)
    call, known = Call("backward", options, keyword), len(program.parameters)
    blocks, values = _blocks(program, chunks, call, flat, theta, stay=True)
    found = summed(blocks, 0, (3 + len(values),)).compute()
    (rows, together, total), gradient = found[:3].tolist(), found[3:]
    mean = seeds is None and reduction == "mean"
    if mean and weights is not None and together == 0.0:
        raise ValueError("the mean with weights whose sum is 0")
    if mean and not rows:
        raise ValueError("the mean of no rows")
    _adopt(program, values[known:], gradient[known:])
    if mean:
        divisor = rows if weights is None else together
        total /= divisor
        with program._np.errstate(invalid="ignore"):
            gradient[gradient != 0.0] /= divisor  # what no row uses keeps 0, whatever the weights
    return Sums(total, gradient, values)


def _adopt(program: Recorded, values: tuple[Value, ...], gradient: Any) -> None:
    """Have Values that a branch on a worker has used be parameters of the program."""
    new = [value for value, number in zip(values, gradient) if number != 0.0]
    if new:
        with program._common.lock:
            known = {id(p) for p in program.parameters}
            program._common.parameters += [value for value in new if id(value) not in known]


def backward(
    program: Recorded,
    chunks: Chunks,
    reduction: str,
    weights: Any,
    seeds: Any,
    threads: int,
    check: bool,
) -> float:
    """Add the gradient of the reduced results to the parameters' `.grad`; return their value."""
    found = sums(program, chunks, reduction, weights, seeds, threads, check)
    mine = {id(p) for p in program.parameters}
    places = [i for i, value in enumerate(found.values) if id(value) in mine]
    give_grads(tuple(found.values[i] for i in places), found.gradient[places])
    return found.total


class ChunkedObjective(Objective):
    """An objective whose rows are dask arrays: each call computes all chunks."""

    def __init__(
        self,
        program: Recorded,
        chunks: Chunks,
        reduction: str,
        weights: Any,
        seeds: Any,
        threads: int,
    ) -> None:
        check_reduction(program, reduction, weights, seeds)
        super().__init__(program, chunks, None, threads)
        self._chunks, self._reduced = chunks, (reduction, weights, seeds)

    def __call__(self, theta: Any) -> tuple[float, Any]:
        """Return the value and its gradient, an array of shape (P,), as an `Objective` does."""
        numbers = self.vector.check(theta, "theta")
        found = sums(self._program, self._chunks, *self._reduced, self._threads, theta=numbers)
        own = len(numbers)
        if found.gradient[own:].any():
            raise RuntimeError(
                "a row takes a branch of the function that uses further parameters: "
                "make a new objective"
            )
        return found.total, found.gradient[:own]
