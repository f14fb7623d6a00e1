"""A program's C, compiled and loaded, for calls of few rows.

What is compiled is the file that `export_c` writes; csrc/program/built.c has the loop over rows.
Where a row takes a branch that was not recorded, or a wrong index, the call is replayed as ever.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cffi import FFI

from .._compile.recorded import Recorded
from .._compile.replay import FORWARD, INPUTS, NULL, PARAMETERS, Frame, Trace
from .._library import ffi, lib
from ..engine import bulk
from .files import Source

FLAGS = ("-std=c99", "-O3", "-ffp-contract=off", "-shared", "-fPIC")
MOST_ROWS = 64
_ROUNDS = 7


class Built:
    """A trace's C, loaded; `most` is up to how many rows it is faster, by mode."""

    def __init__(self, program: Recorded, trace: Trace, compiler: str) -> None:
        self.most = dict.fromkeys((FORWARD, PARAMETERS, INPUTS), 0)
        source = Source(program, [trace], trace.captured, "model", room=True)
        text = source.source("model", "double").replace('#include "model.h"', source.header())
        self._library = _compiled(text, compiler)
        self._built = ffi.new("mg_built *")
        self._built.values, self._built.gradients = map(self._address, ("", "_gradient"))
        self._built.inputs, self._built.captured, self._built.outputs = source.sizes()
        self._built.room = source.most_room

    def _address(self, suffix: str) -> Any:
        found = _functions.addressof(self._library, "model" + suffix)
        member = "gradients" if suffix else "values"
        kind = dict(ffi.typeof("mg_built").fields)[member].type
        return ffi.cast(kind, int(_functions.cast("uintptr_t", found)))

    def whole(self, frame: Frame, otherwise: Callable[[], int]) -> Callable[[], int]:
        """Return what does the frame's call, or `otherwise` where a row was not recorded."""
        room = ffi.new("double[]", lib.mg_built_room(self._built))
        fast = partial(lib.mg_replay_built, self._built, frame.mode, frame.call, room)
        return lambda: otherwise() if fast() else 0


_functions = FFI()
_functions.cdef("int model(void); int model_gradient(void);")  # for their addresses alone


def _compiled(text: str, compiler: str) -> Any:
    """Return the loaded library. Raises FileNotFoundError, or RuntimeError with what cc says."""
    command = shutil.which(compiler)
    if command is None:
        raise FileNotFoundError(
            f"there is no C compiler {compiler!r}: install one, or name it by compiler="
        )
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "model.c"), Path(folder, "model.so")
        source.write_text(text)
        for native in (["-march=native"], []):  # which some compilers do not know
            parts = [command, *FLAGS, *native, "-o", str(library), str(source), "-lm"]
            done = subprocess.run(parts, capture_output=True, check=False)
            if not done.returncode and library.exists():
                return _functions.dlopen(str(library))
        said = done.stderr.decode(errors="replace")[:2000]
        raise RuntimeError(f"{compiler} could not compile the program:\n{said}")


def build(program: Recorded, compiler: str) -> None:
    """Compile each trace's C, and have calls of few rows use it where it is faster."""
    traces = list(program._traces)
    made = [Built(program, trace, compiler) for trace in traces]
    for trace, built in zip(traces, made):
        for mode in built.most:
            built.most[mode] = _most_rows(program._np, trace, built, mode)
        trace.built = built


def _most_rows(np: Any, trace: Trace, built: Built, mode: int) -> int:
    """Return up to how many rows the C is faster than a replay, as measured; 0 if it never is."""
    example = trace.example or (0.0,) * trace.inputs
    most, count = 0, 1
    while count <= MOST_ROWS:
        numbers = np.tile(np.array(example, float), (count, 1))
        frame = Frame(trace, mode)
        frame.trace = trace
        room = _bind(np, frame, numbers, mode)
        usual = frame.whole()
        if usual is None:
            return most
        fast = built.whole(frame, partial(int, 1))
        if usual() or fast() or _time(fast) >= _time(usual):
            return most
        del room
        most, count = count, 2 * count
    return most


def _bind(np: Any, frame: Frame, numbers: Any, mode: int) -> list[Any]:
    """Give a frame these rows and room for what the mode computes; return what to keep alive."""
    call, trace = frame.call, frame.trace
    assert trace is not None
    count, inputs = numbers.shape
    columns = ffi.new("mg_column[]", inputs + 1)
    results = np.empty((len(trace.outputs), count))
    gradients = np.empty((inputs + 1, count))
    kept = [columns, results, gradients, np.zeros(count, np.uint32)]
    for i in range(inputs):
        columns[i].data = ffi.cast("double *", numbers.ctypes.data) + i
        columns[i].stride = inputs
    call.inputs, call.count, call.rows, call.check, call.seed = columns, count, NULL, 0, 1.0
    for i in range(len(trace.outputs)):
        call.outputs[i].data = ffi.cast("double *", results.ctypes.data) + i * count
        call.outputs[i].stride = 1
    for i in range(inputs if mode == INPUTS else 0):
        call.gradients[i].data = ffi.cast("double *", gradients.ctypes.data) + i * count
        call.gradients[i].stride = 1
    call.failed = ffi.from_buffer("uint32_t[]", kept[3])
    frame.make_room(lib.mg_replay_chunks(count))
    bulk.get_numbers(trace.nodes, frame.data_buffer)
    return [*kept, numbers]


def _time(work: Callable[[], int]) -> float:
    """Return the least time of some rounds, each of a tenth of a millisecond and more."""
    times, best = 1, float("inf")
    for _ in range(_ROUNDS):
        while True:
            start = time.perf_counter()
            for _ in range(times):
                work()
            took = time.perf_counter() - start
            if took > 1e-4:
                break
            times *= 2
        best = min(best, took / times)
    return best
