"""What single threads have asked for: to record nothing (no_grad), or to record a program.

Both are rare. `stays` and `recorders` are empty as long as no thread has asked, and then nobody
needs to look at the state of the thread itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .._library import ffi, lib
from .arena import arena

_Result = TypeVar("_Result")

# Stays in no_grad: of each its thread, and the id of its GradOff. One list has both, so that a stay
# begins, and ends, in one step: an exception of a signal handler comes before or after.
stays: list[tuple[object, int]] = []

# Of each thread that records a program to be compiled what its Values ask: a Recorder of
# micrograd_c/_compile/recording.py. The keys of a dict, for they come and go without a call.
recorders: dict[Any, None] = {}


class _Here(threading.local):
    recorder: Any = None  # of this thread

    def __init__(self) -> None:
        self.thread = object()  # stands for this thread, and never for a later one


here = _Here()

# ---- threads that record nothing ----


def grad_is_off() -> bool:
    """Return whether this thread records nothing."""
    return bool(stays) and any(thread is here.thread for thread, _ in stays)


class GradOff:
    """What makes a thread record nothing: the base of `no_grad`.

    A stay that has not been left, because an exception came in between, ends with its GradOff.
    """

    def __enter__(self) -> None:
        try:
            stays.append((here.thread, id(self)))
            lib.mg_arena_set_plain(arena, 0)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        mine = [stay for stay in stays if stay[1] == id(self)]
        # The stay of this thread. If there is none, a generator is being closed by another thread
        # than the one that has entered the GradOff in it.
        for stay in [stay for stay in mine if stay[0] is here.thread] or mine[-1:]:
            stays.remove(stay)
            break
        lib.mg_arena_set_plain(arena, not stays)

    def __del__(self) -> None:
        while any(owner == id(self) for _, owner in stays):
            self.__exit__()


# ---- threads that record a program ----


def record(recorder: Any, work: Callable[[Any], _Result]) -> _Result:
    """Have this thread's Values ask a recorder while work(position) runs; return its result.

    The position is where the trace starts.
    """
    if here.recorder is not None:
        raise RuntimeError("a program is being recorded already")
    start = ffi.new("mg_position *")
    outside, inside = here.thread, object()
    begun = False
    # Python lets an exception of a signal's handler in when a call has ended, and between other
    # steps not. So a step is noted before it is done, and what is done here at the end makes one
    # call, as its last step.
    try:
        begun = True
        lib.mg_begin_recording(arena, start)
        recorders[recorder] = None
        here.recorder, here.thread = recorder, inside  # within no_grad a program is recorded, too
        return work(start)
    finally:
        here.recorder, here.thread = None, outside
        recorders.pop(recorder, None)
        if begun:
            lib.mg_end_recording(arena)


def after_fork() -> None:
    """In a child: forget the threads that it does not have."""
    for recorder in list(recorders):
        if recorder is not here.recorder:
            lib.mg_end_recording(arena)
            del recorders[recorder]


def refuse(what: str) -> None:
    """Raise TypeError if a program is being recorded, which cannot contain this."""
    if recorders and here.recorder is not None:
        here.recorder.refuse(what)
