"""Code that branches on data: rows that take another branch are recorded on their own."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from compiled import check, doubled, normal

pytest.importorskip("numpy")


ROWS = 50


BRANCHES = {
    "greater": lambda v: v[0] * v[1] if v[0].data > 0.1 else v[1] - v[0],
    "chained": lambda v: v[0] if -0.5 < v[0].data <= 0.5 else v[0] * v[1],
    "of data": lambda v: v[0] * 2 if v[0].data > v[1].data else v[1] * 3,
    "of Values": lambda v: v[0] * 2 if v[0] > v[1] else v[1] * 3,
    "Value and number": lambda v: v[0].exp() if v[0] <= 0.25 else v[1].exp(),
    "bool": lambda v: v[0] * v[1] if v[0].relu().data else v[1],
    "equality": lambda v: v[0] if v[0].relu().data == 0 else v[1],
    "inequality": lambda v: v[0] if v[0].relu().data != 0 else v[1],
    "max": lambda v: v[2] - max(x.data for x in v),
    "sorting": lambda v: sorted(v, key=lambda x: x.data)[1] * v[0],
    "max of Values": lambda v: max(v) * 2 + min(v),
    "arithmetic": lambda v: v[0] * ((v[1].data - 2) * 3 / (v[2].data ** 2 + 1)),
    "reflected": lambda v: (1 - v[1].data) / (2.0 + abs(v[2].data)) * v[0] - v[1].data,
    "into Value": lambda v: mg_value(v)(v[1].data * 2) * v[0],
    "power": lambda v: v[0] ** (abs(v[1].data) + 2) if v[0].data > 0 else v[1] / (v[0].data + 9),
    "both": lambda v: v[0] * v[1].data + v[1] * v[0].data,
    "while": lambda v: doubled(v[0], 8.0),
    "assigned": lambda v: assigned(v),
    "local gradients": lambda v: (
        mg_value(v)(v[0].data * v[1].data, (v[0], v[1]), (v[1].data, v[0].data)) + v[0]
    ),
    "power of a Value": lambda v: (
        v[0] ** (v[1].relu().data + 1) if v[0].data > 0 else v[0] ** (v[1].relu().data * 0 + 2)
    ),
    "negative base": lambda v: v[0] + v[1].data ** 3,
    "fraction": lambda v: v[0] if v[0].data < Fraction(1, 3) else v[1],
    "huge": lambda v: v[0] if v[0].data < 10**400 else v[1],
}


def mg_value(v: Any) -> Any:
    return type(v[0])


def assigned(v: Any) -> Any:
    x = type(v[0])(0.0)
    x.data = v[0].data * 3
    return x * v[1]


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_on_data_are_those_of_each_row(mg: Any, name: str) -> None:
    check(mg, BRANCHES[name], normal(ROWS, 3, seed=5), max_specializations=40)


def test_nan_takes_the_branch_that_it_takes(mg: Any) -> None:
    program = mg.compile(lambda x: x * 2 if x.data > 0 else x * 3, 1.0)
    found = program([math.nan, -1.0, 1.0, math.inf])
    assert math.isnan(found[0]) and found[1:].tolist() == [-3.0, 2.0, math.inf]


def test_branches_may_return_a_dicts_keys_in_any_order(mg: Any) -> None:
    def fn(x: Any) -> Any:
        both = {"double": x * 2, "deep": ({"minus": -x, "plus": x + 1},)}
        if x.data > 0:
            return both
        return {"deep": ({"plus": x + 1, "minus": -x},), "double": x * 2}

    program = mg.compile(fn, 1.0)
    found = program([1.0, -3.0])
    assert list(found) == ["double", "deep"] and program.specializations == 2
    assert found["double"].tolist() == [2.0, -6.0]
    assert found["deep"][0]["minus"].tolist() == [-1.0, 3.0]
    assert found["deep"][0]["plus"].tolist() == [2.0, -2.0]


def test_branches_may_not_return_other_keys(mg: Any) -> None:
    program = mg.compile(lambda x: {"a": x} if x.data > 0 else {"b": x}, 1.0)
    with pytest.raises(ValueError, match="another nesting"):
        program([-1.0])


def test_data_within_no_grad_is_each_rows_own(mg: Any) -> None:
    def fn(v: Any) -> Any:
        with mg.no_grad():
            scale = v[0] * v[1]
        return scale * v[2]

    check(mg, fn, normal(ROWS, 3))


def test_softmax_shifts_by_each_rows_own_maximum(mg: Any) -> None:
    rows = normal(ROWS, 4) * 300
    program = check(mg, lambda v: mg.softmax(v)[2] + mg.cross_entropy([x / 99 for x in v], 1), rows)
    assert program.specializations == 1


# ---- specialisations ----


def test_more_branches_than_allowed_are_an_error(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: doubled(x * w, 100.0), 1.0, max_specializations=3)
    with pytest.raises(RuntimeError, match=r"row 4 takes another branch than the 3 .* maximum\(\)"):
        program.backward([1.0, 2.0, 3.0, 50.0, 7.0, 13.0])
    assert w.grad == 0.0


def test_backward_over_branches_sums_the_rows(mg: Any) -> None:
    w = mg.Value(0.5)
    x = normal(1000)

    def fn(x: Any) -> Any:
        return (w * x).exp() if x.data > 0.3 else w * x if (w * x).data > -0.2 else w * w

    program = mg.compile(fn, 1.0)
    expected = 0.0
    for number in x:
        w.grad = 0.0
        fn(mg.Value(number)).backward()
        expected += w.grad
    w.grad = 0.0
    program.backward(x, reduction="sum")
    assert w.grad == pytest.approx(expected, rel=1e-12)
