"""The scalar `Value` in pure Python: what the engine computes, in a form to be read and timed.

This Value is micrograd's class with the engine's operators: every operation makes a Value that
holds its operands and a closure that pushes its gradient to them. Children are ordered, so two runs
give the same bits. No program needs this class: `python -m micrograd_c` times it beside the engine,
and the tests compare with it.

The methods raise what Python's own arithmetic raises: OverflowError for a result too large for a
float, and the errors that their docstrings name. `backward` raises for a derivative alike.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, KeysView
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any, TypeAlias

from . import special

Number = float | Fraction | Decimal
Operand: TypeAlias = "Value | Number"

_SLOPE_OF_ERF = 1.1283791670955126  # at 0: 2 / sqrt(pi)
_LOG2_OF_E = 1.4426950408889634
_LOG10_OF_E = 0.4342944819032518

_NUMBERS = (float, int, Decimal, Real)


def _number(x: Any) -> float:
    if not isinstance(x, _NUMBERS):
        raise TypeError(f"a Value holds a real number, not {type(x).__name__!r}")
    return float(x)


def _power(base: float, exponent: float) -> float:
    if -math.inf < base < 0 and math.isfinite(exponent) and exponent % 1 != 0:
        raise ValueError("a negative base with a fractional exponent has no real power")
    return float(base**exponent)


def _power_slope(base: float, exponent: float) -> float:
    """Return the derivative of base**exponent in its base; base**0 is 1 everywhere."""
    return 0.0 if exponent == 0 else exponent * _power(base, exponent - 1)


class Value:
    """A number, its gradient, and the operation that the number came from."""

    def __init__(
        self, data: Number, children: Iterable[Value] = (), op: str = "", label: str = ""
    ) -> None:
        self.data = data if type(data) is float else _number(data)
        self.grad = 0.0
        self.label = label
        self._op = op
        self._children = tuple(children)
        self._backward: Callable[[], None] = lambda: None

    @property
    def _prev(self) -> KeysView[Value]:
        return dict.fromkeys(self._children).keys()

    # The operations: each result's closure adds its share to the operands' gradients.

    def __add__(self, other: Operand) -> Value:
        """Return x + y; derivatives 1 and 1."""
        if not isinstance(other, Value):
            if not isinstance(other, _NUMBERS):
                return NotImplemented
            other = self.__class__(other)
        left, right = self, other
        out = self.__class__(left.data + right.data, (left, right), "+")

        def _backward() -> None:
            left.grad += out.grad
            right.grad += out.grad

        out._backward = _backward
        return out

    def __mul__(self, other: Operand) -> Value:
        """Return x * y; derivatives y and x."""
        if not isinstance(other, Value):
            if not isinstance(other, _NUMBERS):
                return NotImplemented
            other = self.__class__(other)
        left, right = self, other
        out = self.__class__(left.data * right.data, (left, right), "*")

        def _backward() -> None:
            left.grad += right.data * out.grad
            right.grad += left.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, other: Operand) -> Value:
        """Return x ** y; derivatives y * x**(y - 1) and x**y * log(x), for a Value y.

        The latter is 0 for x = 0 and nan for x < 0. Raises ZeroDivisionError for 0 to a negative
        power, ValueError for a finite x < 0 with a finite y that is no integer.
        """
        if isinstance(other, Value):
            return self._pow_value(other)
        if not isinstance(other, _NUMBERS):
            return NotImplemented
        n = float(other)
        out = self.__class__(_power(self.data, n), (self,), f"**{other}")

        def _backward() -> None:
            self.grad += _power_slope(self.data, n) * out.grad

        out._backward = _backward
        return out

    def _pow_value(self, other: Value, *, is_number: bool = False) -> Value:
        out = self.__class__(_power(self.data, other.data), (self, other), "**")

        def _backward() -> None:
            try:
                to_base = _power_slope(self.data, other.data)
            except (ArithmeticError, ValueError):
                if not is_number:
                    raise
                to_base = math.inf
            if is_number and not math.isfinite(to_base):
                to_base = 0.0  # the base is a number, no Value: its derivative is not wanted
            to_exponent = 0.0
            if self.data != 0:
                to_exponent = out.data * math.log(self.data) if self.data > 0 else math.nan
            self.grad += to_base * out.grad
            other.grad += to_exponent * out.grad

        out._backward = _backward
        return out

    def _unary(self, data: float, op: str, partial: Callable[[Value], float]) -> Value:
        out = self.__class__(data, (self,), op)

        def _backward() -> None:
            self.grad += partial(out) * out.grad

        out._backward = _backward
        return out

    def tanh(self) -> Value:
        """Return (e**2x - 1) / (e**2x + 1), without overflow; derivative 1 - tanh(x)**2."""
        try:
            e = math.exp(2 * self.data)
        except OverflowError:
            e = math.inf
        t = 1.0 if e == math.inf else (e - 1) / (e + 1)
        return self._unary(t, "tanh", lambda out: 1 - _power(out.data, 2.0))

    def exp(self) -> Value:
        """Return e**x; derivative e**x. Raises OverflowError for x above 709.78."""
        return self._unary(math.exp(self.data), "exp", lambda out: out.data)

    def log(self) -> Value:
        """Return the natural logarithm of x > 0; derivative 1 / x. Raises ValueError for x <= 0."""
        return self._unary(math.log(self.data), "log", lambda out: 1 / self.data)

    def relu(self) -> Value:
        """Return max(x, 0); derivative 1 for x > 0, else 0."""
        data = 0.0 if self.data < 0 else self.data
        return self._unary(data, "ReLU", lambda out: 1.0 if out.data > 0 else 0.0)

    def sigmoid(self) -> Value:
        """Return s = 1 / (1 + e**-x), without overflow; derivative s * (1 - s)."""
        return self._unary(
            special.sigmoid(self.data), "sigmoid", lambda out: out.data * (1 - out.data)
        )

    def sin(self) -> Value:
        """Return sin(x), x in radians; derivative cos(x). Raises ValueError for infinite x."""
        return self._unary(math.sin(self.data), "sin", lambda out: math.cos(self.data))

    def cos(self) -> Value:
        """Return cos(x), x in radians; derivative -sin(x). Raises ValueError for infinite x."""
        return self._unary(math.cos(self.data), "cos", lambda out: -math.sin(self.data))

    def sqrt(self) -> Value:
        """Return the square root of x >= 0; derivative 0.5 / sqrt(x), for x > 0.

        Raises ValueError for x < 0; backward raises ZeroDivisionError for x = 0.
        """
        return self._unary(math.sqrt(self.data), "sqrt", lambda out: 0.5 / out.data)

    def log1p(self) -> Value:
        """Return log(1 + x) for x > -1; derivative 1 / (1 + x). Raises ValueError for x <= -1."""
        return self._unary(math.log1p(self.data), "log1p", lambda out: 1 / (1 + self.data))

    def expm1(self) -> Value:
        """Return e**x - 1; derivative e**x. Raises OverflowError for x above 709.78."""
        return self._unary(math.expm1(self.data), "expm1", lambda out: math.exp(self.data))

    def tan(self) -> Value:
        """Return tan(x), x in radians; derivative 1 + tan(x)**2.

        Raises ValueError for infinite x.
        """
        return self._unary(math.tan(self.data), "tan", lambda out: 1 + out.data * out.data)

    def asin(self) -> Value:
        """Return the angle whose sine is x, |x| <= 1; derivative 1 / sqrt(1 - x**2)."""
        return self._unary(
            math.asin(self.data),
            "asin",
            lambda out: 1 / math.sqrt((1 - self.data) * (1 + self.data)),
        )

    def acos(self) -> Value:
        """Return the angle whose cosine is x, |x| <= 1; derivative -1 / sqrt(1 - x**2)."""
        return self._unary(
            math.acos(self.data),
            "acos",
            lambda out: -1 / math.sqrt((1 - self.data) * (1 + self.data)),
        )

    def atan(self) -> Value:
        """Return the angle whose tangent is x; derivative 1 / (1 + x**2)."""

        def slope(_: Value) -> float:
            x = self.data
            return 1 / (1 + x * x) if abs(x) < 1e150 else 1 / x / x

        return self._unary(math.atan(self.data), "atan", slope)

    def sinh(self) -> Value:
        """Return sinh(x); derivative cosh(x). Raises OverflowError for |x| above 710.47."""
        return self._unary(math.sinh(self.data), "sinh", lambda out: math.cosh(self.data))

    def cosh(self) -> Value:
        """Return cosh(x); derivative sinh(x). Raises OverflowError for |x| above 710.47."""
        return self._unary(math.cosh(self.data), "cosh", lambda out: math.sinh(self.data))

    def asinh(self) -> Value:
        """Return the number whose sinh is x; derivative 1 / sqrt(1 + x**2)."""
        return self._unary(
            math.asinh(self.data), "asinh", lambda out: 1 / math.hypot(1.0, self.data)
        )

    def acosh(self) -> Value:
        """Return the number whose cosh is x >= 1; derivative 1 / sqrt(x**2 - 1)."""
        return self._unary(
            math.acosh(self.data),
            "acosh",
            lambda out: 1 / (math.sqrt(self.data - 1) * math.sqrt(self.data + 1)),
        )

    def atanh(self) -> Value:
        """Return the number whose tanh is x, |x| < 1; derivative 1 / (1 - x**2)."""
        return self._unary(
            math.atanh(self.data), "atanh", lambda out: 1 / ((1 - self.data) * (1 + self.data))
        )

    def erf(self) -> Value:
        """Return the error function of x; derivative 2 / sqrt(pi) * e**-x**2."""
        return self._unary(
            math.erf(self.data), "erf", lambda out: special.bell(self.data, _SLOPE_OF_ERF)
        )

    def erfc(self) -> Value:
        """Return 1 - erf(x); derivative -2 / sqrt(pi) * e**-x**2."""
        return self._unary(
            math.erfc(self.data), "erfc", lambda out: special.bell(self.data, -_SLOPE_OF_ERF)
        )

    def log2(self) -> Value:
        """Return the logarithm of x > 0 to base 2; derivative 1 / (x * log(2))."""
        return self._unary(math.log2(self.data), "log2", lambda out: _LOG2_OF_E / self.data)

    def log10(self) -> Value:
        """Return the logarithm of x > 0 to base 10; derivative 1 / (x * log(10))."""
        return self._unary(math.log10(self.data), "log10", lambda out: _LOG10_OF_E / self.data)

    def softplus(self) -> Value:
        """Return log(1 + e**x); derivative sigmoid(x)."""
        return self._unary(
            special.softplus(self.data), "softplus", lambda out: special.sigmoid(self.data)
        )

    def gelu(self) -> Value:
        """Return x * P(x), P the normal distribution; derivative P(x) + x * p(x), p its density."""
        return self._unary(
            special.gelu(self.data), "gelu", lambda out: special.gelu_slope(self.data)
        )

    def silu(self) -> Value:
        """Return x * s, s = sigmoid(x); derivative s + x * s * (1 - s)."""
        return self._unary(
            special.silu(self.data), "silu", lambda out: special.silu_slope(self.data)
        )

    def lgamma(self) -> Value:
        """Return log |gamma(x)|; derivative digamma(x). Raises ValueError for x = 0, -1, ..."""
        return self._unary(math.lgamma(self.data), "lgamma", lambda out: special.digamma(self.data))

    def digamma(self) -> Value:
        """Return the derivative of lgamma(x); derivative trigamma(x). Raises as lgamma does."""
        return self._unary(
            special.digamma(self.data), "digamma", lambda out: special.trigamma(self.data)
        )

    def __abs__(self) -> Value:
        """Return |x|; derivative 1 for x > 0, -1 for x < 0, 0 for x = 0."""

        def sign(_: Value) -> float:
            x = self.data
            return 1.0 if x > 0 else -1.0 if x < 0 else math.nan if math.isnan(x) else 0.0

        return self._unary(abs(self.data), "abs", sign)

    def backward(self) -> None:
        """Set this Value's gradient to 1.0, then add to the gradients of all it was made from.

        The order is the reverse of a depth-first search's post-order. Raises the error of the first
        derivative that cannot be computed; the Values that follow then push no gradients.
        """
        order: list[Value] = []
        visited = {self}
        stack: list[tuple[Value, Iterator[Value]]] = [(self, iter(self._children))]
        while stack:
            node, children = stack[-1]
            for child in children:
                if child not in visited:
                    visited.add(child)
                    stack.append((child, iter(child._children)))
                    break
            else:
                order.append(node)
                stack.pop()
        self.grad = 1.0
        for node in reversed(order):
            node._backward()

    # The other operators are made of the operations above.

    def __neg__(self) -> Value:
        return self * -1

    def __pos__(self) -> Value:
        return self

    def __sub__(self, other: Operand) -> Value:
        if isinstance(other, (Value, _NUMBERS)):
            return self + (-other)
        return NotImplemented

    def __truediv__(self, other: Operand) -> Value:
        if isinstance(other, Value):
            return self * other**-1
        return self * float(other) ** -1 if isinstance(other, _NUMBERS) else NotImplemented

    def __radd__(self, other: Number) -> Value:
        return self + other if isinstance(other, _NUMBERS) else NotImplemented

    def __rmul__(self, other: Number) -> Value:
        return self * other if isinstance(other, _NUMBERS) else NotImplemented

    def __rsub__(self, other: Number) -> Value:
        return other + (-self) if isinstance(other, _NUMBERS) else NotImplemented

    def __rtruediv__(self, other: Number) -> Value:
        return other * self**-1 if isinstance(other, _NUMBERS) else NotImplemented

    def __rpow__(self, other: Number) -> Value:
        if not isinstance(other, _NUMBERS):
            return NotImplemented
        if type(self).__pow__ is not Value.__pow__:
            return self.__class__(other) ** self
        return self._exponent_of(other)

    def _exponent_of(self, base: Number) -> Value:
        return self.__class__(base)._pow_value(self, is_number=True)

    def __lt__(self, other: Operand) -> bool:
        return self.data < _data(other) if _is_operand(other) else NotImplemented

    def __le__(self, other: Operand) -> bool:
        return self.data <= _data(other) if _is_operand(other) else NotImplemented

    def __gt__(self, other: Operand) -> bool:
        return self.data > _data(other) if _is_operand(other) else NotImplemented

    def __ge__(self, other: Operand) -> bool:
        return self.data >= _data(other) if _is_operand(other) else NotImplemented

    def __repr__(self) -> str:
        return f"Value(data={self.data}, label={self.label}, grad={self.grad})"

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else str(self)


def _is_operand(other: Any) -> bool:
    return isinstance(other, (Value, _NUMBERS))


def _data(other: Operand) -> Any:
    return other.data if isinstance(other, Value) else other


def maximum(a: Operand, b: Operand, *more: Operand) -> Value:
    """Return the larger of two, as a Value: the gradient goes to it; at a tie, half to each.

    If one is nan, so are the result and both derivatives. More than two are taken pairwise.
    """
    if more:
        return functools.reduce(maximum, more, maximum(a, b))
    return _choose(a, b, "max", lambda x, y: x >= y)


def minimum(a: Operand, b: Operand, *more: Operand) -> Value:
    """Return the smaller of two, as a Value: the gradient goes to it; at a tie, half to each.

    If one is nan, so are the result and both derivatives. More than two are taken pairwise.
    """
    if more:
        return functools.reduce(minimum, more, minimum(a, b))
    return _choose(a, b, "min", lambda x, y: x <= y)


def _choose(a: Operand, b: Operand, op: str, first: Callable[[float, float], bool]) -> Value:
    left, right = _both(a, b)

    def share(x: float, y: float) -> float:
        if math.isnan(x) or math.isnan(y):
            return math.nan
        return 0.5 if x == y else 1.0 if first(x, y) else 0.0

    x, y = left.data, right.data
    nan = math.isnan(x) or math.isnan(y)
    return _binary(math.nan if nan else x if first(x, y) else y, left, right, op, share, share)


def atan2(a: Operand, b: Operand) -> Value:
    """Return the angle of the point with height a and width b, from -pi to pi.

    Its derivatives are b / (a**2 + b**2) and -a / (a**2 + b**2); backward raises ZeroDivisionError
    if both are 0.
    """
    left, right = _both(a, b)
    return _binary(
        math.atan2(left.data, right.data),
        left,
        right,
        "atan2",
        lambda x, y: special.over_squares(y, x, y),
        lambda y, x: -special.over_squares(x, x, y),
    )


def hypot(a: Operand, b: Operand) -> Value:
    """Return h = sqrt(a**2 + b**2); derivatives a / h and b / h, 0 if both are 0."""
    left, right = _both(a, b)
    slope = special.hypot_slope
    return _binary(math.hypot(left.data, right.data), left, right, "hypot", slope, slope)


def _both(a: Operand, b: Operand) -> tuple[Value, Value]:
    cls = type(a) if isinstance(a, Value) else type(b) if isinstance(b, Value) else Value
    return a if isinstance(a, Value) else cls(a), b if isinstance(b, Value) else cls(b)


def _binary(
    data: float,
    left: Value,
    right: Value,
    op: str,
    partial: Callable[[float, float], float],
    swapped: Callable[[float, float], float],
) -> Value:
    """Return the Value of a function of two; `swapped` is its other derivative, of (y, x)."""
    out = left.__class__(data, (left, right), op)

    def _backward() -> None:
        to_left = partial(left.data, right.data)
        to_right = swapped(right.data, left.data)
        left.grad += to_left * out.grad
        right.grad += to_right * out.grad

    out._backward = _backward
    return out
