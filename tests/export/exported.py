"""What the tests of exported C share: compiling it, and calling it from Python."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
EXACT = ("-O2", "-ffp-contract=off")
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler 'cc'")


def compile_c(command: list[str], *sources: Path, out: Path) -> None:
    files = [str(source) for source in sources]
    own = {name: text for name, text in os.environ.items() if name != "LD_PRELOAD"}
    parts = [*command, "-o", str(out), *files, "-lm"]
    done = subprocess.run(parts, capture_output=True, text=True, env=own)
    assert done.returncode == 0, done.stderr[:3000]


class Exported:
    """A program's two functions in C, for arrays of rows."""

    def __init__(self, library: Any, name: str, sizes: tuple[int, int, int], kind: Any) -> None:
        self.inputs, self.parameters, self.results = sizes
        self.kind = kind
        self.function, self.gradient_function = library[name], library[name + "_gradient"]

    def _array(self, size: int) -> Any:
        return np.full(size, np.nan, self.kind)  # nothing may be left as it is

    @staticmethod
    def _pointers(*arrays: Any) -> list[Any]:
        return [ctypes.c_void_p(array.ctypes.data) for array in arrays]

    def __call__(self, row: Any, parameters: Any) -> tuple[int, Any]:
        """Return the status and the results of a row."""
        x, p = (np.array(a, self.kind).ravel() for a in (row, parameters))
        results = self._array(self.results)
        status = self.function(*self._pointers(x, p, results))
        return status, results

    def gradient(self, row: Any, parameters: Any, seeds: Any = None) -> tuple[int, Any, Any, Any]:
        """Return the status, the results, and the gradients of inputs and of parameters."""
        x, p = (np.array(a, self.kind).ravel() for a in (row, parameters))
        s = np.ones(self.results, self.kind) if seeds is None else np.array(seeds, self.kind)
        out = [self._array(size) for size in (self.results, self.inputs, self.parameters)]
        status = self.gradient_function(*self._pointers(x, p, s, *out))
        return status, *out


def export(
    program: Any, folder: Path, name: str = "model", dtype: str = "double", **options: Any
) -> Exported:
    """Export a program, compile it strictly, and load it."""
    source = folder / f"{name}.c"
    program.export_c(source, dtype=dtype, **options)
    library = folder / f"{name}.so"
    compile_c(["cc", *STRICT, *EXACT, "-shared", "-fPIC"], source, out=library)
    parameters = options.get("parameters", program.parameters)
    sizes = program._inputs, len(parameters), len(program._traces[0].outputs)
    kind = np.float32 if dtype == "float" else np.float64
    return Exported(ctypes.CDLL(str(library)), name, sizes, kind)


def data_of(values: Any) -> list[float]:
    return [v.data for v in values]


def distance(a: Any, b: Any) -> float:
    """The largest distance of two arrays in units in the last place of the second one."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        units = np.where(same, 0.0, np.abs(a - b) / np.spacing(np.abs(b)))
    return float(np.max(units, initial=0.0))
