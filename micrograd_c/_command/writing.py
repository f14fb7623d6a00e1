"""How the commands write files."""

from __future__ import annotations

from pathlib import Path


def save(path: Path, content: bytes) -> None:
    """Write a file and say so; remove it if it cannot be written to the end."""
    file = path.open("wb")
    try:
        with file:
            file.write(content)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk's error, say, names no file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    print(f"Wrote {path}")
