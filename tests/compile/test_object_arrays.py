"""Arrays of Values: as arguments of the function, and as its results."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import pytest
from compiled import normal

np = pytest.importorskip("numpy")


# ---- arguments ----


def test_an_array_arrives_as_an_array_of_values(mg: Any) -> None:
    def fn(x: Any, xs: Any, s: Any) -> Any:
        assert type(x) is np.ndarray and x.shape == (2, 3) and x.dtype == object
        assert type(xs) is list and type(xs[0]) is list and type(s) is mg.Value
        assert all(type(v) is mg.Value for row in x for v in row)
        return x[0, 1] * x[1][2] + xs[1][0] * s

    program = mg.compile(fn, np.ones((2, 3)), [[1.0], [2.0]], np.float64(1.0))
    x, xs, s = normal(5, 2, 3), normal(5, 2, 1, seed=1), normal(5, seed=2)
    expected = x[:, 0, 1] * x[:, 1, 2] + xs[:, 1, 0] * s
    np.testing.assert_allclose(program(x, xs, s), expected, rtol=1e-14)


def test_other_buffers_arrive_as_arrays_too(mg: Any) -> None:
    program = mg.compile(lambda x: (x * x).sum(), memoryview(np.ones(3)))
    x = normal(4, 3)
    np.testing.assert_allclose(program(memoryview(x)), (x * x).sum(1), rtol=1e-14)


FUNCTIONS: dict[str, Any] = {
    "sum": lambda np, x, w: x.sum() * 2,
    "mean of an axis": lambda np, x, w: x.mean(axis=0)[1],
    "@ an array of Values": lambda np, x, w: (x @ w)[1, 0],
    "@ floats": lambda np, x, w: (x @ np.ones((3, 2)))[1, 1],
    "np.exp": lambda np, x, w: np.exp(x)[1, 2],
    "np.tanh of a product": lambda np, x, w: np.tanh(x * w.T).sum(),
    "a Value by an array": lambda np, x, w: (w[0, 0] * x - x / w[1, 1]).sum(),
    "power": lambda np, x, w: (x**2).sum() ** 0.5,
    "iteration": lambda np, x, w: sum(v * k for row in x for k, v in enumerate(row)),
    "slices": lambda np, x, w: (x[:, 1:] - x[:, :-1]).prod(),
    "max": lambda np, x, w: x.max() + np.maximum(x, 0.5).sum(),
    "dot": lambda np, x, w: np.dot(x[0], w[:, 1]),
    "concatenate": lambda np, x, w: np.concatenate([x, x * 2])[3, 1],
    "trace": lambda np, x, w: np.trace(x @ w),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_computes_as_numpy_does(mg: Any, name: str) -> None:
    fn, weights = FUNCTIONS[name], normal(3, 2, seed=1)
    values = np.array([[mg.Value(w) for w in row] for row in weights], object)
    program = mg.compile(lambda x: fn(np, x, values), normal(2, 3), max_specializations=99)
    rows = normal(20, 2, 3, seed=2)
    expected = [fn(np, row, weights) for row in rows]
    np.testing.assert_allclose(program(rows), expected, rtol=1e-12)


def test_functions_of_lists_take_arrays_and_record_the_same(mg: Any) -> None:
    w = [[mg.Value(k * 0.1 - j) for k in range(3)] for j in range(4)]
    b = [mg.Value(0.5)] * 4

    def fn(x: Any) -> Any:
        return [
            *mg.linear(w, x, b),
            mg.dot(w[0], x),
            mg.total(x),
            mg.mean(x),
            *mg.softmax(x),
            mg.logsumexp(x),
            mg.mse(x, [1.0, 2.0, 3.0]),
            mg.cross_entropy(x, 1),
        ]

    array, nested = mg.compile(fn, normal(3)), mg.compile(fn, normal(3).tolist())
    assert array.disassemble("backward") == nested.disassemble("backward")
    assert [v.data for v in mg.linear(np.array(w), np.array([1.0, 2.0, 3.0]), np.array(b))] == [
        v.data for v in mg.linear(w, [1.0, 2.0, 3.0], b)
    ]


@pytest.mark.parametrize("sizes", [(3, [4, 4, 1]), (3, [2]), (1, [1])])
def test_networks_take_arrays_and_record_the_same(mg: Any, sizes: Any) -> None:
    random.seed(2)
    model, row = mg.MLP(*sizes), normal(sizes[0])
    programs = mg.compile(model, row), mg.compile(model, row.tolist())
    assert programs[0].disassemble("backward") == programs[1].disassemble("backward")
    values = np.array([mg.Value(v) for v in row], object)
    for part in (model, model.layers[0], model.layers[0].neurons[0]):
        found, expected = part(values), part(list(values))
        both = zip(found, expected) if isinstance(found, list) else [(found, expected)]
        assert all(a.data == b.data and a.label == b.label for a, b in both)


def test_gradients_of_an_array_have_its_shape(mg: Any) -> None:
    program = mg.compile(lambda x: (x @ x).sum(), np.ones((2, 2)))
    x = normal(6, 2, 2)
    gradient = program.gradient(x)
    assert gradient.shape == (6, 2, 2)
    ones = np.ones((2, 2))
    np.testing.assert_allclose(gradient, [ones @ r.T + r.T @ ones for r in x], rtol=1e-12)


def test_a_branch_is_recorded_with_arrays_too(mg: Any) -> None:
    kinds = []

    def fn(x: Any) -> Any:
        kinds.append(type(x))
        return x.sum() if (x > 0).all() else x[0]

    program = mg.compile(fn, np.ones(2))
    assert program([[1.0, 2.0], [-1.0, 2.0], [3.0, -4.0]]).tolist() == [3.0, -1.0, 3.0]
    assert set(kinds) == {np.ndarray}


# ---- results ----


def outer(x: Any, y: Any) -> Any:
    return np.multiply.outer(x, y)


def test_an_array_of_values_comes_back_as_one_array(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: w * x, np.ones(3))
    x = normal(5, 3)
    found = program(x)
    assert type(found) is np.ndarray and found.shape == (5, 3) and found.dtype == np.float64
    np.testing.assert_allclose(found, 2 * x, rtol=1e-14)
    program = mg.compile(outer, np.ones(3), np.ones(2))
    y = normal(5, 2, seed=1)
    np.testing.assert_allclose(program(x, y), x[:, :, None] * y[:, None, :], rtol=1e-14)


def test_a_list_of_values_stays_a_list(mg: Any) -> None:
    found = mg.compile(lambda x: list(x * 2), np.ones(3))(normal(5, 3))
    assert type(found) is list and [v.shape for v in found] == [(5,)] * 3


def test_arrays_of_results_are_nested_with_others(mg: Any) -> None:
    program = mg.compile(lambda x: {"a": x * 2, "s": (x.sum(), [x[:1]])}, np.ones(3))
    x = normal(4, 3)
    found = program(x)
    np.testing.assert_allclose(found["a"], 2 * x, rtol=1e-14)
    assert found["s"][0].shape == (4,) and found["s"][1][0].shape == (4, 1)


def test_numbers_and_data_may_be_in_an_array_of_results(mg: Any) -> None:
    program = mg.compile(lambda x: np.array([x, x.data, 3, 0.5], object), 2.0)
    assert program([1.0, 5.0]).tolist() == [[1.0, 1.0, 3.0, 0.5], [5.0, 5.0, 3.0, 0.5]]
    assert mg.compile(lambda x: np.array([1.0, 2.0]), 2.0)([1.0, 5.0]).shape == (2, 2)
    assert mg.compile(lambda x: np.array(x * 2, object), 2.0)([1.0, 5.0]).tolist() == [2.0, 10.0]
    with pytest.raises(TypeError, match="the result must be a Value"):
        mg.compile(lambda x: np.array([x, "a"], object), 2.0)


def test_one_row_for_all_has_results_without_rows(mg: Any) -> None:
    program = mg.compile(lambda x: {"a": x * x, "s": x.sum()}, np.ones(2))
    found = program([2.0, 3.0])
    assert found["a"].tolist() == [4.0, 9.0] and found["s"].shape == ()
    jacobian = program.jacobian([2.0, 3.0])
    assert jacobian["a"].tolist() == [[4.0, 0.0], [0.0, 6.0]] and jacobian["s"].tolist() == [1, 1]
    w = mg.Value(3.0)
    program = mg.compile(lambda x: x * w, np.ones(2))
    assert program.parameter_jacobian([2.0, 5.0]).tolist() == [[2.0], [5.0]]
    assert program.vjp([1.0, 1.0], seeds=[1.0, 2.0]).tolist() == [3.0, 6.0]
    assert mg.compile(lambda: np.array([w, w * w]))().tolist() == [3.0, 9.0]


@pytest.mark.parametrize("inputs", [1, 2, 7])
def test_the_jacobian_of_an_array_is_one_array(mg: Any, inputs: int) -> None:
    matrix = normal(4, inputs)
    program = mg.compile(lambda x: np.tanh(matrix @ x), np.ones(inputs))
    x = normal(6, inputs, seed=1)
    slopes = 1 - np.tanh(x @ matrix.T) ** 2
    expected = slopes[:, :, None] * matrix
    assert program.jacobian(x).shape == (6, 4, inputs)
    np.testing.assert_allclose(program.jacobian(x), expected, rtol=1e-10)
    np.testing.assert_allclose(program.jacobian(x, check=True), expected, rtol=1e-10)


def test_the_jacobian_has_the_axes_of_results_before_those_of_arguments(mg: Any) -> None:
    program = mg.compile(outer, np.ones(3), np.ones(2))
    x, y = normal(5, 3), normal(5, 2, seed=1)
    d_x, d_y = program.jacobian(x, y)
    assert d_x.shape == (5, 3, 2, 3) and d_y.shape == (5, 3, 2, 2)
    np.testing.assert_allclose(d_x, np.einsum("ik,nj->nijk", np.eye(3), y), rtol=1e-14)
    np.testing.assert_allclose(d_y, np.einsum("ni,jk->nijk", x, np.eye(2)), rtol=1e-14)


def test_seeds_have_the_shape_of_results(mg: Any) -> None:
    w = mg.Value(2.0)
    program = mg.compile(lambda x: [x * w, x.sum()], np.ones(3))
    x, seeds = normal(5, 3), [normal(5, 3, seed=1), normal(5, seed=2)]
    expected = (seeds[0] * x * 2).sum() + (seeds[1] * x.sum(1)).sum()
    assert program.backward(x, seeds=seeds) == pytest.approx(expected, rel=1e-12)
    assert w.grad == pytest.approx((seeds[0] * x).sum(), rel=1e-12)
    gradient, along = program.vjp(x, seeds=seeds, parameters=True)
    np.testing.assert_allclose(gradient, seeds[0] * 2 + seeds[1][:, None], rtol=1e-12)
    assert along == pytest.approx((seeds[0] * x).sum(), rel=1e-12)
    with pytest.raises(ValueError, match=r"seeds\[0\] must have the shape \(5, 3\), not \(4, 3\)"):
        program.backward(x, seeds=[normal(4, 3), normal(5)])
    with pytest.raises(ValueError, match=r"the function has 4 results: backward\(\) needs seeds="):
        program.backward(x)


def test_results_and_derivatives_along_tangents_are_arrays(mg: Any) -> None:
    program = mg.compile(lambda x: x * x, np.ones((2, 2)))
    x, t = normal(3, 2, 2), normal(3, 2, 2, seed=1)
    results, along = program.jvp(x, tangents=t)
    np.testing.assert_allclose(results, x * x, rtol=1e-14)
    np.testing.assert_allclose(along, 2 * x * t, rtol=1e-14)


def test_the_parameter_jacobian_of_an_array_is_one_array(mg: Any) -> None:
    ws = np.array([mg.Value(1.0), mg.Value(2.0)])
    program = mg.compile(lambda x: ws * x * x.sum(), np.ones(2))
    x = normal(4, 2)
    found = program.parameter_jacobian(x)
    assert found.shape == (4, 2, 2) and program.parameters == tuple(ws)
    expected = np.einsum("ni,ip->nip", x * x.sum(1)[:, None], np.eye(2))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_array_without_elements_is_a_result(mg: Any) -> None:
    program = mg.compile(lambda x: [x, np.empty((0, 2), object)], 1.0)
    found = program([1.0, 2.0, 3.0])
    assert found[1].shape == (3, 0, 2)
    assert program.jacobian([1.0, 2.0, 3.0])[1].shape == (3, 0, 2)
    alone = mg.compile(lambda x: np.empty(0, object), np.ones(4))
    assert alone(normal(3, 4)).shape == (3, 0) and alone.jacobian(normal(3, 4)).shape == (3, 0, 4)


def test_another_shape_of_results_is_refused(mg: Any) -> None:
    program = mg.compile(lambda x: x if x[0].data > 0 else x[:1], np.ones(2))
    with pytest.raises(ValueError, match="another nesting of Values"):
        program([[-1.0, 1.0]])


# ---- copies ----


@pytest.mark.parametrize(
    "twin_of", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_programs_with_arrays_are_copied_and_pickled(mg: Any, twin_of: Any) -> None:
    twin = twin_of(mg.compile(clipped, np.ones(2)))
    assert twin([[1.0, -2.0], [-1.0, 3.0]]).tolist() == [[2.0, -4.0], [0.0, 0.0]]


def clipped(x: Any) -> Any:
    return x * 2 if x[0].data > 0 else x * 0
