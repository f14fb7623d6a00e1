"""Statements and loops as C: one function for each way through the recorded function."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from typing import Any

from .._library import ffi, lib
from .rolling import Node, Statement

VARIABLES = "ijklmn"  # of loops, from the outermost one
_LIBRARY = (
    *("exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh"),
    *("atanh", "sqrt", "log1p", "expm1", "log2", "log10", "erf", "erfc", "atan2", "fabs", "floor"),
)
_PLACE = re.compile(r"\{(\d+)(:?)\}")

# A place within loops: the number, and the step of each loop around it, from the outermost.
Index = tuple[int, tuple[int, ...]]


class Writer:
    """Writes the lines of one function's body; `listed` are the tables that the body needs."""

    def __init__(self, constants: Sequence[float]) -> None:
        self.constants = constants
        self.listed: set[str] = set()
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
        def element(match: re.Match[str]) -> str:
            k = int(match[1])
            text = self._element(node.arrays[k], places[k])
            return text[:-1] if match[2] else text

        return _PLACE.sub(element, node.template)

    def _element(self, array: str, place: Index) -> str:
        at, steps = place
        text = _index(at, steps)
        if array == "":
            return f"(double)({text})" if any(steps) else f"{at}.0"
        if array == "constants" and not any(steps):
            return number(self.constants[at])
        if array.startswith("@"):
            self.listed.add("places")
            text, array = f"places[{text}]", array[1:]
        if array == "constants":
            self.listed.add("constants")
        return f"{array}[{text}]"


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


def number(value: float) -> str:
    """Return a double as C has it, to the last bit."""
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(value)


def table(kind: str, name: str, texts: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a constant array."""
    yield f"static const {kind} {name}[{len(texts)}] = {{"
    line = "   "
    for text in texts:
        if len(line) + len(text) + 2 > 98:
            yield line
            line = "   "
        line += f" {text},"
    yield line
    yield "};"


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
        words |= {word for i in more for word in re.findall(r"\w+", blocks[i][1])}
    texts = [blocks[i][1] for i in sorted(needed)]
    texts.sort(key=lambda text: not text.startswith("#"))
    return [line for text in texts for line in (*text.splitlines(), "")]


def _blocks(source: Any) -> list[tuple[set[str], str]]:
    """Return the parts of a source file that define something: the names, and the text."""
    blocks = []
    for text in ffi.string(source).decode().split("\n\n"):
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
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


# ---- float ----


def as_float(text: str) -> str:
    """Return generated C for float instead of double; the library's functions stay as they are."""
    text = re.sub(r"return (.*\bMG_.*);", r"return (float)(\1);", text)
    literal = r"(?<![\w.])(\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+)(?![\w.])"
    text = re.sub(literal, lambda match: _float(match[1]), text)
    text = re.sub(rf"\b({'|'.join(_LIBRARY)})\(", r"\1f(", text)
    text = re.sub(r"\b(mg_\w+)\(", r"(float)\1(", text)
    return re.sub(r"\bdouble\b", "float", text)


def _float(literal: str) -> str:
    rounded = ctypes.c_float(float(literal)).value
    if rounded == float("inf"):
        return "INFINITY"
    text = f"{rounded:.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")
