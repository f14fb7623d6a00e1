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

from .engine import Value, hypot, polygamma
from .functional import normal_cdf, where

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
        lambda: z * _choose(x > 0.0, lambda: x, lambda: Value(1.0)).log(),  # of no other x
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


_TWO_BY_ROOT_PI = 2.0 / math.sqrt(math.pi)
_ROOT_BY_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)


def _unit_circle(x: Any) -> Any:
    """Return 1 - x**2, which does not cancel near 1 and -1."""
    return (1.0 - x) * (x + 1.0)


def _over(x: Any, z: Any) -> Any:
    """Return x / z for a length z, and 0 where it is 0."""
    return _choose(z > 0.0, lambda: x * z**-1, lambda: 0.0 * x)


def _over_squares(x: Any, a: Any, b: Any) -> Any:
    """Return x / (a**2 + b**2), also where the squares overflow."""
    inverse = hypot(a, b) ** -1
    return x * inverse * inverse


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
    "log1p": (lambda x, y, z: (x + 1.0) ** -1,),
    "expm1": (lambda x, y, z: x.exp(),),
    "tan": (lambda x, y, z: 1.0 + z * z,),
    "asin": (lambda x, y, z: _unit_circle(x) ** -0.5,),
    "acos": (lambda x, y, z: -(_unit_circle(x) ** -0.5),),
    "atan": (lambda x, y, z: hypot(1.0, x) ** -2,),
    "sinh": (lambda x, y, z: x.cosh(),),
    "cosh": (lambda x, y, z: x.sinh(),),
    "asinh": (lambda x, y, z: hypot(1.0, x) ** -1,),
    "acosh": (lambda x, y, z: (x - 1.0) ** -0.5 * (x + 1.0) ** -0.5,),
    "atanh": (lambda x, y, z: _unit_circle(x) ** -1,),
    "erf": (lambda x, y, z: (-x * x).exp() * _TWO_BY_ROOT_PI,),
    "erfc": (lambda x, y, z: (-x * x).exp() * -_TWO_BY_ROOT_PI,),
    "log2": (lambda x, y, z: x**-1 * math.log2(math.e),),
    "log10": (lambda x, y, z: x**-1 * math.log10(math.e),),
    "softplus": (lambda x, y, z: x.sigmoid(),),
    "gelu": (lambda x, y, z: normal_cdf(x) + x * (x * x * -0.5).exp() * _ROOT_BY_TWO_PI,),
    "silu": (lambda x, y, z: x.sigmoid() * (1.0 + x * (-x).sigmoid()),),
    "lgamma": (lambda x, y, z: x.digamma(),),
    "digamma": (lambda x, y, z: polygamma(1.0, x),),
    "atan2": (lambda x, y, z: _over_squares(y, x, y), lambda x, y, z: -_over_squares(x, x, y)),
    "hypot": (lambda x, y, z: _over(x, z), lambda x, y, z: _over(y, z)),
    "polygamma": (lambda x, y, z: 0.0, lambda x, y, z: polygamma(x + 1.0, y)),
}

# Operators whose derivative may be infinite where operand and value are finite.
STEEP = frozenset(
    {"exponent", "power", "number_power", "log", "sqrt", "asin", "acos", "acosh", "log2", "log10"}
    | {"lgamma", "digamma", "polygamma", "atan2"}
)
