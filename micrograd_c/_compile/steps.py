"""A step of training: gradients of parameters, and the short way of the same step again.

A step on as many rows as the step before takes the shortest way: a frame already contains all that
C needs, but for the rows.
"""

from __future__ import annotations

from typing import Any

from .._library import lib
from ..engine import Value, bulk, restore
from . import checks
from .calls import error_of
from .recorded import Recorded
from .replay import NULL, PARAMETERS, Frame, Trace, is_plain
from .rows import Rows


def add_grads(trace: Trace, frame: Frame) -> None:
    if trace.plain:
        if trace.captured:
            bulk.add_grads(trace.nodes, frame.grads_buffer)
        return
    partials = tuple(frame.grads[i] for i in range(len(trace.captured)))
    restore(Value, "custom", 0.0, trace.captured, None, partials).backward()


def give_grads(values: tuple[Value, ...], grads: Any) -> None:
    """Add an array of gradients to Values, and have those that were made from others pass it on."""
    if all(is_plain(value) for value in values):
        bulk.add_grads(values, grads)
    else:
        restore(Value, "custom", 0.0, values, None, tuple(grads.tolist())).backward()


def make_ready(program: Recorded, rows: Rows, reduction: str) -> None:
    """Keep a frame with all that C needs for a step on as many rows, but for the rows."""
    trace = program._traces[0]
    if trace.guards or not trace.plain:
        return
    frame = trace.take_frame(PARAMETERS)
    frame.forget()
    call = frame.call
    call.count, call.rows, call.check = rows.count, NULL, 0
    call.seed = 1.0 / rows.count if reduction == "mean" else 1.0
    frame.make_room(lib.mg_replay_chunks(rows.count))
    whole = frame.whole()
    if whole is None:
        trace.give_frame(PARAMETERS, frame)
    else:
        program._ready.append((reduction, rows.count, frame, call, trace.nodes, whole))


def backward_again(program: Recorded, rows: Rows, reduction: str) -> float | None:
    """Add the gradients of a step for which a frame is kept; return its value, or None."""
    try:
        ready = program._ready.pop()  # no other thread has the frame now
    except IndexError:
        return None
    how, count, frame, call, nodes, whole = ready
    if how != reduction or count != rows.count:
        program._traces[0].give_frame(PARAMETERS, frame)
        return None
    call.inputs = rows.columns
    bulk.get_numbers(nodes, frame.data_buffer)
    whole()
    if call.trap.status:
        program._traces[0].give_frame(PARAMETERS, frame)
        raise checks.with_row(*error_of(call))
    bulk.add_grads(nodes, frame.grads_buffer)
    total: float = call.total
    program._ready.append(ready)
    return total
