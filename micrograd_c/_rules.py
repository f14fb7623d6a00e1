"""The derivative of each operator, as an expression in Values.

The operator table in C (csrc/graph/operators.h) has the same partial derivatives as expressions in
doubles, by which `backward()` computes. These here are for derivatives that are to be
differentiated again, or drawn. Where an expression of the table is defined by cases, so is the
expression here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .functional import where

# Each takes the first operand, the second one (or the exponent, a number) and the value.
Partial = Callable[[Any, Any, Any], Any]


def _choose(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """Return yes() or no(). While a program is being recorded that is each row's own choice."""
    if isinstance(condition, bool) and type(condition) is bool:
        return yes() if condition else no()
    return where(condition, yes(), no())


def _share(x: Any, y: Any) -> Any:
    """Return d max(x, y)/dx: 1 where x is larger, 0 where y is, 1/2 at a tie, nan at nan."""
    return _choose(
        x > y,
        lambda: 1.0,
        lambda: _choose(x < y, lambda: 0.0, lambda: _choose(x >= y, lambda: 0.5, lambda: math.nan)),
    )


def _exponent(x: Any, n: Any, z: Any) -> Any:
    """Return d(x**n)/dx for a number n."""
    if n == 0:
        return 0.0
    return 1.0 if n == 1 else (x if n == 2 else x ** (n - 1)) * n


def _power_x(x: Any, y: Any, z: Any) -> Any:
    """Return d(x**y)/dx, which is 0 where y is 0."""
    return _choose(y.data == 0.0, lambda: y * 0.0, lambda: y * x ** (y - 1.0))


def _power_y(x: Any, y: Any, z: Any) -> Any:
    """Return d(x**y)/dy, with its limit 0 where x is 0, and nan where x is negative."""
    return _choose(
        x > 0.0,
        lambda: z * x.log(),
        lambda: _choose(x.data == 0.0, lambda: 0.0, lambda: math.nan),
    )


def _abs(x: Any, y: Any, z: Any) -> Any:
    return _choose(
        x > 0.0,
        lambda: 1.0,
        lambda: _choose(
            x < 0.0, lambda: -1.0, lambda: _choose(x >= 0.0, lambda: 0.0, lambda: math.nan)
        ),
    )


PARTIALS: dict[str, tuple[Partial, ...]] = {
    "add": (lambda x, y, z: 1.0, lambda x, y, z: 1.0),
    "multiply": (lambda x, y, z: y, lambda x, y, z: x),
    "exponent": (_exponent,),
    "power": (_power_x, _power_y),
    "number_power": (lambda x, y, z: 0.0, _power_y),  # x is a number: nobody asks
    "exp": (lambda x, y, z: z,),
    "log": (lambda x, y, z: x**-1,),
    "tanh": (lambda x, y, z: 1.0 - z**2,),
    "relu": (lambda x, y, z: _choose(z > 0.0, lambda: 1.0, lambda: 0.0),),
    "sigmoid": (lambda x, y, z: z * (1.0 - z),),
    "sin": (lambda x, y, z: x.cos(),),
    "cos": (lambda x, y, z: -x.sin(),),
    "sqrt": (lambda x, y, z: z**-1 * 0.5,),
    "abs": (_abs,),
    "maximum": (lambda x, y, z: _share(x, y), lambda x, y, z: _share(y, x)),
    "minimum": (lambda x, y, z: _share(y, x), lambda x, y, z: _share(x, y)),
}

# Operators whose derivative may be infinite where operand and value are finite.
STEEP = frozenset({"exponent", "power", "number_power", "log", "sqrt"})
