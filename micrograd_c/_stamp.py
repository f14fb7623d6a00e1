"""Whether the compiled parts are those of the C sources beside this package, in a clone.

A build writes `_built.py`, with the stamp of the C sources it was made from, beside what it has
compiled. An installed package has no C sources, and nothing to compare.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from zlib import crc32

SOURCES = Path(__file__).resolve().parent.parent / "csrc"


def stamp_of(sources: Path) -> str:
    """Return a checksum of the names and the contents of the C files in a folder."""
    checksum = 0
    for path in sorted(sources.rglob("*.[ch]")):
        name = path.relative_to(sources).as_posix().encode()
        checksum = crc32(name + b"\0" + path.read_bytes(), checksum)
    return f"{checksum:08x}"


def is_stale() -> bool:
    """Return whether the compiled parts were built from other C sources than those beside them."""
    if not SOURCES.is_dir():
        return False
    try:
        built = import_module("._built", __package__)
    except ImportError:
        return False  # nothing was built
    return bool(stamp_of(SOURCES) != built.STAMP)
