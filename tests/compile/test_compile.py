"""Compiled programs do what the function does row by row: values, gradients, branches, errors."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import pickle
import random
import runpy
import sys
import threading
import warnings
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

np = pytest.importorskip("numpy")

ROWS = 50
EXAMPLES = Path(__file__).parent.parent / "examples"


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def eager(fn: Any, value: Any, rows: Any) -> tuple[Any, Any]:
    """Values and gradients of fn(x) for each row, one after the other."""
    results, gradients = [], []
    for row in rows:
        leaves = [value(float(x)) for x in row]
        out = fn(leaves)
        out.backward()
        results.append(out.data)
        gradients.append([x.grad for x in leaves])
    return np.array(results), np.array(gradients)


def check(mg: Any, fn: Any, rows: Any, example: Any = None, **options: Any) -> Any:
    """Check values and input gradients against the function row by row; return the program."""
    program = mg.compile(fn, rows[0] if example is None else example, **options)
    results, gradients = eager(fn, mg.Value, rows)
    np.testing.assert_allclose(program(rows), results, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(program.gradient(rows), gradients, rtol=1e-12, atol=1e-12)
    return program


# ---- the example of the documentation ----


def moons(mg: Any) -> Any:
    random.seed(3)
    model = mg.MLP(2, [16, 16, 1], activation=["relu", "relu", None])

    def loss(x: Any, y: Any) -> Any:
        return (1 + -y * model(x)).relu()

    points, targets = normal(100, 2), np.sign(normal(100, seed=1))
    return model, loss, points, targets, mg.compile(loss, points[0], targets[0])


def test_forward_is_the_function_row_by_row(mg: Any) -> None:
    _, loss, points, targets, program = moons(mg)
    rows = [loss([mg.Value(a) for a in x], mg.Value(y)).data for x, y in zip(points, targets)]
    assert program(points, targets).tolist() == rows


def test_backward_adds_the_gradient_of_the_mean_and_returns_it(mg: Any) -> None:
    model, loss, points, targets, program = moons(mg)
    mean = mg.mean([loss(list(x), y) for x, y in zip(points.tolist(), targets.tolist())])
    mean.backward()
    expected = [p.grad for p in model.parameters()]
    for _ in range(2):  # the second time takes the short way
        model.zero_grad()
        assert program.backward(points, targets) == pytest.approx(mean.data, rel=1e-13)
        found = [p.grad for p in model.parameters()]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    program.backward(points, targets)
    found = [p.grad for p in model.parameters()]
    np.testing.assert_allclose(found, 2 * np.array(expected), rtol=1e-12, atol=1e-15)


def test_gradient_has_the_arguments_shapes(mg: Any) -> None:
    _, loss, points, targets, program = moons(mg)
    d_points, d_targets = program.gradient(points, targets)
    assert d_points.shape == (100, 2) and d_targets.shape == (100,)
    for k in range(5):
        x, y = [mg.Value(a) for a in points[k]], mg.Value(targets[k])
        loss(x, y).backward()
        np.testing.assert_allclose(d_points[k], [a.grad for a in x], rtol=1e-12)
        np.testing.assert_allclose(d_targets[k], y.grad, rtol=1e-12)


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


def test_training_follows_the_eager_path(mg: Any) -> None:
    model, _, points, targets, program = moons(mg)
    twin = copy.deepcopy(model)

    def twin_loss(x: Any, y: Any) -> Any:
        return (1 + -y * twin(x)).relu()

    optimizers = [mg.optim.SGD(m.parameters(), lr=0.05) for m in (model, twin)]
    for _ in range(5):
        for optimizer in optimizers:
            optimizer.zero_grad()
        program.backward(points, targets)
        losses = [twin_loss(x, y) for x, y in zip(points.tolist(), targets.tolist())]
        mg.mean(losses).backward()
        for optimizer in optimizers:
            optimizer.step()
    ours, theirs = ([p.data for p in m.parameters()] for m in (model, twin))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# ---- arguments ----


def test_arguments_nest_as_the_example_does(mg: Any) -> None:
    def fn(a: Any, b: Any, c: Any) -> Any:
        assert type(a) is list and type(a[1]) is list and type(b) is tuple and type(c) is dict
        return a[0][1] * b[0] + b[1][1] * c["w"] - c["v"][0]

    example = [[1.0, 2.0], [3.0, 4.0]], (1.0, [2.0, 3.0]), {"w": 1.0, "v": [2.0]}
    program = mg.compile(fn, *example)
    a, b = normal(7, 2, 2), (normal(7), normal(7, 2))
    c = {"v": normal(7, 1), "w": normal(7).tolist()}
    expected = a[:, 0, 1] * b[0] + b[1][:, 1] * np.array(c["w"]) - c["v"][:, 0]
    np.testing.assert_allclose(program(a, b, c), expected, rtol=1e-14)
    np.testing.assert_allclose(program(a.tolist(), b, c), expected, rtol=1e-14)
    d_a, d_b, d_c = program.gradient(a, b, c)
    assert d_a.shape == (7, 2, 2) and d_b[1].shape == (7, 2)
    np.testing.assert_allclose(d_b[0], a[:, 0, 1])
    assert (d_c["v"] == -1.0).all()


@pytest.mark.parametrize(
    "kind", [array, memoryview, list, np.float32, np.int64, "strided", "unaligned", "swapped"]
)
def test_a_batch_may_be_any_array(mg: Any, kind: Any) -> None:
    program = mg.compile(lambda x: x * 2, 1.0)
    numbers = [1.0, 2.0, 3.0]
    batch = {
        array: array("d", numbers),
        memoryview: memoryview(array("d", numbers)),
        list: [1, 2, Fraction(3)],
        np.float32: np.array(numbers, np.float32),
        np.int64: np.array(numbers, np.int64),
        "strided": np.array([1.0, 9.0, 2.0, 9.0, 3.0])[::2],
        "unaligned": np.frombuffer(b"-" + np.array(numbers).tobytes(), np.float64, offset=1),
        "swapped": np.array(numbers, np.dtype(np.float64).newbyteorder()),
    }[kind]
    assert program(batch).tolist() == [2.0, 4.0, 6.0]


def test_wrong_shapes_are_named(mg: Any) -> None:
    program = mg.compile(lambda x, y: x[0] * y, [1.0, 2.0], 1.0)
    with pytest.raises(ValueError, match=r"argument 0 must have the shape \(N, 2\), not \(4, 3\)"):
        program(np.zeros((4, 3)), np.zeros(4))
    with pytest.raises(ValueError, match=r"argument 1 has the shape \(5,\), .* \(4, 2\)"):
        program(np.zeros((4, 2)), np.zeros(5))
    with pytest.raises(ValueError, match=r"\(N,\), not \(\)"):
        program(np.zeros((4, 2)), 1.0)
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        program(np.zeros((4, 2)))
    with pytest.raises(TypeError, match="must consist of real numbers"):
        program(np.zeros((4, 2)), np.zeros(4, complex))


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        ([[None, 1.0]], TypeError, "real numbers, not 'NoneType'"),
        ([["1", "2"]], TypeError, "real numbers, not <U1"),
        (np.array([["1", 2]], object), TypeError, "real numbers, not 'str'"),
        ([[1.0, 2.0], [3.0]], ValueError, "no regular array"),
        (np.ma.array([[1.0, 2.0]], mask=[[True, False]]), ValueError, "masked"),
        (iter([[1.0, 2.0]]), TypeError, "real numbers, not 'list_iterator'"),
        ([[1.0, 10**400]], OverflowError, "too large"),
    ],
)
def test_rows_must_be_real_numbers(mg: Any, batch: Any, error: type[Exception], text: str) -> None:
    program = mg.compile(lambda x: x[0] * x[1], [1.0, 2.0])
    with pytest.raises(error, match=text):
        program(batch)


def test_rows_of_values_are_refused(mg: Any) -> None:
    program = mg.compile(lambda x: x * x, 1.0)
    with pytest.raises(TypeError, match="real numbers, not 'Value'"):
        program([mg.Value(1.0)])


def test_an_empty_list_has_no_rows(mg: Any) -> None:
    program = mg.compile(lambda x: x[0] * x[1], [1.0, 2.0])
    assert program([]).shape == (0,) and program.gradient(()).shape == (0, 2)


def test_an_example_must_be_numbers(mg: Any) -> None:
    with pytest.raises(TypeError, match=r"example 1\[0\] must be a number"):
        mg.compile(lambda x, y: x, 1.0, ("a",))
    for strings in (np.array(["1", "2"]), np.array(["1", "2"], object)):
        with pytest.raises(TypeError, match="example 0 must consist of real numbers, not 'str'"):
            mg.compile(lambda x: x[0], strings)
    with pytest.raises(TypeError, match="example 0 must be a number"):
        mg.compile(lambda x: x, b"1")


def test_no_rows_give_empty_results(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    assert program(np.zeros(0)).shape == (0,)
    assert program.gradient([]).shape == (0,)
    assert program.backward([], reduction="sum") == 0.0 and w.grad == 0.0
    with pytest.raises(ValueError, match="the mean of no rows"):
        program.backward([])


def test_arrays_changed_in_place_are_read_anew(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    x = np.array([1.0, 2.0])
    assert [program.backward(x) for _ in range(3)] == [3.0] * 3
    x[:] = 5.0
    assert program.backward(x) == 10.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of numpy 2.5
        x.shape = (2, 1)
    with pytest.raises(ValueError, match="shape"):
        program.backward(x)


def test_numpy_is_needed_and_said_so(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match=r"micrograd_c\[compile\]"):
        mg.compile(lambda x: x, 1.0)


# ---- results, reductions, jacobians ----


def test_list_of_arrays_is_told_from_an_array_with_as_many_rows(mg: Any) -> None:
    program = mg.compile(lambda pair: pair[0][0] * 10 + pair[1][0], [np.ones(1), np.ones(1)])
    assert program([np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]])]).tolist() == [13.0, 24.0]


def test_results_nest_as_the_functions_do(mg: Any) -> None:
    program = mg.compile(lambda x: {"a": x * 2, "b": (x.data, [3, x])}, 1.0)
    found = program([1.0, 2.0])
    assert found["a"].tolist() == [2.0, 4.0]
    assert [found["b"][0].tolist(), found["b"][1][0].tolist()] == [[1.0, 2.0], [3.0, 3.0]]


def test_sum_and_weights(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, 1.0)
    x, weights = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 3.0])
    for options, expected in (
        ({"reduction": "sum"}, 6.0),
        ({"reduction": "sum", "weights": weights}, 10.0),
        ({"weights": weights}, 2.5),
        ({"seeds": weights}, 10.0),
    ):
        w.grad = 0.0
        assert program.backward(x, **options) == pytest.approx(2.0 * expected, rel=1e-15)
        assert w.grad == pytest.approx(expected, rel=1e-15)
    with pytest.raises(ValueError, match="reduction must be"):
        program.backward(x, reduction="max")
    with pytest.raises(ValueError, match="exclude each other"):
        program.backward(x, seeds=weights, weights=weights)
    with pytest.raises(ValueError, match=r"weights must have the shape \(3,\), not \(2,\)"):
        program.backward(x, weights=[1.0, 2.0])


def test_several_results_need_seeds_and_have_a_jacobian(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda x: [x[0] * x[1] * w, (x[0] + w).exp()], [1.0, 2.0])
    x, seeds = normal(6, 2), normal(2, 6)
    with pytest.raises(ValueError, match="2 results"):
        program.backward(x)
    with pytest.raises(ValueError, match="jacobian"):
        program.gradient(x)
    total = program.backward(x, seeds=list(seeds))
    expected = (seeds[0] * x[:, 0] * x[:, 1] + seeds[1] * np.exp(x[:, 0] + 3.0)).sum()
    assert w.grad == pytest.approx(expected, rel=1e-13)
    results = program(x)
    assert total == pytest.approx((seeds[0] * results[0] + seeds[1] * results[1]).sum(), rel=1e-13)
    first, second = program.jacobian(x)
    np.testing.assert_allclose(first, 3.0 * x[:, ::-1], rtol=1e-14)
    np.testing.assert_allclose(second[:, 0], np.exp(x[:, 0] + 3.0), rtol=1e-14)
    assert (second[:, 1] == 0.0).all()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("checked", [False, True])
def test_a_jacobian_has_the_gradients_of_each_result(mg: Any, threads: int, checked: bool) -> None:
    random.seed(5)
    model = mg.MLP(4, [8, 8, 5])

    def fn(pair: Any, more: Any) -> Any:
        a, b, c, d, e = model([*pair, *more["more"]])
        return {"sum": a * pair[0] + b.exp(), "others": [c if c.data > 0 else c * a, d * e, d * e]}

    rows = normal(300, 2, seed=3), {"more": normal(300, 2, seed=4)}
    program = mg.compile(fn, rows[0][0], {"more": rows[1]["more"][0]})
    found = program.jacobian(*rows, threads=threads, check=checked)
    for name, i in (("sum", None), ("others", 0), ("others", 1), ("others", 2)):

        def one(pair: Any, more: Any, name: str = name, i: Any = i) -> Any:
            return fn(pair, more)[name] if i is None else fn(pair, more)[name][i]

        alone = mg.compile(one, rows[0][0], {"more": rows[1]["more"][0]}).gradient(*rows)
        together = found[name] if i is None else found[name][i]
        np.testing.assert_allclose(together[0], alone[0], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(together[1]["more"], alone[1]["more"], rtol=1e-12, atol=1e-15)


def test_a_checked_step_after_a_checked_jacobian_has_its_own_seeds(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda x: [x * w, x * x], 1.0)
    for _ in range(2):
        program.jacobian([2.0, 5.0], check=True)
        w.grad = 0.0
        assert program.backward([2.0, 5.0], seeds=[[1.0, 0.5], [0.0, 1.0]], check=True) == 38.5
        assert w.grad == 4.5


def test_a_result_may_not_depend_on_rows(mg: Any) -> None:
    w = mg.Value(3.0)
    program = mg.compile(lambda x: w * w, 1.0)
    assert program([1.0, 2.0]).tolist() == [9.0, 9.0]
    assert program.backward([1.0, 2.0], reduction="sum") == 18.0
    assert w.grad == 12.0
    assert program.gradient([1.0, 2.0]).tolist() == [0.0, 0.0]


# ---- what is captured ----


def test_values_computed_before_pass_gradients_on(mg: Any) -> None:
    w = mg.Value(3.0)
    square = w * w
    program = mg.compile(lambda x: square * x, 1.0)
    assert program.backward([1.0, 2.0], reduction="sum") == 27.0
    assert (square.grad, w.grad) == (3.0, 18.0)


def test_numbers_and_values_made_inside_are_constants(mg: Any) -> None:
    program = mg.compile(lambda x: x * mg.Value(2.0) + 1, 1.0)
    assert program.parameters == ()
    assert program([1.0]).tolist() == [3.0]


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


def test_no_node_outlives_a_recording(mg: Any) -> None:
    w = mg.Value(1.0)
    before = mg.engine.statistics()
    program = mg.compile(lambda x: (w * x.data + x).exp() if x > 0 else x, 1.0)
    program([1.0, -1.0])
    after = mg.engine.statistics()
    assert (after.nodes, after.leaves) == (before.nodes, before.leaves)


# ---- stand-ins ----

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


def doubled(x: Any, limit: float) -> Any:
    while -limit < x.data < limit and x.data != 0:
        x = x * 2
    return x


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


@pytest.mark.parametrize(
    ("other", "x"),
    [(lambda x: x.sqrt(), 0.0), (lambda x: (x * x) * (x * x), 1e200), (lambda x: x.log(), 0.0)],
)
def test_infinite_derivatives_of_one_result_do_not_reach_another(
    mg: Any, other: Any, x: float
) -> None:
    program = mg.compile(lambda x: [x * 2 if x.data < 1e100 else x + x, other(x)], 1.0)
    assert program.jacobian([4.0, x])[0].tolist() == [2.0, 2.0]


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


def steep(v: Any) -> Any:
    """Two results, of which the second has an infinite derivative where v[0] is 0."""
    return [v[0] * v[1] if v[1].data > 0 else v[0] * 3, v[0].sqrt(), v[1] * 5]


def test_only_rows_that_are_not_finite_are_gone_through_again(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micrograd_c._compile import replay as module

    replayed: list[int] = []
    run = module.Frame.run
    monkeypatch.setattr(
        module.Frame, "run", lambda frame, n: (replayed.append(frame.call.count), run(frame, n))[1]
    )
    program = mg.compile(steep, [1.0, 1.0])
    rows = np.abs(normal(100, 2))
    rows[[3, 70], 0] = 0.0
    first, second, third = program.jacobian(rows)
    assert replayed == [100, 2, 2, 2]
    assert (first == rows[:, ::-1]).all() and (third == [0.0, 5.0]).all()
    assert np.flatnonzero(np.isinf(second[:, 0])).tolist() == [3, 70]
    assert (second[:, 1] == 0.0).all()


def test_programs_of_single_results_are_made_once(mg: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from micrograd_c._compile import replay as module

    made: list[Any] = []
    make = module.Trace.__init__
    monkeypatch.setattr(
        module.Trace, "__init__", lambda trace, *args: (made.append(trace), make(trace, *args))[1]
    )
    program = mg.compile(steep, [1.0, 1.0])
    expected = program.jacobian([[0.0, 2.0]])
    count = len(made)
    np.testing.assert_array_equal(program.jacobian([[0.0, 2.0]]), expected)
    assert len(made) == count


def test_not_all_programs_of_single_results_are_kept_where_they_are_large(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micrograd_c._compile import replay as module

    monkeypatch.setattr(module, "_KEPT", 1)  # less than one of them
    program = mg.compile(steep, [1.0, 1.0])
    expected = program.jacobian([[0.0, 2.0]])
    np.testing.assert_array_equal(program.jacobian([[0.0, 2.0]]), expected)
    assert len(program._traces[0]._singles) == 1


def test_rows_that_are_not_finite_take_their_own_branch(mg: Any) -> None:
    program = mg.compile(steep, [1.0, 1.0])
    for _ in range(2):
        program.jacobian([[0.0, 2.0]])
        found = program.jacobian([[0.0, 2.0], [0.0, -2.0], [4.0, -2.0], [4.0, 2.0]])
        assert found[0].tolist() == [[2.0, 0.0], [3.0, 0.0], [3.0, 0.0], [2.0, 4.0]]
        assert found[1].tolist() == [[math.inf, 0.0], [math.inf, 0.0], [0.25, 0.0], [0.25, 0.0]]
    assert program.specializations == 2


def test_several_threads_may_ask_for_jacobians_that_are_not_finite(mg: Any) -> None:
    program = mg.compile(steep, [1.0, 1.0])
    rows = np.abs(normal(500, 2))
    rows[::7, 0] = 0.0
    expected = mg.compile(steep, [1.0, 1.0]).jacobian(rows)
    found: list[Any] = []

    def ask() -> None:
        found.extend(program.jacobian(rows) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    for jacobian in found:
        np.testing.assert_array_equal(jacobian, expected)


def test_first_error_is_raised_also_where_a_later_row_cannot_be_recorded(mg: Any) -> None:
    program = mg.compile(lambda x: x.log() if x.data < 5 else (x - 20).sqrt(), 1.0)
    with pytest.raises(ValueError, match=r"row 0: .*log"):
        program([-1.0, 9.0], check=True)


def test_isinstance_takes_a_stand_in_for_a_float(mg: Any) -> None:
    program = mg.compile(lambda x: x * 2 if isinstance(x.data, (float, int)) else x * 3, 1.0)
    assert program([1.0]).tolist() == [2.0]


def test_nan_as_the_exponent_of_a_negative_number_makes_nan(mg: Any) -> None:
    def of_numbers(v: Any) -> Any:
        return v[0] + v[0].data ** v[1].data

    def of_a_value(v: Any) -> Any:
        return v[0] ** v[1].data

    rows = [[-2.0, 2.0], [3.0, 0.5], [-2.0, math.nan], [-2.0, 3.0]]
    for fn in (of_numbers, of_a_value):
        found = mg.compile(fn, rows[0])(rows)
        np.testing.assert_array_equal(found, [fn([mg.Value(x) for x in row]).data for row in rows])


def _log_or_zero(x: Any) -> Any:
    try:
        return x.log()
    except ValueError:
        return x * 0.0


def _exp_or_limit(x: Any) -> Any:
    try:
        return x.exp()
    except OverflowError:
        return x * 0.0 + 1e308


def _add_reciprocal(x: Any) -> Any:
    try:
        return x + 1.0 / x.data
    except ZeroDivisionError:
        return x


@pytest.mark.parametrize(
    ("fn", "example"), [(_log_or_zero, -1.0), (_exp_or_limit, 1000.0), (_add_reciprocal, 0.0)]
)
def test_error_that_the_function_catches_is_refused(mg: Any, fn: Any, example: float) -> None:
    with pytest.raises(TypeError, match="error that the function catches") as caught:
        mg.compile(fn, example)
    assert f"{__file__}:{fn.__code__.co_firstlineno + 2}" in str(caught.value)
    assert isinstance(caught.value.__cause__, (ValueError, ArithmeticError))
    expected = fn(mg.Value(example)).data
    assert mg.compile(fn, example, allow_constants=True)([example]).tolist() == [expected]


def test_refusal_that_the_function_catches_is_raised_all_the_same(mg: Any) -> None:
    def fn(x: Any) -> Any:
        try:
            return x * int(x.data)
        except TypeError:
            return x

    with pytest.raises(TypeError, match="turned into an int"):
        mg.compile(fn, 2.0)


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


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda x: x * math.exp(x.data), "turned into a float"),
        (lambda x: x * float(x.data), "turned into a float"),
        (lambda x: x * np.exp(x.data), r"given to np.exp\(\) \(a Value has its own exp\(\)\)"),
        (lambda x: x * np.log2(x.data), r"given to np.log2\(\): it would be"),
        (lambda x: x * int(x.data), "turned into an int"),
        (lambda x: x * [1, 2, 3][x.data], "used as an index"),
        (lambda x: x * len(str(x.data)), "turned into a string"),
        (lambda x: x * len(f"{x.data:.3f}"), "turned into a string"),
        (lambda x: x * len(repr(x)), "turned into a string"),
        (lambda x: x * {x.data: 1}[x.data], "used as a key"),
        (lambda x: x * round(x.data), "rounded"),
        (lambda x: x * (x.data // 2), "operand of floordiv"),
        (lambda x: x * (x.data % 2), "operand of mod"),
    ],
)
def test_a_number_that_cannot_be_recorded_is_refused(mg: Any, use: Any, what: str) -> None:
    with pytest.raises(TypeError, match=what) as caught:
        mg.compile(use, 1.0)
    line = use.__code__.co_firstlineno
    assert f"{__file__}:{line}" in str(caught.value)


def test_numpy_computes_with_what_depends_on_no_input(mg: Any) -> None:
    two = mg.compile(lambda x: x * np.log2(mg.Value(4.0).data), 1.0)
    assert two([1.0, 3.0]).tolist() == [2.0, 6.0]
    example = mg.compile(lambda x: x * np.sqrt(x.data), 4.0, allow_constants=True)
    assert example([1.0, 3.0]).tolist() == [2.0, 6.0]


def test_a_stand_in_has_no_methods_that_a_float_has_not(mg: Any) -> None:
    def fn(x: Any) -> Any:
        assert not hasattr(x.data, "backward") and not hasattr(x.data, "add")
        return x

    mg.compile(fn, 1.0)


def test_allow_constants_takes_the_examples_number(mg: Any) -> None:
    program = mg.compile(lambda x: x * int(x.data), 2.0, allow_constants=True)
    assert program([3.0]).tolist() == [6.0]


def test_the_data_of_a_constant_is_a_number(mg: Any) -> None:
    program = mg.compile(lambda x: x * int(mg.Value(2.0).data), 5.0)
    assert program([3.0]).tolist() == [6.0]


def test_reading_a_constant_looks_at_what_is_new_below_it(mg: Any) -> None:
    def fn(x: Any, reads: int) -> Any:
        c = mg.Value(1.0)
        for _ in range(reads):
            c = c * 1.0 + 1.0
            assert float(c.data) > 1.0
        return x * c

    def calls(reads: int) -> int:
        events: list[str] = []
        sys.setprofile(lambda frame, event, arg: events.append(event))
        try:
            mg.compile(lambda x: fn(x, reads), 1.0)
        finally:
            sys.setprofile(None)
        return len(events)

    first, second, fourth = calls(50), calls(100), calls(200)
    assert fourth - second < 2.5 * (second - first)  # in proportion: 2, each read in full: 4


def test_a_constant_that_becomes_an_input_is_none_any_more(mg: Any) -> None:
    def fn(x: Any) -> Any:
        c = mg.Value(2.0)
        assert float(c.data) == float((c * 3).data) / 3 == 2.0
        c.data = x.data
        return x * float(c.data)

    with pytest.raises(TypeError, match="turned into a float"):
        mg.compile(fn, 1.0)


def test_the_data_of_what_is_made_of_an_input_or_a_parameter_is_no_constant(mg: Any) -> None:
    w = mg.Value(2.0)
    for other in (lambda x: x, lambda x: w, lambda x: w * w):

        def fn(x: Any, other: Any = other) -> Any:
            c = mg.Value(1.0) + 1.0
            assert float(c.data) == 2.0
            return x * float((c * 2 + c * other(x)).data)

        with pytest.raises(TypeError, match="turned into a float"):
            mg.compile(fn, 1.0)


@pytest.mark.parametrize(
    "what", ["backward", "_backward", "grad", "partials", "data", "step", "copy", "call", "input"]
)
def test_what_a_program_cannot_contain_is_refused(mg: Any, what: str) -> None:
    w = mg.Value(1.0)
    optimizer = mg.optim.SGD([w], lr=0.1)
    other = mg.compile(lambda x: w * x, 1.0)

    def fn(x: Any) -> Any:
        y = x * w
        if what == "backward":
            y.backward()
        elif what == "_backward":
            y._backward = lambda: None
        elif what == "grad":
            y = y * w.grad
        elif what == "partials":
            y = y * y._local_grads[0]
        elif what == "data":
            w.data = 3.0
        elif what == "step":
            optimizer.step()
        elif what == "copy":
            y = copy.copy(y)
        elif what == "call":
            y = y * other([1.0])[0]
        else:
            x.data = 3.0
        return y

    with pytest.raises(TypeError, match="a program"):
        mg.compile(fn, 1.0)
    assert w.data == 1.0


def test_a_closure_recorded_before_is_used(mg: Any) -> None:
    w = mg.Value(3.0)
    tripled = mg.Value(9.0, (w,))

    def push() -> None:
        w.grad += 3 * tripled.grad

    tripled._backward = push
    program = mg.compile(lambda x: x * tripled, 1.0)
    program.backward([1.0, 2.0], reduction="sum")
    assert w.grad == 9.0


def test_recording_ends_with_an_exception(mg: Any) -> None:
    def fn(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mg.compile(fn, 1.0)
    assert mg.Value(2.0).data == 2.0 and type(mg.Value(2.0).data) is float


def test_recordings_do_not_nest(mg: Any) -> None:
    with pytest.raises(RuntimeError, match="recorded already"):
        mg.compile(lambda x: mg.compile(lambda y: y, 1.0)([1.0])[0] * x, 1.0)


def test_other_threads_see_numbers_while_one_records(mg: Any) -> None:
    seen = []

    def fn(x: Any) -> Any:
        thread = threading.Thread(target=lambda: seen.append(type(mg.Value(1.5).data)))
        thread.start()
        thread.join()
        return x

    mg.compile(fn, 1.0)
    assert seen == [float]


def test_a_graph_that_another_thread_makes_meanwhile_is_recorded(mg: Any) -> None:
    a, b = mg.Value(2.0), mg.Value(3.0)
    made = []

    def make() -> None:
        made.append(a * b)
        made[-1].backward()

    def fn(x: Any) -> Any:
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[-1] * x + 5.0

    program = mg.compile(fn, 2.0)
    a.grad = b.grad = 0.0
    assert list(program([2.0, 3.0])) == [17.0, 23.0]
    assert made[-1].grad == 1.0


def test_subclasses_are_recorded(mg: Any) -> None:
    class Mine(mg.Value):  # type: ignore[name-defined,misc]
        def __init__(self, data: Any, *args: Any, **names: Any) -> None:
            super().__init__(data, *args, **names)
            self.note = "mine"

    w = Mine(2.0)
    program = mg.compile(lambda x: (w * x).exp() + w.data, 1.0)
    expected = np.exp(2.0 * np.array([0.5, 1.0])) + 2.0
    np.testing.assert_allclose(program([0.5, 1.0]), expected, rtol=1e-15)


# ---- specialisations ----


def test_more_branches_than_allowed_are_an_error(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: doubled(x * w, 100.0), 1.0, max_specializations=3)
    with pytest.raises(RuntimeError, match=r"row 4 takes another branch than the 3 .* maximum\(\)"):
        program.backward([1.0, 2.0, 3.0, 50.0, 7.0, 13.0])
    assert w.grad == 0.0


def test_an_error_of_the_function_names_the_row(mg: Any) -> None:
    program = mg.compile(lambda x: x if x.data > 0 else (x * 0).log(), 1.0)
    with pytest.raises(ValueError, match=r"row 2: math domain error: log\(-?0\.0\)"):
        program([1.0, 2.0, -3.0])


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


# ---- errors of arithmetic ----


def test_out_of_domain_flows_as_ieee_has_it(mg: Any) -> None:
    program = mg.compile(lambda x: [x.log(), 1 / x, (x * 1000).exp(), x.sqrt()], 0.5)
    log, inverse, exp, root = program([0.0, -1.0, 1.0])
    assert log[0] == -math.inf and math.isnan(log[1]) and log[2] == 0.0
    assert inverse[0] == math.inf and exp[2] == math.inf and math.isnan(root[1])


@pytest.mark.parametrize(
    ("fn", "row", "error", "message"),
    [
        (lambda x: x.log(), -1.0, ValueError, r"row 3: math domain error: log\(-1.0\)"),
        (lambda x: 1 / x, 0.0, ZeroDivisionError, r"row 3: division by zero: 0.0 \*\* -1.0"),
        (lambda x: (x * 1000).exp(), 1.0, OverflowError, r"row 3: .*exp\(1000.0\)"),
        (lambda x: x / (x.data - 1), 1.0, ZeroDivisionError, "row 3: division by zero"),
    ],
)
def test_check_raises_what_the_function_would(
    mg: Any, fn: Any, row: float, error: Any, message: str
) -> None:
    program = mg.compile(fn, 0.5)
    rows = np.array([0.5, 0.25, 0.125, row, row])
    with pytest.raises(error, match=message):
        program(rows, check=True)
    assert program(rows[:3], check=True).shape == (3,)
    assert program(rows).shape == (5,)


def test_check_covers_derivatives_and_leaves_gradients(mg: Any) -> None:
    w = mg.Value(1.0)
    program = mg.compile(lambda x: (w * x).sqrt(), 1.0)
    assert program([0.0], check=True).tolist() == [0.0]
    with pytest.raises(ZeroDivisionError, match="row 1: division by zero: the derivative of sqrt"):
        program.backward([4.0, 0.0], check=True)
    assert w.grad == 0.0


def test_check_passes_over_rows_of_other_branches(mg: Any) -> None:
    program = mg.compile(lambda x: x.log() if x.data > 0 else x * 2, 1.0)
    assert program([1.0, -1.0], check=True).tolist() == [0.0, -2.0]
    assert program.gradient([2.0, -1.0], check=True).tolist() == [0.5, 2.0]


def test_slope_of_the_zeroth_power_is_zero_for_every_row(mg: Any) -> None:
    w, x = mg.Value(0.0), [0.0, -0.0, 2.0, -3.0]
    program = mg.compile(lambda x: x**0 + x ** (x.data * 0) + w**0, 1.0)
    for options in ({}, {"check": True}):
        assert program.gradient(x, **options).tolist() == [0.0] * 4
        assert program.backward(x, **options) == 3.0
        assert w.grad == 0.0
    assert program.jacobian(x).tolist() == [0.0] * 4


def test_a_polynomial_in_powers_has_its_slope_at_zero(mg: Any) -> None:
    program = mg.compile(lambda x: sum(c * x**i for i, c in enumerate([1.0, 2.0, 3.0])), 1.0)
    assert program.gradient([0.0, 1.0], check=True).tolist() == [2.0, 8.0]
    assert program.jacobian([0.0, -1.0]).tolist() == [2.0, -4.0]


def test_power_of_a_negative_value_is_checked_as_the_functions_is(mg: Any) -> None:
    program = mg.compile(lambda x, y: x**y, 1.0, 1.0)
    x, y = program.gradient([-2.0, -2.0], [2.0, -1.0], check=True)
    assert x.tolist() == [-4.0, -0.25] and np.isnan(y).all()
    with pytest.raises(ValueError, match=r"row 1: math domain error: -2.0 \*\* 0.5"):
        program([2.0, -2.0], [0.5, 0.5], check=True)


@pytest.mark.parametrize(
    "fn",
    [
        lambda v: v[0] + 0.0 ** v[1],
        lambda v: v[0] + v[0].data ** v[1],
        lambda v: v[0] * v[0].data ** 0.5,
        lambda v: v[0] + v[0].data ** v[1].data,
    ],
)
def test_check_asks_for_no_slope_of_a_number(mg: Any, fn: Any) -> None:
    rows = [[0.0, 0.5], [2.0, 0.25], [0.0, 2.0]]
    program = check(mg, fn, rows)
    assert program.gradient(rows, check=True).tolist() == program.gradient(rows).tolist()


@pytest.mark.parametrize("base", [lambda v: v, lambda v: v.data], ids=["Value", "number"])
def test_a_number_as_exponent_is_each_rows_for_negative_bases_too(mg: Any, base: Any) -> None:
    rows = [[-2.0, 2.0], [3.0, 0.5], [-2.0, 3.0], [-1.0, -2.0]]
    program = check(mg, lambda v: v[1] * base(v[0]) ** v[1].data, rows)
    assert program.specializations == 1


# ---- rows without a gradient ----

OPERATORS = {
    "multiply": lambda mg, a, b: a * b,
    "divide": lambda mg, a, b: a / b,
    "square": lambda mg, a, b: a**2,
    "root": lambda mg, a, b: a**0.5,
    "power": lambda mg, a, b: a**b,
    **{
        name: lambda mg, a, b, name=name: getattr(a, name)()
        for name in ("exp", "log", "tanh", "relu", "sigmoid", "sin", "cos", "sqrt", "__abs__")
    },
    "maximum": lambda mg, a, b: mg.maximum(a, b),
    "minimum": lambda mg, a, b: mg.minimum(a, b),
}
TRAPS = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e300, -1e300, 1e-320, -1.0]


def network(mg: Any, operator: str, ws: Any, x: Any) -> Any:
    """Two layers, of which the second is large enough for rows to be left out in reverse."""
    first = [OPERATORS[operator](mg, w * x[0], w + x[1]) for w in ws[:9]]
    return mg.total([mg.dot(ws[i : i + 9], first).tanh() for i in range(18)])


def gradients_of(program: Any, ws: Any, *args: Any, **options: Any) -> Any:
    for w in ws:
        w.grad = 0.0
    program.backward(*args, reduction="sum", **options)
    return np.array([w.grad for w in ws])


def leaves_rows_out(program: Any) -> bool:
    return "rows for which" in program.disassemble("backward")


def test_rows_without_a_gradient_are_left_out(mg: Any) -> None:
    model, loss, points, targets, program = moons(mg)
    assert leaves_rows_out(program)
    for reach in (0.01, 0.3, 1.0, 3.0, 30.0):  # from most rows within the margin to hardly any
        model.zero_grad()
        program.backward(points, targets * reach, reduction="sum")
        found = [p.grad for p in model.parameters()]
        model.zero_grad()
        for x, y in zip(points, targets * reach):
            loss([mg.Value(a) for a in x], mg.Value(y)).backward()
        expected = [p.grad for p in model.parameters()]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS)
def test_rows_that_are_not_finite_are_not_left_out(mg: Any, operator: str) -> None:
    ws = [mg.Value(0.05 * i + 0.1) for i in range(26)]
    program = mg.compile(lambda x: network(mg, operator, ws, x), [0.5, 2.0])
    steep = ("divide", "square", "root", "power", "log", "sqrt")  # have infinite derivatives
    assert leaves_rows_out(program) == (operator not in steep)
    rows, weights = np.abs(normal(120, 2)) + 0.5, np.zeros(120)
    weights[[3, 57, 119]] = 1.0, -2.0, 0.5
    plain = gradients_of(program, ws, rows, weights=weights)
    assert np.isfinite(plain).all()
    for trap in TRAPS:
        for place in (0, 1):
            trapped = rows.copy()
            trapped[40, place] = trap
            found = gradients_of(program, ws, trapped, weights=weights)
            for w in ws:
                w.grad = 0.0
            with contextlib.suppress(ArithmeticError, ValueError):
                (network(mg, operator, ws, [mg.Value(a) for a in trapped[40]]) * 0.0).backward()
                expected = plain + [w.grad for w in ws]
                np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=f"{trap}")


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 60, -1])
def test_no_row_is_left_out_where_a_parameter_is_not_finite(
    mg: Any, place: int, number: float
) -> None:
    model, loss, points, targets, program = moons(mg)
    model.parameters()[place].data = number
    for reach in (targets, targets * 0.0, np.full(100, -1e300)):
        found = gradients_of(program, model.parameters(), points, reach)
        model.zero_grad()
        for x, y in zip(points, reach):
            loss([mg.Value(a) for a in x], mg.Value(y)).backward()
        expected = [p.grad for p in model.parameters()]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_row_that_is_infinite_beyond_the_margin_makes_its_nan(mg: Any) -> None:
    model, loss, points, targets, program = moons(mg)
    for number in (math.inf, -math.inf, math.nan):
        points[17, 0] = number
        for y in (1.0, -1.0):
            targets[17] = y
            found = gradients_of(program, model.parameters(), points, targets)
            model.zero_grad()
            loss([mg.Value(a) for a in points[17]], mg.Value(y)).backward()
            nans = [math.isnan(p.grad) for p in model.parameters()]
            assert np.isnan(found).tolist() == nans


def test_an_infinite_parameter_makes_its_nan_of_rows_beyond_the_margin(mg: Any) -> None:
    ws = [mg.Value(0.1 * i) for i in range(26)]

    def loss(x: Any) -> Any:
        first = [(w * x[0] + w).sigmoid() for w in ws[:9]]
        return (mg.total([mg.dot(ws[i : i + 9], first).relu() for i in range(18)]) - 1e6).relu()

    program = mg.compile(loss, [0.5])
    assert leaves_rows_out(program)
    ws[25].data = -math.inf  # all values are finite: relu(-inf) is 0
    found = gradients_of(program, ws, normal(100, 1))
    for w in ws:
        w.grad = 0.0
    loss([mg.Value(0.5)]).backward()
    expected = [w.grad for w in ws]
    assert np.isnan(found).tolist() == np.isnan(expected).tolist() and np.isnan(found).any()


def test_gradients_of_no_row_at_all_are_zero_without_a_sign(mg: Any) -> None:
    ws = [mg.Value(0.1 * i - 1.0) for i in range(26)]
    program = mg.compile(lambda x: (network(mg, "tanh", ws, x) - 100).relu(), [0.5, 2.0])
    assert leaves_rows_out(program)
    found = gradients_of(program, ws, normal(100, 2))
    assert found.tolist() == [0.0] * 26 and not np.signbit(found).any()


def test_rows_are_left_out_alike_on_every_processor(
    mg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micrograd_c._compile import replay as module

    model, loss, _, _, _ = moons(mg)
    points, targets, found = normal(333, 2, seed=5), np.sign(normal(333, seed=6)), []
    for kind in (0, 1, 2):
        monkeypatch.setattr(module, "KIND", kind)
        program = mg.compile(loss, points[0], targets[0])
        found.append(gradients_of(program, model.parameters(), points, targets).tolist())
    assert found[1] == found[0] and found[2] == found[0]


# ---- threads ----


@pytest.mark.parametrize("rows", [1, 127, 129, 5000, 20001])
def test_results_do_not_depend_on_threads(mg: Any, rows: int) -> None:
    model, _, _, _, program = moons(mg)
    points, targets = normal(rows, 2, seed=7), np.sign(normal(rows, seed=8))
    found = []
    for threads in (1, 2, 3, 7):
        model.zero_grad()
        total = program.backward(points, targets, threads=threads)
        grads = [p.grad for p in model.parameters()]
        gradient = program.gradient(points, targets, threads=threads)
        found.append((total, grads, gradient[0].tolist(), program(points, targets).tolist()))
    assert all(other == found[0] for other in found[1:])


def test_branches_do_not_depend_on_threads(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda x: doubled(w * x, 1.0) * x, 1.0, max_specializations=30)
    x = normal(5000, seed=9) + 3.0
    found = []
    for threads in (1, 3):
        w.grad = 0.0
        found.append((program.backward(x, threads=threads), w.grad))
    assert found[0] == found[1]
    with pytest.raises(ValueError, match="threads"):
        program(x, threads=0)


@pytest.mark.parametrize("threads", [None, 1.5, 2.0, "2"], ids=repr)
@pytest.mark.parametrize("method", ["__call__", "backward", "gradient", "jacobian"])
def test_a_number_of_threads_that_is_no_integer_is_a_type_error_naming_it(
    mg: Any, method: str, threads: Any
) -> None:
    program = mg.compile(lambda x: x * 2.0, 1.0)
    kind = type(threads).__name__
    with pytest.raises(TypeError, match=f"threads must be an integer, not {kind}"):
        getattr(program, method)([1.0, 2.0], threads=threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(mg: Any) -> None:
    program = mg.compile(lambda x: x.exp(), 1.0)
    x = normal(5000)
    expected = program(x, threads=2)
    child = os.fork()
    if child == 0:
        os._exit(0 if (program(x, threads=2) == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_other_threads_run_while_rows_are_replayed(mg: Any) -> None:
    program = mg.compile(lambda x: x.exp(), 1.0)
    x = normal(100_000)
    gate = threading.Semaphore(0)
    passed: list[bool] = []

    def wait() -> None:
        gate.acquire()
        passed.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # no thread has to give way to another
    try:
        gate.release()
        for _ in range(1000):
            program(x)
            if passed:
                break
        assert passed
    finally:
        sys.setswitchinterval(before)
        thread.join()


def test_several_threads_may_step_at_once(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda x: (w * x).exp(), 1.0)
    x = normal(500)
    expected = program.backward(x)
    found: list[float] = []

    def step() -> None:
        found.extend(program.backward(x) for _ in range(50))

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 200


def test_a_program_may_be_called_by_several_threads(mg: Any) -> None:
    w = mg.Value(0.5)
    program = mg.compile(lambda x: doubled(w * x, 4.0) * x, 1.0, max_specializations=30)
    x = normal(3000, seed=9) + 3.0
    expected = mg.compile(lambda x: doubled(w * x, 4.0) * x, 1.0, max_specializations=30)(x)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(program(x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all((f == expected).all() for f in found)


@pytest.mark.parametrize("rows", [3, 100, 1000])
def test_results_do_not_depend_on_the_processor(
    mg: Any, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    from micrograd_c._compile import replay as module

    random.seed(4)
    model = mg.MLP(3, [7, 5, 1])

    def fn(v: Any) -> Any:
        out = model(v) + mg.softmax(v)[1] * (v[0] * v[0] + 1).log() + v[2].sigmoid()
        return mg.maximum(out, v[1]).relu() if v[0].data > -1 else out / v[0]

    x, found = normal(rows, 3, seed=rows), []
    for kind in (0, 1, 2):
        monkeypatch.setattr(module, "KIND", kind)
        model.zero_grad()
        program = mg.compile(fn, x[0])
        total = program.backward(x)
        grads = [p.grad for p in model.parameters()]
        found.append((total, grads, program(x).tolist(), program.gradient(x).tolist()))
    assert found[1] == found[0] and found[2] == found[0]


# ---- copies, pickles, descriptions ----

_weight: Any = None


@contextlib.contextmanager
def weight(value: Any) -> Iterator[Any]:
    """Have a module's Value, as a function that is pickled by reference has."""
    global _weight
    _weight = value
    try:
        yield value
    finally:
        _weight = None


def by_reference(x: Any) -> Any:
    return x * _weight if x.data > 0 else x - _weight


def test_a_pickled_program_is_a_program(mg: Any) -> None:
    with weight(mg.Value(3.0)) as w:
        program = mg.compile(by_reference, 1.0)
        before = program([1.0, -1.0]).tolist()
        other = pickle.loads(pickle.dumps(program))
        assert other([1.0, -1.0]).tolist() == before
        other.parameters[0].data = 5.0  # a copy: the pickle had the parameters in it
        assert other([1.0, -1.0]).tolist() == [5.0, -6.0] and w.data == 3.0
        assert other.disassemble() == program.disassemble()


def test_a_copied_program_records_no_others_parameters(mg: Any) -> None:
    with weight(mg.Value(3.0)):
        program = copy.deepcopy(mg.compile(by_reference, 1.0))
        with pytest.raises(RuntimeError, match="compile it here"):
            program([-1.0])


def test_a_shallow_copy_shares_parameters(mg: Any) -> None:
    with weight(mg.Value(3.0)) as w:
        program = copy.copy(mg.compile(by_reference, 1.0))
        assert program.parameters[0] is w
        assert program([1.0, -1.0]).tolist() == [3.0, -4.0]


def test_repr_tells_what_there_is(mg: Any) -> None:
    w = mg.Value(2.0)

    def fn(x: Any, y: Any) -> Any:
        return (x * w + y).tanh() if x.data > 0 else y

    program = mg.compile(fn, 1.0, 2.0)
    assert repr(program).endswith(
        "fn: 2 inputs, 1 parameter, 1 output, 4 instructions, 1 guard, 1 specialization)"
    )
    program([-1.0], [1.0])
    assert repr(program).endswith("2 guards, 2 specializations)")


def test_disassemble_lists_instructions(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: (x * w + 1 + w * w).tanh(), 1.0)
    text = program.disassemble()
    assert "s0 = parameter 0" in text and "tanh(" in text and "output 0 = " in text
    assert "sum(" in program.disassemble("backward")
    assert "gradient of input 0" in program.disassemble("gradient")
    with pytest.raises(ValueError, match="mode must be one of"):
        program.disassemble("sideways")


def test_equal_values_are_computed_once_and_dead_ones_never(mg: Any) -> None:
    def fn(x: Any) -> Any:
        (x * 7).sin()
        return x.exp() * x.exp() + mg.Value(2.0).exp()

    text = mg.compile(fn, 1.0).disassemble()
    assert text.count("exp(") == 1 and "sin" not in text and "7.38905609893065" in text


def test_a_star_import_leaves_pythons_own_compile_alone(mg: Any) -> None:
    names: dict[str, Any] = {}
    exec("from micrograd_c import *", names)
    assert "compile" not in names and "Value" in names


def test_compile_refuses_what_is_no_function(mg: Any) -> None:
    with pytest.raises(TypeError, match="a function is required"):
        mg.compile(3.0)
    with pytest.raises(ValueError, match="max_specializations"):
        mg.compile(lambda x: x, 1.0, max_specializations=0)
    for wrong in (None, 1.5, "2"):
        with pytest.raises(TypeError, match="max_specializations must be an integer, not "):
            mg.compile(lambda x: x, 1.0, max_specializations=wrong)
    with pytest.raises(TypeError, match="the result must be a Value"):
        mg.compile(lambda x: "text", 1.0)


# ---- the example ----


def test_the_options_sensitivities_are_those_of_differences_and_of_the_formula(
    mg: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["option.py", "--paths", "20000", "--threads", "2"])
    runpy.run_path(str(EXAMPLES / "option.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith("  ")]
    formula = [(float(r[1]), float(r[4])) for r in rows if "form" in r]
    differences = [(float(r[1]), float(r[3])) for r in rows if "differences" in r]
    assert len(formula) == 15 and len(differences) == 20
    assert all(abs(a - b) < 0.03 * max(10.0, abs(b)) for a, b in formula)
    assert all(abs(a - b) < 2e-3 * max(1.0, abs(b)) for a, b in differences)
    assert "4 specializations" in "".join(lines)


# ---- allocation failure ----


def test_every_allocation_may_fail_and_nothing_is_lost(mg: Any) -> None:
    from micrograd_c._compile import replay as module

    w = mg.Value(2.0)

    def fn(x: Any) -> Any:
        return (x * w + w * w).exp() * x + (x - w).tanh()

    def work() -> float:
        w.grad = 0.0
        program = mg.compile(fn, 1.0)
        program([0.5, 1.0])
        program.gradient([0.5, 1.0])
        return program.backward([0.5, 1.0])

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


# ---- random programs ----

UNARY = ["exp", "tanh", "relu", "sigmoid", "sin", "cos", "abs", "log", "sqrt"]
KINDS = [
    "add", "sub", "mul", "div", "square", "inverse", "cube", "scale", "shift", "unary", "unary",
    "maximum", "minimum", "branch", "compare", "detach", "top", "sum", "parameter", "value",
    "custom", "no grad", "number power", "power", "softmax", "sort",
]  # fmt: skip
instructions = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.integers(0, 30), st.integers(-3, 3)),
    min_size=1,
    max_size=25,
)


def interpret(mg: Any, code: Any, params: Any, inputs: Any) -> Any:
    """Run a random program on Values."""
    pool = list(inputs)
    for kind, i, j, c in code:
        a, b = pool[i % len(pool)], pool[j % len(pool)]
        if kind == "add":
            out = a + b
        elif kind == "sub":
            out = a - b
        elif kind == "mul":
            out = a * b
        elif kind == "div":
            out = a / (b * b + 1)
        elif kind == "square":
            out = a**2
        elif kind == "inverse":
            out = (a * a + 1) ** -1
        elif kind == "cube":
            out = a**3
        elif kind == "scale":
            out = a * (c / 2)
        elif kind == "shift":
            out = c - a
        elif kind == "unary":
            name = UNARY[j % len(UNARY)]
            if name in ("log", "sqrt"):
                out = getattr(a * a + 0.5, name)()
            elif name == "exp":
                out = a.tanh().exp()
            else:
                out = getattr(a, name)()
        elif kind in ("maximum", "minimum"):
            out = getattr(mg, kind)(a, b)
        elif kind == "branch":
            out = a * 2 if a.data > c / 4 else b - 1
        elif kind == "compare":
            out = a if a < b else b * a
        elif kind == "detach":
            out = a * b.data + a.data / (abs(b.data) + 1)
        elif kind == "top":
            out = a - max(a.data, b.data, c)
        elif kind == "sum":
            out = mg.total(pool[-4:]) + mg.dot(
                pool[:2], params[:2] if len(pool) > 1 else params[:1]
            )
        elif kind == "parameter":
            out = a * params[j % len(params)] + params[i % len(params)] ** 2
        elif kind == "custom":
            out = mg.Value(a.data * b.data + c, (a, b), (b.data, a.data)) + b
        elif kind == "no grad":
            with mg.no_grad():
                out = (a + c) * b
            out = out * a
        elif kind == "number power":
            out = (a * a + 0.5) ** b.tanh().data
        elif kind == "power":
            out = (a * a + 0.5) ** b.tanh()
        elif kind == "softmax":
            out = mg.softmax(pool[-3:])[0] + mg.cross_entropy([a.tanh(), b.tanh(), a.cos()], j % 3)
        elif kind == "sort":
            out = sorted([a, b, params[0]], key=lambda v: v.data)[j % 3] * 2
        else:
            out = mg.Value(a.data * 0.5) * b
        pool.append(out)
    return pool[-1]


@given(instructions, st.integers(1, 4), st.integers(0, 2**16))
def test_random_programs_are_what_they_are_row_by_row(
    mg: Any, code: Any, inputs: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.choice([generator.normal(size=(20, inputs)), np.ones((20, inputs))])
    params = [mg.Value(float(p)) for p in generator.normal(size=3)]

    def fn(x: Any) -> Any:
        return interpret(mg, code, params, x)

    expected, d_inputs, d_params, scales = [], [], [], []
    for row in rows:
        leaves = [mg.Value(float(x)) for x in row]
        for p in params:
            p.grad = 0.0
        out = fn(leaves)
        out.backward()
        graph = mg.trace(out)[0]
        scales.append(max(1.0, *(abs(v.data) for v in graph), *(abs(v.grad) for v in graph)))
        expected.append(out.data)
        d_inputs.append([x.grad for x in leaves])
        d_params.append([p.grad for p in params])
        del out, graph, leaves
    scale = np.array(scales)
    program = mg.compile(fn, rows[0], max_specializations=20)
    assert (np.abs(program(rows) - expected) <= 1e-12 * scale).all()
    difference = np.abs(program.gradient(rows) - np.array(d_inputs))
    assert (difference.max(axis=1) <= 1e-12 * scale * scale).all()
    for p in params:
        p.grad = 0.0
    program.backward(rows, reduction="sum")
    found = np.array([p.grad for p in params])
    assert (np.abs(found - np.sum(d_params, axis=0)) <= 1e-12 * (scale * scale).sum()).all()


RISKY = ["log", "sqrt", "exp", "tanh", "abs"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["unary", "unary", "add", "mul", "div", "inverse", "power", "param"]),
            st.integers(0, 30),
            st.integers(0, 30),
            st.integers(-3, 3),
        ),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.sampled_from([0.5, 1.0, 2.0, 0.0, -1.0, 710.0, 3.0]), min_size=2, max_size=6),
)
def test_check_raises_for_the_first_row_that_raises(mg: Any, code: Any, rows: Any) -> None:
    param = mg.Value(1.5)

    def fn(x: Any) -> Any:
        pool = [x, param * x]
        for kind, i, j, c in code:
            a, b = pool[-1 - i % 2], pool[j % len(pool)]
            if kind == "unary":
                out = getattr(a, RISKY[j % len(RISKY)])()
            elif kind == "add":
                out = a + b
            elif kind == "mul":
                out = a * b
            elif kind == "div":
                out = a / b
            elif kind == "inverse":
                out = a**-1
            elif kind == "power":
                out = a ** (c / 2)
            else:
                out = a * (param + c).exp()
            pool.append(out)
        total = pool[0]
        for v in pool[1:]:
            total = total + v  # nothing is dead
        return total

    try:
        program = mg.compile(fn, 1.25)
    except (ArithmeticError, ValueError):
        return
    expected: Any = None
    for k, row in enumerate(rows):
        try:
            fn(mg.Value(row)).backward()
        except (ArithmeticError, ValueError) as error:
            expected = type(error), f"row {k}:"
            break
    for run in (program.gradient, program.backward):
        param.grad = 0.0
        if expected is None:
            run(rows, check=True)
            continue
        with pytest.raises(expected[0], match=expected[1]):
            run(rows, check=True)
        assert param.grad == 0.0
