"""Stand-ins: the numbers that code sees as the data of Values while a program is recorded.

See recording.py for what a stand-in is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from .._value_methods import user_line
from ..engine import Value, bulk, maximum, restore
from .conditions import PRIORITY, Condition, negated, own
from .needed import numpy
from .reals import as_number, below, is_double, nearest, not_above, real_part
from .rules import DETACH, DIVIDE, EQUAL, LESS, LESS_EQUAL

if TYPE_CHECKING:
    from .recording import Recorder

_LOOKUP = " (for an element of a list use micrograd_c.take(table, index))"


class Number:
    """A stand-in for the data of a Value while a program is being recorded."""

    __array_priority__ = PRIORITY
    __slots__ = ("_asked", "counts", "number", "recorder", "value")

    def __init__(
        self, recorder: Recorder, value: Value, number: float, counts: bool = False
    ) -> None:
        self.recorder = recorder
        self.value = value  # the Value that computes the number, without gradients
        self.number = number  # the example's number; an int if Python would have one
        self.counts = counts  # whether it is made of conditions and plain numbers alone
        self._asked = False

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class that isinstance() sees, so that code that tests for a float finds one."""
        return int if isinstance(self.number, int) else float

    # ---- comparisons ----

    def _other(self, other: Any) -> Any:
        """Return stand-ins and real numbers as they are, for a Value its stand-in.

        NotImplemented for anything else.
        """
        other = own(other)
        if isinstance(other, Number):
            return other
        if isinstance(other, Value):
            return self.recorder.read(other)
        return NotImplemented if as_number(other) is None else other

    def _compare(self, other: Any, swapped: bool, strict: bool) -> Any:
        other = self._other(other)
        if other is NotImplemented:
            return NotImplemented
        condition, relation = self.recorder.compare, LESS if strict else LESS_EQUAL
        compare = operator.lt if strict else operator.le
        if isinstance(other, Number):
            left, right = (other, self) if swapped else (self, other)
            return condition(relation, left.value, right.value, compare(left.number, right.number))
        if other != other:
            return False  # nan
        if not swapped:  # self < other
            relation, near = (below if strict else not_above)(self.number, other)
            return condition(relation, self.value, Value(near), compare(self.number, other))
        near = nearest(other)  # other < self
        if strict:
            relation = LESS_EQUAL if near > other else LESS
        else:
            relation = LESS if near < other else LESS_EQUAL
        return condition(relation, Value(near), self.value, compare(other, self.number))

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, False, True)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, False, False)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, True, True)

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, True, False)

    def __eq__(self, other: Any) -> Any:
        other = NotImplemented if isinstance(other, Value) else self._other(real_part(other))
        if other is NotImplemented:
            return NotImplemented
        if isinstance(other, Number):
            outcome = self.number == other.number
            return self.recorder.compare(EQUAL, self.value, other.value, outcome)
        near = nearest(other)
        if near != other:
            return False  # no double is equal to the other number
        return self.recorder.compare(EQUAL, self.value, Value(near), self.number == near)

    def __ne__(self, other: Any) -> Any:
        return negated(self.__eq__(other))

    def __bool__(self) -> bool:
        return not self.__eq__(0.0)

    # ---- what would make it a plain number ----

    def _plain(self, use: str = "") -> float:
        """Return the example's number if it may be every row's; else raise TypeError.

        One made of conditions may be, by a guard.
        """
        if self.counts:
            if not self._asked:
                self._asked = True
                known = self.number == self.number
                same = Value(float(self.number)) if known else self.value  # nan is equal to none
                bool(self.recorder.compare(EQUAL, self.value, same, known))
            return self.number
        if not self.recorder.allow_constants and not self.recorder.is_constant(self.value):
            _refuse_number(self.recorder, use)
        return self.number

    def __float__(self) -> float:
        return float(self._plain("turned into a float (as math.* does)"))

    def __int__(self) -> int:
        return int(self._plain(f"turned into an int{_LOOKUP}"))

    def __index__(self) -> int:
        return operator.index(self._plain(f"used as an index{_LOOKUP}"))  # type: ignore[arg-type]

    def __complex__(self) -> complex:
        return complex(self._plain("turned into a complex number"))

    def __round__(self, digits: Any = None) -> Any:
        return round(self._plain("rounded"), digits)

    def __trunc__(self) -> int:
        return int(self._plain("truncated"))

    def __floor__(self) -> int:
        return int(self._plain("rounded down") // 1)

    def __ceil__(self) -> int:
        return int(-(-self._plain("rounded up") // 1))

    def __str__(self) -> str:
        return str(self._plain("turned into a string"))

    def __repr__(self) -> str:
        return repr(self._plain("turned into a string"))

    def __format__(self, spec: str) -> str:
        return format(self._plain("turned into a string"), spec)

    def __hash__(self) -> int:
        return hash(self._plain("used as a key"))

    def is_integer(self) -> bool:
        """Tell whether it is an integer, as a float does."""
        return self._plain("asked whether it is an integer").is_integer()

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not self.counts:
            return super().__reduce_ex__(protocol)
        return type(self.number), (self._plain(),)

    @property
    def __array__(self) -> Any:
        """What makes an array of one made of conditions; others become elements as they are."""
        if not self.counts:
            raise AttributeError("'float' object has no attribute '__array__'")
        return lambda *args, **names: numpy().array(self._plain(), *args, **names)

    def __getattr__(self, name: str) -> Any:
        """Return the method that numpy looks for: np.exp(number) calls number.exp()."""
        if self.counts and hasattr(type(self.number), name):
            return getattr(self._plain(), name)
        np = numpy()
        function = getattr(np, name, None)
        if not isinstance(function, np.ufunc) or function.nin != 1:
            raise AttributeError(f"'float' object has no attribute {name!r}")
        use = f"given to np.{name}()"
        if hasattr(Value, name):
            use += f" (a Value has its own {name}())"
        return lambda: function(self._plain(use))

    # ---- arithmetic ----

    def __add__(self, other: Any) -> Any:
        return arithmetic(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return arithmetic(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return arithmetic(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return arithmetic(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return arithmetic(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return arithmetic(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return arithmetic(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return arithmetic(operator.truediv, other, self)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            return pow(self._plain(), other, modulus) if self.counts else NotImplemented
        return arithmetic(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return arithmetic(operator.pow, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _plain_arithmetic(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _plain_arithmetic(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Any:
        return _plain_arithmetic(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _plain_arithmetic(operator.mod, other, self)

    def __divmod__(self, other: Any) -> Any:
        return _plain_arithmetic(divmod, self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return _plain_arithmetic(divmod, other, self)

    def _bits(self, apply: Callable[..., Any], *others: Any) -> Any:
        """Return apply(this, *others), an operation of ints; NotImplemented if this is none."""
        return apply(self._plain(), *others) if isinstance(self, int) else NotImplemented

    def __and__(self, other: Any) -> Any:
        return self._bits(operator.and_, other)

    def __or__(self, other: Any) -> Any:
        return self._bits(operator.or_, other)

    def __xor__(self, other: Any) -> Any:
        return self._bits(operator.xor, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __lshift__(self, other: Any) -> Any:
        return self._bits(operator.lshift, other)

    def __rlshift__(self, other: Any) -> Any:
        return self._bits(lambda places, number: number << places, other)

    def __rshift__(self, other: Any) -> Any:
        return self._bits(operator.rshift, other)

    def __rrshift__(self, other: Any) -> Any:
        return self._bits(lambda places, number: number >> places, other)

    def __invert__(self) -> Any:
        number: Any = self._plain("an operand of ~")
        return ~number

    def __neg__(self) -> Any:
        if isinstance(self.number, int):  # an int has no -0
            return 0 - self
        return Number(self.recorder, self.value * -1.0, -self.number, self.counts)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return Number(self.recorder, self.value.abs(), abs(self.number), self.counts)


def _refuse_number(recorder: Recorder, use: str) -> NoReturn:
    raise recorder.note(
        TypeError(
            f"while a program is being recorded, the data of a Value cannot be {use}: "
            f"it would be the example's number for every row ({user_line()}); "
            "allow_constants=True allows that"
        )
    )


def arithmetic(apply: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Return apply(a, b): one is a stand-in, the other a Value, a number or a stand-in."""
    exponent = b
    a, b = own(a), own(b)
    if apply is operator.truediv and _counts(b) and not b:  # a guard
        return apply(a, b._plain())  # which raises the error of a division by 0
    if isinstance(a, Value) or isinstance(b, Value):
        return _with_value(apply, a, b)
    recorder = (a if isinstance(a, Number) else b).recorder
    if as_number(a) is None and not isinstance(a, Number):
        return NotImplemented
    if as_number(b) is None and not isinstance(b, Number):
        return NotImplemented
    p, q = (v.number if isinstance(v, Number) else v for v in (a, b))
    counts = all(_counts(v) or not isinstance(v, Number) for v in (a, b))
    if counts and apply is operator.pow:
        if _counts(b) and type(exponent) is not Condition:
            bool(b < 0)  # a guard: by the sign of an int's exponent the power is an int or a float
        if q < 0 and _counts(a):
            bool(a)
    try:
        number = apply(p, q)
    except ArithmeticError as error:
        if counts:
            return _plain_arithmetic(apply, a, b)
        recorder.note(error)
        raise
    if counts and not (isinstance(number, (int, float)) and all(map(is_double, (p, q, number)))):
        return _plain_arithmetic(apply, a, b)
    if not counts and not isinstance(number, float):
        _refuse_number(recorder, "raised to a power that is complex")
    x, y = recorder.lift(a), recorder.lift(b)
    if apply is operator.truediv:
        value = bulk.rule(DIVIDE, number, (x, y))
    elif apply is operator.pow:  # detached: its derivative, which nobody asks for, may not exist
        power = x**y if isinstance(b, Number) else x ** float(b)
        value = bulk.rule(DETACH, number, (power,))
    else:
        value = apply(x, y)
        if apply is operator.mul and isinstance(number, int):
            value = value + 0.0  # where it is -0, which no int is
    return Number(recorder, value, number, counts)


def _counts(operand: Any) -> bool:
    """Return whether this is a stand-in made of conditions and plain numbers alone."""
    return type(operand) is Number and operand.counts


def _with_value(apply: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Return apply(a, b): one is a stand-in, the other a Value."""
    x, y = (v.value if isinstance(v, Number) else v for v in (a, b))
    if isinstance(b, Value) and apply is operator.sub:  # recorded as number - Value is
        return -y + x
    if isinstance(b, Value) and apply is operator.truediv:
        return y**-1 * x
    if isinstance(b, Value) and apply in (operator.add, operator.mul):
        return apply(y, x)
    result = apply(x, y)
    if isinstance(b, Value) and apply is operator.pow:  # the base is a number, no Value
        return restore(type(result), "number_power", bulk.number_of(result), (x, b), None, ())
    return result


def _plain_arithmetic(apply: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Return apply(a, b), an operation that programs do not have, of plain numbers."""
    use = f"an operand of {apply.__name__}"
    return apply(*(v._plain(use) if isinstance(v, Number) else v for v in (a, b)))


def largest(numbers: list[Any]) -> Any:
    """Return max(numbers). With stand-ins that is maximum(), each row's own, without guards."""
    numbers = list(map(own, numbers))
    recorder = next((v.recorder for v in numbers if isinstance(v, Number)), None)
    if recorder is None:
        return max(numbers)
    top = recorder.lift(numbers[0])
    for v in numbers[1:]:
        top = maximum(top, recorder.lift(v))
    return Number(recorder, top, bulk.number_of(top))
