"""Deep and wide graphs need no recursion."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from conftest import SLOW, balanced, on_small_stack

LENGTH = 10_000 if SLOW else 100_000
# What is freed one by one on a small stack would overflow it if it were freed recursively.
DEEP = 20_000


@pytest.mark.long
def test_chain_of_millions_of_operations_is_built_differentiated_and_freed(mg: Any) -> None:
    length = 5_000_000 if mg.engine.BACKEND == "native" else 1_000_000
    limit = sys.getrecursionlimit()
    start, step = mg.Value(0.0), mg.Value(1.0)

    def work() -> None:
        v = start
        for _ in range(length):
            v = v + step
        v.backward()
        assert (v.data, start.grad, step.grad) == (length, 1.0, length)

    with balanced(mg):
        on_small_stack(work)
    assert sys.getrecursionlimit() == limit


def test_chain_of_labelled_operations_is_freed(mg: Any) -> None:
    def work() -> None:
        v = mg.Value(1.0)
        for i in range(DEEP):
            v = v + 1.0
            v.label = str(i)
        v.backward()

    with balanced(mg):
        on_small_stack(work)


@pytest.mark.long
def test_chain_of_closures_is_differentiated_and_freed(mg: Any) -> None:
    def doubled(v: Any) -> Any:
        out = mg.Value(v.data + 1.0, (v,), "next")
        out._backward = lambda: setattr(v, "grad", v.grad + out.grad)
        return out

    def work() -> None:
        start = mg.Value(1.0)
        v = start
        for _ in range(DEEP):
            v = doubled(v)
        v.backward()
        assert (v.data, start.grad) == (DEEP + 1.0, 1.0)

    with balanced(mg):
        on_small_stack(work)


@pytest.mark.long
def test_wide_sum_is_built_differentiated_and_freed(mg: Any) -> None:
    with balanced(mg):
        leaves = [mg.Value(float(i)) for i in range(LENGTH)]
        root: Any = sum(leaves)
        root.backward()
        assert {v.grad for v in leaves} == {1.0}
        del leaves, root
