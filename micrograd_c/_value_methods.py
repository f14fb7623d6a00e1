"""What both Values, the accelerated and the cffi one, share and no hot path needs."""

from __future__ import annotations

import inspect
import os
import sys
from decimal import Decimal
from numbers import Real
from operator import index
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

# Above it an int is not always a float, and a float not told from the next int.
LARGEST_INTEGER = 2**53

# The statuses of csrc/micrograd.h, and what Python calls them.
_ERRORS: dict[int, tuple[type[ArithmeticError] | type[ValueError], str]] = {
    2: (ValueError, "math domain error"),
    3: (OverflowError, "math range error"),
    4: (ZeroDivisionError, "division by zero"),
}


_FOLDER = os.path.dirname(__file__) + os.sep


def user_line() -> str:
    """Return file and line of the code outside of this package that is running."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_FOLDER):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def as_real(number: object) -> Any:
    """Return a real number as a float, and NotImplemented for anything else.

    Real numbers are float, int, bool, Fraction, Decimal and numpy's scalars.

    Raises:
        OverflowError: if an int or a Fraction is too large for a float.
    """
    # The first two are known at once. The type itself is asked: see Number.__class__.
    if issubclass(type(number), (float, int, Real, Decimal)):
        return float(number)  # type: ignore[arg-type]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(number, numpy.bool_):
        return float(number)
    return NotImplemented


def real(number: Any, what: str) -> float:
    """Return a real number as a float; raise TypeError, which says what it is, for anything else.

    Raises OverflowError if an int is too large.
    """
    found = number if type(number) is float else as_real(number)
    if found is NotImplemented:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return found


def as_count(name: str, count: Any) -> int:
    """Return `count` as an int; raise TypeError if it is none and ValueError if it is below 1."""
    try:
        number = int(index(count))
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(count).__name__}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def arithmetic_error(status: int, name: str, x: float, y: float, derivative: int) -> Exception:
    """Return the exception for an operator's status, of the type Python's own operator raises."""
    kind, what = _ERRORS[status]
    if name in ("exponent", "power", "number_power"):
        call = f"{x} ** {y}"
    elif name == "/":
        call = f"{x} / {y}"
    elif name in ("maximum", "minimum"):
        call = f"{name}({x}, {y})"
    else:
        call = f"{name}({x})"
    where = "the derivative of " if derivative else ""
    return kind(f"{what}: {where}{call}")


_takes_three: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # by function


def makes_results(cls: Any) -> bool:
    """Return whether a subclass's constructor takes (data, children, op), as results are made.

    If it does not, an operation on its instances gives a plain Value, as in micrograd. Signatures
    are asked, once each: an error that the constructor itself raises stays that error.
    """
    for constructor in (cls.__init__, cls.__new__):
        if isinstance(constructor, FunctionType):  # Value's own are written in C, or take it
            takes = _takes_three.get(constructor)
            if takes is None:
                takes = _takes_three[constructor] = _can_take_three(constructor)
            if not takes:
                return False
    return True


def _can_take_three(constructor: Any) -> bool:
    try:
        inspect.signature(constructor).bind(None, 0.0, (), "")
    except TypeError:
        return False
    return True


class ValueMethods:
    """The base class of Value: representation and the conversions it refuses.

    `_copying` adds how Values are copied and pickled.
    """

    __slots__ = ()

    data: float
    grad: float
    label: str

    def __repr__(self) -> str:
        return f"Value(data={self.data}, label={self.label}, grad={self.grad})"

    def __format__(self, spec: str) -> str:
        """Format the data; without a format specification, the Value itself."""
        return format(self.data, spec) if spec else str(self)

    def __int__(self) -> int:
        raise TypeError(
            "a Value does not become an int unasked, for that would cut the graph: use int(v.data)"
        )

    def __index__(self) -> int:
        raise TypeError(
            f"a Value is not an index ({user_line()}): use int(v.data); in a function that is "
            "compiled, where that would be the example's for every row, branch on its number: "
            "xs[0] if v.data == 0 else xs[1]"
        )

    def __float__(self) -> float:
        raise TypeError(
            "a Value does not become a float unasked, for that would cut the graph: "
            "use .data for the number, .exp(), .log(), ... for math.exp(), math.log(), ..."
        )
