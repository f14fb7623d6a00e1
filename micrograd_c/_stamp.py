"""Whether the compiled parts were built from the C sources beside this package.

A build writes `_built.py` beside the compiled parts, with the stamp of the C sources that they were
built from. A clone has C sources to compare with; an installed package has none.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from zlib import crc32

SOURCES = Path(__file__).resolve().parent.parent / "csrc"


def stamp_of(sources: Path) -> str:
    """Return a checksum of names and contents of the C files in a folder, 8 hexadecimal digits."""
    checksum = 0
    for path in sorted(sources.rglob("*.[ch]")):
        name = path.relative_to(sources).as_posix().encode()
        checksum = crc32(name + b"\0" + path.read_bytes(), checksum)
    return f"{checksum:08x}"


def is_stale() -> bool:
    """Return whether the compiled parts were built from other C sources than those in SOURCES.

    False where there are no C sources, or nothing was built.
    """
    if not SOURCES.is_dir():
        return False
    try:
        built = import_module("._built", __package__)
    except ImportError:
        return False
    return bool(stamp_of(SOURCES) != built.STAMP)
