"""Recording a program to be compiled: the numbers that code sees meanwhile.

While a `Recorder` records, the data of a Value is a `Number`: a stand-in that computes with the
example's number and remembers how. A comparison of stand-ins is a `Condition`: where Python asks
for its truth it becomes a guard of the program, and `where` selects by it without one. Arithmetic
with stand-ins becomes a part of the program through which no gradient passes. Whatever would turn a
stand-in into a plain number raises TypeError, for that number would be the example's for every row.

In arithmetic a condition is the number 1 or 0 of each row. A number made of conditions and plain
numbers alone, such as a count of conditions, takes few different values: where it is turned into a
plain number, a guard has it be the same in all rows.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Sequence
from numbers import Complex, Real
from typing import Any, NamedTuple, NoReturn

from .._value_methods import as_real, plain_error, user_line
from ..engine import Value, bulk, maximum, restore
from . import arguments

_RULES = (
    *("MG_RULE_NONE", "MG_RULE_DETACH", "MG_RULE_DIVIDE", "MG_RULE_LINK"),
    *("MG_RULE_LESS", "MG_RULE_LESS_EQUAL", "MG_RULE_EQUAL", "MG_RULE_SELECT"),
)
NO_RULE, DETACH, DIVIDE, LINK, RULE_LESS, RULE_LESS_EQUAL, RULE_EQUAL, SELECT = map(
    bulk.enums.__getitem__, _RULES
)
TABLE, TAKE = map(bulk.enums.__getitem__, ("MG_RULE_TABLE", "MG_RULE_TAKE"))
LESS, LESS_EQUAL, EQUAL = map(bulk.enums.__getitem__, ("MG_LESS", "MG_LESS_EQUAL", "MG_EQUAL"))


class Guard(NamedTuple):
    """A comparison of two Values' data, and how it came out."""

    relation: int
    left: Value
    right: Value
    outcome: bool


class Recorder:
    """What the Values of one thread ask for their data while the thread records a program."""

    def __init__(self, allow_constants: bool = False) -> None:
        self.allow_constants = allow_constants
        self.guards: list[Guard] = []
        self.over = False  # whether the recording has ended
        self.inputs: tuple[Value, ...] = ()
        self.position: Any = None
        self.start = 0  # nodes with this serial number or a higher one are made by the function
        self.arguments: frozenset[int] = frozenset()  # ids of the inputs
        self.numbers: frozenset[int] = frozenset()  # ids of those that Value() takes as numbers
        self.constants: set[int] = set()  # serial numbers of nodes known to be constants
        self.independent: set[int] = set()  # serial numbers of nodes known to need no argument
        self.raised: Exception | None = None  # the first error, of a computation or a refusal
        self.raised_at = ""  # the line of the error
        self.elements: dict[str, Value] = {}  # constants in tables, by number
        self.tables: dict[tuple[int, ...], tuple[tuple[Value, ...], Value]] = {}

    def run(self, work: Callable[[], Any]) -> Any:
        """Return what work() returns, having this thread record meanwhile."""

        def work_from(position: Any) -> Any:
            self.position = position
            return work()

        try:
            return bulk.record(self, work_from)
        finally:
            self.over = True
            self.tables.clear()
            self.elements.clear()

    def make_inputs(self, numbers: Sequence[float]) -> list[Value]:
        """Return a Value for each number: the inputs. To be called just before the function."""
        leaves = [Value(number) for number in numbers]
        self.take_inputs(leaves)
        return leaves

    def take_inputs(self, leaves: Sequence[Value], numbers: Sequence[Value] = ()) -> None:
        """Let these leaves, just made, be the inputs; `numbers` are Values in place of numbers."""
        self.inputs = tuple(leaves)
        self.numbers = frozenset(map(id, numbers))
        self.arguments = frozenset(map(id, leaves))
        self.start = bulk.serial(Value(0.0))

    # ---- what Values ask ----

    def read(self, value: Value) -> Number:
        """Return a stand-in for the data of a Value."""
        data = bulk.number_of(value)
        return Number(self, bulk.rule(DETACH, data, (value,)), data)

    def assign(self, value: Value, data: Any) -> None:
        """Set the data of a Value that nothing has been computed from yet."""
        if id(value) in self.arguments or not bulk.is_fresh(value, self.position):
            raise TypeError(
                "a program cannot assign .data of a Value that was there before "
                f"or has been used already ({user_line()})"
            )
        if value._op != "" or len(value._children) > 1:
            raise TypeError(
                f"a program cannot assign .data of an operation's result ({user_line()})"
            )
        Value.__init__(value, data, label=value.label)

    def construct(
        self, data: Any, children: tuple[Value, ...], partials: tuple[Any, ...]
    ) -> Value | None:
        """Return Value(data, children, partials); None if neither data nor a partial stands in."""
        data = self.read(data) if id(data) in self.numbers else _own(data)
        partials = tuple(map(_own, partials))
        if not isinstance(data, Number) and not any(isinstance(p, Number) for p in partials):
            return None
        number = data.number if isinstance(data, Number) else float(data)
        if not partials:
            return bulk.rule(DETACH, number, (self.lift(data),))
        pairs = [v for pair in zip(children, map(self.lift, partials)) for v in pair]
        return bulk.rule(LINK, number, (self.lift(data), *pairs))

    def apply(self, name: str, a: Any, b: Any) -> Any:
        """Return maximum(a, b), atan2(a, b), ...; NotImplemented if neither is a stand-in."""
        a, b = _own(a), _own(b)
        if not isinstance(a, Number) and not isinstance(b, Number):
            return NotImplemented
        if any(not isinstance(v, (Number, Value)) and _real(v) is None for v in (a, b)):
            return NotImplemented
        x, y = (v.value if isinstance(v, Number) else v for v in (a, b))
        return getattr(bulk, name)(x, y)

    # To the author of the function an argument is a number, so it compares with numbers as one.
    # Between Values == is identity, as ever. A Value computed from an argument must be compared by
    # its .data: outside of a recording such a Value is true, and equal to no number.

    def differs(self, value: Value, other: Any) -> Any:
        """Return value != other; NotImplemented where the comparison is one of identity."""
        return _negated(self.equals(value, other))

    def equals(self, value: Value, other: Any) -> Any:
        """Return value == other; NotImplemented where the comparison is one of identity."""
        if isinstance(other, Value):
            return NotImplemented
        if not isinstance(other, Number) and _kind(_real_part(other)) is None:
            return NotImplemented
        if id(value) in self.arguments:
            return self.read(value) == other
        self._refuse_computed(value, "compared with a number by == or !=: compare its .data")
        return NotImplemented

    def truth(self, value: Value) -> bool:
        """Return whether a Value is true: an argument is where its number is not 0."""
        if id(value) in self.arguments:
            return bool(self.read(value))
        self._refuse_computed(value, "asked for its truth: compare its .data with a number")
        return True

    def check_hash(self, value: Value) -> None:
        """Raise TypeError for an argument: its hash would not be that of its number."""
        if id(value) in self.arguments:
            raise self.note(
                plain_error(
                    value,
                    "while a program is being recorded, an argument has no hash "
                    f"({user_line()}): key by id(v) for the Value itself, compare its .data for "
                    "its number",
                )
            )

    def _refuse_computed(self, value: Value, use: str) -> None:
        """Raise TypeError if a Value is computed from an argument."""
        if self._reaches(value, self.independent, lambda v: id(v) in self.arguments):
            raise self.note(
                plain_error(
                    value,
                    "while a program is being recorded, a Value computed from its arguments "
                    f"cannot be {use} ({user_line()})",
                )
            )

    def refuse(self, what: str) -> None:
        """Raise TypeError: a program cannot contain `what`. allow_constants allows reading."""
        if not self.allow_constants or not what.startswith("reading"):
            raise self.note(
                TypeError(f"a program that is being recorded cannot contain {what} ({user_line()})")
            )

    def note(self, error: Exception) -> Exception:
        """Remember an error that is about to be raised; return it."""
        if self.raised is None:
            self.raised, self.raised_at = error, user_line()
        return error

    def finish(self) -> None:
        """Raise TypeError if the function has caught an error, which other rows may not raise."""
        error = self.raised
        if error is None or self.allow_constants:
            return
        if isinstance(error, (TypeError, RuntimeError)):
            raise error
        raise TypeError(
            f"a program cannot contain an error that the function catches, {error!r} "
            f"({self.raised_at}): rows that do not raise it take another branch; compare .data "
            "instead, or allow_constants=True"
        ) from error

    # ---- what stand-ins ask ----

    def lift(self, number: Any) -> Value:
        """Return the Value of a number, a stand-in or a condition."""
        if type(number) is Number or type(number) is Condition:
            return number.value
        return Value(float(number))

    def is_constant(self, value: Value) -> bool:
        """Return whether a Value depends neither on an input nor on a captured Value."""
        return not self._reaches(value, self.constants, lambda v: True)

    def _reaches(self, value: Value, known: set[int], is_found: Callable[[Value], bool]) -> bool:
        """Return whether a Value is, or depends on, an older Value for which `is_found` is true.

        A Value is older if it was there before the function ran. `known` has the serial numbers of
        nodes that are known not to depend on such a Value; those found out now are added.
        """
        seen: set[int] = set()
        waiting = [value]
        while waiting:
            node = waiting.pop()
            serial = bulk.serial(node)
            if serial < self.start:
                if is_found(node):
                    return True
            elif serial not in seen and serial not in known:
                seen.add(serial)
                waiting += node._children
        known |= seen
        return False

    def compare(self, relation: int, left: Value, right: Value, outcome: bool) -> Condition:
        """Return the comparison of two Values' data as a condition; `outcome` is the example's."""
        return Condition(self, relation, left, right, outcome)

    def count(self, condition: Condition) -> Number:
        """Return each row's 1 or 0, a stand-in."""
        return Number(self, condition.value, int(condition.holds), counts=True)

    def compute(self, apply: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
        """Return apply(a, b), of which one is a condition; NotImplemented as Python's numbers do."""
        return _arithmetic(apply, a, b)

    def select(self, condition: Condition, a: Any, b: Any) -> Value:
        """Return a Value that is a in rows where the condition holds, and b in others."""
        y, z = (v if isinstance(v, Value) else self.lift(v) for v in (a, b))
        number = bulk.number_of(y if condition.holds else z)
        return bulk.rule(SELECT, number, (condition.value, y, z))

    def table(self, elements: tuple[Value, ...]) -> Value:
        """Return the table of these Values: the operand of lookups. Equal ones are one."""
        key = tuple(map(id, elements))
        found = self.tables.get(key)
        if found is None:
            found = elements, bulk.rule(TABLE, math.nan, elements)
            self.tables[key] = found  # which keeps the elements, so that no id is another's
        return found[1]

    def choose(self, condition: Any, a: Any, b: Any) -> Any:
        """Return a where the condition holds, else b: stand-ins or numbers, as is the result."""
        if type(condition) is not Condition:
            return a if condition else b
        value = self.select(condition, a, b)
        return Number(self, value, bulk.number_of(value))

    def counted(self, number: Any, kind: type) -> Any:
        """Return an int or a float, as `kind` says, that was chosen from those of conditions."""
        if type(number) is not Number:
            return number
        return Number(self, number.value, kind(number.number), counts=True)

    def detached(self, number: Any) -> Any:
        """Return a number or stand-in such that no gradient passes to what was chosen from."""
        if type(number) is not Number:
            return number
        return Number(self, bulk.rule(DETACH, number.number, (number.value,)), number.number)


_LOOKUP = " (for an element of a list use micrograd_c.take(table, index))"


def is_double(number: Any) -> bool:
    """Return whether this is a real number that is a double, nan among them."""
    return _kind(number) is not None and (number != number or _nearest(number) == number)


def _real(number: Any) -> float | None:
    real = number if type(number) is float else as_real(number)
    return None if real is NotImplemented else real


def _nearest(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


# A guard compares doubles. A number that is no double, such as 2**53 + 1, is replaced by the
# nearest double, and < or <= is chosen so that the outcome is the same for every double x.
def _below(x: float, number: Any) -> tuple[int, float]:
    """Return the relation and the double to compare x with in place of `x < number`."""
    near = _nearest(number)
    return (LESS_EQUAL if near < number else LESS), near


def _not_above(x: float, number: Any) -> tuple[int, float]:
    """Return the relation and the double to compare x with in place of `x <= number`."""
    near = _nearest(number)
    return (LESS if near > number else LESS_EQUAL), near


_PRIORITY = -1.0  # numpy's numbers on the left leave operations to stand-ins, its arrays do not


class Number:
    """A stand-in for the data of a Value while a program is being recorded."""

    __array_priority__ = _PRIORITY
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
        other = _own(other)
        if isinstance(other, Number):
            return other
        if isinstance(other, Value):
            return self.recorder.read(other)
        return NotImplemented if _kind(other) is None else other

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
            relation, near = (_below if strict else _not_above)(self.number, other)
            return condition(relation, self.value, Value(near), compare(self.number, other))
        near = _nearest(other)  # other < self
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
        other = NotImplemented if isinstance(other, Value) else self._other(_real_part(other))
        if other is NotImplemented:
            return NotImplemented
        if isinstance(other, Number):
            outcome = self.number == other.number
            return self.recorder.compare(EQUAL, self.value, other.value, outcome)
        near = _nearest(other)
        if near != other:
            return False  # no double is equal to the other number
        return self.recorder.compare(EQUAL, self.value, Value(near), self.number == near)

    def __ne__(self, other: Any) -> Any:
        return _negated(self.__eq__(other))

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
        return lambda *args, **names: arguments.numpy().array(self._plain(), *args, **names)

    def __getattr__(self, name: str) -> Any:
        """Return the method that numpy looks for: np.exp(number) calls number.exp()."""
        if self.counts and hasattr(type(self.number), name):
            return getattr(self._plain(), name)
        np = arguments.numpy()
        function = getattr(np, name, None)
        if not isinstance(function, np.ufunc) or function.nin != 1:
            raise AttributeError(f"'float' object has no attribute {name!r}")
        use = f"given to np.{name}()"
        if hasattr(Value, name):
            use += f" (a Value has its own {name}())"
        return lambda: function(self._plain(use))

    # ---- arithmetic ----

    def __add__(self, other: Any) -> Any:
        return _arithmetic(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _arithmetic(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return _arithmetic(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _arithmetic(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return _arithmetic(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _arithmetic(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _arithmetic(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _arithmetic(operator.truediv, other, self)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            return pow(self._plain(), other, modulus) if self.counts else NotImplemented
        return _arithmetic(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return _arithmetic(operator.pow, other, self)

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


def _negated(equal: Any) -> Any:
    """Return the opposite of a bool or a condition; NotImplemented as it is."""
    if equal is NotImplemented or type(equal) is Condition:
        return equal if equal is NotImplemented else ~equal
    return not equal


class Condition:
    """How a comparison comes out, which each row of a program decides for itself.

    `where`, and & | ^ ~ == !=, take it as it is; in arithmetic and in comparisons with numbers it
    is each row's 1 or 0. Otherwise it is used as the bool that it is for the example. Then its
    outcome becomes a guard of the program, once.
    """

    __array_priority__ = _PRIORITY

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
        if not isinstance(other, bool) and not _is_numpy_bool(other):
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
        if isinstance(other, bool) or _is_numpy_bool(other):
            return self if other else ~self
        return self.count() == other

    def __ne__(self, other: Any) -> Any:
        return _negated(self == other)

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
        return arguments.numpy().array(bool(self), *args, **names)

    def __getattr__(self, name: str) -> Any:
        if not hasattr(bool, name):
            raise AttributeError(f"'bool' object has no attribute {name!r}")
        return getattr(bool(self), name)


def _is_numpy_bool(other: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(other, numpy.bool_)


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


def _own(operand: Any) -> Any:
    """Return a condition as each row's 1 or 0, and all else as it is."""
    return operand.count() if type(operand) is Condition else operand


def _refuse_number(recorder: Recorder, use: str) -> NoReturn:
    raise recorder.note(
        TypeError(
            f"while a program is being recorded, the data of a Value cannot be {use}: "
            f"it would be the example's number for every row ({user_line()}); "
            "allow_constants=True allows that"
        )
    )


def _real_part(other: Any) -> Any:
    """Return the real number that a complex number is equal to, or nan; others as they are."""
    if not isinstance(other, Complex) or isinstance(other, Real):
        return other
    return other.real if other.imag == 0 else math.nan


def _kind(number: Any) -> Any:
    """Return a real number as it is, None for anything else."""
    if isinstance(number, (float, int)):
        return number
    return None if isinstance(number, Value) or _real(number) is None else number


def _arithmetic(apply: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Return apply(a, b): one is a stand-in, the other a Value, a number or a stand-in."""
    exponent = b
    a, b = _own(a), _own(b)
    if apply is operator.truediv and _counts(b) and not b:  # a guard
        return apply(a, b._plain())  # which raises the error of a division by 0
    if isinstance(a, Value) or isinstance(b, Value):
        return _with_value(apply, a, b)
    recorder = (a if isinstance(a, Number) else b).recorder
    if _kind(a) is None and not isinstance(a, Number):
        return NotImplemented
    if _kind(b) is None and not isinstance(b, Number):
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
    numbers = list(map(_own, numbers))
    recorder = next((v.recorder for v in numbers if isinstance(v, Number)), None)
    if recorder is None:
        return max(numbers)
    top = recorder.lift(numbers[0])
    for v in numbers[1:]:
        top = maximum(top, recorder.lift(v))
    return Number(recorder, top, bulk.number_of(top))
