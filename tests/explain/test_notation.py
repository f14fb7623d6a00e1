"""The derivatives as pages write them are the engine's."""

from __future__ import annotations

import importlib
import math
from typing import Any

import mpmath
import pytest

from micrograd_c._explain.notation import PARTIALS
from micrograd_c._rules import PARTIALS as RULES

NAMES: dict[str, Any] = {
    **{name: getattr(math, name) for name in dir(math) if name[0] != "_"},
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "normal_cdf": lambda x: math.erfc(-x / math.sqrt(2)) / 2,
    "digamma": lambda x: float(mpmath.digamma(x)),
    "polygamma": lambda n, x: float(mpmath.polygamma(int(n), x)),
}
INFIX = {
    "add": lambda x, y: x + y,
    "multiply": lambda x, y: x * y,
    "power": lambda x, y: x**y,
    "number_power": lambda x, y: x.data**y,
}
FIRST = {"acosh": 1.75, "polygamma": 2.0}


def recorded(mg: Any, name: str, x: Any, y: Any) -> Any:
    """A node of this operator."""
    if len(PARTIALS[name]) == 1:
        return getattr(x, name)()
    return INFIX[name](x, y) if name in INFIX else getattr(mg, name)(x, y)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", PARTIALS)
def test_a_derivative_as_written_is_the_engines(mg: Any, name: str, sign: float) -> None:
    first = FIRST.get(name, 0.625)
    x, y = mg.Value(sign * first, label="x"), mg.Value(1.5, label="y")
    try:
        node = recorded(mg, name, x, y)
    except (ValueError, TypeError):  # no value for a negative operand
        assert sign < 0
        return
    texts = importlib.import_module(f"{mg.__name__}._explain.notation").partial_text
    for side, partial in enumerate(node._local_grads):
        if name in ("number_power", "polygamma") and side == 0:
            continue  # nobody asks
        written = texts(name, side, ["x", "y"], None)
        there = eval(written, NAMES, {"x": x.data, "y": y.data})
        assert there == pytest.approx(partial, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("n", [0, 1, 2, 3, -1, 0.5, -2.5])
def test_a_powers_derivative_as_written_is_the_engines(mg: Any, n: float) -> None:
    x = mg.Value(1.75, label="x")
    node = x**n
    texts = importlib.import_module(f"{mg.__name__}._explain.notation").partial_text
    written = texts("exponent", 0, ["x"], n)
    assert eval(written, {"x": 1.75}) == pytest.approx(node._local_grads[0], rel=1e-14)


def test_every_operator_is_written() -> None:
    assert PARTIALS.keys() == RULES.keys() - {"exponent"}
