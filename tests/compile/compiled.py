"""What the tests of compiled programs share: rows, functions, and what these do row by row."""

from __future__ import annotations

import random
from typing import Any

import pytest

np = pytest.importorskip("numpy")


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def eager(fn: Any, value: Any, rows: Any) -> tuple[Any, Any]:
    """Values and gradients of fn(x) for each row, one after the other."""
    results, gradients = [], []
    for row in rows:
        leaves = [value(float(x)) for x in row]
        out = fn(leaves)
        out.backward()
        results.append(out.data)
        gradients.append([x.grad for x in leaves])
    return np.array(results), np.array(gradients)


def check(mg: Any, fn: Any, rows: Any, example: Any = None, **options: Any) -> Any:
    """Check values and input gradients against the function row by row; return the program."""
    program = mg.compile(fn, rows[0] if example is None else example, **options)
    results, gradients = eager(fn, mg.Value, rows)
    np.testing.assert_allclose(program(rows), results, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(program.gradient(rows), gradients, rtol=1e-12, atol=1e-12)
    return program


def moons(mg: Any) -> Any:
    random.seed(3)
    model = mg.MLP(2, [16, 16, 1], activation=["relu", "relu", None])

    def loss(x: Any, y: Any) -> Any:
        return (1 + -y * model(x)).relu()

    points, targets = normal(100, 2), np.sign(normal(100, seed=1))
    return model, loss, points, targets, mg.compile(loss, points[0], targets[0])


def doubled(x: Any, limit: float) -> Any:
    while -limit < x.data < limit and x.data != 0:
        x = x * 2
    return x


def steep(v: Any) -> Any:
    """Two results, of which the second has an infinite derivative where v[0] is 0."""
    return [v[0] * v[1] if v[1].data > 0 else v[0] * 3, v[0].sqrt(), v[1] * 5]


def counted(mg: Any, fn: Any, **options: Any) -> tuple[Any, list[int]]:
    """A jitted function, and a list that grows whenever the function itself is run."""
    runs: list[int] = []

    def counting(*args: Any, **named: Any) -> Any:
        runs.append(1)
        return fn(*args, **named)

    return mg.jit(counting, **options) if not options else mg.jit(**options)(counting), runs
