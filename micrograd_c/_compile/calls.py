"""A call of a program: each row is replayed with the trace that is right for the row.

Rows that fail a guard go on to the next trace on their way, which is recorded if there is none.
The first row in error is found again by the function itself, if the call checks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from heapq import heappop, heappush
from typing import Any

from .._library import ffi, lib
from .._value_methods import arithmetic_error, as_count
from ..engine import bulk
from . import checks
from .recorded import Recorded
from .replay import ALL, FORWARD, NULL, OPERATORS, Frame, Trace
from .rows import Rows
from .tables import wrong_index
from .ways import START, Way, part

Group = tuple[int, Way, Any]  # the first row, the way the rows have come, their numbers (None: all)


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
    known: list[Group] | None = None,
    key: Any = None,
) -> float:
    """Replay these rows, each with the trace that is right for the row.

    `bind` tells a frame where results go. With `variant` what is replayed is variant(trace).
    `load` gives a frame the numbers of the captured Values, instead of these Values, which have
    the same ones within `recording`, and `finish` takes their gradients. `known` are the rows by
    the way that is right for each, if that is known. What calls with the same `key` bind are the
    same columns, and the same seeds. Returns the sum of seeds times outputs.
    """
    program._refuse_own_call()
    threads = as_count("threads", threads)
    alike = key if threads == 1 and not check else None
    if alike is not None:
        again = replay_again(program, alike, rows, bind, finish)
        if again is not None:
            return again
    replayed = ALL if check and mode != FORWARD else mode  # as row-by-row backward() checks
    total = 0.0
    # The group with the lowest first row is next, so rows are recorded in their order.
    groups: list[Group] = [(0, START, None)] if rows.count else []
    if known is not None:
        groups = sorted(known, key=lambda group: group[0])
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
                bulk.get_numbers(trace.nodes, frame.data_buffer)
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
        if alike is not None and len(done) == len(program._traces) == 1 and frame.again is not None:
            done.clear()
            frame.held = None
            ready = rows.count, frame, frame.call, trace.nodes, frame.again
            program._ready.setdefault(alike, []).append(ready)
    finally:
        for trace, frame in done:
            trace.give_frame(replayed, frame)
    return total


def replay_again(
    program: Recorded,
    key: Any,
    rows: Rows,
    bind: Callable[[Frame], None] | None = None,
    finish: Callable[[Trace, Frame], None] | None = None,
) -> float | None:
    """Replay as the last call with this key did, in its frame, which has all but the arrays.

    Returns None if there was no such call, or it had another number of rows.
    """
    try:
        frames = program._ready[key]
        ready = frames.pop()  # no other thread has the frame now
    except (KeyError, IndexError, TypeError):
        return None
    count, frame, call, nodes, whole = ready
    if count != rows.count:
        frame.trace.give_frame(frame.mode, frame)
        return None
    call.inputs = rows.columns
    bulk.get_numbers(nodes, frame.data_buffer)
    if bind is not None:
        bind(frame)
    whole()
    if call.trap.status:  # a wrong index
        error = error_of(call)
        frame.trace.give_frame(frame.mode, frame)
        raise checks.with_row(*error) from error[1]
    if finish is not None:
        finish(frame.trace, frame)
    total: float = call.total
    frames.append(ready)
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
