"""Conditions: how comparisons come out while a program is recorded, each row's own.

See recording.py for what a condition is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._value_methods import is_bool
from ..engine import Value, bulk
from .needed import numpy
from .rules import EQUAL, RULE_EQUAL, RULE_LESS

if TYPE_CHECKING:
    from .recording import Recorder

PRIORITY = -1.0  # numpy's numbers on the left leave operations to stand-ins, its arrays do not


class Guard:
    """A comparison of two Values' data, and how it came out."""

    __slots__ = ("left", "outcome", "relation", "right")

    def __init__(self, relation: int, left: Value, right: Value, outcome: bool) -> None:
        self.relation, self.left, self.right, self.outcome = relation, left, right, outcome


class Condition:
    """How a comparison comes out, which each row of a program decides for itself.

    `where`, and & | ^ ~ == !=, take it as it is; in arithmetic and in comparisons with numbers it
    is each row's 1 or 0. Otherwise it is used as the bool that it is for the example. Then its
    outcome becomes a guard of the program, once.
    """

    __array_priority__ = PRIORITY

    __slots__ = ("_asked", "_value", "left", "negated", "outcome", "recorder", "relation", "right")

    def __init__(
        self,
        recorder: Recorder,
        relation: int,
        left: Value,
        right: Value,
        outcome: bool,
        negated: bool = False,
    ) -> None:
        self.recorder = recorder
        self.relation, self.left, self.right = relation, left, right
        self.outcome = outcome  # of the comparison, for the example
        self.negated = negated  # whether this is the opposite of the comparison
        self._asked = False
        self._value: Value | None = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class that isinstance() sees, so that code that tests for a bool finds one."""
        return bool

    @property
    def holds(self) -> bool:
        """Whether the condition holds for the example."""
        return self.outcome is not self.negated

    @property
    def value(self) -> Value:
        """A Value that is 1 in rows where the condition holds, and 0 in others."""
        if self._value is None:
            ends = self.left, self.right
            value = bulk.rule(RULE_LESS + self.relation, float(self.outcome), ends)
            if self.negated:
                value = bulk.rule(RULE_EQUAL, float(self.holds), (value, Value(0.0)))
            self._value = value
        return self._value

    def count(self) -> Any:
        """Return each row's 1 or 0, a stand-in; the bool itself after the recording."""
        if self.recorder.over:
            return self.holds
        return self.recorder.count(self)

    def __bool__(self) -> bool:
        if not self._asked:
            self.recorder.guards.append(Guard(self.relation, self.left, self.right, self.outcome))
            self._asked = True
        return self.holds

    # ---- conditions of conditions ----

    def __invert__(self) -> Condition:
        parts = self.recorder, self.relation, self.left, self.right, self.outcome
        return Condition(*parts, not self.negated)

    def _combine(self, other: Any, plain: Callable[[Any, Any], Any]) -> Any:
        """Return plain(this, other), a condition; of what is no bool, with this one's truth."""
        if not is_bool(other):
            return plain(bool(self), other)
        if type(other) is not Condition or other.recorder is not self.recorder:
            other = self.recorder.compare(EQUAL, Value(float(bool(other))), Value(1.0), bool(other))
        if plain is operator.and_:
            value = self.recorder.select(self, other.value, 0.0)
        elif plain is operator.or_:
            value = self.recorder.select(self, 1.0, other.value)
        else:
            value = self.recorder.select(self, (~other).value, other.value)
        result = Condition(self.recorder, EQUAL, value, Value(1.0), bulk.number_of(value) != 0.0)
        result._value = value
        return result

    def __and__(self, other: Any) -> Any:
        return self._combine(other, operator.and_)

    def __or__(self, other: Any) -> Any:
        return self._combine(other, operator.or_)

    def __xor__(self, other: Any) -> Any:
        return self._combine(other, operator.xor)

    def __rand__(self, other: Any) -> Any:
        return self & other

    def __ror__(self, other: Any) -> Any:
        return self | other

    def __rxor__(self, other: Any) -> Any:
        return self ^ other

    def __eq__(self, other: Any) -> Any:
        if type(other) is Condition and other.recorder is self.recorder:
            outcome = self.holds is other.holds
            return self.recorder.compare(EQUAL, self.value, other.value, outcome)
        if is_bool(other):
            return self if other else ~self
        return self.count() == other

    def __ne__(self, other: Any) -> Any:
        return negated(self == other)

    # ---- what bools are used for otherwise ----

    def __hash__(self) -> int:
        return hash(bool(self))

    def __index__(self) -> int:
        return operator.index(bool(self))

    def __rdivmod__(self, other: Any) -> Any:
        return divmod(other, bool(self))

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        return self.count() ** other if modulus is None else pow(bool(self), other, modulus)

    def __rpow__(self, other: Any) -> Any:
        return _reflected(operator.pow)(self, other)

    def __round__(self, digits: Any = None) -> Any:
        return round(bool(self), digits)

    def __format__(self, spec: str) -> str:
        return format(bool(self), spec)

    def __reduce__(self) -> Any:
        return bool, (bool(self),)

    def __array__(self, *args: Any, **names: Any) -> Any:
        return numpy().array(bool(self), *args, **names)

    def __getattr__(self, name: str) -> Any:
        if not hasattr(bool, name):
            raise AttributeError(f"'bool' object has no attribute {name!r}")
        return getattr(bool(self), name)


def _of_bool(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *others: function(bool(self), *others)


def _of_bool_on_the_right(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, bool(self))


def _of_count(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *others: function(self.count(), *others)


def _forward(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operation(self: Condition, other: Any) -> Any:
        over = self.recorder.over
        return apply(self.holds, other) if over else self.recorder.compute(apply, self, other)

    return operation


def _reflected(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operation(self: Condition, other: Any) -> Any:
        over = self.recorder.over
        return apply(other, self.holds) if over else self.recorder.compute(apply, other, self)

    return operation


for _name in ("add", "sub", "mul", "truediv"):
    setattr(Condition, f"__{_name}__", _forward(getattr(operator, _name)))
    setattr(Condition, f"__r{_name}__", _reflected(getattr(operator, _name)))
for _name in ("lt", "le", "gt", "ge", "neg", "pos", "abs"):
    setattr(Condition, f"__{_name}__", _of_count(getattr(operator, _name)))
for _name in ("floordiv", "mod", "lshift", "rshift"):
    setattr(Condition, f"__{_name}__", _of_bool(getattr(operator, _name)))
    setattr(Condition, f"__r{_name}__", _of_bool_on_the_right(getattr(operator, _name)))
for _function in (int, float, complex, str, repr, divmod):
    setattr(Condition, f"__{_function.__name__}__", _of_bool(_function))
for _name in ("trunc", "floor", "ceil"):
    setattr(Condition, f"__{_name}__", _of_bool(getattr(math, _name)))


def negated(equal: Any) -> Any:
    """Return the opposite of a bool or a condition; NotImplemented as it is."""
    if equal is NotImplemented or type(equal) is Condition:
        return equal if equal is NotImplemented else ~equal
    return not equal


def own(operand: Any) -> Any:
    """Return a condition as each row's 1 or 0, and all else as it is."""
    return operand.count() if type(operand) is Condition else operand
