"""The parts of a program from a pickle, which may be damaged."""

from __future__ import annotations

from typing import Any

from ..engine import Value
from . import arguments


def check_parts(shapes: Any, options: Any, result: Any, parameters: Any, traces: Any) -> None:
    """Raise an error unless the parts of a pickled program fit together."""
    inputs, most, allow_constants = options
    leaves = 0
    for shape in shapes:
        leaves = arguments.count_leaves(shape, leaves)
    if leaves != inputs or type(most) is not int or type(allow_constants) is not bool:
        raise ValueError(f"arguments of {leaves} numbers do not fit the options {options}")
    outputs = arguments.count_leaves(result)
    if any(array.shape for array in arguments.arrays(result)) or not traces:
        raise ValueError("the results of a program are numbers, and it has a recording")
    for entries, places, _, captured in traces:
        if type(entries) is not bytes or len(places) != outputs:
            raise ValueError(f"a recording of {len(places)} results for {outputs}")
        if not all(isinstance(value, Value) for value in (*captured, *parameters)):
            raise ValueError("the parameters of a program are Values")
