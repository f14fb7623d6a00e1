"""Statements and loops as C: one function for each way through the recorded function."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from .._library import ffi, lib
from .rolling import Node, Statement, Tables
from .statements import TAKE
from .text import number

VARIABLES = "ijklmn"  # of loops, from the outermost one
_PLACE = re.compile(r"\{(\d+)\}")

# A place within loops: the number, and the step of each loop around it, from the outermost.
Index = tuple[int, tuple[int, ...]]


class Writer:
    """Writes the lines of one function's body; `used` are the arrays and variables in them."""

    def __init__(self, constants: Sequence[float], tables: Tables) -> None:
        self.constants, self.tables = constants, tables
        self.used: set[str] = set()
        self._origin = ""  # of the line above

    def lines(self, nodes: Sequence[Node]) -> Iterator[str]:
        for node in nodes:
            places: list[Index] = [(place, ()) for place in node.places]
            yield from self._node(node, places, 1)

    def _node(self, node: Node, places: Sequence[Index], depth: int) -> Iterator[str]:
        if node.origin not in ("", self._origin):
            self._origin = node.origin
            yield "    " * depth + f"/* {node.origin} */"
        if isinstance(node, Statement):
            yield "    " * depth + self._statement(node, places)
            return
        variable = _variable(depth)
        inner = [(at, (*steps, step)) for (at, steps), step in zip(places, node.steps)]
        start = (
            "    " * depth + f"for (int {variable} = 0; {variable} < {node.count}; {variable}++)"
        )
        taken, body = 0, list[str]()
        for child in node.body:
            size = len(child.places)
            body += self._node(child, inner[taken : taken + size], depth + 1)
            taken += size
        if len(body) == 1:
            yield start
            yield from body
        else:
            yield start + " {"
            yield from body
            yield "    " * depth + "}"

    def _statement(self, node: Statement, places: Sequence[Index]) -> str:
        if "sum" in node.template:
            self.used.add("sum")
        if node.template == TAKE:
            out, index, *elements = zip(node.arrays, places)
            return f"{self._element(*out)} = {self._taken(self._element(*index), elements)};"
        return _PLACE.sub(
            lambda match: self._element(node.arrays[int(match[1])], places[int(match[1])]),
            node.template,
        )

    def _element(self, array: str, place: Index) -> str:
        at, steps = place
        text = _index(at, steps)
        if array == "":
            return f"(double)({text})" if any(steps) else f"{at}.0"
        if array == "constants" and not any(steps):
            return number(self.constants[at])
        if array.startswith("@"):
            self.used.add("places")
            text, array = f"places[{text}]", array[1:]
        self.used.add(array)
        return f"{array}[{text}]"

    def _taken(self, index: str, elements: Sequence[tuple[str, Index]]) -> str:
        """Return the element of a table that an index names, of which it is known to name one."""
        (array, (first, steps)), *others = elements
        apart = [at - first for _, (at, _) in elements]
        step = apart[1] if others else 0
        if array.startswith("@") or any((a, s) != (array, steps) for a, (_, s) in others):
            chain = [f"{index} == {i}.0 ? {self._element(*e)} : " for i, e in enumerate(elements)]
            return "".join(chain[:-1]) + self._element(*elements[-1])
        self.used.add(array)
        place = f"(int){index}"
        if apart != [i * step for i in range(len(apart))]:
            self.used.add("places")
            least = min(apart)
            table = self.tables.add([i - least for i in apart])
            first, place = first + least, f"places[{_sum(str(table), place)}]"
        elif step != 1:
            place = f"{step} * {place}" if step else ""
        return f"{array}[{_sum(_index(first, steps), place)}]"


def _sum(first: str, second: str) -> str:
    if not second or first == "0":
        return second or first
    return f"{first} + {second}" if second[0] != "-" else f"{first} - {second[1:]}"


def _variable(depth: int) -> str:
    return VARIABLES[depth - 1] if depth <= len(VARIABLES) else f"i{depth}"


def _index(at: int, steps: tuple[int, ...]) -> str:
    """Return an index as C: 3 + 16 * i - j."""
    text = str(at) if at or not any(steps) else ""
    for depth, step in enumerate(steps, 1):
        if step:
            sign = ("-" if step < 0 else "+" if text else "").strip()
            times = _variable(depth) if abs(step) == 1 else f"{abs(step)} * {_variable(depth)}"
            text = f"{text} {sign} {times}" if text else f"{sign}{times}"
    return text


def table(kind: str, name: str, texts: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a constant array in a function."""
    yield f"    static const {kind} {name}[{len(texts)}] = {{"
    line = "       "
    for text in texts:
        if len(line) + len(text) + 2 > 98:
            yield line
            line = "       "
        line += f" {text},"
    yield line
    yield "    };"


# ---- functions of operators ----


def operators(functions: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the lines of operators' values and derivatives, by name: arguments, and expression."""
    for name, (arguments, text) in functions.items():
        typed = ", ".join(f"double {argument}" for argument in arguments.split(", "))
        yield from (f"static double {name}({typed}) {{", f"    return {text};", "}", "")


def library(called: set[str], functions: dict[str, tuple[str, str]]) -> list[str]:
    """Return the lines of the library's functions that are called, and of all that these need."""
    words = called.union(*(re.findall(r"\w+", text) for _, text in functions.values()))
    blocks = _blocks(lib.mg_short_functions) + _blocks(lib.mg_long_functions)
    needed: set[int] = set()
    while True:
        more = {i for i, (defined, _) in enumerate(blocks) if not words.isdisjoint(defined)}
        if more == needed:
            break
        needed = more
        code = " ".join(_without_comments(blocks[i][1]) for i in more)
        words |= set(re.findall(r"\w+", code))
    texts = [blocks[i][1] for i in sorted(needed)]
    texts.sort(key=lambda text: not text.startswith("#"))
    return [line for text in texts for line in (*text.splitlines(), "")]


def _without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def _blocks(source: Any) -> list[tuple[set[str], str]]:
    """Return the parts of a source file that define something: the names, and the text."""
    blocks = []
    for text in ffi.string(source).decode().split("\n\n"):
        code = _without_comments(text)
        defined = set(re.findall(r"^#define (\w+)", code, re.MULTILINE))
        defined |= set(
            re.findall(
                r"^(?:static )?(?:inline )?(?:const )?\w+ (\w+)(?:\[|\(| =)", code, re.MULTILINE
            )
        )
        if not defined or "MG_OPERATORS" in code or "MG_INLINE" in code or "mg_status" in code:
            continue
        text = re.sub(r"^static inline ", "static ", text, flags=re.MULTILINE)
        blocks.append((defined, re.sub(r"^double ", "static double ", text, flags=re.MULTILINE)))
    return blocks
