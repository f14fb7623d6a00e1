"""Makes programs up: random steps, a few kinds of which prevail in each program."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

from random_programs import BINARY, UNARY, Program

# Steps of which an engine that runs out of memory has done nothing.
ALL_OR_NOTHING = {
    *("leaf", "custom", "unary", "binary", "right", "left", "walk", "label", "attribute", "op"),
    *("copy", "deepcopy", "pickle", "partials", "look"),
}


def generate(choose: random.Random, length: int, within: bool = False) -> Program:
    """Return a random program; within a thread, one that leaves the rest of the process alone."""
    makers = _makers(choose)
    if within:
        for name in ("threads", "fail", "threshold"):
            del makers[name]
    # A few kinds of step prevail in each program, so that they meet.
    weights = {name: weight * choose.choice((0, 1, 1, 4)) for name, (weight, _) in makers.items()}
    weights["leaf"], weights["binary"] = weights["leaf"] + 2, weights["binary"] + 2
    names = choose.choices(list(weights), list(weights.values()), k=length)
    return [(name, *makers[name][1]()) for name in names]


def _makers(choose: random.Random) -> dict[str, tuple[int, Callable[[], tuple[Any, ...]]]]:
    """Return for each kind of step its weight and a maker of its arguments."""
    special = [0.0, -0.0, 1.0, -1.0, 2.0, 1e308, 5e-324, float("inf"), -float("inf"), float("nan")]

    def number() -> Any:
        kind = choose.randrange(12)
        if kind == 0:
            return choose.choice(special)
        return (
            choose.randint(-3, 4)
            if kind == 1
            else round(choose.gauss(0, 1.5), choose.choice((1, 9)))
        )

    def where() -> int:
        return int(choose.expovariate(0.3))

    def places() -> list[int]:
        return [where() for _ in range(choose.choice((0, 1, 1, 2, 2, 3, 9)))]

    def custom() -> tuple[Any, ...]:
        spots = places()
        spelling = choose.choice((*range(8), *range(14)))
        partials = [round(choose.gauss(0, 1), 3) for _ in spots]
        return choose.choice((0, 0, 0, 1, 2, 3, 4)), spelling, number(), spots, partials

    def failing() -> tuple[Any, ...]:
        name = choose.choice(sorted(ALL_OR_NOTHING))
        return choose.randint(1, 6), (name, *makers[name][1]())

    def dot_product() -> tuple[Any, ...]:
        ws = [where() for _ in range(choose.choice((1, 2, 3, 4, 9)))]
        numbers = choose.choice((0.0, 0.0, 1.0, 0.3))
        xs = [float(number()) if choose.random() < numbers else where() for _ in ws]
        return ws, xs, choose.choice((None, where()))

    binary, unary, names = sorted(BINARY), sorted(UNARY), ("colour", "above", "moment", "other")
    makers: dict[str, tuple[int, Callable[[], tuple[Any, ...]]]] = {
        "leaf": (6, lambda: (choose.choice((0, 0, 0, 1, 2, 3, 4)), choose.randrange(4), number())),
        "custom": (5, custom),
        "init": (1, lambda: (where(), number(), places(), choose.random() < 0.3)),
        "unary": (8, lambda: (choose.choice(unary), where())),
        "binary": (12, lambda: (choose.choice(binary), where(), where())),
        "right": (6, lambda: (choose.choice(binary), where(), number())),
        "left": (6, lambda: (choose.choice(binary), number(), where())),
        "wrong": (1, lambda: (choose.choice(binary), where(), choose.random() < 0.5)),
        "sum": (1, lambda: (where(), where())),
        "dot": (6, dot_product),
        "chain": (1, lambda: (where(), choose.choice((10, 10, 100, 100, 500)))),
        "compare": (2, lambda: (choose.randrange(20), where(), where())),
        "data": (3, lambda: (where(), choose.choice((number(), number(), "x")))),
        "grad": (2, lambda: (where(), choose.choice((number(), number(), None)))),
        "label": (4, lambda: (where(), choose.choice((0, 1, 1, 1, 2, 3)), where())),
        "op": (1, lambda: (where(), choose.choice(("", "*", "given")))),
        "attribute": (4, lambda: (where(), choose.choice(names), choose.randrange(7), where())),
        "delete": (1, lambda: (where(), choose.choice((*names, "data", "nothing")))),
        "close": (5, lambda: (where(), choose.randrange(12), where(), number())),
        "backward": (6, lambda: (where(),)),
        "push": (2, lambda: (where(),)),
        "partials": (1, lambda: (where(),)),
        "walk": (3, lambda: (where(), choose.randrange(4))),
        "watch": (2, lambda: (where(), where())),
        "look": (1, lambda: ()),
        "copy": (1, lambda: (where(),)),
        "deepcopy": (1, lambda: (where(), where())),
        "pickle": (1, lambda: (where(), where(), choose.randint(0, pickle.HIGHEST_PROTOCOL))),
        "drop": (5, lambda: (where(),)),
        "off": (1, lambda: ()),
        "on": (2, lambda: ()),
        "collect": (1, lambda: (choose.randrange(3),)),
        "threshold": (1, lambda: (choose.choice((2, 30, 700)),)),
        "trim": (1, lambda: ()),
        "threads": (1, lambda: (choose.randrange(10**6), choose.randint(2, 3))),
        "fail": (3, failing),
    }
    return makers


def program_of(seed: int, index: int) -> Program:
    choose = random.Random(f"{seed} {index}")
    return generate(choose, choose.choice((10, 30, 60, 120)))
