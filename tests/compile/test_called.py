"""Functions of the table's second part: programs have what Values have, but for last bits."""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

np = pytest.importorskip("numpy")

OF_ONE = ["log1p", "expm1", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh"]
OF_ONE += ["atanh", "erf", "erfc", "log2", "log10", "softplus", "gelu", "silu", "lgamma", "digamma"]
FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    **{name: lambda mg, x, y, name=name: getattr(x, name)() for name in OF_ONE},
    "atan2": lambda mg, x, y: mg.atan2(x, y),
    "atan2 of a number": lambda mg, x, y: mg.atan2(0.75, y),
    "atan2 with a number": lambda mg, x, y: mg.atan2(x, -0.75),
    "hypot": lambda mg, x, y: mg.hypot(x, y),
    "hypot of a number": lambda mg, x, y: mg.hypot(3.0, y),
    "polygamma": lambda mg, x, y: mg.polygamma(x * 0.0 + 3.0, y),
    "polygamma of a number": lambda mg, x, y: mg.polygamma(2, y),
}
each = pytest.mark.parametrize("name", FUNCTIONS)

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, -2.0, 1.5, 2.5, math.inf, -math.inf, math.nan, 1e308]
SPECIAL += [-1e308, 5e-324, -5e-324, 710.5, -710.5, 30.0]
ROWS = [(x, y) for x in SPECIAL for y in (0.0, 1.5, -math.inf, math.nan, 1e-310)]
ROWS += [
    (choose.gauss(0, 2), choose.gauss(0, 2)) for choose in [random.Random(1)] for _ in range(99)
]


def eager(mg: Any, name: str, row: tuple[float, float]) -> Any:
    """Return value and gradient of one row; in their places what is raised instead."""
    x, y = map(mg.Value, row)
    try:
        out = FUNCTIONS[name](mg, x, y)
        number = out.data
        out.backward()
    except (ArithmeticError, ValueError) as error:
        return type(error)
    return number, x.grad, y.grad


def example(name: str) -> tuple[float, float]:
    return (0.25, 0.5) if name in ("asin", "acos", "atanh") else (1.25, 0.5)


def rows_of(mg: Any, name: str, are_finite: bool) -> tuple[list[Any], list[Any]]:
    """Return the rows that raise nothing, as columns, and what Values give for them."""
    rows = [row for row in ROWS if not are_finite or all(map(math.isfinite, row))]
    found = [(row, eager(mg, name, row)) for row in rows]
    good = [(row, numbers) for row, numbers in found if not isinstance(numbers, type)]
    assert len(good) > 10
    columns = zip(*(row for row, _ in good))
    return [np.array(column) for column in columns], [numbers for _, numbers in good]


def assert_close(name: str, found: Any, expected: Any) -> None:
    """Of calls the same bits. Of loops over lanes numbers within eight units, of which the Values'
    functions have a part, or within 1e-15 where terms of a derivative cancel."""
    found, expected = np.asarray(found), np.asarray(expected)
    if name in ("lgamma", "digamma"):
        np.testing.assert_array_equal(found, expected)
    absolute = 1e-15 if name in ("gelu", "silu") else 3e-323
    np.testing.assert_allclose(found, expected, rtol=8 * 2.0**-53, atol=absolute)


@each
def test_values_and_gradients_are_those_of_values(mg: Any, name: str) -> None:
    program = mg.compile(lambda x, y: FUNCTIONS[name](mg, x, y) + 0.0 * (x + y), *example(name))
    columns, expected = rows_of(mg, name, are_finite=True)
    found = [program(*columns), *program.gradient(*columns)]
    assert_close(name, np.array(found).T, expected)


@each
def test_what_is_not_finite_flows(mg: Any, name: str) -> None:
    program = mg.compile(lambda x, y: [FUNCTIONS[name](mg, x, y), x, y], *example(name))
    columns, expected = rows_of(mg, name, are_finite=False)
    assert_close(name, program(*columns)[0], [numbers[0] for numbers in expected])


@pytest.mark.long
@each
def test_check_raises_what_values_raise_in_detect_anomaly(mg: Any, name: str) -> None:
    start = example(name)
    program = mg.compile(lambda x, y: FUNCTIONS[name](mg, x, y) + 0.0 * (x + y), *start)
    for row in ROWS:
        with mg.detect_anomaly() if all(map(math.isfinite, row)) else nullcontext():
            expected = eager(mg, name, row)
        columns = [np.array(column) for column in zip(start, row)]
        if not isinstance(expected, type):
            program.gradient(*columns, check=True)
            continue
        with pytest.raises(expected, match="row 1: "):
            program.gradient(*columns, check=True)


@each
def test_gradients_of_parameters_are_sums_over_rows(mg: Any, name: str) -> None:
    w = mg.Value(1.25)
    scale = example(name)[0] / 1.25
    program = mg.compile(lambda y: FUNCTIONS[name](mg, w * y, w), scale)
    ys = [y * scale for y in (1.0, 1.125, 1.25, 1.375)] * 30
    program.backward(ys, reduction="sum")
    found, w.grad = w.grad, 0.0
    for y in ys:
        FUNCTIONS[name](mg, w * y, w).backward()
    assert found == pytest.approx(w.grad, rel=1e-13)


@each
def test_parameters_alone_are_computed_once(mg: Any, name: str) -> None:
    w = mg.Value(0.75 if name != "acosh" else 1.75)
    program = mg.compile(lambda x: FUNCTIONS[name](mg, w, w) * x, 1.0)
    assert program([1.0, 2.0]).tolist()[0] == FUNCTIONS[name](mg, w, w).data
    program.backward([1.0])
    found, w.grad = w.grad, 0.0
    FUNCTIONS[name](mg, w, w).backward()
    assert found == w.grad


def by_reference(x: Any, y: Any) -> Any:
    return [getattr(x * 0.5 if name.startswith("a") else x, name)() for name in OF_ONE[:9]] + [
        x.hypot(y).arctan2(y)
    ]


def test_pickled_program_is_the_same(mg: Any) -> None:
    program = mg.compile(by_reference, 1.25, 0.5)
    again = pickle.loads(pickle.dumps(program))
    rows = np.full(5, 1.5), np.full(5, 0.5)
    assert again.disassemble() == program.disassemble()
    np.testing.assert_array_equal(again(*rows), program(*rows))


def test_polygamma_takes_each_rows_own_number(mg: Any) -> None:
    program = mg.compile(lambda n, x: mg.polygamma(n, x), 1.0, 2.0)
    rows = [(n, x) for n in (0.0, 1.0, 2.0, 5.0, 40.0) for x in (0.5, 1.5, -2.25, 30.0)]
    columns = [np.array(column) for column in zip(*rows)]
    assert program(*columns).tolist() == [mg.polygamma(n, x).data for n, x in rows]
    to_n, to_x = program.gradient(*columns)
    assert not to_n.any()
    assert to_x.tolist() == [mg.polygamma(n + 1, x).data for n, x in rows]


def test_function_of_two_takes_data_while_recording(mg: Any) -> None:
    program = mg.compile(lambda x, y: x * mg.atan2(x.data, y) + mg.hypot(y, x.data), 1.0, 2.0)
    expected = 0.5 * math.atan2(0.5, -1.0) + math.hypot(-1.0, 0.5)
    assert program([0.5], [-1.0]).tolist() == [expected]
