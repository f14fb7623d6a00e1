"""exp, log, tanh and sigmoid over lanes: within two units in the last place of the C library's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

np = pytest.importorskip("numpy")

COUNT = 20_000


def units(found: Any, expected: Any) -> float:
    """The largest difference, in units in the last place of what is expected."""
    assert (np.isfinite(found) == np.isfinite(expected)).all()
    finite = np.isfinite(expected)
    difference = np.abs(found[finite] - expected[finite])
    return float((difference / np.spacing(np.abs(expected[finite]))).max())


def uniform(low: float, high: float) -> Any:
    return np.random.default_rng(1).uniform(low, high, COUNT)


def check(mg: Any, name: str, exact: Callable[[float], float], x: Any, most: float) -> None:
    program = mg.compile(lambda v: getattr(v, name)(), 0.5)
    assert units(program(x), np.array([exact(v) for v in x.tolist()])) <= most


@pytest.mark.parametrize(
    ("low", "high"), [(-745, 709.7), (-1, 1), (-1e-2, 1e-2), (-1e-8, 1e-8), (-745, -700)]
)
def test_exp(mg: Any, low: float, high: float) -> None:
    check(mg, "exp", math.exp, uniform(low, high), 1.0)


@pytest.mark.parametrize(
    "x", [uniform(0.5, 2), uniform(0.999, 1.001), np.exp(uniform(-700, 700)), uniform(0, 1e-308)]
)
def test_log(mg: Any, x: Any) -> None:
    check(mg, "log", math.log, x[x > 0], 1.0)


def test_sigmoid(mg: Any) -> None:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))

    check(mg, "sigmoid", sigmoid, uniform(-700, 700), 2.0)


def test_tanh_of_large_numbers(mg: Any) -> None:
    check(mg, "tanh", math.tanh, uniform(1, 400), 2.0)


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-6])
def test_tanh_of_small_numbers_is_the_engines(mg: Any, scale: float) -> None:
    """Its formula cancels there: what exp rounds shows, absolutely, and seldom."""
    x = uniform(-scale, scale)
    found = mg.compile(lambda v: v.tanh(), 0.5)(x)
    expected = np.array([mg.Value(v).tanh().data for v in x.tolist()])
    assert np.abs(found - expected).max() <= 4.5e-16
    assert (found != expected).mean() <= 0.1 * scale


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("exp", [(0.0, 1.0), (-0.0, 1.0), (710.0, math.inf), (-750.0, 0.0), (5e-324, 1.0)]),
        ("exp", [(math.inf, math.inf), (-math.inf, 0.0), (-745.1, 5e-324)]),
        ("log", [(0.0, -math.inf), (-0.0, -math.inf), (1.0, 0.0), (math.inf, math.inf)]),
        ("tanh", [(0.0, 0.0), (math.inf, 1.0), (-math.inf, -1.0), (400.0, 1.0), (-400.0, -1.0)]),
        ("sigmoid", [(0.0, 0.5), (math.inf, 1.0), (-math.inf, 0.0)]),
    ],
)
def test_special_values(mg: Any, name: str, values: Any) -> None:
    program = mg.compile(lambda v: getattr(v, name)(), 0.5)
    assert program([x for x, _ in values]).tolist() == [z for _, z in values]


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid"])
def test_nan_is_nan(mg: Any, name: str) -> None:
    program = mg.compile(lambda v: getattr(v, name)(), 0.5)
    assert np.isnan(program([math.nan])).all()


def test_log_of_negative_numbers_is_nan(mg: Any) -> None:
    program = mg.compile(lambda v: v.log(), 0.5)
    assert np.isnan(program([-1.0, -math.inf, -5e-324])).all()
