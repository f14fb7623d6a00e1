"""What the threads of the cffi backend have asked for: to record nothing, to record a program.

Whoever asks need not look at a thread's own state while no thread has asked for anything.
"""

from __future__ import annotations

import threading
from typing import Any

from .._library import ffi, lib
from .lifetimes import arena, lock

recordings = 0  # threads that record a program to be compiled: see _compile/recording.py

# Stays in no_grad, each its thread and the id of its GradOff. One list, so that one step begins a
# stay, and one ends it: an interrupt comes before or after.
stays: list[tuple[object, int]] = []


class _Here(threading.local):
    def __init__(self) -> None:
        self.thread = object()  # never that of a later thread


class _Recording(threading.local):
    recorder: Any = None
    thread: object = None  # what it was before


here = _Here()
recording = _Recording()


def grad_is_off() -> bool:
    """Return whether this thread records nothing."""
    return bool(stays) and any(thread is here.thread for thread, _ in stays)


class GradOff:
    """What makes a thread record nothing: the base of `no_grad`.

    What has been entered and not left, for an interrupt has come in between, ends with its life.
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
        # That of this thread; else a generator that another thread has entered it in is closed.
        for stay in [stay for stay in mine if stay[0] is here.thread] or mine[-1:]:
            stays.remove(stay)
            break
        lib.mg_arena_set_plain(arena, not stays)

    def __del__(self) -> None:
        while any(owner == id(self) for _, owner in stays):
            self.__exit__()


def start_recording(recorder: Any) -> Any:
    """Have this thread's Values ask a recorder; return where the trace starts."""
    global recordings
    if recording.recorder is not None:
        raise RuntimeError("a program is being recorded already")
    start = ffi.new("mg_position *")
    lib.mg_begin_recording(arena, start)
    recording.thread, here.thread = here.thread, object()  # which is in no stay yet
    recording.recorder = recorder
    with lock:
        recordings += 1
    return start


def stop_recording(recorder: Any) -> None:
    """End what start_recording began for this recorder, if it has."""
    global recordings
    if recording.recorder is not recorder:
        return
    lib.mg_end_recording(arena)
    with lock:
        recordings -= 1
    recording.recorder = None
    here.thread = recording.thread


def after_fork() -> None:
    """In a child: forget the threads that it does not have."""
    global recordings
    mine = int(recording.recorder is not None)
    while recordings > mine:
        lib.mg_end_recording(arena)
        recordings -= 1


def refuse(what: str) -> None:
    """Raise TypeError if a program is being recorded, which cannot contain this."""
    if recordings and recording.recorder is not None:
        recording.recorder.refuse(what)
