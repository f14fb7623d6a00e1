"""Build micrograd_c._engine, the cffi module that binds the C library.

The declarations are those of ``csrc/micrograd.h`` itself: the region between its cdef markers is
plain C without preprocessor lines but definitions of integers.
"""

from __future__ import annotations

import json
import os
import sysconfig
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent


def room(*patterns: str) -> list[str]:
    """Return the files of csrc/ that match, with paths relative to ROOT, as setuptools requires."""
    found = (path for pattern in patterns for path in (ROOT / "csrc").glob(pattern))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


# Both modules contain the graph. This module alone contains the public functions, which lock the
# arena, and the files that replay traces, which know no node.
API = ["csrc/api.c"]
GRAPH = room("graph/*.c", "program/trace.c")
PROGRAMS = [path for path in room("program/*.c") if path not in GRAPH]
HEADERS = room("**/*.h")

# Where Python has no interpreter's lock, each arena has a lock of its own.
KEEP_GIL = not sysconfig.get_config_var("Py_GIL_DISABLED")

# The results must be those of Python's own arithmetic: no contraction to fused multiply-adds, nor,
# whatever CFLAGS say, -ffast-math, which also has the linker round small numbers to 0 in the whole
# process. Unwind tables would be for exceptions, which C has not, and a tenth of a wheel.
COMPILE_ARGS = (
    ["/std:c11", "/O2", "/fp:precise"]
    if os.name == "nt"
    else [
        "-std=gnu11",
        "-O2",
        "-fno-fast-math",
        "-fno-asynchronous-unwind-tables",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fvisibility=hidden",
    ]
)
LINK_ARGS = [] if os.name == "nt" else ["-O2", "-fno-fast-math"]

# Without libm the linker leaves open which version of a function is meant, and the oldest one is
# taken.
MATHEMATICS = [] if os.name == "nt" else ["m"]


def declarations() -> str:
    """Return the part of the public header that cffi reads."""
    header = (ROOT / "csrc" / "micrograd.h").read_text(encoding="utf-8")
    return header.split("/* cdef: begin */")[1].split("/* cdef: end */")[0]


def as_literal(path: str) -> str:
    """Return a source file as a string literal of C, a line each."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines(keepends=True)
    return "\n".join(json.dumps(line) for line in lines)


# The text of the operators' functions, for programs that are exported as C.
FUNCTIONS = {
    "mg_short_functions": as_literal("csrc/graph/operators.h"),
    "mg_long_functions": as_literal("csrc/graph/special.c"),
}

ffibuilder = FFI()
ffibuilder.cdef(
    declarations()
    + "int mg_interrupted(void);"
    + "".join(f"extern const char {name}[];" for name in FUNCTIONS)
)
ffibuilder.set_source(
    "micrograd_c._engine",
    '#include "micrograd.h"\n#include "python/keep_gil.h"\n'
    + "".join(f"const char {name}[] = {text};\n" for name, text in FUNCTIONS.items()),
    sources=[*API, *GRAPH, *PROGRAMS],
    depends=HEADERS,
    include_dirs=["csrc"],
    libraries=MATHEMATICS,
    define_macros=[("MG_KEEP_GIL", None)] if KEEP_GIL else [],
    extra_compile_args=COMPILE_ARGS,
    extra_link_args=LINK_ARGS,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
