"""Real numbers that meet stand-ins: which are doubles, and what is compared in their place."""

from __future__ import annotations

import math
from numbers import Complex, Real
from typing import Any

from .._value_methods import as_real
from ..engine import Value
from .rules import LESS, LESS_EQUAL


def is_double(number: Any) -> bool:
    """Return whether this is a real number that is a double, nan among them."""
    return as_number(number) is not None and (number != number or nearest(number) == number)


def as_double(number: Any) -> float | None:
    real = number if type(number) is float else as_real(number)
    return None if real is NotImplemented else real


def nearest(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


# A guard compares doubles. A number that is no double, such as 2**53 + 1, is replaced by the
# nearest double, and < or <= is chosen so that the outcome is the same for every double x.
def below(x: float, number: Any) -> tuple[int, float]:
    """Return the relation and the double to compare x with in place of `x < number`."""
    near = nearest(number)
    return (LESS_EQUAL if near < number else LESS), near


def not_above(x: float, number: Any) -> tuple[int, float]:
    """Return the relation and the double to compare x with in place of `x <= number`."""
    near = nearest(number)
    return (LESS if near > number else LESS_EQUAL), near


def real_part(other: Any) -> Any:
    """Return the real number that a complex number is equal to, or nan; others as they are."""
    if not isinstance(other, Complex) or isinstance(other, Real):
        return other
    return other.real if other.imag == 0 else math.nan


def as_number(number: Any) -> Any:
    """Return a real number as it is, None for anything else."""
    if isinstance(number, (float, int)):
        return number
    return None if isinstance(number, Value) or as_double(number) is None else number
