"""Derivatives of many rows by compiled programs, beside numpy and C by hand and JAX.

The value and the gradient, and the hessian, of a tanh network of ten inputs; the jacobian of an
equation's path, of one row, too; branches by `where` and by `if`; letters that are looked up in a
table, trained. All that a contender returns, of the letters 20 losses, is compared with numpy by
hand before it is timed, numpy's with a program's. A round is one call for all rows, or many steps
of the letters.
"""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy")

from . import derivatives  # noqa: E402
from .conftest import Measure, needs_c  # noqa: E402
from .derivatives import JAX, NUMPY, C  # noqa: E402

STEPS = 200
WORKLOADS: list[Any] = [
    derivatives.ValueAndGradient,
    derivatives.Hessian,
    derivatives.LotkaVolterra,
    derivatives.OnePath,
    derivatives.Branches,
]
TRAININGS = [derivatives.LettersByTake, derivatives.LettersInNumpy, derivatives.LettersInJax]


def check_close(found: Any, expected: Any) -> None:
    """Compare arrays, or tuples of arrays, relative to the largest number."""
    if isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            check_close(one, other)
        return
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("workload", "contender"),
    [
        pytest.param(
            workload,
            contender,
            id=f"{workload.__name__}-{contender}",
            marks=[
                pytest.mark.benchmark(group=workload.group),
                *[needs_c] * (contender == C or contender.endswith("built")),
            ],
        )
        for workload in WORKLOADS
        for contender in workload.contenders
    ],
)
def test_derivative(workload: Any, contender: str, measure: Measure) -> None:
    if contender == JAX:
        pytest.importorskip("jax")
    each = workload()
    run = getattr(each, each.contenders[contender])
    other = next(iter(each.contenders)) if contender == NUMPY else NUMPY
    check_close(run(), getattr(each, each.contenders[other])())
    measure(run, contender=contender, unit="row", count=each.rows, timed="whole calls")


@pytest.mark.benchmark(group="derivatives: letters looked up in a table, 32 rows")
@pytest.mark.parametrize("training", TRAININGS, ids=lambda training: training.__name__)
def test_letters(training: Any, measure: Measure) -> None:
    if training.contender == JAX:
        pytest.importorskip("jax")
    other = derivatives.LettersByTake if training.contender == NUMPY else derivatives.LettersInNumpy
    each = training()
    np.testing.assert_allclose(each.run(20), other().run(20), rtol=1e-10)
    measure(
        lambda: each.run(STEPS),
        contender=each.contender,
        unit="step",
        count=STEPS,
        timed="whole steps",
    )
