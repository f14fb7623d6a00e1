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
