"""Functions of two Values or numbers: maximum, atan2, ..., from the operator table."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from .._library import lib
from .._value_methods import as_real
from .table import ABOUT, NAMES, of_form
from .threads import here, recorders
from .value import Value, commutative, reflected


def _function(op: int) -> Callable[..., Value]:
    """Return the function that records an operator of two nodes: maximum, atan2, ...."""
    name = NAMES[op]
    apply = commutative(op)

    def function(*operands: Any) -> Any:
        if len(operands) != 2:
            extreme = name in ("maximum", "minimum")
            if extreme and len(operands) > 2:
                return reduce(function, operands)
            least = "at least" if extreme else "exactly"
            raise TypeError(f"{name}() takes {least} 2 arguments ({len(operands)} given)")
        a, b = operands
        x, y = (v if isinstance(v, Value) else as_real(v) for v in (a, b))
        if x is NotImplemented or y is NotImplemented:
            if recorders and here.recorder is not None:
                result = here.recorder.apply(name, a, b)
                if result is not NotImplemented:
                    return result
            kinds = f"{type(a).__name__!r} and {type(b).__name__!r}"
            raise TypeError(f"{name}() takes Values and real numbers, not {kinds}")
        if not isinstance(x, Value) and isinstance(y, Value):
            return reflected(op, x, y)
        return apply(x if isinstance(x, Value) else Value(x), y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = ABOUT[op]
    return function


_functions = {name: _function(op) for name, op in of_form(lib.MG_FORM_FUNCTION).items()}
maximum = _functions["maximum"]
minimum = _functions["minimum"]
atan2 = _functions["atan2"]
hypot = _functions["hypot"]
polygamma = _functions["polygamma"]
