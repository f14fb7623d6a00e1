"""Recordings leave no node behind, and any allocation of a program may fail."""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import Any

import pytest

np = pytest.importorskip("numpy")


def test_no_node_outlives_a_recording(mg: Any) -> None:
    w = mg.Value(1.0)
    before = mg.engine.statistics()
    program = mg.compile(lambda x: (w * x.data + x).exp() if x > 0 else x, 1.0)
    program([1.0, -1.0])
    after = mg.engine.statistics()
    assert (after.nodes, after.leaves) == (before.nodes, before.leaves)


@pytest.mark.parametrize("kind", ["__call__", "gradient", "value_and_gradient", "backward"])
def test_a_call_keeps_neither_arguments_nor_results(mg: Any, kind: str) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x[0] * x[1], [1.0, 1.0])
    rows = np.ones((20_000, 2))  # more numbers than a program remembers
    for _ in range(2):
        results = getattr(program, kind)(rows)
        arrays = [
            a for a in (results if isinstance(results, tuple) else [results]) if kind[0] != "b"
        ]
        seen = [weakref.ref(array if array.base is None else array.base) for array in arrays]
        del results, arrays
        assert [ref() for ref in seen] == [None] * len(seen)
    argument = weakref.ref(rows)
    del rows
    assert argument() is None


def test_a_call_does_not_mind_that_frames_are_dropped_meanwhile(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micrograd_c._compile import calls

    w = mg.Value(2.0)
    program, real = mg.compile(lambda x: w * x, 1.0), calls.bulk

    def get_numbers(*args: Any) -> None:
        program._ready.clear()  # as build() in another thread does
        real.get_numbers(*args)

    program.backward([1.0, 3.0])
    monkeypatch.setattr(calls, "bulk", SimpleNamespace(get_numbers=get_numbers))
    assert program.backward([1.0, 3.0]) == 4.0 and w.grad == 4.0


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
