"""What the threads of the cffi backend have asked for: to record nothing, to record a program.

Of both, how many threads do is counted, so that whoever asks need not look at a thread's own state
while nobody does.
"""

from __future__ import annotations

import threading
from typing import Any

from ._library import ffi, lib
from ._lifetimes import arena, lock

no_grad = 0  # threads that record nothing now, each as often as it asked
recordings = 0  # threads that record a program to be compiled: see _recording.py


class _Thread:
    """A thread, as other threads know it."""

    __slots__ = ("depth",)

    def __init__(self) -> None:
        self.depth = 0  # how often it has asked to record nothing


class _GradOff(threading.local):
    def __init__(self) -> None:
        self.thread = _Thread()


class _Recording(threading.local):
    recorder: Any = None
    depth = 0  # of grad_off, before


grad_off = _GradOff()
recording = _Recording()


def this_thread() -> _Thread:
    """Return what set_grad_off knows this thread by."""
    return grad_off.thread


def set_grad_off(off: bool, thread: _Thread) -> None:
    """Enter or leave a stretch in which a thread records nothing."""
    global no_grad
    step = 1 if off else -1
    with lock:
        if thread.depth + step < 0:
            return
        thread.depth += step
        no_grad += step
        lib.mg_arena_set_plain(arena, not no_grad)


def start_recording(recorder: Any) -> Any:
    """Have this thread's Values ask a recorder; return where the trace starts."""
    global recordings
    if recording.recorder is not None:
        raise RuntimeError("a program is being recorded already")
    start = ffi.new("mg_position *")
    lib.mg_begin_recording(arena, start)
    recording.depth = grad_off.thread.depth
    for _ in range(recording.depth):
        set_grad_off(False, grad_off.thread)
    recording.recorder = recorder
    with lock:
        recordings += 1
    return start


def stop_recording() -> None:
    """End what start_recording began."""
    global recordings
    if recording.recorder is None:
        return
    lib.mg_end_recording(arena)
    with lock:
        recordings -= 1
    recording.recorder = None
    for _ in range(recording.depth):
        set_grad_off(True, grad_off.thread)


def refuse(what: str) -> None:
    """Raise TypeError if a program is being recorded, which cannot contain this."""
    if recordings and recording.recorder is not None:
        recording.recorder.refuse(what)
