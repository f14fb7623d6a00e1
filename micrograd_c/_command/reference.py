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

Number = float | Fraction | Decimal
Operand: TypeAlias = "Value | Number"

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
        e = math.exp(-abs(self.data))
        s = 1 / (1 + e) if self.data >= 0 else e / (1 + e)
        return self._unary(s, "sigmoid", lambda out: out.data * (1 - out.data))

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
    cls = type(a) if isinstance(a, Value) else type(b) if isinstance(b, Value) else Value
    left = a if isinstance(a, Value) else cls(a)
    right = b if isinstance(b, Value) else cls(b)

    def share(x: float, y: float) -> float:
        if math.isnan(x) or math.isnan(y):
            return math.nan
        return 0.5 if x == y else 1.0 if first(x, y) else 0.0

    x, y = left.data, right.data
    nan = math.isnan(x) or math.isnan(y)
    out = cls(math.nan if nan else x if first(x, y) else y, (left, right), op)

    def _backward() -> None:
        left.grad += share(left.data, right.data) * out.grad
        right.grad += share(right.data, left.data) * out.grad

    out._backward = _backward
    return out
