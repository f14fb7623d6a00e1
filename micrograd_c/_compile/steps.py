"""A step of training: gradients of parameters, and the short way of the same step again.

A step on the same small arrays as the step before takes the shortest way: a frame already contains
all that C needs.
"""

from __future__ import annotations

from typing import Any

from .._library import lib
from ..engine import Value, bulk, restore
from . import checks
from .calls import error_of
from .recorded import Recorded
from .replay import NULL, PARAMETERS, Frame, Trace
from .rows import is_as_it_was


def add_grads(trace: Trace, frame: Frame) -> None:
    if trace.plain:
        if trace.captured:
            bulk.add_grads(trace.captured, frame.grads_buffer)
        return
    partials = tuple(frame.grads[i] for i in range(len(trace.captured)))
    restore(Value, "custom", 0.0, trace.captured, None, partials).backward()


def make_ready(program: Recorded, args: tuple[Any, ...], reduction: str) -> None:
    """Keep a frame that contains all that C needs for a step on the same arrays, if it can be."""
    trace, last = program._traces[0], program._last
    if not last or last[0] is not args or trace.guards or not trace.plain:
        return
    frame = trace.take_frame(PARAMETERS)
    frame.forget()
    call = frame.call
    count, call.inputs = last[2].count, last[2].columns
    call.count, call.rows, call.check = count, NULL, 0
    call.seed = 1.0 / count if reduction == "mean" else 1.0
    frame.make_room(lib.mg_replay_chunks(count))
    whole = frame.whole()
    if whole is None:
        trace.give_frame(PARAMETERS, frame)
    else:
        program._ready.append((last[1], reduction, frame, call, trace.captured, whole, last[2]))


def backward_again(program: Recorded, args: tuple[Any, ...], reduction: str) -> float | None:
    """Add the gradients of a step for which a frame is kept; return its value, or None."""
    try:
        ready = program._ready.pop()  # no other thread has the frame now
    except IndexError:
        return None
    looks, how, frame, call, captured, whole, _ = ready
    same = how == reduction and len(looks) == len(args) and all(map(is_as_it_was, args, looks))
    if not same:
        program._traces[0].give_frame(PARAMETERS, frame)
        return None
    bulk.get_numbers(captured, frame.data_buffer)
    whole()
    if call.trap.status:
        program._traces[0].give_frame(PARAMETERS, frame)
        raise checks.with_row(*error_of(call))
    bulk.add_grads(captured, frame.grads_buffer)
    total: float = call.total
    program._ready.append(ready)
    return total
