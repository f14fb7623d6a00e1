"""What single threads have asked for: no_grad, detect_anomaly, or to record a program.

All are rare. `stays` and `recorders` are empty as long as no thread has asked, and then nobody
needs to look at the state of the thread itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .._library import ffi, lib
from .arena import arena

_Result = TypeVar("_Result")

# Stays in blocks: of each its thread, the id of its Block, and what the block is for. One list has
# all, so that a stay begins, and ends, in one step: an exception of a signal handler comes before
# or after.
stays: list[tuple[object, int, Any]] = []

# Of each thread that records a program to be compiled what its Values ask: a Recorder of
# micrograd_c/_compile/recording.py. The keys of a dict, for they come and go without a call.
recorders: dict[Any, None] = {}


class _Here(threading.local):
    recorder: Any = None  # of this thread
    awaited: Any = None  # see _construct_result of value.py

    def __init__(self) -> None:
        self.thread = object()  # stands for this thread, and never for a later one


here = _Here()

# ---- threads within blocks ----


def _is_within(kind: type[Block]) -> bool:
    return bool(stays) and any(t is here.thread and k is kind for t, _, k in stays)


def grad_is_off() -> bool:
    """Return whether this thread records nothing."""
    return _is_within(GradOff)


def is_watched() -> bool:
    """Return whether this thread is in detect_anomaly, and records no program."""
    return _is_within(Watch) and here.recorder is None


def is_anyone_watched() -> bool:
    """Return whether any thread is in detect_anomaly."""
    return any(kind is Watch for _, _, kind in stays)


class Block:
    """What a thread enters and leaves. `kind` is the class that says what for.

    A stay that has not been left, because an exception came in between, ends with its Block.
    """

    kind: type[Block]

    def __enter__(self) -> None:
        try:
            stays.append((here.thread, id(self), self.kind))
            lib.mg_arena_set_plain(arena, 0)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *error: object) -> None:
        mine = [stay for stay in stays if stay[1] == id(self)]
        # The stay of this thread. If there is none, a generator is being closed by another thread
        # than the one that has entered the Block in it.
        for stay in [stay for stay in mine if stay[0] is here.thread] or mine[-1:]:
            stays.remove(stay)
            break
        lib.mg_arena_set_plain(arena, not stays)

    def __del__(self) -> None:
        while any(owner == id(self) for _, owner, _ in stays):
            self.__exit__()


class GradOff(Block):
    """What makes a thread record nothing: the base of `no_grad`."""


class Watch(Block):
    """What makes a thread look at each result: the base of `detect_anomaly`."""


GradOff.kind, Watch.kind = GradOff, Watch


class _Hooks:
    """What _anomaly.py does in detect_anomaly."""

    look: Callable[[Any, float, int, int], None]
    follow: Callable[[list[Any]], None]
    locate: Callable[[Exception], Exception]


hooks = _Hooks()


def watch_by(look: Any, follow: Any, locate: Any) -> None:
    """Have these functions of _anomaly.py called in detect_anomaly."""
    hooks.look, hooks.follow, hooks.locate = look, follow, locate


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
        here.recorder, here.thread = recorder, inside  # a program is recorded within no block
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
