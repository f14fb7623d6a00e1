"""Random programs of Values: what their steps do, whoever makes them up and on whatever class.

A program is a list of steps over a growing list of Values, on which it names its operands by their
positions, counted backward from the newest. The steps here every class of Values can do. The random
graphs, the random compiled programs and the fuzzer add kinds of their own, and make programs up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Step = tuple[Any, ...]
Program = list[Step]

UNARY: dict[str, Callable[[Any], Any]] = {
    "-": lambda v: -v,
    "+": lambda v: +v,
    "abs": abs,
    "tanh": lambda v: v.tanh(),
    "exp": lambda v: v.exp(),
    "log": lambda v: v.log(),
    "relu": lambda v: v.relu(),
    "sigmoid": lambda v: v.sigmoid(),
    "sin": lambda v: v.sin(),
    "cos": lambda v: v.cos(),
    "sqrt": lambda v: v.sqrt(),
    "log1p": lambda v: v.log1p(),
    "expm1": lambda v: v.expm1(),
    "tan": lambda v: v.tan(),
    "asin": lambda v: v.asin(),
    "acos": lambda v: v.acos(),
    "atan": lambda v: v.atan(),
    "sinh": lambda v: v.sinh(),
    "cosh": lambda v: v.cosh(),
    "asinh": lambda v: v.asinh(),
    "acosh": lambda v: v.acosh(),
    "atanh": lambda v: v.atanh(),
    "erf": lambda v: v.erf(),
    "erfc": lambda v: v.erfc(),
    "log2": lambda v: v.log2(),
    "log10": lambda v: v.log10(),
    "softplus": lambda v: v.softplus(),
    "gelu": lambda v: v.gelu(),
    "silu": lambda v: v.silu(),
    "lgamma": lambda v: v.lgamma(),
    "digamma": lambda v: v.digamma(),
}
FUNCTIONS = sorted(set(UNARY) - {"+"})  # +v makes no node
BINARY: dict[str, Callable[[Any, Any, Any], Any]] = {
    "+": lambda lib, x, y: x + y,
    "-": lambda lib, x, y: x - y,
    "*": lambda lib, x, y: x * y,
    "/": lambda lib, x, y: x / y,
    "**": lambda lib, x, y: x**y,
    "maximum": lambda lib, x, y: lib.maximum(x, y),
    "minimum": lambda lib, x, y: lib.minimum(x, y),
    "atan2": lambda lib, x, y: lib.atan2(x, y),
    "hypot": lambda lib, x, y: lib.hypot(x, y),
}


class Player:
    """Does the steps of a program: ("binary", "*", 0, 3) by do_binary("*", 0, 3)."""

    def __init__(self, lib: Any, values: Sequence[Any]) -> None:
        self.lib = lib
        self.values = list(values)

    def do(self, step: Step) -> Any:
        return getattr(self, "do_" + step[0])(*step[1:])

    def at(self, position: int) -> Any:
        return self.values[-1 - position % len(self.values)]

    def add(self, value: Any) -> Any:
        self.values.append(value)
        return value

    # ---- steps that make a Value ----

    def do_unary(self, name: str, i: int) -> Any:
        return self.add(UNARY[name](self.at(i)))

    def do_binary(self, name: str, i: int, j: int) -> Any:
        return self.add(BINARY[name](self.lib, self.at(i), self.at(j)))

    def do_right(self, name: str, i: int, x: Any) -> Any:
        return self.add(BINARY[name](self.lib, self.at(i), x))

    def do_left(self, name: str, x: Any, i: int) -> Any:
        return self.add(BINARY[name](self.lib, x, self.at(i)))

    # ---- others ----

    def do_data(self, i: int, x: Any) -> None:
        self.at(i).data = x

    def do_grad(self, i: int, x: Any) -> None:
        self.at(i).grad = x

    def do_backward(self, i: int) -> None:
        self.at(i).backward()

    def do_drop(self, i: int) -> None:
        if len(self.values) > 1:
            del self.values[-1 - i % len(self.values)]
