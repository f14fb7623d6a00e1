"""The parts of a program from a pickle, which may be damaged."""

from __future__ import annotations

from typing import Any

from ..engine import Value
from . import arguments


def check_names(names: Any = (), *, shapes: Any) -> None:
    """Raise ValueError unless these can be the names of the last ones of the arguments."""
    if type(names) is not tuple or len(names) > len(shapes):
        raise ValueError(f"{names!r} are no names of {len(shapes)} arguments")
    if not all(type(name) is str for name in names):
        raise ValueError(f"{names!r} are no names")


def check_parts(shapes: Any, options: Any, result: Any, parameters: Any, traces: Any) -> None:
    """Raise an error unless the parts of a pickled program fit together."""
    inputs, most, allow_constants, *more = options
    check_names(*more, shapes=shapes)
    leaves = 0
    for shape in shapes:
        leaves = arguments.count_leaves(shape, leaves)
    if leaves != inputs or type(most) is not int or type(allow_constants) is not bool:
        raise ValueError(f"arguments of {leaves} numbers do not fit the options {options}")
    outputs = arguments.count_leaves(result)
    if any(array.shape and array.listed for array in arguments.arrays(result)) or not traces:
        raise ValueError("the results of a program are no nested lists, and it has a recording")
    for entries, places, _, captured in traces:
        if type(entries) is not bytes or len(places) != outputs:
            raise ValueError(f"a recording of {len(places)} results for {outputs}")
        if not all(isinstance(value, Value) for value in (*captured, *parameters)):
            raise ValueError("the parameters of a program are Values")
