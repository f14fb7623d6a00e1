"""What a program captures: Values that were there before, and what is computed of them alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from compiled import moons

np = pytest.importorskip("numpy")


def test_parameters_are_read_at_each_call(mg: Any) -> None:
    model, loss, points, targets, program = moons(mg)
    program.backward(points, targets)
    for p in model.parameters():
        p.data *= 0.5
    rows = [loss(list(x), y).data for x, y in zip(points.tolist(), targets.tolist())]
    assert program(points, targets).tolist() == rows
    assert program.backward(points, targets) == pytest.approx(np.mean(rows), rel=1e-13)


def test_parameters_are_the_leaves_that_were_there_before(mg: Any) -> None:
    model, _, _, _, program = moons(mg)
    assert {id(p) for p in program.parameters} == {id(p) for p in model.parameters()}


def test_values_computed_before_pass_gradients_on(mg: Any) -> None:
    w = mg.Value(3.0)
    square = w * w
    program = mg.compile(lambda x: square * x, 1.0)
    assert program.backward([1.0, 2.0], reduction="sum") == 27.0
    assert (square.grad, w.grad) == (3.0, 18.0)


def test_a_branch_on_a_parameter_is_taken_anew_when_it_changes(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x * w if w.data > 0 else x - w, 1.0)
    assert program([3.0, 4.0]).tolist() == [3.0, 4.0]
    w.data = -2.0
    assert program([3.0, 4.0]).tolist() == [5.0, 6.0]
    assert program.backward([3.0], reduction="sum") == 5.0
    assert w.grad == -1.0
    w.data = 2.0
    assert program([3.0, 4.0]).tolist() == [6.0, 8.0]
    assert program.specializations == 2
    w.data = math.nan
    assert program([]).tolist() == [] and program.backward([], reduction="sum") == 0.0


def test_a_closure_recorded_before_is_used(mg: Any) -> None:
    w = mg.Value(3.0)
    tripled = mg.Value(9.0, (w,))

    def push() -> None:
        w.grad += 3 * tripled.grad

    tripled._backward = push
    program = mg.compile(lambda x: x * tripled, 1.0)
    program.backward([1.0, 2.0], reduction="sum")
    assert w.grad == 9.0


def test_subclasses_are_recorded(mg: Any) -> None:
    class Mine(mg.Value):  # type: ignore[name-defined,misc]
        def __init__(self, data: Any, *args: Any, **names: Any) -> None:
            super().__init__(data, *args, **names)
            self.note = "mine"

    w = Mine(2.0)
    program = mg.compile(lambda x: (w * x).exp() + w.data, 1.0)
    expected = np.exp(2.0 * np.array([0.5, 1.0])) + 2.0
    np.testing.assert_allclose(program([0.5, 1.0]), expected, rtol=1e-15)


# ---- what depends on parameters alone ----


def test_what_depends_on_parameters_alone_flows_as_ieee_has_it(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x * w.log(), 1.0)
    w.data = 0.0
    assert program([2.0, 0.0, -1.0]).tolist()[::2] == [-math.inf, math.inf]
    assert math.isnan(program([0.0])[0])
    w.data = -1.0
    assert math.isnan(program.backward([1.0, 2.0]))
    w.data = 2.0
    assert program([1.0])[0] == pytest.approx(math.log(2.0))


def test_a_branch_that_no_row_takes_raises_nothing_and_adds_nothing(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: x * w.log() if x > 0 else x * w, 1.0)
    assert program([-1.0]).tolist() == [-1.0]
    w.data = 0.0
    assert program([-1.0, -2.0], check=True).tolist() == [0.0, 0.0]
    program.backward([-1.0, -2.0], reduction="sum", check=True)
    program.backward([-1.0, -2.0], reduction="sum")
    assert w.grad == -6.0
