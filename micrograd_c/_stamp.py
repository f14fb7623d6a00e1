"""Whether the compiled parts were built from the sources beside this package.

A build writes `_built.py` beside the compiled parts, with the stamp of the sources that they were
built from. A clone has sources to compare with; an installed package has none.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from zlib import crc32

ROOT = Path(__file__).resolve().parent.parent  # of the clone, if this is one


def stamp_of(root: Path) -> str:
    """Return a checksum of the C files and the build scripts in a clone, 8 hexadecimal digits."""
    checksum = 0
    scripts = [root / "build_ffi.py", root / "setup.py"]
    for path in [*sorted((root / "csrc").rglob("*.[ch]")), *scripts]:
        name = path.relative_to(root).as_posix().encode()
        checksum = crc32(name + b"\0" + path.read_bytes(), checksum)
    return f"{checksum:08x}"


def is_stale() -> bool:
    """Return whether there are compiled parts that were built from other sources than those here.

    False where there are no sources, as in an installed package, or nothing was built.
    """
    if not (ROOT / "csrc").is_dir():
        return False
    try:
        built = import_module("._built", __package__)
    except ImportError:  # built before there were stamps, or not at all
        return find_spec("._engine", __package__) is not None
    return bool(stamp_of(ROOT) != built.STAMP)
