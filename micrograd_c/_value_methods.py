"""What the Values of both backends share: methods and functions that no hot path needs."""

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

# Above this number not every int has a float of its own.
LARGEST_INTEGER = 2**53

# For each status of csrc/micrograd.h the exception and the message that Python has for it.
_ERRORS: dict[int, tuple[type[ArithmeticError] | type[ValueError], str]] = {
    2: (ValueError, "math domain error"),
    3: (OverflowError, "math range error"),
    4: (ZeroDivisionError, "division by zero"),
}


_FOLDER = os.path.dirname(__file__) + os.sep


def user_line() -> str:
    """Return "file:line" of the innermost running code that is not of this package."""
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
    # float and int are found at once. type(number) is asked, not number.__class__: see
    # Number.__class__ in _compile/recording.py.
    if issubclass(type(number), (float, int, Real, Decimal)):
        return float(number)  # type: ignore[arg-type]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(number, numpy.bool_):
        return float(number)
    return NotImplemented


def real(number: Any, what: str) -> float:
    """Return a real number as a float.

    Raises:
        TypeError: if it is no real number; the message calls it `what`.
        OverflowError: if an int or a Fraction is too large for a float.
    """
    found = number if type(number) is float else as_real(number)
    if found is NotImplemented:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return found


def as_count(name: str, count: Any) -> int:
    """Return `count` as an int. Raises TypeError if it is no int, ValueError if it is below 1."""
    try:
        number = int(index(count))
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(count).__name__}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def arithmetic_error(status: int, name: str, x: float, y: float, derivative: int) -> Exception:
    """Return the exception for an operator's status, of the type that Python's operator raises.

    The operator has this name and the operands x and y (unused if it takes one). `derivative` is 1
    if the operator's derivative failed, 0 if its value did.
    """
    kind, what = _ERRORS[status]
    if name in ("exponent", "power", "number_power"):
        call = f"{x} ** {y}"
    elif name == "/":
        call = f"{x} / {y}"
    elif name in ("maximum", "minimum", "atan2", "hypot"):
        call = f"{name}({x}, {y})"
    else:
        call = f"{name}({x})"
    where = "the derivative of " if derivative else ""
    return kind(f"{what}: {where}{call}")


_takes_three: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # results of _can_take_three


def makes_results(cls: Any) -> bool:
    """Return whether a subclass's constructor takes (data, children, op), as results are made.

    If not, an operation on the subclass's instances gives a plain Value, as in micrograd. Each
    signature is looked at once, and the constructor is not tried: an error that the constructor
    itself raises stays that error.
    """
    for constructor in (cls.__init__, cls.__new__):
        if isinstance(constructor, FunctionType):  # Value's own take the three, or are no functions
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
    """The base class of Value: how a Value is shown, and the conversions that a Value refuses.

    `_copying` adds the methods that copy and pickle Values, `_numpy_names` those that numpy calls.
    """

    __slots__ = ()

    data: float
    grad: float
    label: str

    def __repr__(self) -> str:
        return f"Value(data={self.data}, label={self.label}, grad={self.grad})"

    def __format__(self, spec: str) -> str:
        """Return the data in the format of `spec`; str(self) if `spec` is empty."""
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
