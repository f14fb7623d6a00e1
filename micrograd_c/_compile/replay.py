"""Replays of one recording: the program in C, and what a call needs besides the program.

A program in C owns its memory and knows no node, so on every backend it is one of the cffi module.
"""

from __future__ import annotations

import sys
import time
from _thread import allocate_lock, start_new_thread
from collections import deque
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any
from weakref import ref

from .._library import POLL, ffi, lib
from ..engine import Value, attributes, bulk

# Programs take their memory from an arena of their own, on every backend.
_memory = lib.mg_arena_new()
if not _memory:
    raise MemoryError("no memory for an arena")
lib.mg_arena_set_poll(_memory, POLL)

FORWARD, PARAMETERS, INPUTS = lib.MG_FORWARD, lib.MG_PARAMETERS, lib.MG_INPUTS
ALL = lib.MG_ALL
NULL = ffi.NULL
KIND = 0  # the kind of processor, see mg_call: other kinds are for tests
_ENTRY = ffi.sizeof("mg_entry")
_KEPT = 1 << 26  # bytes of entries in the variants that a trace keeps
MOST_PACKED = 1 << 18  # entries of a program that has packs, which take a microsecond each
PIECE = 1 << 22  # multiplications between two looks for a signal: 1 ms; if powers, 100 ms
OPERATORS = [ffi.string(lib.mg_operator_name(op)).decode() for op in range(lib.mg_operator_count())]


def fail_after(n: int) -> None:
    """For tests: let the n-th allocation for programs from now fail; 0 lets all succeed."""
    lib.mg_arena_fail_after(_memory, n)


class _Owner(ref):  # type: ignore[type-arg]
    """A weak reference to a pointer; when the pointer dies, what it points to is freed.

    ffi.gc would not do. The garbage collector runs the destructors of ffi.gc along with the
    `__del__` methods of the objects that it has found dead, and these methods may still use the
    pointer, or keep it. A plain pointer is not tracked by the collector: it dies when nothing
    refers to it any more.
    """

    __slots__ = ("free", "thing")
    free: Callable[[Any], None]
    thing: Any


def _pointer_died(owner: _Owner, owners: dict[int, _Owner]) -> None:
    del owners[id(owner)]
    owner.free(owner.thing)


_owners: dict[int, _Owner] = {}  # by id
_free = partial(_pointer_died, owners=_owners)


def _owned(made: Any, what: str, free: Callable[[Any], None]) -> Any:
    """Return a pointer that C has made; what it points to is freed when the pointer dies.

    Raises MemoryError, naming `what`, for NULL.
    """
    if not made:
        raise MemoryError(f"no memory for {what}")
    owner = _Owner(made, _free)
    owner.free, owner.thing = free, ffi.cast(ffi.typeof(made), made)
    _owners[id(owner)] = owner
    return made


# ---- what was recorded ----


def is_plain(value: Value) -> bool:
    """Return whether a Value is a leaf without a closure."""
    return not value._children and "_backward" not in (attributes(value) or {})


class Trace:
    """What was recorded for one example, and the program made of the recording.

    `entries` is an array of mg_entry (csrc/micrograd.h) as bytes, `outputs` are places of entries,
    and each of `guards` has the fields of a mg_guard.
    """

    def __init__(
        self,
        entries: bytes,
        outputs: tuple[int, ...],
        guards: tuple[tuple[int, int, int, bool], ...],
        captured: tuple[Value, ...],
        inputs: int,
    ) -> None:
        if len(entries) % _ENTRY:
            raise ValueError("a program's entries end in the middle of one")
        self.entries, self.outputs, self.guards = entries, outputs, guards
        self.captured, self.inputs = captured, inputs
        self.moved: tuple[Value, ...] = ()  # captured Values that are inputs here: see derived.py
        self.example: tuple[float, ...] = ()  # the row that was recorded, if that was here
        self.built: Any = None  # the same compiled as C, for few rows: see _export/building.py
        self.frames: dict[int, list[Frame]] = {mode: [] for mode in range(lib.MG_MODES)}
        self._variants: dict[Any, Trace] = {}
        self._kept = 0  # bytes of their entries
        self._packs: dict[tuple[int, bool], Any] = {}
        self._passes: tuple[int, int] | None = None
        # Whether all captured Values are leaves without a closure: then their gradients are just
        # added to. From any other Value backward must go on.
        self.plain = all(map(is_plain, captured))
        status = ffi.new("mg_status *")
        parts = (
            ffi.from_buffer("mg_entry[]", entries),
            len(entries) // _ENTRY,
            inputs,
            len(captured),
            outputs,
            len(outputs),
            self._guards(),
            len(guards),
            status,
        )
        made = _to_the_end(lambda: (lib.mg_program_new(_memory, *parts), status[0]))
        if status[0] == lib.MG_UNSOUND:
            raise ValueError("these are no entries of a program: one refers to what is not there")
        self.program = _owned(made, "a program", lib.mg_program_free)
        self._suits = bool(lib.mg_packs_suit(self.program))

    @cached_property
    def nodes(self) -> Any:
        """The captured Values as `bulk` takes them at each call."""
        return bulk.Nodes(self.captured)

    def variant(self, key: Any, make: Callable[[Trace], Trace]) -> Trace:
        """Return make(self), a trace made of this one, which is kept by this key."""
        trace = self._variants.get(key)
        if trace is None:
            trace = make(self)
            if self._kept + len(trace.entries) <= _KEPT:
                self._kept += len(trace.entries)
                self._variants[key] = trace
        return trace

    def of_output(self, i: int) -> Trace:
        """Return the trace of one output alone, with the same guards."""
        if len(self.outputs) == 1:
            return self
        return self.variant(i, lambda trace: trace._cut(i))

    def _cut(self, i: int) -> Trace:
        entries = ffi.from_buffer("mg_entry[]", self.entries)
        outputs, guards = ffi.new("uint32_t[]", [self.outputs[i]]), self._guards()
        parts = outputs, 1, guards, len(self.guards), ffi.new("uint32_t[]", len(entries))
        count = lib.mg_trace_cut(entries, len(entries), *parts, NULL)
        cut = ffi.new("mg_entry[]", count)
        lib.mg_trace_cut(entries, len(entries), *parts, cut)
        kept = tuple((g.relation, g.left, g.right, bool(g.outcome)) for g in guards)
        return Trace(bytes(ffi.buffer(cut)), tuple(outputs), kept, self.captured, self.inputs)

    def passes(self) -> tuple[int, int]:
        """Return how many entries all derivatives of all outputs pass, forward and in reverse.

        Forward that is every entry, for each input; in reverse, for each output, the entries that
        the output depends on.
        """
        if self._passes is None:
            entries = ffi.from_buffer("mg_entry[]", self.entries)
            places = ffi.new("uint32_t[]", len(entries))
            cones = 0
            for output in self.outputs:
                root = ffi.new("uint32_t[]", [output])
                cones += lib.mg_trace_cut(entries, len(entries), root, 1, NULL, 0, places, NULL)
            self._passes = self.inputs * len(entries), cones
        return self._passes

    def _guards(self) -> Any:
        return ffi.new("mg_guard[]", list(self.guards))

    def facts(self) -> Any:
        facts = ffi.new("mg_program_facts *")
        lib.mg_program_describe(self.program, facts)
        return facts

    def take_frame(self, mode: int) -> Frame:
        """Return a frame that no other call uses; to be given back by give_frame."""
        frames = self.frames[mode]
        try:
            frame = frames.pop()
        except IndexError:
            frame = Frame(self, mode)
        frame.trace = self
        return frame

    def give_frame(self, mode: int, frame: Frame) -> None:
        """Take a frame back, unless an exception has ended its replay."""
        frame.trace = None
        if frame.idle:
            frame.held = None
            self.frames[mode].append(frame)

    def packs(self, mode: int, *, exact: bool) -> Any:
        """Return the program for one row at a time, see mg_packs_new; None: too long."""
        if not self._suits:
            return None
        made = self._packs.get((mode, exact))
        if made is None:
            status = ffi.new("mg_status *")
            parts = self.program, mode, exact, status
            made = _to_the_end(lambda: (lib.mg_packs_new(*parts), status[0]))
            made = self._packs[mode, exact] = _owned(made, "a program", lib.mg_packs_free)
        return made

    def listing(self, mode: int) -> str:
        """Return the instructions of one mode."""
        prepare(self.program, mode)
        size = lib.mg_program_list(self.program, mode, NULL, 0) + 1
        text = ffi.new("char[]", size)
        lib.mg_program_list(self.program, mode, text, size)
        return bytes(ffi.buffer(text, size - 1)).decode()


def prepare(program: Any, mode: int) -> None:
    if _to_the_end(lambda: (lib.mg_program_prepare(program, mode),) * 2):
        raise MemoryError("no memory for a program")


def _to_the_end(work: Callable[[], tuple[Any, int]]) -> Any:
    """Return what work() makes; work() returns that and its status.

    Ctrl-C lets work() give up, and its handler run. If the handler does not raise, work() is done
    again from the beginning, and to its end.
    """
    made, status = work()
    if status == lib.MG_INTERRUPTED:
        lib.mg_arena_set_poll(_memory, NULL)
        try:
            made, _ = work()
        finally:
            lib.mg_arena_set_poll(_memory, POLL)
    return made


class Frame:
    """What a replay needs: the arguments for C and workspaces. One replay at a time uses it."""

    def __init__(self, trace: Trace, mode: int) -> None:
        self.program, self.mode = trace.program, mode
        self.trace: Trace | None = None  # while the frame is taken
        captured, outputs = len(trace.captured), len(trace.outputs)
        self.call = call = ffi.new("mg_call *")
        self.grads = ffi.new("double[]", captured + 1)
        self.scalars = ffi.new("double[]", lib.mg_program_scalars(trace.program))
        self._columns = columns = ffi.new("mg_column[]", 2 * outputs + trace.inputs + 1)
        self.outputs, self.seeds = columns[0:outputs], columns[outputs : 2 * outputs]
        self.gradients = columns + 2 * outputs
        used = outputs if mode == FORWARD else len(columns)
        self._nothing = bytes(used * ffi.sizeof("mg_column"))
        self.data_buffer = ffi.buffer(self.scalars, 8 * captured)
        self.grads_buffer = ffi.buffer(self.grads, 8 * captured)
        call.captured_grads, call.scalars = self.grads, self.scalars
        call.outputs, call.seeds = self.outputs, self.seeds
        call.gradients, call.kind, call.scale = self.gradients, KIND, 1.0
        self.held: Any = None  # the other objects whose memory the call refers to
        self.numbers = ffi.new("uint32_t[]", len(trace.guards) + 1)  # room for groups: see ways.py
        self.ends = ffi.new("uint32_t[]", len(trace.guards) + 1)
        self.idle = True
        self.again: Callable[[], int] | None = None  # the last replay, if it can be done once more
        self.width = lib.mg_program_sums(trace.program)
        self.chunks = 0
        self.make_room(1)
        self.workspaces: list[Any] = []
        self._room: Any = None  # of a replay of one row

    def whole(self) -> Callable[[], int] | None:
        """Return what replays the call at once, and returns 1 if a guard failed for some row.

        None: that would take longer than a signal should wait.
        """
        call, trace = self.call, self.trace
        assert trace is not None
        usual = self._usual(trace)
        if usual is None or trace.built is None or call.rows != NULL or call.check:
            return usual
        few = call.count <= trace.built.most.get(self.mode, 0)
        whole: Callable[[], int] = trace.built.whole(self, usual) if few else usual
        return whole

    def _usual(self, trace: Trace) -> Callable[[], int] | None:
        call, mode = self.call, self.mode
        one = call.count == 1 and call.rows == NULL and not call.check and mode != ALL
        if one and len(trace.entries) <= MOST_PACKED * _ENTRY:
            packs = trace.packs(mode, exact=False)
            if packs is not None:
                if self._room is None:
                    self._room = ffi.new("double[]", lib.mg_packs_room(packs))
                return partial(lib.mg_replay_row, packs, mode, call, self._room)
        prepare(self.program, mode)
        if call.count * (lib.mg_program_work(self.program, mode) + 1) > PIECE:
            return None
        if not self.workspaces:
            self.workspaces.append(self.new_workspace())
        return partial(lib.mg_replay, self.program, mode, call, self.workspaces[0])

    def new_workspace(self) -> Any:
        prepare(self.program, self.mode)
        made = lib.mg_workspace_new(self.program, self.mode)
        return _owned(made, "a workspace", lib.mg_workspace_free)

    def forget(self) -> None:
        """Clear the columns of outputs, seeds and gradients, which an earlier replay has set."""
        ffi.memmove(self._columns, self._nothing, len(self._nothing))

    def make_room(self, chunks: int) -> None:
        """Make room for the sums of so many chunks."""
        if chunks > self.chunks:
            self.sums = ffi.new("double[]", self.width * chunks)
            self.call.sums = self.sums
            self.chunks = chunks

    def run(self, threads: int) -> bool:
        """Replay; return whether a guard failed for some row.

        Other threads run meanwhile, and signals are handled between pieces of the work. After an
        exception the frame is not idle, and must not be used again.
        """
        call, program, mode = self.call, self.program, self.mode
        chunks = lib.mg_replay_chunks(call.count)
        self.make_room(chunks)
        threads = 1 if sys.is_finalizing() else min(threads, chunks)
        self.idle = False
        whole = self.whole() if threads <= 1 else None
        every = call.rows == NULL and call.failed == NULL and not call.check
        self.again = whole if every else None
        if whole is not None:
            failed = bool(whole())
        elif not lib.mg_replay_begin(program, call):
            failed = True
        else:
            failed = self._run_rows(max(1, threads), chunks)
            while lib.mg_replay_end(program, mode, call):
                self._run_rows(max(1, threads), chunks)
        self.idle = True
        return failed

    def _run_rows(self, threads: int, chunks: int) -> bool:
        """Replay every chunk, shared by threads; return whether a guard failed for some row."""
        while len(self.workspaces) < threads:
            self.workspaces.append(self.new_workspace())
        crew = _Crew(self, chunks, threads)
        try:
            crew.run()
        finally:
            crew.stop()
        for trap in crew.traps:
            if trap.status and (not self.call.trap.status or trap.row < self.call.trap.row):
                self.call.trap = trap[0]
        return crew.failed


class _Crew:
    """The threads that share the chunks of one replay, the caller's thread among them.

    An exception, such as one from a signal's handler, may come to the caller between any two steps.
    The other threads are then told to stop, and waited for, before the frame and the arrays that
    they write to are given back. Each thread also refers to the frame, and the frame to the arrays:
    should a further exception end the waiting, no memory is freed while a thread writes to it.
    """

    def __init__(self, frame: Frame, chunks: int, threads: int) -> None:
        self.frame, self.threads = frame, threads
        # A thread that is free takes the next few chunks, so a thread that is disturbed does less.
        few = max(1, chunks // (16 * threads)) if threads > 1 else chunks
        self.left = deque((k, min(k + few, chunks)) for k in range(0, chunks, few))
        self.traps = [ffi.new("mg_trap *") for _ in range(threads)]
        self.failed = False  # whether a guard failed for some row
        self.error: BaseException | None = None
        self.stopped = False
        self.busy: list[int] = []  # numbers of the threads at work, without the caller's

    def run(self) -> None:
        running = []
        for k in range(1, self.threads):
            done = allocate_lock()
            done.acquire()
            try:
                # Not threading.Thread, whose start() an exception can leave half done.
                start_new_thread(self._help, (k, done))
            except RuntimeError:
                break  # no more threads can be started, as when the interpreter is about to exit
            running.append(done)
        self._work(0)
        for done in running:
            done.acquire()
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Tell the other threads to stop, and wait for them whatever exceptions come meanwhile."""
        self.stopped = True
        while self.busy:
            try:
                time.sleep(0.001)
            except BaseException:  # the first exception is on its way already
                continue

    def _help(self, k: int, done: Any) -> None:
        self.busy.append(k)
        try:
            self._work(k)
        except BaseException as error:
            self.error = error
        finally:
            self.busy.remove(k)
            done.release()

    def _work(self, k: int) -> None:
        frame, trap = self.frame, self.traps[k]
        program, mode, call, workspace = frame.program, frame.mode, frame.call, frame.workspaces[k]
        while not self.stopped:
            try:
                first, last = self.left.popleft()
            except IndexError:
                return
            progress = ffi.new("mg_progress *", {"chunk": first, "last": last})
            while lib.mg_replay_some(program, mode, call, workspace, progress, PIECE, trap):
                if self.stopped:
                    return
            if progress.failures:
                self.failed = True
