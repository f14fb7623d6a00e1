"""Replays of one recording: the program in C, and what a call needs beside it.

Programs own their memory and know no node: they are those of the cffi module on every backend.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ._library import ffi, lib
from .engine import Value, attributes

# Programs take their memory from an arena of their own, on every backend.
_memory = lib.mg_arena_new()
if not _memory:
    raise MemoryError("no memory for an arena")

FORWARD, PARAMETERS, INPUTS = lib.MG_FORWARD, lib.MG_PARAMETERS, lib.MG_INPUTS
ALL = lib.MG_ALL
NULL = ffi.NULL
KIND = 0  # of processor, see mg_call: for tests
_KEPT = 1 << 26  # bytes of entries in the programs of single outputs that a trace keeps
OPERATORS = [ffi.string(lib.mg_operator_name(op)).decode() for op in range(lib.mg_operator_count())]


def fail_after(n: int) -> None:
    """Let the n-th allocation for programs from now fail; 0: none. For tests."""
    lib.mg_arena_fail_after(_memory, n)


def _checked(made: Any, what: str) -> Any:
    if not made:
        raise MemoryError(f"no memory for {what}")
    return made


# ---- what was recorded ----


class Trace:
    """What was recorded for one example, and the program made of it."""

    def __init__(
        self,
        entries: bytes,
        outputs: tuple[int, ...],
        guards: tuple[tuple[int, int, int, bool], ...],
        captured: tuple[Value, ...],
        inputs: int,
    ) -> None:
        self.entries, self.outputs, self.guards = entries, outputs, guards
        self.captured, self.inputs = captured, inputs
        self.frames: dict[int, list[Frame]] = {mode: [] for mode in range(lib.MG_MODES)}
        self._singles: dict[int, Trace] = {}
        # Leaves whose gradient is a plain sum: it is added to. Through others backward goes on.
        self.plain = not any(
            len(v._children) or "_backward" in (attributes(v) or {}) for v in captured
        )
        made = lib.mg_program_new(
            _memory,
            ffi.from_buffer("mg_entry[]", entries),
            len(entries) // ffi.sizeof("mg_entry"),
            inputs,
            len(captured),
            outputs,
            len(outputs),
            ffi.new("mg_guard[]", list(guards)),
            len(guards),
        )
        self.program = ffi.gc(
            _checked(made, "a program"), lambda p: lib.mg_program_free(_memory, p)
        )

    def of_output(self, i: int) -> Trace:
        """Return the trace of one output alone, with the same guards."""
        single = self._singles.get(i)
        if single is None:
            outputs = (self.outputs[i],)
            single = Trace(self.entries, outputs, self.guards, self.captured, self.inputs)
            if len(self._singles) * len(self.entries) < _KEPT:
                self._singles[i] = single
        return single

    def facts(self) -> Any:
        facts = ffi.new("mg_program_facts *")
        lib.mg_program_describe(self.program, facts)
        return facts

    def take_frame(self, mode: int) -> Frame:
        """Return a frame that nobody else uses; to be given back."""
        frames = self.frames[mode]
        try:
            return frames.pop()
        except IndexError:
            return Frame(self, mode)

    def listing(self, mode: int) -> str:
        """Return the instructions of one mode."""
        prepare(self, mode)
        size = lib.mg_program_list(self.program, mode, NULL, 0) + 1
        text = ffi.new("char[]", size)
        lib.mg_program_list(self.program, mode, text, size)
        return bytes(ffi.buffer(text, size - 1)).decode()


def prepare(trace: Trace, mode: int) -> None:
    if lib.mg_program_prepare(_memory, trace.program, mode):
        raise MemoryError("no memory for a program")


class Frame:
    """What one replay at a time needs: arguments for C and a workspace."""

    def __init__(self, trace: Trace, mode: int) -> None:
        prepare(trace, mode)
        self.program, self.mode = trace.program, mode
        captured, outputs = len(trace.captured), len(trace.outputs)
        self.call = call = ffi.new("mg_call *")
        self.data = ffi.new("double[]", captured + 1)
        self.grads = ffi.new("double[]", captured + 1)
        self.scalars = ffi.new("double[]", lib.mg_program_scalars(trace.program))
        self.outputs = ffi.new("mg_column[]", outputs)
        self.seeds = ffi.new("mg_column[]", outputs)
        self.inputs = trace.inputs
        wanted = self.inputs * outputs if mode in (INPUTS, ALL) else 0
        self.gradients = ffi.new("mg_column[]", wanted + 1)
        self.data_buffer = ffi.buffer(self.data, 8 * captured)
        self.grads_buffer = ffi.buffer(self.grads, 8 * captured)
        call.captured, call.captured_grads = self.data, self.grads
        call.scalars, call.outputs, call.seeds = self.scalars, self.outputs, self.seeds
        call.gradients, call.kind = self.gradients, KIND
        self.width = lib.mg_program_sums(trace.program)
        self.chunks = 0
        self.make_room(1)
        self.workspaces = [self.new_workspace()]

    def new_workspace(self) -> Any:
        made = lib.mg_workspace_new(_memory, self.program, self.mode)
        return ffi.gc(_checked(made, "a workspace"), lambda w: lib.mg_workspace_free(_memory, w))

    def columns_of_output(self, output: int) -> Any:
        """Return where the places for an output's gradients, one for each input, begin."""
        return self.gradients + output * self.inputs

    def forget_gradients(self) -> None:
        """Have no place for the gradients of inputs, of which an earlier replay had some."""
        size = ffi.sizeof(self.gradients)
        ffi.memmove(self.gradients, bytes(size), size)

    def make_room(self, chunks: int) -> None:
        """Have room for the sums of so many chunks."""
        if chunks > self.chunks:
            self.sums = ffi.new("double[]", self.width * chunks)
            self.call.sums = self.sums
            self.chunks = chunks

    def run(self, threads: int) -> int:
        """Replay; return 0, 1 if a guard failed for some row, or 2 if for all."""
        call, program, mode = self.call, self.program, self.mode
        chunks = lib.mg_replay_chunks(call.count)
        self.make_room(chunks)
        if threads <= 1 or chunks <= 1:
            return lib.mg_replay(program, mode, call, self.workspaces[0])  # type: ignore[no-any-return]
        return self._run_threads(min(threads, chunks), chunks)

    def _run_threads(self, threads: int, chunks: int) -> int:
        call, program, mode = self.call, self.program, self.mode
        while len(self.workspaces) < threads:
            self.workspaces.append(self.new_workspace())
        if not lib.mg_replay_begin(program, call):
            return 2
        traps = [ffi.new("mg_trap *") for _ in range(threads)]
        # Whoever is free takes the next few chunks: a thread that is disturbed does less.
        few = max(1, chunks // (16 * threads))
        left = deque(range(0, chunks, few))

        def part(k: int) -> int:
            failures = 0
            while True:
                try:
                    first = left.popleft()
                except IndexError:
                    return failures
                last = min(first + few, chunks)
                failures |= lib.mg_replay_rows(
                    program, mode, call, self.workspaces[k], first, last, traps[k]
                )

        others = [_pool(threads).submit(part, k) for k in range(1, threads)]
        failures = part(0)
        for other in others:
            failures |= other.result()
        lib.mg_replay_end(program, mode, call)
        for trap in traps:
            if trap.status and (not call.trap.status or trap.row < call.trap.row):
                call.trap = trap[0]
        return failures


_pools: dict[int, ThreadPoolExecutor] = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # their threads are the parent's


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads - 1, "micrograd_c")
    return _pools[threads]
