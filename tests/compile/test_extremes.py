"""Python's own max() and min() of a row's numbers: each row's own, in one recording."""

from __future__ import annotations

import builtins
import math
import sys
import threading
from builtins import max as alias
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from compiled import check, normal

np = pytest.importorskip("numpy")

PYTHONS = builtins.max, builtins.min

EXTREMES = {
    "of a generator": lambda v: v[2] - max(x.data for x in v),
    "of a list": lambda v: v[2] * min([x.data for x in v]),
    "of several": lambda v: max(v[0].data, v[1].data, 0.25) * v[2] + min(v[0].data, 1) * v[1],
    "of one": lambda v: max([v[0].data]) * v[1],
    "of numbers": lambda v: max(3, 4) * v[0] + min([2, 5.0]) + max([], default=2),
    "of arithmetic": lambda v: v[0] * max(v[0].data * 2, v[1].data - v[2].data),
    "nested": lambda v: v[0] * max(min(v[0].data, v[1].data), min(v[1].data, v[2].data)),
    "with a default": lambda v: v[0] * max((x.data for x in v), default=0.0),
    "no key": lambda v: v[0] * max((x.data for x in v), key=None),
    "compared": lambda v: v[0] if max(x.data for x in v) >= 0 else v[0] * 1,
    "by reduce": lambda v: v[0] * reduce(max, (x.data for x in v)),
    "called elsewhere": lambda v: sum(softmax(v)[k] * v[k] for k in range(3)),
}


def softmax(logits: Any) -> Any:
    """The softmax of the microgpt family."""
    top = max(val.data for val in logits)
    exps = [(val - top).exp() for val in logits]
    total = sum(exps)
    return [e / total for e in exps]


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_of_data_are_each_rows_own(mg: Any, name: str) -> None:
    program = check(mg, EXTREMES[name], normal(50, 3))
    assert name == "compared" or (program.specializations == 1 and "0 guards" in repr(program))
    assert (builtins.max, builtins.min) == PYTHONS


GUARDED = {
    "by key": lambda v: max(v, key=lambda x: x.data) * 2,
    "of Values": lambda v: max(v) * 2 + min(v[0], v[1]),
    "by the key of numbers": lambda v: v[0] * max((x.data for x in v), key=abs),
    "of Values and numbers": lambda v: v[0] * max(v[0], v[1].data),
    "of a huge integer": lambda v: v[0] * min(v[0].data, 10**400),
    "by another name": lambda v: v[0] * alias(x.data for x in v),
}


@pytest.mark.parametrize("name", GUARDED)
def test_other_extremes_are_guards(mg: Any, name: str) -> None:
    program = check(mg, GUARDED[name], normal(50, 3), max_specializations=40)
    assert "0 guards" not in repr(program)


def test_nan_comes_out_as_python_has_it(mg: Any) -> None:
    def fn(v: Any) -> Any:
        a, b = v[0].data, v[1].data
        return [mg.Value(x) for x in (max(a, b), min(a, b), max(a, 1.0), min(1.0, b, math.nan))]

    rows = [[1.0, 2.0], [math.nan, 2.0], [3.0, math.nan], [math.nan, math.nan]]
    program = mg.compile(fn, rows[0])
    found = np.array(program(rows)).T
    expected = [[v.data for v in fn([mg.Value(x) for x in row])] for row in rows]
    np.testing.assert_array_equal(found, expected)
    assert program.specializations == 1


def test_maximum_and_minimum_of_several_are_each_rows_own(mg: Any) -> None:
    def fn(v: Any) -> Any:
        return mg.maximum(v[0], v[1].data, 0.25, v[2] * v[0]) + mg.minimum(*v) * v[0]

    program = check(mg, fn, normal(50, 3))
    assert program.specializations == 1


def test_no_gradient_passes_through_extremes(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda v: max(v[0].data, (w * v[1]).data) * v[0], [1.0, 2.0])
    assert program.gradient([[1.0, 2.0], [9.0, 2.0]]).tolist() == [[4.0, 0.0], [9.0, 0.0]]
    assert program.backward([[1.0, 2.0]], check=True) == 4.0 and w.grad == 0.0
    assert "where" not in program.disassemble("backward").split("output 0")[1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: max(), TypeError, "at least 1 argument"),
        (lambda v: max([]), ValueError, "empty"),
        (lambda v: max(v[0].data), TypeError, "not iterable"),
        (lambda v: max(v[0].data, 1.0, default=2.0), TypeError, "default"),
        (lambda v: min([v[0].data, "text"]), TypeError, "not supported between"),
        (lambda v: min(v[0].data, 1.0, other=2.0), TypeError, "other"),
        (lambda v: max(1 / (x - 1) for x in (3, 1)), ZeroDivisionError, "zero"),
    ],
)
def test_errors_are_pythons_and_leave_pythons_functions(
    mg: Any, call: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        mg.compile(call, [1.0])
    assert (builtins.max, builtins.min) == PYTHONS


def test_other_threads_have_pythons_extremes(mg: Any) -> None:
    found: list[Any] = []

    def other() -> None:
        values = [mg.Value(1.0), mg.Value(5.0)]
        found.extend([max(v.data for v in values), min(3, 2), max("abc"), max(values) is values[1]])
        found.append(max([], default=None))
        found.append(mg.compile(lambda v: max(v[0].data, 0.5) * v[0], [1.0])([[0.25]]).tolist())

    def fn(v: Any) -> Any:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return v[0] * max(v[0].data, v[1].data)

    program = mg.compile(fn, [1.0, 2.0])
    assert found == [5.0, 2, "c", True, None, [0.125]]
    assert program([[1.0, 2.0], [3.0, 2.0]]).tolist() == [2.0, 9.0]
    assert (builtins.max, builtins.min) == PYTHONS


def test_extremes_kept_from_a_recording_are_pythons(mg: Any) -> None:
    kept = []

    def fn(x: Any) -> Any:
        kept.append(max)
        assert max.__name__ == "max" and max.__doc__ == PYTHONS[0].__doc__
        return x

    mg.compile(fn, 1.0)
    assert kept[0](1, 2) == 2 and kept[0](["a", "b"], key=ord) == "b"


def test_what_was_left_behind_is_put_back(mg: Any) -> None:
    extremes = sys.modules["micrograd_c._compile.extremes"]
    extremes._put_ours()
    assert builtins.max is not PYTHONS[0]
    assert max(1, 2) == 2 and (builtins.max, builtins.min) == PYTHONS


def test_the_small_gpt_is_one_recording_whatever_its_weights(mg: Any) -> None:
    source = (Path(__file__).parents[2] / "examples" / "microgpt.py").read_text()
    model: dict[str, Any] = {"__name__": "microgpt", "Value": mg.Value}
    exec(source.replace("from micrograd_c import Value", ""), model)
    weights = model["make_weights"](5)
    params = [p for rows in weights.values() for row in rows for p in row]
    program = mg.compile(lambda x: model["loss_of"](weights, [4, 0, 1, 2, 4]) * x, 1.0)
    for seed in range(3):
        for p, number in zip(params, normal(len(params), seed=seed)):
            p.data, p.grad = float(number) / 2, 0.0
        value = program.backward([1.0])
        found = [p.grad for p in params]
        for p in params:
            p.grad = 0.0
        loss = model["loss_of"](weights, [4, 0, 1, 2, 4])
        loss.backward()
        assert value == pytest.approx(loss.data, rel=1e-12)
        assert found == pytest.approx([p.grad for p in params], rel=1e-9, abs=1e-12)
    assert program.specializations == 1
