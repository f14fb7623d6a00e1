"""Programs exported as C beside C by hand: results and gradients, row by row, called from C.

The score of a point of two moons, whose parameters lie in the network's own order for both; the
loss of a name by the small GPT. The results of all rows, and the gradients of the last one, are
compared with those of Values before they are timed. A round is all rows.
"""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy")

from . import by_hand, exported  # noqa: E402
from .conftest import Measure, needs_c  # noqa: E402

OURS, C = "micrograd_c, exported as C", "C by hand"


@needs_c
@pytest.mark.parametrize("contender", [OURS, C])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(make, name, marks=pytest.mark.benchmark(group=f"exported: {what}"))
        for what, make, name in [
            ("two moons, forward and gradient", exported.moons, "moons_gradient"),
            ("microgpt, forward and gradient", exported.gpt, "gpt_gradient"),
        ]
    ],
)
def test_gradient(make: Any, name: str, contender: str, measure: Measure) -> None:
    workload = make()
    library = workload.library if contender == OURS else by_hand.library()
    calls = exported.Calls(workload, library[exported.GRADIENT if contender == OURS else name])
    np.testing.assert_allclose(calls.trace(), workload.expected(), rtol=1e-9, atol=1e-13)
    measure(
        calls.run,
        contender=contender,
        unit="row",
        count=len(workload.rows),
        timed="whole calls",
    )
