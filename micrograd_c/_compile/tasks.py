"""What is done for one chunk of rows, wherever dask has it done.

Nothing here depends on what a process has done before, but for time: a chunk's numbers are the same
on whatever worker, and however often they are computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .._nesting import open_container, pack
from . import arguments, checks
from .arguments import Array
from .batches import nest_gradients, seed_results
from .calls import Group, replay
from .chunks import is_dask
from .jacobians import collect_grads, in_order
from .parcels import Parcel
from .recorded import Recorded
from .replay import FORWARD, PARAMETERS, Frame, Trace
from .rows import Rows, take_rows


@dataclass(frozen=True)
class Call:
    """What is the same for all chunks of a call: it travels once per worker."""

    method: str
    options: dict[str, Any]
    keyword: str | None = None  # of the arrays behind the arguments: seeds, tangents, ...
    numbers: Any = None  # of the parcel's Values
    parameters: int = 0  # how many of these are the program's parameters
    given: tuple[Any, ...] = ()  # each array that is one row for all rows; None: there are blocks

    def with_numbers(
        self, numbers: Any, parameters: int, arrays: list[Any], shared: list[bool]
    ) -> Call:
        given = [a if one and not is_dask(a) else None for a, one in zip(arrays, shared)]
        return replace(self, numbers=numbers, parameters=parameters, given=tuple(given))


Place = tuple[int, int | None]  # the number of a chunk, and its first row if that is known


def run(place: Place, parcel: Parcel, call: Call, *blocks: Any) -> Any:
    """Return the arrays of a chunk, a tuple.

    For `backward` it has one array: [rows, sum of their weights, sum of results, *its gradient].
    """
    found = iter(blocks)
    arrays = [next(found) if one is None else one for one in call.given]
    with parcel.program(call.numbers) as program, naming(*place):
        if call.method == "backward":
            return (_sums(program, arrays, call),)
        args, keywords, further = _nest(program, arrays, call)
        options = dict(call.options)
        summed = options.pop("parameters", False)
        leaves = list(
            _leaves(getattr(program, call.method)(*args, **keywords, **further, **options))
        )
        if summed:
            leaves.append(_of_known(_sums(program, arrays, call)[3:], call))
        elif call.method == "parameter_jacobian":
            leaves = [_of_known(leaf, call) for leaf in leaves]
        return tuple(leaves)


def _nest(
    program: Recorded, arrays: list[Any], call: Call
) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
    """Return arguments, keywords, and the arrays behind the arguments, as the methods take them."""
    count = len(program._arrays)
    found = iter(arrays[:count])
    args = tuple(_batch(shape, found) for shape in program._shapes)
    named = len(args) - len(program._names)
    keywords = dict(zip(program._names, args[named:]))
    further: dict[str, Any] = {}
    if call.keyword == "seeds":
        further["seeds"] = arguments.nest_arrays(program._result, iter(arrays[count:]))
    elif call.keyword is not None:
        further[call.keyword] = nest_gradients(program, arrays[count:])
    return args[:named], keywords, further


def _batch(shape: arguments.Shape, found: Iterator[Any]) -> Any:
    """Return the batch of this shape made of the arrays that are found."""
    if isinstance(shape, arguments.Static):
        return shape
    if isinstance(shape, Array):
        return next(found)
    items = [_batch(item, found) for item in shape.items]
    return pack(shape.kind, shape.keys, items)


def _leaves(nesting: Any) -> Iterator[Any]:
    """Yield the arrays in what a method returns; in the place of what is static there is None."""
    opened = open_container(nesting)
    if opened is None:
        if nesting is not None:
            yield nesting
        return
    for item in opened[2]:
        yield from _leaves(item)


def _of_known(leaf: Any, call: Call) -> Any:
    """Return the derivatives by the program's parameters alone."""
    if leaf[..., call.parameters :].any():
        raise RuntimeError(
            "rows take a branch of the function that uses further parameters: call backward() for "
            "such rows first"
        )
    return leaf[..., : call.parameters]


# ---- sums over the rows of a chunk ----


def _sums(program: Recorded, arrays: list[Any], call: Call) -> Any:
    """Return the rows, their weights, the sum of the results and its gradient, in one array.

    Rows are added up way by way, the ways through the function in the order of their first rows. A
    replay as such would add them up in an order that depends on which ways it has met before.
    """
    flat = [(shape, array, "an argument") for shape, array in zip(program._arrays, arrays)]
    rows, _ = take_rows(program._np, flat, program._inputs)
    if len(program._traces) == 1:
        sums, groups = _add_up(program, arrays, rows, call)
        if len(groups) <= 1:
            return sums
    else:
        groups = []
        collect = partial(_collect_group, program, groups)
        threads = call.options["threads"]
        replay(program, FORWARD, rows, lambda frame: None, threads=threads, finish=collect)
    return _add_up(program, arrays, rows, call, groups)[0]


def _add_up(
    program: Recorded, arrays: list[Any], rows: Rows, call: Call, known: list[Group] | None = None
) -> tuple[Any, list[Group]]:
    """Return the sums over rows, added up in one replay, and the rows of each way."""
    np, behind = program._np, arrays[len(program._arrays) :]
    weights = behind[0] if call.keyword == "weights" else None
    seeds = None
    if call.keyword == "seeds":
        seeds = arguments.nest_arrays(program._result, iter(behind))
    bind = seed_results(program, rows, "sum", weights, seeds)
    grads: list[tuple[Trace, Any]] = []
    groups: list[Group] = []
    collect = collect_grads(np, grads)

    def finish(trace: Trace, frame: Frame) -> None:
        collect(trace, frame)
        _collect_group(program, groups, trace, frame)

    threads, check = call.options["threads"], call.options["check"]
    total = replay(
        program,
        PARAMETERS,
        rows,
        bind,
        threads=threads,
        check=check,
        finish=finish,
        known=known,
    )
    with np.errstate(over="ignore", invalid="ignore"):
        together = 0.0 if weights is None else float(np.sum(weights, dtype=np.float64))
    return np.concatenate([[rows.count, together, total], in_order(program, grads)]), groups


def _collect_group(program: Recorded, groups: list[Group], trace: Trace, frame: Frame) -> None:
    """Append the rows of a replay that have failed no guard, with their way."""
    rows, left, failed = frame.held[:3]
    mine = program._np.arange(rows.count, dtype=program._np.uint32) if left is None else left
    if failed is not None:
        mine = mine[failed == 0]
    groups.append((int(mine[0]), program._ways.to(program._traces.index(trace)), mine))


# ---- rows in error ----

_ROW = re.compile(r"row (\d+)(?=:| takes)")


@contextmanager
def naming(chunk: int, first: int | None) -> Iterator[None]:
    """Have an error name the chunk, and the row's number among all rows if that is known."""
    try:
        yield
    except Exception as error:
        if type(error) not in (*checks.ARITHMETIC, FloatingPointError, RuntimeError, TypeError):
            error.add_note(f"in chunk {chunk}")
            raise
        text = str(error)
        found = _ROW.match(text)
        if found is not None:
            of_all = "" if first is None else f" (row {first + int(found[1])} of all)"
            text = found[0] + of_all + text[found.end() :]
        raise type(error)(f"chunk {chunk}, {text}") from error
