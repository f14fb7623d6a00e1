"""Files of states: written as a whole or not at all, read without running anything.

A new content is written beside the file and takes its place in one step of the file system, so that
a program may be killed at any moment, and the machine may lose its power: the file is the old or
the new one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EINVAL
from stat import S_IMODE, S_ISDIR, S_ISREG
from typing import Any

__all__ = ["load", "save"]


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write a state to a file, which is JSON or safetensors by its extension.

    A state is any nesting of dicts (with strings as keys), lists and tuples, in which there are
    numbers, strings, bools and None: what `state_dict()` returns, or `random.getstate()`, or a dict
    of such. `load` returns the same, floats to the last bit; of a nan, JSON keeps that it is one.
    An array of the module array becomes a list.

    Whatever happens, the file has its old content or its new one, as a whole. A program that is
    killed meanwhile may leave a file `.NAME.*.tmp` beside it, which can be deleted.

    Raises ValueError for another extension than .json and .safetensors, and a state that is nested
    more than 30 levels deep; TypeError for a state of something else; ImportError if the packages
    for .safetensors are not installed; OSError as open() does.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "state.json")
    ...     save({"step": 3, "rates": (0.1, 0.2)}, path)
    ...     load(path)
    {'step': 3, 'rates': (0.1, 0.2)}
    """
    path = os.fsdecode(path)
    to_bytes, _ = _format(path)
    try:
        content = to_bytes(state)
    except RecursionError:
        raise ValueError("the state is nested too deeply, or in itself") from None
    _replace(path, content)


def load(path: str | os.PathLike[str]) -> Any:
    """Return the state in a file that `save` wrote.

    Nothing in a file is ever run. Raises ValueError for a file that is damaged or is not one of
    `save`, saying what is wrong, and for another extension than .json and .safetensors; ImportError
    as `save` does; OSError as open() does, FileNotFoundError if there is no file.
    """
    path = os.fsdecode(path)
    _, from_bytes = _format(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        return from_bytes(content)
    except RecursionError:
        problem: Any = "it is nested too deeply"
    except ValueError as error:
        problem = error
    raise ValueError(f"{path} is damaged, or no file of micrograd_c.save: {problem}")


def _format(path: str) -> tuple[Any, Any]:
    """Return the functions that write and read what a file's name ends in."""
    from . import _formats  # which imports json and others

    extension = os.path.splitext(path)[1].lower()
    if extension == ".json":
        return _formats.to_json, _formats.from_json
    if extension == ".safetensors":
        return _formats.to_safetensors, _formats.from_safetensors
    raise ValueError(f"a state's file must end in .json or .safetensors: {path!r}")


def _replace(path: str, content: bytes) -> None:
    """Make this the content of a file, with the permissions that open(path, "wb") would leave."""
    path = os.path.realpath(path)  # a link stays one
    before = None
    with suppress(FileNotFoundError):
        before = os.stat(path)
    if before is not None:
        if not (S_ISREG(before.st_mode) or S_ISDIR(before.st_mode)):
            raise OSError(EINVAL, "this is no regular file", path)
        open(path, "r+b").close()  # raises for a folder, and what may not be written to
    folder, name = os.path.split(path)
    new = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
    try:
        with open(new, "xb") as file:
            file.write(content)
            file.flush()
            if before is not None:
                with suppress(
                    OSError, AttributeError
                ):  # only a privileged user may, on some systems
                    os.chown(new, before.st_uid, before.st_gid)
                os.chmod(new, S_IMODE(before.st_mode))
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise
    _sync(folder)


def _sync(folder: str) -> None:
    """Have a folder's new entries survive a loss of power, where the system can do so."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
