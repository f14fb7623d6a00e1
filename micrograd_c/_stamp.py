"""Whether the compiled parts were built from the sources beside this package.

A build writes `_built.py` beside the compiled parts, with the stamp of the sources that they were
built from. A clone has sources to compare with; an installed package has none.
"""

from __future__ import annotations

import os
from importlib import import_module

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # of the clone, if this is one


def stamp_of(root: str | os.PathLike[str]) -> str:
    """Return a checksum of the C files and the build scripts in a clone, 8 hexadecimal digits."""
    from zlib import crc32

    checksum = 0
    names = ["build_ffi.py", "setup.py"]
    for folder, _, files in os.walk(os.path.join(root, "csrc")):
        room = os.path.relpath(folder, root).replace(os.sep, "/")
        names += [f"{room}/{file}" for file in files if file.endswith((".c", ".h"))]
    for name in sorted(names):
        with open(os.path.join(root, name), "rb") as source:
            checksum = crc32(name.encode() + b"\0" + source.read(), checksum)
    return f"{checksum:08x}"


def is_stale() -> bool:
    """Return whether there are compiled parts that were built from other sources than those here.

    False where there are no sources, as in an installed package, or nothing was built.
    """
    if not os.path.isdir(os.path.join(ROOT, "csrc")):
        return False
    try:
        built = import_module("._built", __package__)
    except ImportError:  # built before there were stamps, or not at all
        from importlib.util import find_spec

        return find_spec("._engine", __package__) is not None
    return bool(stamp_of(ROOT) != built.STAMP)
