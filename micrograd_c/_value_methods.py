"""What the Values of both backends share: methods and functions that no hot path needs."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Callable
from numbers import Real
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

# Above this number not every int has a float of its own.
LARGEST_INTEGER = 2**53

# The exception that Python has for each text of mg_error_text, csrc/micrograd.h.
_ERRORS: dict[str, type[ArithmeticError] | type[ValueError]] = {
    "math domain error": ValueError,
    "math range error": OverflowError,
    "division by zero": ZeroDivisionError,
}


PACKAGE_FOLDER = os.path.dirname(__file__) + os.sep


def is_own(frame: Any) -> bool:
    """Return whether a frame is of this package."""
    return bool(frame.f_code.co_filename.startswith(PACKAGE_FOLDER))


def user_frame() -> Any:
    """Return the frame of the innermost running code that is not of this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
        frame = frame.f_back
    return frame


def user_line() -> str:
    """Return "file:line" of the innermost running code that is not of this package."""
    frame = user_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def loaded(module: str, name: str) -> Any:
    """Return a class of a package for isinstance, without importing the package.

    It is () as long as the package has not defined the class; another thread may just import it.
    """
    return getattr(sys.modules.get(module), name, ())


def is_bool(item: object) -> bool:
    """Return whether an item is a bool or one of numpy's."""
    return isinstance(item, (bool, loaded("numpy", "bool_")))


def as_real(number: object) -> Any:
    """Return a real number as a float, and NotImplemented for anything else.

    Real numbers are float, int, bool, Fraction, Decimal and numpy's scalars.

    Raises:
        OverflowError: if an int or a Fraction is too large for a float.
    """
    # float and int are found at once. type(number) is asked, not number.__class__: see
    # Number.__class__ in _compile/stand_ins.py.
    if issubclass(type(number), (float, int, Real)):
        return float(number)  # type: ignore[arg-type]
    from decimal import Decimal

    if issubclass(type(number), Decimal) or isinstance(number, loaded("numpy", "bool_")):
        return float(number)  # type: ignore[arg-type]
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


def truth(condition: object, who: str) -> bool:
    """Return a bool, or one of numpy's, as a bool. Raises TypeError for anything else."""
    if is_bool(condition):
        return bool(condition)
    kind = condition.__class__.__name__
    hint = ": ~ of a bool is an int, write c ^ True" if condition in (-1, -2) else ""
    raise TypeError(f"{who} takes a bool as its condition, such as x < 3, not {kind!r}{hint}")


def number(value: Any, what: str) -> float:
    """Return a real number as a float. Raises as `real` does; OverflowError says what it is."""
    try:
        return real(value, what)
    except OverflowError:
        raise OverflowError(f"{what} must be a number that a float can hold") from None


def not_negative(value: Any, what: str) -> float:
    """Return a number from 0 up as a float. Raises as `number`, and ValueError for all others."""
    found = number(value, what)
    if not found >= 0.0:
        raise ValueError(f"{what} must not be negative: {value}")
    return found


def numbers(values: Any, name: str) -> list[float]:
    """Return floats of an iterable of real numbers. Raises as `number`."""
    if not hasattr(type(values), "__iter__"):
        raise TypeError(f"{name} must be a list of numbers, not {type(values).__name__!r}")
    return [number(value, f"each of {name}") for value in values]


def as_steps(steps: Any, name: str) -> int:
    """Return a count as an int. Raises TypeError if it is none, ValueError out of [0, 2**53]."""
    if not hasattr(type(steps), "__index__"):
        raise TypeError(f"{name} must be an integer, not {type(steps).__name__!r}")
    count: int = operator.index(steps)
    if count < 0:
        raise ValueError(f"{name} must not be negative: {count}")
    if count > LARGEST_INTEGER:
        raise ValueError(f"{name} must be at most 2**53, up to which a double counts")
    return count


def as_count(name: str, count: Any) -> int:
    """Return `count` as an int. Raises TypeError if it is no int, ValueError if it is below 1."""
    try:
        number = int(operator.index(count))
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(count).__name__}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def arithmetic_error(what: str, name: str, x: float, y: float, derivative: int) -> Exception:
    """Return the exception for an operator's error, of the type that Python's operator raises.

    The error is `what`. The operator has this name and the operands x and y (unused if it takes
    one). `derivative` is 1 if the operator's derivative failed, 0 if its value did.
    """
    takes_two = name in _INFIX or name in _OF_TWO
    call = call_text(name, x, y) if takes_two else call_text(name, x)
    where = "the derivative of " if derivative else ""
    return _ERRORS[what](f"{what}: {where}{call}")


_OF_TWO = "maximum", "minimum", "atan2", "hypot", "polygamma"
_INFIX = {
    "add": "+",
    "multiply": "*",
    "/": "/",
    **dict.fromkeys(("exponent", "power", "number_power"), "**"),
}


def call_text(name: str, *operands: object) -> str:
    """Return an operator of this name, with these operands, as text."""
    between = f" {_INFIX[name]} " if name in _INFIX else ", "
    text = between.join(map(str, operands))
    return text if name in _INFIX else f"{name}({text})"


_takes_three: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # results of _can_take_three


def makes_results(cls: Any) -> bool:
    """Return whether a subclass's constructor takes (data, children, op), as results are made.

    If not, an operation on the subclass's instances gives a plain Value, as in micrograd. Each
    signature is looked at once, and the constructor is not tried: an error that the constructor
    itself raises stays that error.
    """
    return takes_three(cls.__init__) and takes_three(cls.__new__)


def takes_three(constructor: Any) -> bool:
    """Return whether an `__init__` or a `__new__` takes (data, children, op)."""
    if not isinstance(constructor, FunctionType):  # one of Value's own
        return True
    takes = _takes_three.get(constructor)
    if takes is None:
        takes = _takes_three[constructor] = _can_take_three(constructor)
    return takes


def _can_take_three(constructor: Any) -> bool:
    from inspect import signature

    try:
        signature(constructor).bind(None, 0.0, (), "")
    except TypeError:
        return False
    return True


def plain_error(value: Any, text: str) -> TypeError:
    """Return the error for a Value asked for a plain number; its `value` is that Value."""
    error = TypeError(text)
    error.value = value  # type: ignore[attr-defined]  # jit() asks which argument it was
    return error


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
        raise plain_error(
            self,
            "a Value does not become an int unasked, for that would cut the graph: use int(v.data)",
        )

    def __index__(self) -> int:
        raise plain_error(
            self,
            f"a Value is not an index ({user_line()}): use micrograd_c.take(table, index) for an "
            "element of a list, also in a function that is compiled, where int(v.data) would be "
            "the example's for every row",
        )

    def __float__(self) -> float:
        raise plain_error(
            self,
            "a Value does not become a float unasked, for that would cut the graph: "
            "use .data for the number, .exp(), .log(), ... for math.exp(), math.log(), ...",
        )


# ---- operators of subclasses ----
#
# A subclass may have + * ** of its own, which its other operators then use, as in micrograd. A
# backend, whose Value is `plain`, calls these functions where an operand is of a subclass. They
# return NotImplemented for an operand that is neither a Value nor a number, unless the subclass has
# a method of its own for it.


def negative(value: Any) -> Any:
    return value * -1


def number_power(plain: Any, number: Any, value: Any) -> Any:
    cls = type(value)
    return NotImplemented if cls.__pow__ is plain.__pow__ else cls(number) ** value


def _is_value(operand: Any) -> bool:
    return isinstance(operand, ValueMethods)


def _reflected(name: str) -> Callable[[Any, Any, Any], Any]:
    """Return what has an operand on the left change sides; a Value there (super()) stays there."""

    def apply(plain: Any, left: Any, right: Any) -> Any:
        if _is_value(left):
            return getattr(plain, name)(left, right)
        return getattr(type(right), name)(right, left)

    return apply


def _composed(name: str, change: Callable[[Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """Return the operator that is the operator `name` of the left operand and the changed right."""
    names = f"__{name}__", f"__r{name}__"

    def apply(plain: Any, left: Any, right: Any) -> Any:
        cls, other = (type(right), left) if _is_value(right) else (plain, right)
        own = any(getattr(cls, method) is not getattr(plain, method) for method in names)
        if own or _is_value(other) or as_real(other) is not NotImplemented:
            return getattr(operator, name)(left, change(right))
        return NotImplemented

    return apply


def _opposite(right: Any) -> Any:
    if _is_value(right) or isinstance(right, float) or not hasattr(right, "dtype"):
        return -right
    return 0.0 - as_real(right)  # numpy's unsigned numbers have no opposite of their type


add, multiply = _reflected("__add__"), _reflected("__mul__")
subtract = _composed("add", _opposite)
divide = _composed("mul", lambda right: (right if _is_value(right) else as_real(right)) ** -1)
