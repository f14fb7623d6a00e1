"""The instructions of a program as statements of C, one for each number that is computed.

A statement's template has `{0}`, `{1}`, ... for its places, elements of arrays, and `{0:}` for an
element without the bracket that ends it. The arrays have the names that they have in C: `inputs`,
`parameters`, `seeds`; `v`, the values, and `d`, the derivatives with respect to values; `results`
and the two arrays of gradients. `constants` stands for numbers, and an array without a name for a
plain integer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .._compile.replay import OPERATORS, Trace
from .._library import ffi, lib
from .rolling import Statement

NOTHING, SCALAR = lib.MG_NOTHING, lib.MG_SCALAR
SHORT = 4  # so many terms of a sum are one expression
RELATIONS = {lib.MG_LESS: "<", lib.MG_LESS_EQUAL: "<=", lib.MG_EQUAL: "=="}

Place = tuple[str, int]

# Powers that have a shorter way to the same bits, by exponent n: x**n and n*x**(n-1).
_ROOT = "(x == -INFINITY ? INFINITY : sqrt(x + 0.0))"
_POWERS = {
    1.0: ("x", "1.0"),
    2.0: ("x * x", "2.0 * x"),
    3.0: ("x * x * x", "3.0 * (x * x)"),
    -1.0: ("1.0 / x", "-((1.0 / x) * (1.0 / x))"),
    0.5: (_ROOT, f"0.5 / {_ROOT}"),
    -0.5: (f"1.0 / {_ROOT}", f"-0.5 * (1.0 / {_ROOT} / fabs(x))"),
}
_EXPONENT = OPERATORS.index("exponent")


class Statements:
    """Reads the instructions of a trace; `functions` are those of operators that it needs, and
    `called` the library's own.

    `numbers` are the places of the trace's captured nodes among the program's parameters.
    """

    def __init__(self, trace: Trace, numbers: Sequence[int], *, gradients: bool) -> None:
        self.functions: dict[str, tuple[str, str]] = {}  # by name: arguments, and an expression
        self.called: set[str] = set()  # other functions
        self.trace, self.numbers, self.gradients = trace, numbers, gradients
        self.sizes = {"v": 0, "d": 0}
        self._places: dict[int, Place] = {}  # of registers
        self._checked: set[tuple[Place, int]] = set()  # indices, and numbers of elements
        status = ffi.new("mg_status *")
        listing = lib.mg_listing_new(trace.program, gradients, status)
        if not listing:
            raise MemoryError("no memory for a program")
        try:
            self.constants = list(self._constants(listing))
            self.nodes: list[Statement] = []
            self.entries: list[
                int | None
            ] = []  # for each: the trace's entry of which it is the value
            self._read(listing)
        finally:
            lib.mg_listing_free(listing)

    def meaning(self) -> list[Any]:
        """Return what two readings have in common if they compute the same."""
        return [
            (node.template, node.arrays, [self._meant(*place) for place in pairs])
            for node in self.nodes
            for pairs in [zip(node.arrays, node.places)]
        ]

    def _meant(self, array: str, place: int) -> str | int:
        return repr(self.constants[place]) if array == "constants" else place

    # ---- places ----

    def _constants(self, listing: Any) -> Iterator[float]:
        """Yield the numbers of scalars, as far as instructions refer to them."""
        last = -1
        for i in range(listing.count):
            for reference in self._references(listing, listing.code[i]):
                if reference != NOTHING and reference & SCALAR:
                    last = max(last, reference & ~SCALAR)
        yield from listing.constants[0 : last + 1]

    @staticmethod
    def _references(listing: Any, code: Any) -> Iterator[int]:
        yield from (code.x, code.y, code.z, code.g, code.mask)
        if code.code == lib.MG_CODE_SUM:
            for run in listing.runs[code.first : code.first + code.count]:
                for term in listing.terms[run.first : run.first + run.count]:
                    yield term.a
                    yield term.b
        elif code.code == lib.MG_CODE_TAKE:
            yield from (term.a for term in listing.terms[code.first : code.first + code.count])

    def _place(self, reference: int) -> Place:
        if reference & SCALAR:
            return "constants", reference & ~SCALAR
        return self._places[reference]

    def _input(self, index: int) -> Place:
        own = self.trace.inputs
        return ("inputs", index) if index < own else ("parameters", self.numbers[index - own])

    def _new(self, register: int) -> Place:
        """Return a register's place: one of its own, or the next of values or of derivatives."""
        if register in self._places:
            return self._places[register]
        name = "d" if self._reverse else "v"
        self._places[register] = place = name, self.sizes[name]
        self.sizes[name] += 1
        return place

    def _claim_answers(self, listing: Any) -> None:
        """Give each register that is a result or a gradient the place where that is written."""
        for code in listing.code[0 : listing.count]:
            if code.code == lib.MG_CODE_STORE:
                self._places.setdefault(code.x, ("results", code.index))
            elif code.code == lib.MG_CODE_GRADIENT:
                self._places.setdefault(code.x, self._gradient(code.index))

    # ---- instructions ----

    def _read(self, listing: Any) -> None:
        stores, given = [], set()
        self._claim_answers(listing)
        for i in range(listing.count):
            code = listing.code[i]
            self._reverse = i >= listing.forward
            if code.code == lib.MG_CODE_LOAD:
                self._places[code.out] = self._input(code.index)
            elif code.code == lib.MG_CODE_SEED:
                self._places[code.out] = "seeds", code.index
            elif code.code == lib.MG_CODE_STORE:
                stores.append((("results", code.index), self._place(code.x)))
            elif code.code == lib.MG_CODE_GRADIENT:
                given.add(code.index)
                stores.append((self._gradient(code.index), self._place(code.x)))
            else:
                valued = not self._reverse and code.out != NOTHING
                self._append(self._computed(listing, code), code.out if valued else None)
        self._append(_write("{0} = {1};", to, place) for to, place in stores if to != place)
        for index in range(self.trace.inputs + len(self.numbers) if self.gradients else 0):
            if index not in given:
                self._append([_write("{0} = 0.0;", self._gradient(index))])

    def _append(self, statements: Iterable[Statement], entry: int | None = None) -> None:
        for statement in statements:
            self.nodes.append(statement)
            self.entries.append(entry)

    def _gradient(self, index: int) -> Place:
        array, place = self._input(index)
        return f"{array[:-1]}_gradients", place

    def _computed(self, listing: Any, code: Any) -> Iterator[Statement]:
        kind = code.code
        if kind == lib.MG_CODE_GUARD:
            guard = listing.guards[code.index]
            sides = self._place(code.x), self._place(code.y)
            test = f"{{0}} {RELATIONS[guard.relation]} {{1}}"
            test = f"!({test})" if guard.outcome else test
            yield _write(f"if ({test}) return NOT_RECORDED;", *sides)
        elif kind == lib.MG_CODE_INDEX:
            yield from self._check(code)
        elif kind == lib.MG_CODE_SUM:
            yield from self._sum(listing, code)
        elif kind == lib.MG_CODE_TAKE:
            yield from self._check(code)
            yield self._take(listing, code)
        else:
            template, *operands = self._expression(code)
            out = self._new(code.out)
            yield _write(f"{{0}} = {template};", out, *operands)

    def _sum(self, listing: Any, code: Any) -> Iterator[Statement]:
        terms: list[list[Place]] = []
        for run in listing.runs[code.first : code.first + code.count]:
            for term in listing.terms[run.first : run.first + run.count]:
                factors = (term.a, term.b) if term.b != NOTHING else (term.a,)
                terms.append([self._place(factor) for factor in factors])
        out = self._new(code.out)
        if len(terms) <= SHORT:
            expression, operands = [], [out]
            for places in terms:
                names = (f"{{{len(operands) + i}}}" for i in range(len(places)))
                expression.append(" * ".join(names))
                operands += places
            yield _write(f"{{0}} = {' + '.join(expression)};", *operands)
            return
        yield _write("sum = -0.0;")
        for places in terms:
            yield _write(f"sum += {' * '.join(('{0}', '{1}')[: len(places)])};", *places)
        yield _write("{0} = sum;", out)

    def _check(self, code: Any) -> Iterator[Statement]:
        """Check an index unless that has been done: a lookup may stand before the program's own."""
        index = self._place(code.x)
        if (index, code.count) not in self._checked:
            self._checked.add((index, code.count))
            test = f"{{0}} >= 0.0 && {{0}} < {code.count}.0 && {{0}} == floor({{0}})"
            yield _write(f"if (!({test})) return NO_ITEM;", index)

    def _take(self, listing: Any, code: Any) -> Statement:
        elements = [
            self._place(term.a) for term in listing.terms[code.first : code.first + code.count]
        ]
        index, out = self._place(code.x), self._new(code.out)
        names = {name for name, _ in elements}
        steps = {b - a for (_, a), (_, b) in zip(elements, elements[1:])} or {0}
        if len(names) == 1 and names != {"constants"} and len(steps) == 1:
            step = steps.pop()
            times = "" if step == 1 else f"{step} * "
            return _write(f"{{0}} = {{2:}} + {times}(int){{1}}];", out, index, elements[0])
        chain = "".join(f"{{1}} == {i}.0 ? {{{i + 2}}} : " for i in range(len(elements) - 1))
        return _write(f"{{0}} = {chain}{{{len(elements) + 1}}};", out, index, *elements)

    def _expression(self, code: Any) -> tuple[Any, ...]:
        """Return the template of a result, from {1} on, and its places."""
        kind = code.code
        x = self._place(code.x) if code.x != NOTHING else ("", 0)
        y = self._place(code.y) if code.y != NOTHING else ("", 0)
        infix = {
            lib.MG_CODE_DIVIDE: "{1} / {2}",
            lib.MG_CODE_ADD: "{1} + {2}",
            lib.MG_CODE_MULTIPLY: "{1} * {2}",
            lib.MG_CODE_LESS: "{1} < {2} ? 1.0 : 0.0",
            lib.MG_CODE_LESS_EQUAL: "{1} <= {2} ? 1.0 : 0.0",
            lib.MG_CODE_EQUAL: "{1} == {2} ? 1.0 : 0.0",
        }
        if kind in infix:
            return infix[kind], x, y
        if kind == lib.MG_CODE_FUSED:
            return "{1} + {2} * {3}", x, y, self._place(code.z)
        if kind == lib.MG_CODE_SELECT:
            return self._select(code, x)
        if kind == lib.MG_CODE_PICK:
            first, last = ("", code.first), ("", code.first + code.count)
            otherwise = ("{4}", y) if code.y != NOTHING else ("1.0",)
            test = f"{{1}} >= {{2}} && {{1}} < {{3}} ? {otherwise[0]} : 0.0"
            return (test, x, first, last, *otherwise[1:])
        return self._operator(code)

    def _select(self, code: Any, x: Place) -> tuple[Any, ...]:
        sides, places = [], [x]
        for reference, number in ((code.y, 0.0), (code.z, code.number)):
            if reference == NOTHING:
                sides.append(repr(number))
            else:
                places.append(self._place(reference))
                sides.append(f"{{{len(places)}}}")
        return (f"{{1}} != 0.0 ? {sides[0]} : {sides[1]}", *places)

    # ---- operators ----

    def _operator(self, code: Any) -> tuple[Any, ...]:
        """Return the template of an operator's value, or of a derivative times a gradient."""
        which = {lib.MG_CODE_APPLY: 0, lib.MG_CODE_PUSH_X: 1, lib.MG_CODE_PUSH_Y: 2}[code.code]
        given = {"x": code.x, "y": code.y, "z": code.z}
        call, names = self._call(code.op, which, code.number)
        places = [self._place(given[name]) for name in names]
        for i, name in enumerate(names, 1):
            call = call.replace(f"${name}", f"{{{i}}}")
        if which == 0:
            return (call, *places)
        places.append(self._place(code.g))
        product = f"{call} * {{{len(places)}}}" if call != "1.0" else f"{{{len(places)}}}"
        if code.mask != NOTHING:
            places.append(self._place(code.mask))
            product = f"{{{len(places)}}} != 0.0 ? {product} : 0.0"
        return (product, *places)

    def _call(self, op: int, which: int, number: float) -> tuple[str, list[str]]:
        """Return a call, with $x, $y or $z for operands, and the names of these."""
        name, text = OPERATORS[op], ffi.string(lib.mg_operator_expression(op, which)).decode()
        text = text.replace("mg_pow(z, 2.0)", "z * z")
        if op == _EXPONENT:
            powers = _POWERS.get(number)
            text = powers[which] if powers else re.sub(r"\by\b", repr(number), text)
            name = f"power_{number:g}".replace("-", "minus_").replace(".", "_").replace("+", "")
        used = [operand for operand in "xyz" if re.search(rf"\b{operand}\b", text)]
        plain = f"({', '.join(used)})"
        if not used or text in used:
            return f"${text}" if used else text, used
        if text.endswith(plain) and text[: -len(plain)].isidentifier():
            function = text[: -len(plain)]
            self.called.add(function)
        else:
            function = name + ("", "_dx", "_dy")[which]
            self.functions[function] = ", ".join(used), text
        return f"{function}({', '.join('$' + operand for operand in used)})", used


def _write(template: str, *places: Place) -> Statement:
    return Statement(template, tuple(a for a, _ in places), tuple(i for _, i in places))
