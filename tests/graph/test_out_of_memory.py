"""Running out of memory leaves all as it was."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from conftest import check_live, live
from fresh import run


def keep_building(mg: Any) -> Any:
    """Enough nodes, leaves and constants for many pages."""
    v = mg.Value(1.0)
    for _ in range(15_000):
        v = v * 0.5 + mg.Value(1.0)
    return v


def build_and_label(mg: Any) -> Any:
    values = [mg.Value(1.0)]
    for i in range(2_000):
        v = values[-1] * 0.5
        v.label = f"v{i}"
        v.colour = i
        values.append(v)
    return values


def build_and_close(mg: Any) -> Any:
    values = [mg.Value(1.0)]
    for _ in range(2_000):
        v = mg.Value(1.0, values[-3:], "mine")
        v._backward = lambda: None
        values.append(v)
    return values


def build_and_look(mg: Any) -> Any:
    v = (mg.Value(1.0) + 2.0).tanh()
    return [v, *v._prev, *(u for w in v._prev for u in w._prev)]


def assign_state(mg: Any) -> Any:
    v = mg.Value(1.0, label="v")
    v.label = "w"
    v.colour = "red"
    v._backward = lambda: None
    return v


BUILDS: list[Callable[[Any], Any]] = [
    keep_building,
    build_and_label,
    build_and_close,
    build_and_look,
    assign_state,
]


def bystander(mg: Any) -> tuple[list[Any], list[Any]]:
    """A graph that must not change, and how it looks."""
    a = mg.Value(2.0, label="a")
    b = (a * 3.0).tanh()
    b.label = "b"
    root = b + a
    root.backward()
    return [a, b, root], appearance([a, b, root])


def appearance(values: list[Any]) -> list[Any]:
    return [(v.label, v._op, v.data, v.grad, len(v._prev)) for v in values]


@pytest.mark.long
@pytest.mark.parametrize("build", BUILDS, ids=lambda f: f.__name__)
def test_building_without_memory_raises_or_succeeds_and_loses_nothing(
    mg: Any, build: Callable[[Any], Any]
) -> None:
    values, looks = bystander(mg)
    gc.collect()
    before = live(mg)
    for n in range(1, 30):
        mg.engine.trim()
        mg.engine.fail_after(n)
        try:
            build(mg)
        except MemoryError:
            pass
        finally:
            mg.engine.fail_after(0)
        check_live(mg, before)
        assert appearance(values) == looks
        build(mg)
        check_live(mg, before)


def test_making_leaves_without_memory_raises_memory_error(mg: Any) -> None:
    leaves: list[Any] = []
    mg.engine.fail_after(1)
    try:
        with pytest.raises(MemoryError):
            for i in range(1_000_000):
                leaves.append(mg.Value(float(i)))
    finally:
        mg.engine.fail_after(0)
    assert [v.data for v in leaves] == list(range(len(leaves)))


@pytest.mark.parametrize("closures", [False, True], ids=["native", "with closures"])
def test_backward_without_memory_changes_no_gradient_or_succeeds(mg: Any, closures: bool) -> None:
    a = mg.Value(1.0)
    values = [a]
    for i in range(4_000):
        v = values[-1] + a
        if closures and i % 100 == 0:
            v._backward = v._backward  # the operator's own rule, called as a closure
        values.append(v)
    root = values[-1]
    for n in range(1, 20):
        for v in values:
            v.grad = 0.25
        mg.engine.trim()
        mg.engine.fail_after(n)
        try:
            root.backward()
            failed = False
        except MemoryError:
            failed = True
        finally:
            mg.engine.fail_after(0)
        if failed:
            assert {v.grad for v in values} == {0.25}
            root.backward()
        for v in values:
            v.grad = 0.0
        root.backward()
        assert (a.grad, values[1].grad) == (4001.0, 1.0)


LABELLED_WITHOUT_MEMORY = """
from micrograd_c.engine import Value, fail_after

v = Value(1.0, label="old")
fail_after(1)
try:
    v.label = ("new",)
except MemoryError:
    print(v.label)
"""


def test_label_that_failed_for_memory_leaves_the_old_one(mg: Any) -> None:
    result = run(mg, LABELLED_WITHOUT_MEMORY)  # of the labels here, "old" could be the 256th
    assert (result.stdout, result.stderr) == ("old\n", "")


def test_operation_that_failed_for_memory_can_be_tried_again(mg: Any) -> None:
    v, retried = mg.Value(0.0), 0
    for _ in range(50_000):
        if retried == 0:
            mg.engine.fail_after(1)
        try:
            v = v + 1.0
        except MemoryError:
            retried += 1
            mg.engine.fail_after(0)
            v = v + 1.0
    mg.engine.fail_after(0)
    assert v.data == 50_000.0
