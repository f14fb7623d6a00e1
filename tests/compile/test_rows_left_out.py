"""Backward leaves out rows without a gradient, and none that would make an infinity or a nan."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from compiled import moons, normal

np = pytest.importorskip("numpy")


OPERATORS = {
    "multiply": lambda mg, a, b: a * b,
    "divide": lambda mg, a, b: a / b,
    "square": lambda mg, a, b: a**2,
    "root": lambda mg, a, b: a**0.5,
    "power": lambda mg, a, b: a**b,
    **{
        name: lambda mg, a, b, name=name: getattr(a, name)()
        for name in ("exp", "log", "tanh", "relu", "sigmoid", "sin", "cos", "sqrt", "__abs__")
    },
    **{
        name: lambda mg, a, b, name=name: getattr(a, name)()
        for name in ("log1p", "expm1", "atan", "asinh", "erf", "softplus", "gelu", "silu", "log2")
    },
    "hypot": lambda mg, a, b: mg.hypot(a, b),
    "atan2": lambda mg, a, b: mg.atan2(a, b),
    "maximum": lambda mg, a, b: mg.maximum(a, b),
    "minimum": lambda mg, a, b: mg.minimum(a, b),
}
TRAPS = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e300, -1e300, 1e-320, -1.0]


def network(mg: Any, operator: str, ws: Any, x: Any) -> Any:
    """Two layers, of which the second is large enough for rows to be left out in reverse."""
    first = [OPERATORS[operator](mg, w * x[0], w + x[1]) for w in ws[:9]]
    return mg.total([mg.dot(ws[i : i + 9], first).tanh() for i in range(18)])


def gradients_of(program: Any, ws: Any, *args: Any, **options: Any) -> Any:
    for w in ws:
        w.grad = 0.0
    program.backward(*args, reduction="sum", **options)
    return np.array([w.grad for w in ws])


def leaves_rows_out(program: Any) -> bool:
    return "rows for which" in program.disassemble("backward")


def test_rows_without_a_gradient_are_left_out(mg: Any) -> None:
    model, loss, points, targets, program = moons(mg)
    assert leaves_rows_out(program)
    for reach in (0.01, 0.3, 1.0, 3.0, 30.0):  # from most rows within the margin to hardly any
        model.zero_grad()
        program.backward(points, targets * reach, reduction="sum")
        found = [p.grad for p in model.parameters()]
        model.zero_grad()
        for x, y in zip(points, targets * reach):
            loss([mg.Value(a) for a in x], mg.Value(y)).backward()
        expected = [p.grad for p in model.parameters()]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS)
def test_rows_that_are_not_finite_are_not_left_out(mg: Any, operator: str) -> None:
    ws = [mg.Value(0.05 * i + 0.1) for i in range(26)]
    program = mg.compile(lambda x: network(mg, operator, ws, x), [0.5, 2.0])
    steep = ("divide", "square", "root", "power", "log", "sqrt", "log2", "atan2")  # infinite slopes
    assert leaves_rows_out(program) == (operator not in steep)
    rows, weights = np.abs(normal(120, 2)) + 0.5, np.zeros(120)
    weights[[3, 57, 119]] = 1.0, -2.0, 0.5
    plain = gradients_of(program, ws, rows, weights=weights)
    assert np.isfinite(plain).all()
    for trap in TRAPS:
        for place in (0, 1):
            trapped = rows.copy()
            trapped[40, place] = trap
            found = gradients_of(program, ws, trapped, weights=weights)
            for w in ws:
                w.grad = 0.0
            with contextlib.suppress(ArithmeticError, ValueError):
                (network(mg, operator, ws, [mg.Value(a) for a in trapped[40]]) * 0.0).backward()
                expected = plain + [w.grad for w in ws]
                np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=f"{trap}")


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 60, -1])
def test_no_row_is_left_out_where_a_parameter_is_not_finite(
    mg: Any, place: int, number: float
) -> None:
    model, loss, points, targets, program = moons(mg)
    model.parameters()[place].data = number
    for reach in (targets, targets * 0.0, np.full(100, -1e300)):
        found = gradients_of(program, model.parameters(), points, reach)
        model.zero_grad()
        for x, y in zip(points, reach):
            loss([mg.Value(a) for a in x], mg.Value(y)).backward()
        expected = [p.grad for p in model.parameters()]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_row_that_is_infinite_beyond_the_margin_makes_its_nan(mg: Any) -> None:
    model, loss, points, targets, program = moons(mg)
    for number in (math.inf, -math.inf, math.nan):
        points[17, 0] = number
        for y in (1.0, -1.0):
            targets[17] = y
            found = gradients_of(program, model.parameters(), points, targets)
            model.zero_grad()
            loss([mg.Value(a) for a in points[17]], mg.Value(y)).backward()
            nans = [math.isnan(p.grad) for p in model.parameters()]
            assert np.isnan(found).tolist() == nans


def test_an_infinite_parameter_makes_its_nan_of_rows_beyond_the_margin(mg: Any) -> None:
    ws = [mg.Value(0.1 * i) for i in range(26)]

    def loss(x: Any) -> Any:
        first = [(w * x[0] + w).sigmoid() for w in ws[:9]]
        return (mg.total([mg.dot(ws[i : i + 9], first).relu() for i in range(18)]) - 1e6).relu()

    program = mg.compile(loss, [0.5])
    assert leaves_rows_out(program)
    ws[25].data = -math.inf  # all values are finite: relu(-inf) is 0
    found = gradients_of(program, ws, normal(100, 1))
    for w in ws:
        w.grad = 0.0
    loss([mg.Value(0.5)]).backward()
    expected = [w.grad for w in ws]
    assert np.isnan(found).tolist() == np.isnan(expected).tolist() and np.isnan(found).any()


def test_gradients_of_no_row_at_all_are_zero_without_a_sign(mg: Any) -> None:
    ws = [mg.Value(0.1 * i - 1.0) for i in range(26)]
    program = mg.compile(lambda x: (network(mg, "tanh", ws, x) - 100).relu(), [0.5, 2.0])
    assert leaves_rows_out(program)
    found = gradients_of(program, ws, normal(100, 2))
    assert found.tolist() == [0.0] * 26 and not np.signbit(found).any()


def test_rows_are_left_out_alike_on_every_processor(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micrograd_c._compile import replay as module

    model, loss, _, _, _ = moons(mg)
    points, targets, found = normal(333, 2, seed=5), np.sign(normal(333, seed=6)), []
    for kind in (0, 1, 2):
        monkeypatch.setattr(module, "KIND", kind)
        program = mg.compile(loss, points[0], targets[0])
        found.append(gradients_of(program, model.parameters(), points, targets).tolist())
    assert found[1] == found[0] and found[2] == found[0]
