"""Derivatives and sums of numbers near the ends of their range."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")


@pytest.mark.parametrize(
    "fn, x",
    [
        (lambda x: 1e308 / x, 1.4e154),
        (lambda x: (1 / (1 + (-x).exp())).log(), -356.0),
        (lambda x: x / x, 1e155),
        (lambda x: 1e-308 / x, 1e-154),
        (lambda x: x**-1 * 1e300, -3e154),
    ],
)
def test_the_derivative_of_a_quotient_is_that_of_backward(mg: Any, fn: Any, x: float) -> None:
    leaf = mg.Value(x)
    fn(leaf).backward()
    assert mg.compile(fn, 1.0).gradient([x])[0] == pytest.approx(leaf.grad, rel=1e-14, abs=1e-169)


@pytest.mark.parametrize(
    "fn, w, rows",
    [
        (lambda x, w: x * w**2, 1e-200, [1e308] * 4),
        (lambda x, w: x * (w * 1e-200), 1.0, [1e308, 1.5e308, -1e308] * 100),
        (lambda x, w: x * (w * 1e-200).tanh(), 2.0, [1.7e308, 1.7e308]),
    ],
)
def test_rows_whose_sum_overflows_before_a_common_factor_have_their_gradient(
    mg: Any, fn: Any, w: float, rows: list[float]
) -> None:
    param = mg.Value(w)
    for x in rows:
        fn(x, param).backward()
    expected, param.grad = param.grad, 0.0
    for threads in (1, 2):
        mg.compile(lambda x: fn(x, param), 1.0).backward(rows, reduction="sum", threads=threads)
        assert param.grad == pytest.approx(expected, rel=1e-14)
        param.grad = 0.0


def test_a_sum_that_overflows_leaves_other_gradients_as_they_are(mg: Any) -> None:
    w, tiny = mg.Value(1.0), mg.Value(1.0)
    program = mg.compile(lambda x, y: x * (w * 1e-200) + y * tiny, 1.0, 1.0)
    program.backward([1e308] * 8, [5e-324] * 8, reduction="sum")
    assert tiny.grad == 4e-323
    assert w.grad == pytest.approx(8e108)
