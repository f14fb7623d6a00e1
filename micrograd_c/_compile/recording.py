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
from collections.abc import Callable, Sequence
from typing import Any

from .._value_methods import plain_error, user_line
from ..engine import Value, bulk
from .conditions import Condition, Guard, negated, own
from .reals import as_double, as_number, real_part
from .rules import DETACH, LINK, SELECT, TABLE
from .stand_ins import Number, arithmetic


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
        data = self.read(data) if id(data) in self.numbers else own(data)
        partials = tuple(map(own, partials))
        if not isinstance(data, Number) and not any(isinstance(p, Number) for p in partials):
            return None
        number = data.number if isinstance(data, Number) else float(data)
        if not partials:
            return bulk.rule(DETACH, number, (self.lift(data),))
        pairs = [v for pair in zip(children, map(self.lift, partials)) for v in pair]
        return bulk.rule(LINK, number, (self.lift(data), *pairs))

    def apply(self, name: str, a: Any, b: Any) -> Any:
        """Return maximum(a, b), atan2(a, b), ...; NotImplemented if neither is a stand-in."""
        a, b = own(a), own(b)
        if not isinstance(a, Number) and not isinstance(b, Number):
            return NotImplemented
        if any(not isinstance(v, (Number, Value)) and as_double(v) is None for v in (a, b)):
            return NotImplemented
        x, y = (v.value if isinstance(v, Number) else v for v in (a, b))
        return getattr(bulk, name)(x, y)

    # To the author of the function an argument is a number, so it compares with numbers as one.
    # Between Values == is identity, as ever. A Value computed from an argument must be compared by
    # its .data: outside of a recording such a Value is true, and equal to no number.

    def differs(self, value: Value, other: Any) -> Any:
        """Return value != other; NotImplemented where the comparison is one of identity."""
        return negated(self.equals(value, other))

    def equals(self, value: Value, other: Any) -> Any:
        """Return value == other; NotImplemented where the comparison is one of identity."""
        if isinstance(other, Value):
            return NotImplemented
        if not isinstance(other, Number) and as_number(real_part(other)) is None:
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
        """Return apply(a, b), of which one is a condition, or NotImplemented."""
        return arithmetic(apply, a, b)

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
