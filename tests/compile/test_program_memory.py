"""Recordings leave no node behind, and any allocation of a program may fail."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")


def test_no_node_outlives_a_recording(mg: Any) -> None:
    w = mg.Value(1.0)
    before = mg.engine.statistics()
    program = mg.compile(lambda x: (w * x.data + x).exp() if x > 0 else x, 1.0)
    program([1.0, -1.0])
    after = mg.engine.statistics()
    assert (after.nodes, after.leaves) == (before.nodes, before.leaves)


# ---- allocation failure ----


@pytest.mark.parametrize("rows", [[0.5, 1.0], [0.5, 1.0, 0.25]], ids=["few", "more"])
def test_every_allocation_may_fail_and_nothing_is_lost(mg: Any, rows: list[float]) -> None:
    from micrograd_c._compile import replay as module

    w = mg.Value(2.0)

    def fn(x: Any) -> Any:
        chosen = mg.where((x > 0) & (w > x), mg.where(x < 1, x * w, w), x.tanh() * w)
        return (x * w + w * w).exp() * x + (x - w).tanh() + chosen * mg.where(w < x, x, w.log())

    def work() -> float:
        w.grad = 0.0
        program = mg.compile(fn, 1.0)
        program(rows)
        program.gradient(rows)
        return program.backward(rows)

    expected = work(), w.grad
    for fail_after in (module.fail_after, mg.engine.fail_after):
        for n in range(1, 200):
            fail_after(n)
            try:
                found = work(), w.grad
            except MemoryError:
                assert w.grad == 0.0
            else:
                assert found == expected
                break
            finally:
                fail_after(0)
        else:
            pytest.fail("still failing")
    assert (work(), w.grad) == expected
